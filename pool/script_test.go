package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
)

// script is a server that answers each Query with a CommandComplete that repeats its text.
type script struct {
	listener net.Listener
	wg       sync.WaitGroup
	refuse   atomic.Int32 // so many dials fail before one succeeds
	silent   atomic.Bool  // queries are not answered any more
	mu       struct {
		sync.Mutex
		conns map[net.Conn]struct{}
	}
}

func newScript(t *testing.T) *script {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{listener: ln}
	s.mu.conns = make(map[net.Conn]struct{})
	s.wg.Add(1)
	go s.accept()
	t.Cleanup(func() {
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		s.killAll()
		s.wg.Wait()
	})
	return s
}

func (s *script) accept() {
	defer s.wg.Done()
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.mu.conns[c] = struct{}{}
		s.mu.Unlock()
		s.wg.Add(1)
		go s.serve(c)
	}
}

func (s *script) serve(c net.Conn) {
	defer s.wg.Done()
	defer func() {
		s.mu.Lock()
		delete(s.mu.conns, c)
		s.mu.Unlock()
		_ = c.Close()
	}()
	header := make([]byte, pgwire.HeaderLen)
	for {
		if _, err := io.ReadFull(c, header); err != nil {
			return
		}
		f, _, err := pgwire.PeekFrontend(header)
		if err != nil || f.Kind != pgwire.KindQuery {
			return
		}
		body := make([]byte, f.Len-pgwire.HeaderLen)
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		if s.silent.Load() {
			continue
		}
		answer := pgwire.AppendCommandComplete(nil, string(bytes.TrimRight(body, "\x00")))
		if _, err := c.Write(pgwire.AppendReadyForQuery(answer, pgwire.StatusIdle)); err != nil {
			return
		}
	}
}

// killAll resets every connection.
func (s *script) killAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.mu.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.conns)
}

var errRefused = errors.New("refused by the script")

// Dial implements Dialer: the login is left out.
func (s *script) Dial(ctx context.Context, t backend.Target, _ Key) (*backend.Conn, error) {
	if s.refuse.Load() > 0 && s.refuse.Add(-1) >= 0 {
		return nil, errRefused
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", s.listener.Addr().String())
	if err != nil { // killAll; by its own word such an error is not temporary
		return nil, fmt.Errorf("%w: %v", errRefused, err)
	}
	return &backend.Conn{Socket: reactor.NewSocket(c), Target: t}, nil
}
