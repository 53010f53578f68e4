// Package edge holds the sockets. It accepts them, keeps them alive, carries
// frames between them and the cores that own users and conversations, and
// serves REST and the page on the same address.
//
// What it promises: an edge keeps no truth and may be killed at any time. It
// answers a send only with what a core said about it. Every queue in it has a
// bound, and a full one refuses or closes with a numbered error; nothing that
// is over the connection cap ever hurts a connection below it.
//
// How it works: net/http accepts, speaks TLS and upgrades on a short-lived
// goroutine; then the socket belongs to one gnet event loop and no goroutine
// is left. A loop owns its connections, their session machines, its timer
// wheel, its table of requests and the batches it is about to send; nobody
// else touches them. Work from outside (batches from cores, the clock,
// shutdown) waits in the loop's inbox, and the loop drains it in one turn:
// what the turn wrote to one socket leaves in one write, what it has for one
// core in one batch.
//
// What it never does: store, order or interpret messages; import core.
package edge
