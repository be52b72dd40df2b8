package backend

import (
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
)

func TestConfigSaysWhatIsImpossible(t *testing.T) {
	for name, c := range map[string]Config{
		"connect": {ConnectTimeout: -1}, "login": {LoginTimeout: -1},
		"socket": {Socket: reactor.SocketOptions{KeepIdle: -time.Second}},
	} {
		if c.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, c := range []Config{{}, Defaults()} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	set := Config{ConnectTimeout: time.Hour, LoginTimeout: time.Minute, Socket: reactor.SocketOptions{NoDelay: true}}
	if set.withDefaults() != set || (Config{}).withDefaults() != Defaults() {
		t.Error("defaults replace what is set, or do not replace what is not")
	}
}

func TestSocketsAreSet(t *testing.T) {
	cfg := Defaults()
	cfg.Socket.KeepInterval = 7 * time.Second
	c, failed := connect(t.Context(), cfg, Target{Address: script(t, nil)})
	if failed != nil {
		t.Fatal(failed)
	}
	defer func() { _ = c.Close() }()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]struct{ level, option, want int }{
		"TCP_NODELAY":   {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		"SO_KEEPALIVE":  {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		"TCP_KEEPIDLE":  {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(cfg.Socket.KeepIdle.Seconds())},
		"TCP_KEEPINTVL": {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 7},
	} {
		var got int
		if err := raw.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), o.level, o.option) }); err != nil || got != o.want {
			t.Errorf("%s is %d, %v; want %d", name, got, err, o.want)
		}
	}
}

func TestCloseTakesLeave(t *testing.T) {
	said := make(chan []byte, 1)
	address := peer(t, func(c net.Conn) {
		_, _ = readStartup(c)
		_, _ = c.Write(greeting("in_hot_standby", "off"))
		b, _ := io.ReadAll(c)
		said <- b
	})
	c, err := dial(t, Target{Address: address}, login("u", "p"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if b := <-said; string(b) != string(pgwire.AppendTerminate(nil)) {
		t.Errorf("the server heard %q", b)
	}
}
