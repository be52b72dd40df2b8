package backend

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/pgwire"
)

// versioned is a server that speaks up to protocol 3.newest, and tells which version it was asked for.
func versioned(t *testing.T, newest uint16, key []byte) (address string, asked <-chan uint16) {
	t.Helper()
	heard := make(chan uint16, 1)
	return peer(t, func(c net.Conn) {
		wish, err := readStartup(c)
		if err != nil {
			return
		}
		heard <- wish.Minor
		var says []byte
		if wish.Minor > newest {
			says = pgwire.AppendNegotiate(nil, newest, nil)
		}
		says = pgwire.AppendBackendKeyData(pgwire.AppendAuthOk(says), 4711, key)
		_, _ = c.Write(pgwire.AppendReadyForQuery(pgwire.AppendParameterStatus(says, "in_hot_standby", "off"), pgwire.StatusIdle))
		untilClosed(c)
	}), heard
}

func TestTheProtocolIsAskedForThatTheServerIsSaidToSpeak(t *testing.T) {
	long := bytes.Repeat([]byte("k"), pgwire.MaxCancelKey)
	for _, tt := range []struct {
		name    string
		version int // of the server, as it was last seen
		pooler  bool
		newest  uint16
		asked   uint16
		key     []byte
	}{
		{"PostgreSQL 18", 180004, false, 2, 2, long[:32]},
		{"the longest key", 180004, false, 2, 2, long},
		{"the shortest key of 3.2", 180004, false, 2, 2, long[:4]},
		{"it was another PostgreSQL, and says so", 180004, false, 0, 2, long[:4]},
		{"3.1 is spoken", 180004, false, 1, 2, long[:4]},
		{"PostgreSQL 17", 170009, false, 0, 0, long[:4]},
		{"not known", 0, false, 2, 0, long[:4]},
		{"a pooler in between", 180004, true, 2, 0, long[:4]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, asked := versioned(t, tt.newest, tt.key)
			cfg := testConfig()
			if tt.pooler {
				cfg.Pooler = true
				if got := askedMinor(cfg, Target{Version: tt.version}); got != tt.asked {
					t.Errorf("3.%d is asked for", got)
				}
				return // it would be asked for its role as well
			}
			c, err := dial(t, Target{Address: address, Version: tt.version}, login("u", "p"))
			if err != nil {
				t.Fatal(err)
			}
			if got := <-asked; got != tt.asked {
				t.Errorf("3.%d is asked for", got)
			}
			if c.PID != 4711 || !bytes.Equal(c.Key, tt.key) {
				t.Errorf("pid %d, key %q", c.PID, c.Key)
			}
		})
	}
}

func TestAVersionThatWasNotAskedForIsNoAnswer(t *testing.T) {
	negotiate := func(minor uint16, unknown ...string) []byte { return pgwire.AppendNegotiate(nil, minor, unknown) }
	for name, says := range map[string][]byte{
		"the same":                       negotiate(2),
		"a newer one":                    negotiate(3),
		"an option that we have not set": negotiate(0, "_pq_.x"),
		"said twice":                     join(negotiate(1), negotiate(0)),
		"after a notice":                 join(message('N', "SNOTICE\x00Mno\x00\x00"), negotiate(0)),
		"too late":                       join(pgwire.AppendAuthCleartextPassword(nil), negotiate(0)),
		"with fewer options than told":   message('v', "\x00\x03\x00\x00\x00\x00\x00\x01"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dial(t, Target{Address: script(t, says), Version: newProtocolSince}, login("u", "p"))
			if e := wantDialError(t, err, OpLogin, false); !strings.Contains(e.Error(), "our version of the protocol") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// speaksItsOwnVersion takes the server for a new one: it gives a long key if it is, and goes back to 3.0 otherwise.
func speaksItsOwnVersion(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	target := primaryOf(c)
	target.Version = newProtocolSince
	conn, err := dial(t, target, login("scram", realPassword))
	if err != nil {
		t.Fatal(err)
	}
	want := pgwire.MinCancelKey
	if conn.ServerVersion >= newProtocolSince {
		want = pgwire.CancelKeyLen(pgwire.ProtocolMinor)
	}
	if len(conn.Key) != want {
		t.Errorf("PostgreSQL %d gives a key of %d bytes", conn.ServerVersion, len(conn.Key))
	}
	isCancelled(t, c, conn)
}
