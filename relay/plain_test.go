package relay

import (
	"reflect"
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// TestWhatIsPlainSaysNoMoreThanThat: a tag that passes at a glance leaves the link as a reading of it does.
func TestWhatIsPlainSaysNoMoreThanThat(t *testing.T) {
	tags := []string{
		"SELECT 1", "INSERT 0 1", "UPDATE 3", "DELETE 0", "MERGE 1", "COPY 7", "FETCH 1", "MOVE 1", "BEGIN", "COMMIT", "ROLLBACK", "SET", "RESET", "SHOW", "DO", "CALL",
		"LISTEN", "UNLISTEN", "LOAD", "PREPARE", "DEALLOCATE", "DEALLOCATE ALL", "DISCARD ALL", "DECLARE CURSOR", "CLOSE CURSOR", "CREATE TABLE", "ALTER TABLE",
		"DROP TABLE", "IMPORT FOREIGN SCHEMA", "SELECT", "SEL", "IN", "", "EXPLAIN", "SAVEPOINT", "PREPARE TRANSACTION", "TRUNCATE TABLE", "LOCK TABLE",
	}
	plain := 0
	for _, request := range [][]byte{query("select 1"), join(execute("", 0), syncMsg()), query("deallocate s")} {
		for _, pins := range []event.PinReason{event.PinNone, event.PinAdvisoryLock} {
			for _, tag := range tags {
				msg := append(pgwire.AppendCommandComplete(nil, tag), 0)
				links := [2]*Link{}
				for i := range links {
					l := linked(t, false, event.PinNone, request, nil)
					l.pinFor(pins)
					l.copyIn, l.unit.syncsRead, l.unit.prepares, l.sql.unknown = true, 1, true, true
					links[i] = l
				}
				size := len(msg) - 1
				if links[0].plain(msg) == 0 {
					continue
				}
				plain++
				if verb := links[1].observe(pgwire.Frame{Kind: msg[0], Len: size}, msg[:size]); verb != More || !reflect.DeepEqual(links[0], links[1]) {
					t.Errorf("%q to %q: %v, %+v, at a glance %+v", tag, request, verb, links[1], links[0])
				}
			}
		}
	}
	if plain < 8 {
		t.Errorf("%d tags passed at a glance", plain)
	}
}
