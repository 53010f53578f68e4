package main

import "net/http"

// page returns the browser client.
func page() http.Handler { return nil }
