package wiretest

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// Handler plays a server on one connection; n counts the connections from 0. The connection is closed when it returns.
type Handler func(n int, p *Peer) error

// Server accepts connections on a loopback port and gives each to a handler in a goroutine of its own.
type Server struct {
	listener net.Listener
	handler  Handler
	group    sync.WaitGroup

	mu struct {
		sync.Mutex
		live   map[*Peer]struct{}
		count  int
		errs   []error
		closed bool
	}
}

// NewServer listens on a free loopback port. The caller closes it.
func NewServer(handler Handler) (*Server, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("scripted server: %w", err)
	}
	s := &Server{listener: l, handler: handler}
	s.mu.live = map[*Peer]struct{}{}
	s.group.Go(s.accept)
	return s, nil
}

// Addr returns the "127.0.0.1:port" that clients use.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Accepted returns how many connections there have been.
func (s *Server) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.count
}

// Refuse closes the listener: from now on connections are refused. Those that live go on.
func (s *Server) Refuse() error { return s.listener.Close() }

// Close closes the listener and every connection, waits for the handlers, and returns what went wrong in those that
// ended before it.
func (s *Server) Close() error {
	s.mu.Lock()
	s.mu.closed = true
	for p := range s.mu.live {
		_ = p.Conn.Close()
	}
	s.mu.Unlock()
	err := s.listener.Close()
	if errors.Is(err, net.ErrClosed) { // Refuse
		err = nil
	}
	s.group.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(append(s.mu.errs, err)...)
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		p := NewPeer(conn, Backend)
		n, ok := s.add(p)
		if !ok {
			_ = p.Conn.Close()
			return
		}
		s.group.Go(func() { s.serve(n, p) })
	}
}

func (s *Server) add(p *Peer) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return 0, false
	}
	n := s.mu.count
	s.mu.count++
	s.mu.live[p] = struct{}{}
	return n, true
}

func (s *Server) serve(n int, p *Peer) {
	err := s.handler(n, p)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.live, p)
	if err != nil && !s.mu.closed {
		s.mu.errs = append(s.mu.errs, fmt.Errorf("connection %d: %w", n, err))
	}
	_ = p.Conn.Close()
}
