// Package client is the Go SDK of godwit: durable, ordered chat over one
// WebSocket that repairs itself.
//
// # Your first chat
//
// Start a server with `godwit serve`, then:
//
//	ctx := context.Background()
//	token, _, err := client.DevToken(ctx, "http://127.0.0.1:8080", "alice", "")
//	if err != nil {
//		log.Fatal(err)
//	}
//	c, err := client.Connect(ctx, client.Config{URL: "http://127.0.0.1:8080", Token: token})
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer c.Close()
//
//	ack, err := c.Send(ctx, client.ToUser("bob"), []byte("hello"))
//	if err != nil {
//		log.Fatal(err)
//	}
//	fmt.Println("stored as message", ack.MessageID, "of", ack.ChatID)
//
//	for ev := range c.Events(ctx) {
//		if m, ok := ev.(client.Message); ok {
//			fmt.Printf("%s: %s\n", m.SenderID, m.Content)
//			c.MarkRead(m.ChatID, m.MessageID)
//		}
//	}
//
// # What it promises
//
// Send returns when the message is on disk at a majority of replicas. It waits
// out lost connections and retryable errors under one client_msg_id, so the
// message is stored once, and in the order of the calls.
//
// Events yields every message of every conversation once, in the order of its
// conversation, without gaps, from where this device left off. A message is
// acknowledged as delivered when the loop's body has been left; a program that
// dies before gets it again. Status and Typing are hints.
//
// # Bounds
//
// The outbox holds Config.Outbox sends; Send answers ErrOutboxFull beyond.
// The inbox holds Config.Inbox events; messages beyond are fetched from
// history once the loop has caught up, hints are shed and counted in Stats.
// A slow loop never blocks Send, so a loop may send. Per conversation seen,
// about a hundred bytes are kept.
//
// # Errors
//
// What the server refuses is an *Error with a Code; what cannot be reached is a
// *ConnectError; a context that ends during Send gives a *PendingError.
//
//	if errors.Is(err, wire.CodeNotMember) { ... }
//	var e *client.Error
//	if errors.As(err, &e) && e.Retryable { ... }
//
// # Tests of your application
//
// Package clienttest has a server in memory that fails on demand.
package client
