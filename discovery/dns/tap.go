package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// tap hears how long answers may be kept, which Go's resolver knows and does not tell, while it asks for one name. All else stays the
// resolver's: /etc/hosts, resolv.conf with its search list, retries, TCP. A message that is none, or not for us, can at most make the
// name be asked for earlier or later, within the bounds that hold for every TTL.
type tap struct {
	mu struct {
		sync.Mutex
		found   lifetime // the shortest of answers that have what was asked for
		missing lifetime // the shortest of those that say that there is nothing
		conns   []net.Conn
		over    bool
	}
}

// close ends the connections. The resolver works on after the end of its context, until the timeout of resolv.conf; without a connection
// it gives up.
func (t *tap) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.over = true
	for _, c := range t.mu.conns {
		_ = c.Close() // the resolver may have closed it
	}
}

// dial opens a connection to a DNS server and listens to it.
func (t *tap) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.over {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	t.mu.conns = append(t.mu.conns, conn)
	return t.on(conn), nil
}

// lifetime is a TTL that was told, or not.
type lifetime struct {
	ttl   time.Duration
	known bool
}

func (l *lifetime) shorten(ttl time.Duration) {
	if !l.known || ttl < l.ttl {
		*l = lifetime{ttl, true}
	}
}

// ttl returns for how long the outcome of the whole look-up may be kept. That nobody told it means that no server was asked: the name
// stands in /etc/hosts.
func (t *tap) ttl() (ttl time.Duration, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.found.known {
		return t.mu.found.ttl, true
	}
	return t.mu.missing.ttl, t.mu.missing.known
}

// on listens to a connection to a DNS server. What the resolver does with it depends on its being a net.PacketConn.
func (t *tap) on(conn net.Conn) net.Conn {
	if udp, is := conn.(*net.UDPConn); is {
		return &packetTap{udp, t}
	}
	return &streamTap{Conn: conn, tap: t}
}

type packetTap struct {
	*net.UDPConn
	tap *tap
}

// Read passes on one message.
func (c *packetTap) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	if err == nil {
		c.tap.hear(b[:n])
	}
	return n, err
}

type streamTap struct {
	net.Conn
	tap  *tap
	read []byte // of the message that comes; two bytes of length first
}

// lengthBytes stand before each message of a stream.
const lengthBytes = 2

// Read passes on a piece of a message. There is one on each connection.
func (c *streamTap) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	const most = lengthBytes + 1<<16
	c.read = append(c.read, b[:min(n, most-len(c.read))]...)
	if len(c.read) >= lengthBytes {
		if end := lengthBytes + int(binary.BigEndian.Uint16(c.read)); len(c.read) >= end {
			c.tap.hear(c.read[lengthBytes:end])
		}
	}
	return n, err
}

// hear takes in one message.
func (t *tap) hear(message []byte) {
	found, missing := lifetimes(message)
	t.mu.Lock()
	defer t.mu.Unlock()
	if found.known {
		t.mu.found.shorten(found.ttl)
	}
	if missing.known {
		t.mu.missing.shorten(missing.ttl)
	}
}

// lifetimes reads for how long a message's answers may be kept, or that there are none (RFC 2308: the lesser of the SOA's TTL and its
// minimum). A failure of the server tells neither.
func lifetimes(message []byte) (found, missing lifetime) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil || !header.Response || header.RCode != dnsmessage.RCodeSuccess && header.RCode != dnsmessage.RCodeNameError {
		return found, missing
	}
	if p.SkipAllQuestions() != nil {
		return found, missing
	}
	for {
		h, err := p.AnswerHeader()
		if err != nil || p.SkipAnswer() != nil {
			break
		}
		found.shorten(seconds(h.TTL))
	}
	if found.known && header.RCode == dnsmessage.RCodeSuccess {
		return found, missing
	}
	for {
		h, err := p.AuthorityHeader()
		if err != nil {
			return lifetime{}, missing
		}
		if h.Type != dnsmessage.TypeSOA {
			if p.SkipAuthority() != nil {
				return lifetime{}, missing
			}
			continue
		}
		soa, err := p.SOAResource()
		if err != nil {
			return lifetime{}, missing
		}
		missing.shorten(min(seconds(h.TTL), seconds(soa.MinTTL)))
	}
}

// seconds returns a TTL; one with the highest bit counts as none (RFC 2181).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}
