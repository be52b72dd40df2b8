package proxy_test

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// logbook keeps what is logged.
type logbook struct {
	mu struct {
		sync.Mutex
		text strings.Builder
	}
}

// Write keeps a line.
func (l *logbook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.text.Write(line)
}

// reasons returns those of all lines with a message.
func (l *logbook) reasons(msg string) (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, found := range regexp.MustCompile(`msg="`+msg+`".* reason=(\w+)`).FindAllStringSubmatch(l.mu.text.String(), -1) {
		list = append(list, found[1])
	}
	return list
}

// TestTheLogHasEachReasonToPinASessionOnce however often it pins.
func TestTheLogHasEachReasonToPinASessionOnce(t *testing.T) {
	book := &logbook{}
	hostile(t, 1, func(r *router) { r.log = book }, func(s *stage, n *node, a, n1 *actor) {
		a.does(n1, "load 'x'", "LOAD", 'I')
		a.does(n1, "listen news", "LISTEN", 'I')
		a.does(n1, "load 'x'", "LOAD", 'I')
		if got := book.reasons("session pinned"); !slices.Equal(got, []string{"load", "listen"}) {
			t.Errorf("the log has %q", got)
		}
		a.saysGoodbye()
		n1.isReset()
	})
}
