// Code generated from wire/op.go and wire/code.go by `go test ./wire -update`. DO NOT EDIT.

/** The protocol version that these tables describe. */
export const VERSION = 1;
export const SUBPROTOCOL_MSGPACK = "godwit.v1.msgpack";
export const SUBPROTOCOL_JSON = "godwit.v1.json";

/** The numbers both ends enforce: bytes, unless the name says otherwise. */
export const LIMITS = {
  id: 64,
  kind: 32,
  name: 128,
  token: 4096,
  content: 65536,
  members: 1024,
  errorText: 256,
  fields: 32,
  historyPage: 50,
  maxHistoryPage: 200,
  chatText: 25,
  seq: 9007199254740991,
  heartbeatMs: 30000,
  typingEveryMs: 3000,
  typingShownMs: 5000,
} as const;

/** The forms of fields, as PROTOCOL.md describes them. */
export type FieldType =
  | "text"
  | "id"
  | "bytes"
  | "chat"
  | "uint"
  | "bool"
  | "status"
  | "typing"
  | "limits";

export const STATUS = {
  stored: 1,
  delivered: 2,
  read: 3,
  failed: 4,
} as const;
export type Status = keyof typeof STATUS;

export const TYPING = {
  start: 1,
  stop: 2,
} as const;
export type TypingState = keyof typeof TYPING;

/** The names of the elements of `limits`, in the order of the binary form. */
export const LIMIT_NAMES = ["content_bytes", "frame_bytes", "sends_in_flight"] as const;
export type Limits = Record<(typeof LIMIT_NAMES)[number], number>;

/** first frame of a session */
export interface HelloFrame {
  type: "hello";
  /** JWT, unless the upgrade carried one */
  token?: string;
  /** names this device when the token does not; "default" when neither does */
  device?: string;
  /** a point in the user's change counter */
  cursor?: number;
}

/** the session is live; what was missed follows, then synced */
export interface WelcomeFrame {
  type: "welcome";
  /** the user concerned */
  user_id: string;
  /** the device this session belongs to */
  device_id: string;
  /** a point in the user's change counter */
  cursor?: number;
  /** ping this often; silence for twice as long ends the session */
  heartbeat_s: number;
  /** what this edge enforces */
  limits: Limits;
}

/** append to a conversation: chat_id, or to for the direct chat with a user */
export interface SendMessageFrame {
  type: "send_message";
  /** the conversation */
  chat_id?: string;
  /** the other user of a direct chat */
  to?: string;
  /** opaque to the server */
  content: Uint8Array;
  /** the sender's name for the message; a retry repeats it */
  client_msg_id: string;
  /** text (when absent), image, video, voice, document or the application's own */
  kind?: string;
  /** message_id in the same conversation */
  reply_to?: number;
}

/** stored: fsynced on a majority of replicas, with its final message_id */
export interface AckSentFrame {
  type: "ack_sent";
  /** the sender's name for the message; a retry repeats it */
  client_msg_id: string;
  /** the conversation */
  chat_id: string;
  /** the gapless sequence number in the conversation */
  message_id: number;
  /** milliseconds since 1970, by the server's clock */
  created_at: number;
}

/** an entry of a conversation's log */
export interface NewMessageFrame {
  type: "new_message";
  /** the conversation */
  chat_id: string;
  /** the gapless sequence number in the conversation */
  message_id: number;
  /** who sent it */
  sender_id: string;
  /** opaque to the server */
  content: Uint8Array;
  /** text (when absent), image, video, voice, document or the application's own */
  kind?: string;
  /** milliseconds since 1970, by the server's clock */
  created_at: number;
  /** the sender's name for the message */
  client_msg_id?: string;
  /** message_id in the same conversation */
  reply_to?: number;
}

/** this device has everything up to and including message_id */
export interface AckDeliveredFrame {
  type: "ack_delivered";
  /** the conversation */
  chat_id: string;
  /** the gapless sequence number in the conversation */
  message_id: number;
}

/** the user has read everything up to and including */
export interface AckReadFrame {
  type: "ack_read";
  /** the conversation */
  chat_id: string;
  /** the newest message read */
  last_read_message_id: number;
}

/** a member's cursor moved; it covers everything up to message_id */
export interface StatusUpdateFrame {
  type: "status_update";
  /** the conversation */
  chat_id: string;
  /** the gapless sequence number in the conversation */
  message_id: number;
  /** the user concerned */
  user_id: string;
  /** the new state */
  status: Status;
}

/** never stored; shown for five seconds */
export interface TypingFrame {
  type: "typing";
  /** the conversation */
  chat_id: string;
  /** start or stop */
  state: TypingState;
  /** who is typing; set by the server */
  user_id?: string;
}

/** heartbeat; the other end answers pong */
export interface PingFrame {
  type: "ping";
}

/** answers ping */
export interface PongFrame {
  type: "pong";
}

/** what is wrong, what to do, and with which frame; a close follows when it is fatal */
export interface ErrorFrame {
  type: "error";
  /** see the table of errors */
  code: number;
  /** what is wrong, for a person */
  message: string;
  /** the same frame may succeed later */
  retryable?: boolean;
  /** not before this */
  retry_after_ms?: number;
  /** the sender's name for the message */
  client_msg_id?: string;
  /** what to do about it, for a person */
  advice?: string;
  /** the name of the operation that is refused */
  op?: string;
  /** the conversation that the refused frame is about, when it named one */
  chat_id?: string;
}

/** this edge is leaving; reconnect elsewhere */
export interface GoingAwayFrame {
  type: "going_away";
  /** wait this long first */
  reconnect_after_ms: number;
}

/** everything missed up to cursor has been sent; keep it for the next hello */
export interface SyncedFrame {
  type: "synced";
  /** a point in the user's change counter */
  cursor: number;
}

/** What a client may send. */
export type FrameToEdge =
  | HelloFrame
  | SendMessageFrame
  | AckDeliveredFrame
  | AckReadFrame
  | TypingFrame
  | PingFrame
  | PongFrame;

/** What a client may receive. */
export type FrameToClient =
  | WelcomeFrame
  | AckSentFrame
  | NewMessageFrame
  | StatusUpdateFrame
  | TypingFrame
  | PingFrame
  | PongFrame
  | ErrorFrame
  | GoingAwayFrame
  | SyncedFrame;

export type Frame = FrameToEdge | FrameToClient;
export type OpName = Frame["type"];

/** One field; its place in OpSpec.fields plus one is its place in the binary array. */
export interface FieldSpec {
  readonly name: string;
  readonly type: FieldType;
  readonly required: boolean;
  /** Least value of a required number. */
  readonly min: number;
  /** Most bytes, or greatest value of a number; 0 where the type is the bound. */
  readonly max: number;
}

export interface OpSpec {
  readonly op: number;
  readonly name: OpName;
  readonly dir: "to_edge" | "to_client" | "both";
  readonly droppable: boolean;
  readonly since: number;
  readonly fields: readonly FieldSpec[];
}

/** The codes: the first element of a binary frame. */
export const OP = {
  hello: 1,
  welcome: 2,
  send_message: 3,
  ack_sent: 4,
  new_message: 5,
  ack_delivered: 6,
  ack_read: 7,
  status_update: 8,
  typing: 9,
  ping: 10,
  pong: 11,
  error: 12,
  going_away: 13,
  synced: 14,
} as const satisfies Record<OpName, number>;

/** The table of operations, ordered by code. */
export const OPS: readonly OpSpec[] = [
  {
    op: 1,
    name: "hello",
    dir: "to_edge",
    droppable: false,
    since: 1,
    fields: [
      { name: "token", type: "text", required: false, min: 0, max: 4096 },
      { name: "device", type: "id", required: false, min: 0, max: 64 },
      { name: "cursor", type: "uint", required: false, min: 0, max: 9007199254740991 },
    ],
  },
  {
    op: 2,
    name: "welcome",
    dir: "to_client",
    droppable: false,
    since: 1,
    fields: [
      { name: "user_id", type: "id", required: true, min: 0, max: 64 },
      { name: "device_id", type: "id", required: true, min: 0, max: 64 },
      { name: "cursor", type: "uint", required: false, min: 0, max: 9007199254740991 },
      { name: "heartbeat_s", type: "uint", required: true, min: 1, max: 3600 },
      { name: "limits", type: "limits", required: true, min: 0, max: 0 },
    ],
  },
  {
    op: 3,
    name: "send_message",
    dir: "to_edge",
    droppable: false,
    since: 1,
    fields: [
      { name: "chat_id", type: "chat", required: false, min: 0, max: 0 },
      { name: "to", type: "id", required: false, min: 0, max: 64 },
      { name: "content", type: "bytes", required: true, min: 0, max: 1048576 },
      { name: "client_msg_id", type: "id", required: true, min: 0, max: 64 },
      { name: "kind", type: "text", required: false, min: 0, max: 32 },
      { name: "reply_to", type: "uint", required: false, min: 0, max: 9007199254740991 },
    ],
  },
  {
    op: 4,
    name: "ack_sent",
    dir: "to_client",
    droppable: false,
    since: 1,
    fields: [
      { name: "client_msg_id", type: "id", required: true, min: 0, max: 64 },
      { name: "chat_id", type: "chat", required: true, min: 0, max: 0 },
      { name: "message_id", type: "uint", required: true, min: 1, max: 9007199254740991 },
      { name: "created_at", type: "uint", required: true, min: 0, max: 9007199254740991 },
    ],
  },
  {
    op: 5,
    name: "new_message",
    dir: "to_client",
    droppable: false,
    since: 1,
    fields: [
      { name: "chat_id", type: "chat", required: true, min: 0, max: 0 },
      { name: "message_id", type: "uint", required: true, min: 1, max: 9007199254740991 },
      { name: "sender_id", type: "id", required: true, min: 0, max: 64 },
      { name: "content", type: "bytes", required: true, min: 0, max: 1048576 },
      { name: "kind", type: "text", required: false, min: 0, max: 32 },
      { name: "created_at", type: "uint", required: true, min: 0, max: 9007199254740991 },
      { name: "client_msg_id", type: "id", required: false, min: 0, max: 64 },
      { name: "reply_to", type: "uint", required: false, min: 0, max: 9007199254740991 },
    ],
  },
  {
    op: 6,
    name: "ack_delivered",
    dir: "to_edge",
    droppable: false,
    since: 1,
    fields: [
      { name: "chat_id", type: "chat", required: true, min: 0, max: 0 },
      { name: "message_id", type: "uint", required: true, min: 1, max: 9007199254740991 },
    ],
  },
  {
    op: 7,
    name: "ack_read",
    dir: "to_edge",
    droppable: false,
    since: 1,
    fields: [
      { name: "chat_id", type: "chat", required: true, min: 0, max: 0 },
      { name: "last_read_message_id", type: "uint", required: true, min: 1, max: 9007199254740991 },
    ],
  },
  {
    op: 8,
    name: "status_update",
    dir: "to_client",
    droppable: false,
    since: 1,
    fields: [
      { name: "chat_id", type: "chat", required: true, min: 0, max: 0 },
      { name: "message_id", type: "uint", required: true, min: 1, max: 9007199254740991 },
      { name: "user_id", type: "id", required: true, min: 0, max: 64 },
      { name: "status", type: "status", required: true, min: 1, max: 4 },
    ],
  },
  {
    op: 9,
    name: "typing",
    dir: "both",
    droppable: true,
    since: 1,
    fields: [
      { name: "chat_id", type: "chat", required: true, min: 0, max: 0 },
      { name: "state", type: "typing", required: true, min: 1, max: 2 },
      { name: "user_id", type: "id", required: false, min: 0, max: 64 },
    ],
  },
  {
    op: 10,
    name: "ping",
    dir: "both",
    droppable: false,
    since: 1,
    fields: [],
  },
  {
    op: 11,
    name: "pong",
    dir: "both",
    droppable: false,
    since: 1,
    fields: [],
  },
  {
    op: 12,
    name: "error",
    dir: "to_client",
    droppable: false,
    since: 1,
    fields: [
      { name: "code", type: "uint", required: true, min: 1, max: 9999 },
      { name: "message", type: "text", required: true, min: 0, max: 256 },
      { name: "retryable", type: "bool", required: false, min: 0, max: 0 },
      { name: "retry_after_ms", type: "uint", required: false, min: 0, max: 9007199254740991 },
      { name: "client_msg_id", type: "id", required: false, min: 0, max: 64 },
      { name: "advice", type: "text", required: false, min: 0, max: 256 },
      { name: "op", type: "text", required: false, min: 0, max: 32 },
      { name: "chat_id", type: "chat", required: false, min: 0, max: 0 },
    ],
  },
  {
    op: 13,
    name: "going_away",
    dir: "to_client",
    droppable: false,
    since: 1,
    fields: [
      { name: "reconnect_after_ms", type: "uint", required: true, min: 0, max: 9007199254740991 },
    ],
  },
  {
    op: 14,
    name: "synced",
    dir: "to_client",
    droppable: false,
    since: 1,
    fields: [
      { name: "cursor", type: "uint", required: true, min: 0, max: 9007199254740991 },
    ],
  },
];

export interface CodeSpec {
  readonly code: number;
  readonly name: CodeName;
  /** The WebSocket close code when the error ends the connection, else 0. */
  readonly close: number;
  /** The status of the same error on REST or at the upgrade. */
  readonly http: number;
  readonly retryable: boolean;
  readonly text: string;
  readonly todo: string;
}

export const CODE = {
  bad_frame: 1001,
  frame_too_big: 1002,
  unknown_op: 1003,
  wrong_state: 1004,
  bad_field: 1005,
  wrong_subprotocol: 1006,
  wrong_message_type: 1007,
  websocket_protocol: 1008,
  unauthenticated: 1101,
  token_invalid: 1102,
  token_expired: 1103,
  hello_timeout: 1104,
  token_too_long: 1105,
  origin_refused: 1106,
  unknown_chat: 1201,
  no_recipient: 1202,
  not_member: 1203,
  content_too_big: 1204,
  self_chat: 1205,
  too_many_members: 1206,
  unknown_message: 1207,
  bad_request: 1208,
  unknown_resource: 1209,
  wrong_method: 1210,
  too_fast: 1301,
  slow_reader: 1302,
  server_full: 1303,
  unavailable: 1304,
  going_away: 1305,
  heartbeat_missed: 1306,
  too_many_sessions: 1307,
  storage: 1401,
  internal: 1901,
} as const;
export type CodeName = keyof typeof CODE;

/** The table of errors, ordered by code. */
export const CODES: readonly CodeSpec[] = [
  {
    code: 1001,
    name: "bad_frame",
    close: 1007,
    http: 400,
    retryable: false,
    text: "the frame cannot be decoded",
    todo: "send one msgpack array (binary) or one JSON object (text) per WebSocket message, as PROTOCOL.md draws it",
  },
  {
    code: 1002,
    name: "frame_too_big",
    close: 1009,
    http: 413,
    retryable: false,
    text: "the frame is longer than this edge accepts",
    todo: "keep `content` within `limits.content_bytes` of the welcome; send media by reference",
  },
  {
    code: 1003,
    name: "unknown_op",
    close: 0,
    http: 400,
    retryable: false,
    text: "this edge does not know the operation",
    todo: "check the `type` or op code; the protocol's version is in the subprotocol",
  },
  {
    code: 1004,
    name: "wrong_state",
    close: 0,
    http: 409,
    retryable: false,
    text: "the operation does not fit the state of the connection",
    todo: "send hello first and wait for welcome; send hello only once",
  },
  {
    code: 1005,
    name: "bad_field",
    close: 0,
    http: 400,
    retryable: false,
    text: "a field is missing, too long, reserved or not of its type",
    todo: "correct the field that the message names",
  },
  {
    code: 1006,
    name: "wrong_subprotocol",
    close: 0,
    http: 400,
    retryable: false,
    text: "no subprotocol that this edge speaks was offered",
    todo: "offer godwit.v1.msgpack or godwit.v1.json in Sec-WebSocket-Protocol",
  },
  {
    code: 1007,
    name: "wrong_message_type",
    close: 1003,
    http: 400,
    retryable: false,
    text: "text and binary messages do not mix on one connection",
    todo: "send binary with godwit.v1.msgpack and text with godwit.v1.json",
  },
  {
    code: 1008,
    name: "websocket_protocol",
    close: 1002,
    http: 400,
    retryable: false,
    text: "the bytes break RFC 6455",
    todo: "mask client frames, keep control frames within 125 bytes, set no reserved bits",
  },
  {
    code: 1101,
    name: "unauthenticated",
    close: 4101,
    http: 401,
    retryable: false,
    text: "no token was given",
    todo: "send Authorization: Bearer on the upgrade, or hello with a `token`",
  },
  {
    code: 1102,
    name: "token_invalid",
    close: 4102,
    http: 401,
    retryable: false,
    text: "the token does not verify",
    todo: "check the key, the algorithm and the claims `sub` and `exp`; get a new token",
  },
  {
    code: 1103,
    name: "token_expired",
    close: 4103,
    http: 401,
    retryable: false,
    text: "the token has expired",
    todo: "get a new token and reconnect",
  },
  {
    code: 1104,
    name: "hello_timeout",
    close: 4104,
    http: 408,
    retryable: true,
    text: "no hello arrived in time",
    todo: "send hello as the first frame, at once",
  },
  {
    code: 1105,
    name: "token_too_long",
    close: 4105,
    http: 400,
    retryable: false,
    text: "the token is longer than 4096 bytes",
    todo: "put fewer claims into the token",
  },
  {
    code: 1106,
    name: "origin_refused",
    close: 0,
    http: 403,
    retryable: false,
    text: "pages of this origin may not connect",
    todo: "add the origin to --allow-origin",
  },
  {
    code: 1201,
    name: "unknown_chat",
    close: 0,
    http: 404,
    retryable: false,
    text: "there is no such conversation",
    todo: "start a direct chat with `to`, or create a group first",
  },
  {
    code: 1202,
    name: "no_recipient",
    close: 0,
    http: 400,
    retryable: false,
    text: "the message names no conversation, or two",
    todo: "set exactly one of `chat_id` and `to`",
  },
  {
    code: 1203,
    name: "not_member",
    close: 0,
    http: 403,
    retryable: false,
    text: "you are not a member of this conversation",
    todo: "ask a member to add you",
  },
  {
    code: 1204,
    name: "content_too_big",
    close: 0,
    http: 413,
    retryable: false,
    text: "the content is over the limit",
    todo: "keep `content` within `limits.content_bytes` of the welcome; send media by reference",
  },
  {
    code: 1205,
    name: "self_chat",
    close: 0,
    http: 400,
    retryable: false,
    text: "a direct chat needs another user",
    todo: "set `to` to somebody else's user id",
  },
  {
    code: 1206,
    name: "too_many_members",
    close: 0,
    http: 400,
    retryable: false,
    text: "the group is over its limit of members",
    todo: "create it with fewer members",
  },
  {
    code: 1207,
    name: "unknown_message",
    close: 0,
    http: 404,
    retryable: false,
    text: "the conversation has no message of this id",
    todo: "use a `message_id` that you received",
  },
  {
    code: 1208,
    name: "bad_request",
    close: 0,
    http: 400,
    retryable: false,
    text: "the request cannot be understood",
    todo: "compare it with /openapi.json",
  },
  {
    code: 1209,
    name: "unknown_resource",
    close: 0,
    http: 404,
    retryable: false,
    text: "there is nothing at this address",
    todo: "see /openapi.json for what there is",
  },
  {
    code: 1210,
    name: "wrong_method",
    close: 0,
    http: 405,
    retryable: false,
    text: "this address does not take the method",
    todo: "use a method that the header Allow lists",
  },
  {
    code: 1301,
    name: "too_fast",
    close: 0,
    http: 429,
    retryable: true,
    text: "too many operations in too short a time",
    todo: "wait `retry_after_ms`, then send the same frame again",
  },
  {
    code: 1302,
    name: "slow_reader",
    close: 4302,
    http: 503,
    retryable: true,
    text: "the connection does not read what is sent to it",
    todo: "read faster, or reconnect: what was missed is sent again",
  },
  {
    code: 1303,
    name: "server_full",
    close: 0,
    http: 503,
    retryable: true,
    text: "this edge has as many connections as it may hold",
    todo: "connect to another edge, or later; operators: raise --max-connections and the descriptor limit",
  },
  {
    code: 1304,
    name: "unavailable",
    close: 0,
    http: 503,
    retryable: true,
    text: "what is needed for this does not answer right now: the leader of a shard, or where the keys of tokens come from",
    todo: "try again after `retry_after_ms`; the `client_msg_id` keeps a message from counting twice",
  },
  {
    code: 1305,
    name: "going_away",
    close: 1001,
    http: 503,
    retryable: true,
    text: "this edge is stopping",
    todo: "reconnect after `reconnect_after_ms`",
  },
  {
    code: 1306,
    name: "heartbeat_missed",
    close: 4306,
    http: 408,
    retryable: true,
    text: "nothing was heard for two heartbeats",
    todo: "ping every `heartbeat_s` seconds; reconnect",
  },
  {
    code: 1307,
    name: "too_many_sessions",
    close: 4307,
    http: 429,
    retryable: true,
    text: "the user has as many live sessions as allowed",
    todo: "close other sessions of this user",
  },
  {
    code: 1401,
    name: "storage",
    close: 0,
    http: 507,
    retryable: true,
    text: "the server cannot write to its disk",
    todo: "retry later; operators: see the log for the disk that is full or failing",
  },
  {
    code: 1901,
    name: "internal",
    close: 1011,
    http: 500,
    retryable: true,
    text: "the server met a case it does not know",
    todo: "retry; if it stays, report it with the server's log",
  },
];
