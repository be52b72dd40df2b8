// Package reactor moves bytes between sockets in event loops and knows nothing of PostgreSQL.
//
// It owns the descriptors that were attached to a [Loop], their unsent output, the timers armed on that loop and the tasks
// posted to it. It is completion style: the loop hands received bytes to a [Handler], the handler says what to send and
// whether it wants more, and the loop sends after the callback has returned. Which system interface tells that bytes are
// there (epoll now, a ring later) is behind the engine in this package and cannot be seen from outside.
//
// It never parses a byte, never blocks in a callback, never retries what the handler should decide, and calls no handler
// from inside one of its own functions. A connection's callback always begins with everything flushed that earlier callbacks have sent
// to it.
//
// # The rules of the loop
//
//   - One receive for each readable event, into the loop's scratch buffer. A short read ends the turn of that connection,
//     without a second receive that would only answer EAGAIN.
//   - Of what a turn finds, connections that are late ([Conn.SetLate]) come last, unless their peer has gone. The others come in the
//     system's order, which is mostly that of arrival.
//   - What callbacks have sent is held until the turn's other connections are heard, early and late ones each for themselves, and leaves
//     in one go: one sendto for each connection straight from the receive buffer, or one sendmsg if there are several pieces. It leaves
//     earlier when a handler has to be told something, and before anything else is done to its connection. What a handler has sent from
//     elsewhere is copied; where that is too much, all leaves at once. See hold.go.
//   - What the kernel did not take is copied, and only then writability is watched.
//   - A connection is registered once. Pausing costs no system call unless bytes come while it is paused.
//   - Events of a connection that was closed or handed over in the same turn reach nobody.
//   - A connection whose sending fails is still read to its end first, so that the peer's last words are not lost.
//   - A panic in a callback ends that connection, not the process.
//   - Calls that cannot block go through RawSyscall, and so does a wait that is expected to be short: the runtime ends it by a
//     signal when it needs the processor. Every other wait goes through Syscall. A loop in a short wait holds one of the
//     runtime's processors, so GOMAXPROCS should be at least the number of loops plus one; with less there are no short waits.
//   - Each loop has a thread of its own.
//
// # Goroutines
//
// One for each loop ([Loop.run]), and one that lets them look for peers that have vanished (Reactor.listenForSilence), started by
// [New] and awaited by [Reactor.Close]. All methods of [Loop], [Conn], [Timer]
// and, once attached, [Socket] belong to that goroutine, unless their comment says "any goroutine". [Listener.Accept] runs
// on its caller's goroutine.
//
// # Locks
//
// Each loop's inbox has one mutex, held for an append or a swap and never while something else is called. Listener has one
// for its reserve descriptor. Both are leaves.
package reactor
