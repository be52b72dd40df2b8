package wiretest

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const dialLimit = 30 * time.Second

// Proxy passes TCP connections on to a target and misbehaves as it is told. Faults may be changed while connections live
// and apply to them at once. All methods may be called from any goroutine.
type Proxy struct {
	address string // stays the same while the listener comes and goes
	group   sync.WaitGroup

	mu struct {
		sync.Mutex
		listener net.Listener // nil while refusing
		target   string
		faults   [2]Fault
		changed  chan struct{} // closed and replaced at each change of faults
		links    map[*link]struct{}
		accepted int
		closed   bool
	}
}

// NewProxy listens on a free loopback port and passes connections on to target ("host:port"). The caller closes it.
func NewProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("fault proxy: %w", err)
	}
	p := &Proxy{address: l.Addr().String()}
	p.mu.target = target
	p.mu.changed = make(chan struct{})
	p.mu.links = map[*link]struct{}{}
	p.listen(l)
	return p, nil
}

// Addr returns the "127.0.0.1:port" that clients use.
func (p *Proxy) Addr() string { return p.address }

// SetTarget sends new connections to another server.
func (p *Proxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.target = target
}

// Set changes what happens to one direction of all connections, living and new.
func (p *Proxy) Set(d Direction, f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.faults[d] = f
	close(p.mu.changed)
	p.mu.changed = make(chan struct{})
}

// SetBoth changes both directions.
func (p *Proxy) SetBoth(f Fault) {
	p.Set(ToServer, f)
	p.Set(ToClient, f)
}

// Heal lifts all faults. What was cut stays cut.
func (p *Proxy) Heal() { p.SetBoth(Fault{}) }

// CutAll cuts every living connection now; HalfClose ends the direction to the server.
func (p *Proxy) CutAll(how How) {
	for _, l := range p.links() {
		l.cut(ToServer, how)
		if how == Vanish {
			l.cut(ToClient, how)
		}
	}
}

// Refuse closes the listening socket, so that new connections get ECONNREFUSED, or opens it again at the same address.
// Living connections stay.
func (p *Proxy) Refuse(refuse bool) error {
	p.mu.Lock()
	listener, closed := p.mu.listener, p.mu.closed
	p.mu.Unlock()
	if closed || refuse == (listener == nil) {
		return nil
	}
	if refuse {
		p.mu.Lock()
		p.mu.listener = nil
		p.mu.Unlock()
		return listener.Close()
	}
	l, err := net.Listen("tcp4", p.address)
	if err != nil {
		return fmt.Errorf("fault proxy: %w", err)
	}
	p.listen(l)
	return nil
}

// Conns returns how many connections live.
func (p *Proxy) Conns() int { return len(p.links()) }

// Accepted returns how many connections there have been.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.accepted
}

// Close cuts every connection and waits for the goroutines.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.mu.closed = true
	listener := p.mu.listener
	p.mu.listener = nil
	p.mu.Unlock()
	var err error
	if listener != nil {
		err = listener.Close()
	}
	for _, l := range p.links() {
		l.end(true)
	}
	p.group.Wait()
	return err
}

func (p *Proxy) listen(l net.Listener) {
	p.mu.Lock()
	p.mu.listener = l
	p.mu.Unlock()
	p.group.Go(func() { p.accept(l) })
}

func (p *Proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			p.group.Go(func() { p.connect(client) })
		}
	}
}

// connect dials the target for an accepted client and starts the pumps. A target that refuses makes the client see RST.
func (p *Proxy) connect(client net.Conn) {
	p.mu.Lock()
	target := p.mu.target
	p.mu.accepted++
	p.mu.Unlock()
	server, err := net.DialTimeout("tcp", target, dialLimit)
	if err != nil {
		abort(client)
		return
	}
	l := newLink(p, client, server)
	if !p.add(l) {
		l.end(true)
		return
	}
	l.run()
	p.remove(l)
}

func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return false
	}
	p.mu.links[l] = struct{}{}
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.mu.links, l)
}

func (p *Proxy) links() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.mu.links))
	for l := range p.mu.links {
		links = append(links, l)
	}
	return links
}

// fault returns what applies to a direction and a channel that is closed when that changes.
func (p *Proxy) fault(d Direction) (Fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.faults[d], p.mu.changed
}

// abort closes a connection with RST.
func abort(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}
