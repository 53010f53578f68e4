package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/client/clienttest"
	"github.com/godwit-im/godwit/wire"
)

// The examples talk to a server in memory; with a real one, set URL to its
// public address and get tokens from your sign-in.
func exampleServer() (s *clienttest.Server, alice, bob *client.Client) {
	s = clienttest.New()
	var err error
	if alice, err = client.Connect(context.Background(), client.Config{URL: s.URL, Token: s.Token("alice", "phone")}); err != nil {
		log.Fatal(err)
	}
	if bob, err = client.Connect(context.Background(), client.Config{URL: s.URL, Token: s.Token("bob", "laptop")}); err != nil {
		log.Fatal(err)
	}
	return s, alice, bob
}

// Two users, one message, one answer.
func Example() {
	s, alice, bob := exampleServer()
	defer s.Close()
	defer alice.Close()
	defer bob.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	ack, err := alice.Send(ctx, client.ToUser("bob"), []byte("lunch?"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("stored as message", ack.MessageID)

	for ev := range bob.Events(ctx) {
		if m, ok := ev.(client.Message); ok {
			fmt.Printf("%s: %s\n", m.SenderID, m.Content)
			if _, err := bob.Send(ctx, client.ToChat(m.ChatID), []byte("at noon")); err != nil {
				log.Fatal(err)
			}
			break
		}
	}
	for ev := range alice.Events(ctx) {
		if m, ok := ev.(client.Message); ok {
			fmt.Printf("%s: %s\n", m.SenderID, m.Content)
			break
		}
	}
	// Output:
	// stored as message 1
	// alice: lunch?
	// bob: at noon
}

// A server that has no leader for a moment, and one that is cut off: Send
// waits both out, and the message is stored once.
func ExampleClient_Send() {
	s, alice, bob := exampleServer()
	defer s.Close()
	defer alice.Close()
	defer bob.Close()
	s.FailSends(1, wire.CodeUnavailable, 10*time.Millisecond)
	s.LoseAcks(1)

	_, err := alice.Send(context.Background(), client.ToUser("bob"), []byte("once"))
	fmt.Println(err, s.Contents(client.DirectChat("alice", "bob")))
	// Output: <nil> [once]
}

// Errors of the server have numbers.
func ExampleError() {
	s, alice, bob := exampleServer()
	defer s.Close()
	defer alice.Close()
	defer bob.Close()

	_, err := alice.Send(context.Background(), client.ToUser("alice"), []byte("note to self"))
	var e *client.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code.String(), e.Retryable)
	}
	fmt.Println(errors.Is(err, wire.CodeSelfChat))
	// Output:
	// E1205 self_chat false
	// true
}

// Read receipts reach the sender as Status.
func ExampleClient_MarkRead() {
	s, alice, bob := exampleServer()
	defer s.Close()
	defer alice.Close()
	defer bob.Close()
	ctx := context.Background()
	ack, err := alice.Send(ctx, client.ToUser("bob"), []byte("seen?"))
	if err != nil {
		log.Fatal(err)
	}
	bob.MarkRead(ack.ChatID, ack.MessageID)
	for ev := range alice.Events(ctx) {
		if st, ok := ev.(client.Status); ok && st.Status == wire.StatusRead {
			fmt.Println(st.UserID, "has read up to", st.MessageID)
			break
		}
	}
	// Output: bob has read up to 1
}

// History reads pages, newest first.
func ExampleClient_History() {
	s, alice, bob := exampleServer()
	defer s.Close()
	defer alice.Close()
	defer bob.Close()
	ctx := context.Background()
	for i := range 5 {
		if _, err := alice.Send(ctx, client.ToUser("bob"), fmt.Appendf(nil, "message %d", i+1)); err != nil {
			log.Fatal(err)
		}
	}
	q := client.HistoryQuery{Limit: 2}
	for {
		page, err := bob.History(ctx, client.DirectChat("alice", "bob"), q)
		if err != nil {
			log.Fatal(err)
		}
		for _, m := range page.Messages {
			fmt.Printf("%s\n", m.Content)
		}
		if q.Before = page.Next; page.Next == 0 {
			break
		}
	}
	// Output:
	// message 5
	// message 4
	// message 3
	// message 2
	// message 1
}
