// Package auth decides who a client is, and proves to a server who we are.
//
// Both sides are step machines on bytes: [Exchange] speaks PostgreSQL's trust, password, md5 and SCRAM-SHA-256 methods to a
// client, [ServerLogin] answers a server's Authentication messages. The users come from a [Userlist] in PgBouncer's format,
// or from anything else that implements [Users].
//
// It owns secrets: [Secret] never shows itself in a log, an error or JSON, and no error of this package carries a byte of
// one. A zero [Verdict] means denied. An unknown user, a user without a fitting secret and a wrong password take the same
// steps, send messages of the same shape and cost the same work.
//
// It never opens a socket, reads a clock, logs, or sends AuthenticationOk (the caller may still have to wait for a server).
//
// It has no goroutines of its own; [ParseUserlist] uses some while it derives keys and waits for them. Its locks are
// leaves: one in [KeyRing], one in each plain-text [Secret] for the keys derived from it. No work is done under them.
package auth
