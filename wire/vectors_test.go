package wire

import (
	"bytes"
	"encoding/hex"
	"strings"
)

// The golden frames. golden_test.go writes them to testdata/golden.json.

type goldenFrame struct {
	name  string
	frame Frame
}

var (
	aliceBob  = DirectChat("alice", "bob")
	gardeners = NewChatID(Group, [32]byte{0: 0x00, 1: 0x01, 13: 0xfe, 14: 0xff})
)

const (
	someTime = Millis(1_790_000_000_123)
	longID   = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func goldenFrames() []goldenFrame {
	var all []goldenFrame
	for _, list := range [][]goldenFrame{sessionFrames(), messageFrames(), cursorFrames(), otherFrames()} {
		all = append(all, list...)
	}
	return all
}

func sessionFrames() []goldenFrame {
	return []goldenFrame{
		{"hello: nothing to say", Frame{Op: OpHello}},
		{"hello: token only", Frame{Op: OpHello, Token: []byte("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln")}},
		{"hello: device and cursor, no token", Frame{Op: OpHello, Device: []byte("phone"), Cursor: 8123, HasCursor: true}},
		{"hello: cursor 0 is a cursor", Frame{Op: OpHello, HasCursor: true}},
		{"hello: everything, longest device, greatest cursor", Frame{Op: OpHello, Token: []byte("t"), Device: []byte(longID), Cursor: MaxSeq, HasCursor: true}},
		{"welcome: a new device", Frame{Op: OpWelcome, User: []byte("alice"), Device: []byte("phone"), HeartbeatS: 30,
			Limits: Limits{Content: MaxContent, Frame: MaxContent + FrameOverhead, InFlight: 64}}},
		{"welcome: a device that resumes", Frame{Op: OpWelcome, User: []byte("jörg@example.org"), Device: []byte("default"), Cursor: 8123, HasCursor: true, HeartbeatS: 3600,
			Limits: Limits{Content: MaxContentCeiling, Frame: 1<<32 - 1, InFlight: 1}}},
		{"synced", Frame{Op: OpSynced, Cursor: 8130, HasCursor: true}},
		{"synced: an empty account", Frame{Op: OpSynced, HasCursor: true}},
		{"going_away", Frame{Op: OpGoingAway, RetryAfter: 1500}},
		{"going_away: at once", Frame{Op: OpGoingAway}},
		{"ping", Frame{Op: OpPing}},
		{"pong", Frame{Op: OpPong}},
	}
}

func messageFrames() []goldenFrame {
	return []goldenFrame{
		{"send_message: to a chat", Frame{Op: OpSendMessage, Chat: aliceBob, Content: []byte("Hello, Bob!"), ClientMsgID: []byte("m-1")}},
		{"send_message: to a user", Frame{Op: OpSendMessage, To: []byte("bob"), Content: []byte("Hello, Bob!"), ClientMsgID: []byte("m-1")}},
		{"send_message: a reply with an image", Frame{Op: OpSendMessage, Chat: gardeners, Content: []byte("image:7f3a"), ClientMsgID: []byte(longID), Kind: []byte("image"), ReplyTo: 127}},
		{"send_message: a reply without a kind", Frame{Op: OpSendMessage, Chat: gardeners, Content: []byte("yes"), ClientMsgID: []byte("m-3"), ReplyTo: 128}},
		{"send_message: content that is not UTF-8", Frame{Op: OpSendMessage, Chat: aliceBob, Content: []byte{0x00, 0xff, 0xfe, 0x80, 0x0a}, ClientMsgID: []byte("m-4")}},
		{"send_message: content that JSON must escape", Frame{Op: OpSendMessage, Chat: aliceBob, Content: []byte("\"\\/\b\f\n\r\t\x00\x1f\x7f\u2028 <ü> 🪿"), ClientMsgID: []byte("m\"5\\")}},
		{"send_message: 255 bytes of content", Frame{Op: OpSendMessage, Chat: aliceBob, Content: bytes.Repeat([]byte("x"), 255), ClientMsgID: []byte("m-6")}},
		{"send_message: 256 bytes of content", Frame{Op: OpSendMessage, Chat: aliceBob, Content: bytes.Repeat([]byte("y"), 256), ClientMsgID: []byte("m-7")}},
		{"send_message: 31 bytes of id", Frame{Op: OpSendMessage, Chat: aliceBob, Content: []byte("z"), ClientMsgID: []byte(longID[:31])}},
		{"send_message: 32 bytes of id", Frame{Op: OpSendMessage, Chat: aliceBob, Content: []byte("z"), ClientMsgID: []byte(longID[:32])}},
		{"ack_sent", Frame{Op: OpAckSent, ClientMsgID: []byte("m-1"), Chat: aliceBob, Seq: 42, At: someTime}},
		{"ack_sent: greatest numbers", Frame{Op: OpAckSent, ClientMsgID: []byte("m-1"), Chat: aliceBob, Seq: MaxSeq, At: MaxSeq}},
		{"new_message", Frame{Op: OpNewMessage, Chat: aliceBob, Seq: 42, User: []byte("alice"), Content: []byte("Hello, Bob!"), At: someTime, ClientMsgID: []byte("m-1")}},
		{"new_message: nothing optional", Frame{Op: OpNewMessage, Chat: aliceBob, Seq: 1, User: []byte("alice"), Content: []byte("hi"), At: someTime}},
		{"new_message: everything", Frame{Op: OpNewMessage, Chat: gardeners, Seq: 65536, User: []byte("carol"), Content: []byte{0xde, 0xad, 0xbe, 0xef}, Kind: []byte("voice"), At: someTime, ClientMsgID: []byte("m-9"), ReplyTo: 65535}},
	}
}

func cursorFrames() []goldenFrame {
	return []goldenFrame{
		{"ack_delivered", Frame{Op: OpAckDelivered, Chat: aliceBob, Seq: 42}},
		{"ack_delivered: 127", Frame{Op: OpAckDelivered, Chat: aliceBob, Seq: 127}},
		{"ack_delivered: 128", Frame{Op: OpAckDelivered, Chat: aliceBob, Seq: 128}},
		{"ack_delivered: 255", Frame{Op: OpAckDelivered, Chat: aliceBob, Seq: 255}},
		{"ack_delivered: 256", Frame{Op: OpAckDelivered, Chat: aliceBob, Seq: 256}},
		{"ack_delivered: 65535", Frame{Op: OpAckDelivered, Chat: aliceBob, Seq: 65535}},
		{"ack_delivered: 65536", Frame{Op: OpAckDelivered, Chat: aliceBob, Seq: 65536}},
		{"ack_delivered: 2^32-1", Frame{Op: OpAckDelivered, Chat: aliceBob, Seq: 1<<32 - 1}},
		{"ack_delivered: 2^32", Frame{Op: OpAckDelivered, Chat: aliceBob, Seq: 1 << 32}},
		{"ack_delivered: 2^53-1", Frame{Op: OpAckDelivered, Chat: aliceBob, Seq: MaxSeq}},
		{"ack_read", Frame{Op: OpAckRead, Chat: gardeners, Seq: 40}},
		{"status_update: stored", Frame{Op: OpStatusUpdate, Chat: aliceBob, Seq: 42, User: []byte("alice"), Status: StatusStored}},
		{"status_update: delivered", Frame{Op: OpStatusUpdate, Chat: aliceBob, Seq: 42, User: []byte("bob"), Status: StatusDelivered}},
		{"status_update: read", Frame{Op: OpStatusUpdate, Chat: aliceBob, Seq: 42, User: []byte("bob"), Status: StatusRead}},
		{"status_update: failed", Frame{Op: OpStatusUpdate, Chat: aliceBob, Seq: 42, User: []byte("bob"), Status: StatusFailed}},
	}
}

func otherFrames() []goldenFrame {
	return []goldenFrame{
		{"typing: from a client", Frame{Op: OpTyping, Chat: aliceBob, Typing: TypingStart}},
		{"typing: to a client", Frame{Op: OpTyping, Chat: aliceBob, Typing: TypingStop, User: []byte("alice")}},
		{"error: fatal", Frame{Op: OpError, Code: CodeTokenExpired, Message: []byte("the token has expired")}},
		{"error: about one message", Frame{Op: OpError, Code: CodeTooFast, Message: []byte("too many operations in too short a time"), Retryable: true, RetryAfter: 250, ClientMsgID: []byte("m-1")}},
		{"error: about one message, final", Frame{Op: OpError, Code: CodeNotMember, Message: []byte("you are not a member of this conversation"), ClientMsgID: []byte("m-1")}},
		{"error: about one receipt", Frame{Op: OpError, Code: CodeUnknownMessage, Message: []byte("the conversation has no message of this id"),
			Advice: []byte("use a `message_id` that you received"), Refused: []byte("ack_read"), Chat: aliceBob}},
		{"error: about an operation", Frame{Op: OpError, Code: CodeWrongState, Message: []byte("the operation does not fit the state of the connection"), Refused: []byte("hello")}},
		{"error: longest texts", Frame{Op: OpError, Code: 9999, Message: bytes.Repeat([]byte("e"), MaxErrorText), Retryable: true, RetryAfter: MaxSeq,
			ClientMsgID: bytes.Repeat([]byte("i"), MaxID), Advice: bytes.Repeat([]byte("a"), MaxErrorText), Refused: bytes.Repeat([]byte("o"), MaxOpName), Chat: gardeners}},
	}
}

// These make vectors of bytes that no encoder of ours writes.
func takeBin(name, hexed string, fields map[string]any) vector {
	return vector{Name: name, Msgpack: strings.ReplaceAll(hexed, " ", ""), Fields: fields}
}

func takeText(name, json string, fields map[string]any) vector {
	return vector{Name: name, JSON: json, Fields: fields}
}

func refuseBin(name, hexed string, code Code) vector {
	return vector{Name: name, Msgpack: strings.ReplaceAll(hexed, " ", ""), Code: code}
}

func refuseText(name, json string, code Code) vector {
	return vector{Name: name, JSON: json, Code: code}
}

// chatHex is aliceBob as a msgpack bin.
var (
	chatHex  = "c410" + hex.EncodeToString(aliceBob[:])
	chatJSON = `"chat_id":"` + aliceBob.String() + `"`
)

func lenientVectors() []vector {
	ping := map[string]any{"type": "ping"}
	ack := map[string]any{"type": "ack_delivered", "chat_id": aliceBob.String(), "message_id": 5}
	send := map[string]any{"type": "send_message", "to": "bob", "content_hex": "6869", "client_msg_id": "m"}
	welcome := map[string]any{"type": "welcome", "user_id": "u", "device_id": "d", "heartbeat_s": 30,
		"limits": map[string]any{"content_bytes": 1, "frame_bytes": 2, "sends_in_flight": 3}}
	return []vector{
		takeBin("array16 where fixarray would do", "dc0001 0a", ping),
		takeBin("op as uint8", "91 cc0a", ping),
		takeBin("op as int64", "91 d3000000000000000a", ping),
		takeBin("elements of a later version", "95 0a 01 a2787a 92c0c3 82a16101a16202", ping),
		takeBin("elements of a later version, of every type", "dc0020 0a 81a16101 de0001a16101 df00000001a16101 9101 dc000101 dd0000000101"+
			" a161 d90161 da000161 db0000000161 c40161 c5000161 c60000000161 c7010061 c800010061 c9000000010061"+
			" ca3f800000 cb3ff0000000000000 cc01 cd0001 ce00000001 cf0000000000000001 d0ff d1ffff d2ffffffff d3ffffffffffffffff"+
			" d40061 d5006161 d60061616161 d7006161616161616161 d80061616161616161616161616161616161", ping),
		takeBin("number as uint64", "93 06 "+chatHex+" cf0000000000000005", ack),
		takeBin("number as int8", "93 06 "+chatHex+" d005", ack),
		takeBin("number as int64", "93 06 "+chatHex+" d30000000000000005", ack),
		takeBin("chat as str", "93 06 b0"+chatHex[4:]+" 05", ack),
		takeBin("chat as bin32", "93 06 c600000010"+chatHex[4:]+" 05", ack),
		takeBin("content as str, id as str8", "95 03 c0 a3626f62 a26869 d9016d", send),
		takeBin("absent fields written as nil", "97 03 c0 a3626f62 c4026869 a16d c0 c0", send),
		takeBin("absent fields written as empty or zero", "97 03 c400 a3626f62 c4026869 a16d a0 00", send),
		takeBin("a limit of a later version", "96 02 a175 a164 c0 1e 94 01 02 03 04", welcome),
		takeText("white space", " {\t\"type\" :\r\n\"ping\" } ", ping),
		takeText("names of a later version", `{"v":[1,-2.5e+3,{"type":"pong"},null],"type":"ping","w":{"x":[]},"":""}`, ping),
		takeText("names in another case are other names", `{"Type":"pong","TYPE":1,"type":"ping"}`, ping),
		takeText("escapes in names and values", `{"\u0074ype":"p\u0069ng"}`, ping),
		takeText("type at the end", `{"message_id":5,`+chatJSON+`,"type":"ack_delivered"}`, ack),
		takeText("content as base64", `{"type":"send_message","to":"bob","content_b64":"aGk=","client_msg_id":"m"}`, send),
		takeText("absent fields written as null", `{"type":"send_message","chat_id":null,"to":"bob","content":"hi","client_msg_id":"m","kind":null,"reply_to":null}`, send),
		takeText("absent fields written as empty or zero", `{"type":"send_message","chat_id":"","to":"bob","content":"\u0068i","client_msg_id":"m","kind":"","reply_to":0}`, send),
		takeText("a surrogate pair", `{"type":"send_message","to":"bob","content":"\ud83e\udebf","client_msg_id":"m"}`,
			map[string]any{"type": "send_message", "to": "bob", "content_hex": "f09faabf", "client_msg_id": "m"}),
		takeText("a limit of a later version", `{"type":"welcome","user_id":"u","device_id":"d","heartbeat_s":30,"limits":{"x":[1],"sends_in_flight":3,"frame_bytes":2,"content_bytes":1}}`, welcome),
	}
}

func badVectors() []vector {
	return append(badFrames(), badFields()...)
}

// badFrames cannot be decoded or name no operation.
func badFrames() []vector {
	return []vector{
		refuseBin("only an array's head", "91", CodeBadFrame),
		refuseBin("empty array", "90", CodeBadFrame),
		refuseBin("not an array", "0a", CodeBadFrame),
		refuseBin("a map", "81 00 0a", CodeBadFrame),
		refuseBin("op is not a number", "91 a470696e67", CodeBadFrame),
		refuseBin("op is negative", "91 ff", CodeBadFrame),
		refuseBin("a byte after the array", "91 0a 00", CodeBadFrame),
		refuseBin("two frames", "91 0a 91 0a", CodeBadFrame),
		refuseBin("truncated field", "93 06 "+chatHex[:20], CodeBadFrame),
		refuseBin("truncated number", "93 06 "+chatHex+" cd00", CodeBadFrame),
		refuseBin("fewer elements than declared", "93 06 "+chatHex, CodeBadFrame),
		refuseBin("more elements than a frame may have", "dc0021 0a"+strings.Repeat("c0", 32), CodeBadFrame),
		refuseBin("bomb: 4 GiB of elements", "dd ffffffff", CodeBadFrame),
		refuseBin("bomb: 4 GiB of content", "95 03 c0 a3626f62 c6ffffffff", CodeBadFrame),
		refuseBin("bomb: 4 GiB of text", "92 01 dbffffffff", CodeBadFrame),
		refuseBin("bomb: array32 in an unknown element", "92 0a ddffffffff", CodeBadFrame),
		refuseBin("bomb: map32 in an unknown element", "92 0a dfffffffff", CodeBadFrame),
		refuseBin("bomb: ext32 in an unknown element", "92 0a c9ffffffff00", CodeBadFrame),
		refuseBin("nested without end", "92 0a"+strings.Repeat("91", 300), CodeBadFrame),
		refuseBin("the byte that msgpack never uses", "92 0a c1", CodeBadFrame),
		refuseBin("unknown op 0", "91 00", CodeUnknownOp),
		refuseBin("unknown op 200", "92 ccc8 a161", CodeUnknownOp),
		refuseBin("unknown op 266, which is ping modulo 256", "91 cd010a", CodeUnknownOp),
		refuseText("no object", `[10]`, CodeBadFrame),
		refuseText("null", `null`, CodeBadFrame),
		refuseText("no type", `{}`, CodeBadFrame),
		refuseText("type is not a string", `{"type":10}`, CodeBadFrame),
		refuseText("type twice", `{"type":"ping","type":"ping"}`, CodeBadFrame),
		refuseText("type twice, once escaped", `{"type":"ping","\u0074ype":"pong"}`, CodeBadFrame),
		refuseText("cut off", `{"type":"ping"`, CodeBadFrame),
		refuseText("text after the object", `{"type":"ping"}{}`, CodeBadFrame),
		refuseText("comma at the end", `{"type":"ping",}`, CodeBadFrame),
		refuseText("control character in a string", "{\"type\":\"pi\nng\"}", CodeBadFrame),
		refuseText("last control character in a string", "{\"type\":\"ping\",\"x\":\"\x1f\"}", CodeBadFrame),
		refuseText("unknown escape", `{"type":"ping","x":"\x41"}`, CodeBadFrame),
		refuseText("number with a leading zero", `{"type":"ping","x":01}`, CodeBadFrame),
		refuseText("nested too deep", `{"type":"ping","x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`, CodeBadFrame),
		refuseText("unknown type", `{"type":"pang"}`, CodeUnknownOp),
		refuseText("type in another case", `{"type":"Ping"}`, CodeUnknownOp),
	}
}

// badFields are well-formed frames of a known operation.
func badFields() []vector {
	return []vector{
		refuseBin("required field missing", "92 06 "+chatHex, CodeBadField),
		refuseBin("required field nil", "93 06 c0 05", CodeBadField),
		refuseBin("message_id 0", "93 06 "+chatHex+" 00", CodeBadField),
		refuseBin("message_id negative", "93 06 "+chatHex+" ff", CodeBadField),
		refuseBin("message_id negative, as int8", "93 06 "+chatHex+" d0ff", CodeBadField),
		refuseBin("message_id negative, as int64", "93 06 "+chatHex+" d3ffffffffffffffff", CodeBadField),
		refuseBin("message_id 2^53", "93 06 "+chatHex+" cf0020000000000000", CodeBadField),
		refuseBin("message_id a float", "93 06 "+chatHex+" cb4014000000000000", CodeBadField),
		refuseBin("chat of 15 bytes", "93 06 c40f"+chatHex[4:34]+" 05", CodeBadField),
		refuseBin("chat of an unknown kind", "93 06 c41078"+chatHex[6:]+" 05", CodeBadField),
		refuseBin("chat in its text form", "93 06 b9"+hex.EncodeToString([]byte(aliceBob.String()))+" 05", CodeBadField),
		refuseBin("empty content", "95 03 c0 a3626f62 c400 a16d", CodeBadField),
		refuseBin("empty client_msg_id", "95 03 c0 a3626f62 c4026869 a0", CodeBadField),
		refuseBin("client_msg_id of 65 bytes", "95 03 c0 a3626f62 c4026869 d941"+strings.Repeat("61", 65), CodeBadField),
		refuseBin("client_msg_id as bin", "95 03 c0 a3626f62 c4026869 c4016d", CodeBadField),
		refuseBin("client_msg_id that is not UTF-8", "95 03 c0 a3626f62 c4026869 a1ff", CodeBadField),
		refuseBin("to with a control character", "95 03 c0 a3620a62 c4026869 a16d", CodeBadField),
		refuseBin("kind of 33 bytes", "96 03 c0 a3626f62 c4026869 a16d d921"+strings.Repeat("61", 33), CodeBadField),
		refuseBin("status 0", "95 08 "+chatHex+" 05 a3626f62 00", CodeBadField),
		refuseBin("status 5", "95 08 "+chatHex+" 05 a3626f62 05", CodeBadField),
		refuseBin("typing state 3", "93 09 "+chatHex+" 03", CodeBadField),
		refuseBin("retryable is a number", "94 0c 01 a165 01", CodeBadField),
		refuseBin("two limits", "96 02 a175 a164 c0 1e 92 01 02", CodeBadField),
		refuseBin("a limit over 2^32", "96 02 a175 a164 c0 1e 93 01 02 cf0000000100000000", CodeBadField),
		refuseText("required field missing", `{"type":"ack_delivered",`+chatJSON+`}`, CodeBadField),
		refuseText("required field null", `{"type":"ack_delivered",`+chatJSON+`,"message_id":null}`, CodeBadField),
		refuseText("field twice", `{"type":"ack_delivered",`+chatJSON+`,"message_id":5,"message_id":5}`, CodeBadField),
		refuseText("message_id 0", `{"type":"ack_delivered",`+chatJSON+`,"message_id":0}`, CodeBadField),
		refuseText("message_id negative", `{"type":"ack_delivered",`+chatJSON+`,"message_id":-5}`, CodeBadField),
		refuseText("message_id 2^53", `{"type":"ack_delivered",`+chatJSON+`,"message_id":9007199254740992}`, CodeBadField),
		refuseText("message_id with a fraction", `{"type":"ack_delivered",`+chatJSON+`,"message_id":5.0}`, CodeBadField),
		refuseText("message_id in quotes", `{"type":"ack_delivered",`+chatJSON+`,"message_id":"5"}`, CodeBadField),
		refuseText("chat in upper case", `{"type":"ack_delivered","chat_id":"`+strings.ToUpper(aliceBob.String())+`","message_id":5}`, CodeBadField),
		refuseText("chat with line ends", `{"type":"ack_delivered","chat_id":"daaaaaaaaaaaaaaaa\n\n\n\n\n\n\n\n","message_id":5}`, CodeBadField),
		refuseText("empty content", `{"type":"send_message","to":"bob","content":"","client_msg_id":"m"}`, CodeBadField),
		refuseText("content twice, in both spellings", `{"type":"send_message","to":"bob","content":"hi","content_b64":"aGk=","client_msg_id":"m"}`, CodeBadField),
		refuseText("content_b64 with a line end", `{"type":"send_message","to":"bob","content_b64":"aG\nk=","client_msg_id":"m"}`, CodeBadField),
		refuseText("content_b64 without padding", `{"type":"send_message","to":"bob","content_b64":"aGk","client_msg_id":"m"}`, CodeBadField),
		refuseText("content with half of a surrogate pair", `{"type":"send_message","to":"bob","content":"\ud83e","client_msg_id":"m"}`, CodeBadField),
		refuseText("client_msg_id is a number", `{"type":"send_message","to":"bob","content":"hi","client_msg_id":1}`, CodeBadField),
		refuseText("unknown status", `{"type":"status_update",`+chatJSON+`,"message_id":5,"user_id":"bob","status":"seen"}`, CodeBadField),
		refuseText("status as a number", `{"type":"status_update",`+chatJSON+`,"message_id":5,"user_id":"bob","status":3}`, CodeBadField),
		refuseText("a limit missing", `{"type":"welcome","user_id":"u","device_id":"d","heartbeat_s":30,"limits":{"content_bytes":1,"frame_bytes":2}}`, CodeBadField),
	}
}
