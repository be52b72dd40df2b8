package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// What a terminal understands (ECMA-48, xterm).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // the other screen, no cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	goHome      = "\x1b[H"
	clearRight  = "\x1b[K"
	clearBelow  = "\x1b[J"
	styleEnd    = "\x1b[0m"
)

// The size that is assumed when a terminal does not tell its own.
const (
	usualWidth  = 80
	usualHeight = 24
)

const keyPoll = 100 // milliseconds between two looks whether the demo is over

// terminal is a terminal in raw mode, showing its other screen.
type terminal struct {
	in, out *os.File
	before  *term.State
	colours bool
	plain   bool
}

func openTerminal(in, out *os.File) (*terminal, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	t := &terminal{in: in, out: out, before: before, colours: os.Getenv("NO_COLOR") == "", plain: !unicodeLocale()}
	if _, err := out.WriteString(enterScreen); err != nil {
		return nil, errors.Join(fmt.Errorf("terminal: %w", err), t.restore())
	}
	return t, nil
}

// unicodeLocale reports whether the terminal is likely to show more than ASCII.
func unicodeLocale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToUpper(v)
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return false
}

// restore brings the terminal back to what it was.
func (t *terminal) restore() error {
	_, writeErr := t.out.WriteString(leaveScreen)
	return errors.Join(writeErr, term.Restore(int(t.in.Fd()), t.before))
}

// show draws a scene in one write.
func (t *terminal) show(s *scene) error {
	width, height, err := term.GetSize(int(t.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = usualWidth, usualHeight
	}
	s.plain = t.plain
	var b strings.Builder
	b.WriteString(goHome)
	for i, l := range s.draw(width, height) {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(t.styled(l) + clearRight)
	}
	b.WriteString(clearBelow)
	_, err = t.out.WriteString(b.String())
	return err
}

func (t *terminal) styled(l line) string {
	text := l.text
	if t.plain {
		text = strings.NewReplacer("…", "...", "×", "x").Replace(text)
	}
	if l.tone == toneNone || !t.colours && l.tone != toneTitle && l.tone != toneHead {
		return text
	}
	return "\x1b[" + string(l.tone) + "m" + text + styleEnd
}

// keys sends each key until ctx ends or the terminal goes away, which counts as q.
func (t *terminal) keys(ctx context.Context, pressed chan<- byte) {
	one := make([]byte, 1)
	for ctx.Err() == nil {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(t.in.Fd()), Events: unix.POLLIN}}, keyPoll)
		if errors.Is(err, unix.EINTR) || err == nil && ready == 0 {
			continue
		}
		key := byte(keyQuit)
		if n, err := t.in.Read(one); err == nil && n == 1 {
			key = one[0]
		} else {
			send(ctx, pressed, key)
			return
		}
		send(ctx, pressed, key)
	}
}

func send(ctx context.Context, pressed chan<- byte, key byte) {
	select {
	case pressed <- key:
	case <-ctx.Done():
	}
}
