// Package admin is what people and machines look at: the HTTP server (metrics, health, JSON, the status page), the SQL
// console, and the journal of events. All of them show the same [View].
//
// It owns the journal and the HTTP server. It never changes anything by itself: what an operator asks for goes through the
// injected [Actions]. It never sees a client's bytes.
//
// Goroutines: the HTTP server's, which Serve starts and Close waits for; Average's, which is its caller's; a console runs on the
// goroutine of its client, which starts two more, and waits for them, while a PAUSE waits.
//
// Locks: Journal.mu and averages.mu, leaves.
package admin
