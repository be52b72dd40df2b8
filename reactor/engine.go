//go:build linux

package reactor

import "golang.org/x/sys/unix"

// engine is what a loop needs of the system. It reports what happens on a connection through Loop.received, peerEnded,
// writable and broken, from inside deliver. All but wake belong to the loop's goroutine.
type engine interface {
	// wait looks for events and returns how many there are. It does not block with timeout 0; a negative timeout has no
	// end. Nanoseconds. brisk says that the goroutine may keep its processor: an event is expected soon, see Loop.expect.
	wait(timeout int64, brisk bool) int
	// deliver reports the n events that wait has found, early ones and then late ones, and ends both with Loop.release.
	deliver(n int)
	// wake ends a wait. Any goroutine.
	wake()

	// watch brings what is awaited on c in line with its state.
	watch(c *Conn) error
	// forget ends the watching; the descriptor is about to be closed or handed over.
	forget(c *Conn)

	// receive reads once into b: 0 bytes and no error is the peer's FIN, EAGAIN means nothing there.
	receive(c *Conn, b []byte) (int, unix.Errno)
	// peek tells, without reading, what receive would find.
	peek(c *Conn) (int, unix.Errno)
	// send gives the kernel b and returns how much it took, which may be nothing.
	send(c *Conn, b []byte) (int, unix.Errno)
	// sendPieces does so with several pieces, at most maxPieces.
	sendPieces(c *Conn, v [][]byte) (int, unix.Errno)

	close() error
}
