//go:build linux

package reactor

import (
	"io"
	"slices"
	"testing"
)

func TestWhatIsLateIsHandledBehindTheRestOfItsTurn(t *testing.T) {
	for _, tc := range []struct {
		name    string
		prepare func(c *Conn, h Handler)
		hangUp  bool
		want    []string
	}{
		{name: "as it came", prepare: func(*Conn, Handler) {}, want: []string{"answer", "query"}},
		{name: "late", prepare: func(c *Conn, _ Handler) { c.SetLate(true) }, want: []string{"query", "answer"}},
		{
			name:    "late no more",
			prepare: func(c *Conn, _ Handler) { c.SetLate(true); c.SetLate(false) },
			want:    []string{"answer", "query"},
		},
		{
			name:    "late, handed over",
			prepare: func(c *Conn, h Handler) { c.SetLate(true); c.Loop().Adopt(c.Detach(), h) },
			want:    []string{"query", "answer"},
		},
		{
			name:    "late, and its peer has gone",
			prepare: func(c *Conn, _ Handler) { c.SetLate(true) },
			hangUp:  true,
			want:    []string{"answer", "query"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newReactor(t, 1)
			l := r.Loops()[0]
			serverPeer, server := unixPair(t)
			clientPeer, client := unixPair(t)
			h := newRecorder()
			on(t, l, func() {
				tc.prepare(l.Attach(server, h), h)
				l.Attach(client, h)
			})
			// Both become readable while the loop is busy, so that one wait finds both.
			on(t, l, func() {
				for _, err := range []error{say(serverPeer, "answer"), hangUp(serverPeer, tc.hangUp), say(clientPeer, "query")} {
					if err != nil {
						t.Error(err)
					}
				}
			})
			got := []string{string(h.want(t, "received").data), string(h.want(t, "received").data)}
			if !slices.Equal(got, tc.want) {
				t.Errorf("received %q, want %q", got, tc.want)
			}
		})
	}
}

func say(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}

func hangUp(c io.Closer, really bool) error {
	if !really {
		return nil
	}
	return c.Close()
}
