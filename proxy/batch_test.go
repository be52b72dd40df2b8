package proxy_test

import (
	"context"
	"testing"

	"github.com/pgrouter/pgrouter/pgwire"
)

// TestABatchThatIsLeftWithoutItsSyncIsRolledBack: everything was answered, and yet the server cannot be given to anybody else.
// It would commit what the client has left, or read over what the next one asks.
func TestABatchThatIsLeftWithoutItsSyncIsRolledBack(t *testing.T) {
	insert := pgwire.AppendExecute(pgwire.AppendBind(pgwire.AppendParse(nil, "", "insert into batches values (1)", nil), "", "", nil), "", 0)
	for name, tc := range map[string]struct {
		batch  []byte
		answer string
		bye    bool
	}{
		"done, connection closed":   {insert, "12C", false},
		"done, good-bye":            {insert, "12C", true},
		"failed, connection closed": {pgwire.AppendParse(nil, "", "broken", nil), "E", false},
		"failed, good-bye":          {pgwire.AppendParse(nil, "", "broken", nil), "E", true},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newRouter(t, func(r *router) { r.policy.Pool.Size = 1 })
			next := r.connect(context.Background(), "")
			text(t, next, "create table batches(n int)")
			p := r.raw(t)
			p.send(pgwire.AppendFlush(tc.batch))
			p.expect(tc.answer)
			if tc.bye {
				p.send(pgwire.AppendTerminate(nil))
			}
			p.conn.Close()
			for range 2 {
				if got := text(t, next, "select count(*) from batches"); got != "0" {
					t.Errorf("%s rows", got)
				}
			}
		})
	}
}
