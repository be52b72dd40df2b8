package backend

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/pgwire"
)

func TestCancelSendsTheRequestAndWaitsForTheEnd(t *testing.T) {
	key := make([]byte, pgwire.MaxCancelKey)
	for i := range key {
		key[i] = byte(i)
	}
	for _, n := range []int{pgwire.MinCancelKey, 32, pgwire.MaxCancelKey} {
		got := make(chan []byte, 1)
		closed := make(chan struct{})
		address := peer(t, func(c net.Conn) {
			b := make([]byte, 12+n)
			_, _ = io.ReadFull(c, b)
			got <- b
			close(closed)
		})
		if err := Cancel(t.Context(), testConfig(), address, 4711, key[:n]); err != nil {
			t.Fatal(err)
		}
		select {
		case <-closed:
		default:
			t.Error("Cancel returned before the server closed")
		}
		b := <-got
		if binary.BigEndian.Uint32(b) != uint32(12+n) || binary.BigEndian.Uint32(b[4:]) != 1234<<16|5678 ||
			binary.BigEndian.Uint32(b[8:]) != 4711 || string(b[12:]) != string(key[:n]) {
			t.Errorf("the server got %x", b)
		}
	}
}

func TestCancelThatIsNotDoneIsAnError(t *testing.T) {
	silent, answers := peer(t, untilClosed), peer(t, func(c net.Conn) {
		_, _ = c.Write([]byte("E"))
		untilClosed(c)
	})
	resets := peer(t, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 16))
		_ = c.(*net.TCPConn).SetLinger(0)
	})
	brief := Config{ConnectTimeout: testLimit, LoginTimeout: 50 * time.Millisecond}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	tests := []struct {
		name      string
		ctx       context.Context
		cfg       Config
		address   string
		key       int
		is        error
		temporary bool
	}{
		{"silent until the limit", t.Context(), brief, silent, 4, context.DeadlineExceeded, true},
		{"silent until the context ends", ctx, testConfig(), silent, 4, context.DeadlineExceeded, true},
		{"answers", t.Context(), testConfig(), answers, 4, nil, false},
		{"resets", t.Context(), testConfig(), resets, 4, nil, true},
		{"nobody there", t.Context(), testConfig(), "127.0.0.1:1", 4, nil, true},
		{"no address", t.Context(), testConfig(), "nowhere", 4, nil, false},
		{"short key", t.Context(), testConfig(), silent, 3, nil, false},
		{"long key", t.Context(), testConfig(), silent, pgwire.MaxCancelKey + 1, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Cancel(tt.ctx, tt.cfg, tt.address, 1, make([]byte, tt.key))
			e := wantDialError(t, err, OpCancel, tt.temporary)
			if tt.is != nil && !errors.Is(e, tt.is) {
				t.Errorf("error %v", err)
			}
		})
	}
}
