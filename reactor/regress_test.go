//go:build linux

package reactor

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestABlockedConnThatCanSendNoMoreIsDrained: what fills a blocked connection is not read, and may in turn be why the connection
// itself is not read; when sending fails, somebody has to let go.
func TestABlockedConnThatCanSendNoMoreIsDrained(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	h := newRecorder()
	var c *Conn
	on(t, l, func() {
		c = l.Attach(server, h)
		c.PauseRead()
		c.Send(make([]byte, 64<<20))
	})
	h.want(t, "blocked")
	on(t, l, func() {
		if !c.Blocked() {
			t.Error("blocked, and says it is not")
		}
	})
	write(t, client, "never read")
	reset(t, client)
	h.want(t, "drained")
	on(t, l, func() {
		if c.Open() || c.Blocked() || c.Unsent() != 0 {
			t.Errorf("open %v, blocked %v, %d bytes unsent", c.Open(), c.Blocked(), c.Unsent())
		}
	})
	h.wantNothing(t, l)
	on(t, l, c.ResumeRead)
	h.wantData(t, "never read")
	h.want(t, "failed")
	h.wantNothing(t, l)
}

// TestAPeerMayTakeItsTimeToRead: the kernel counts what a peer has no room for as unacknowledged, however alive the peer is, so
// that any limit ends connections whose peer just does not read.
func TestAPeerMayTakeItsTimeToRead(t *testing.T) {
	_, server := tcpPair(t)
	defer server.Close()
	if err := DefaultSocketOptions().Apply(server); err != nil {
		t.Fatal(err)
	}
	fd, err := duplicate(server.inner)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	limit, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	if err != nil || limit != 0 {
		t.Errorf("a peer that does not read for %d ms is given up, %v", limit, err)
	}
}
