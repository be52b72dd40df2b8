package state

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheStatementsThatATextNames(t *testing.T) {
	used := func(names ...string) (uses []PreparedUse) {
		for _, name := range names {
			uses = append(uses, PreparedUse{Name: name})
		}
		return uses
	}
	dropped := func(name string) []PreparedUse { return []PreparedUse{{name, true}} }
	for sql, want := range map[string][]PreparedUse{
		"select 1":                              nil,
		"select 'execute a'":                    nil,
		"select 1 -- deallocate a":              nil,
		"deallocate all":                        nil,
		"DEALLOCATE PREPARE ALL":                nil,
		"deallocate A":                          dropped("a"),
		"/* why */ deallocate prepare \"A b\";": dropped("A b"),
		"deallocate a; select 1":                used("a"),
		"begin; deallocate a":                   used("a"),
		"deallocate a; deallocate b":            used("a", "b"),
		"EXECUTE a(1, 2)":                       used("a"),
		"explain analyze execute \"x\"\"y\"":    used("x\"y"),
		"create table y as execute p(1)":        used("p"),
		"prepare a as select 1":                 used("a"),
		"prepare transaction 'x'":               nil,
	} {
		if diff := cmp.Diff(want, PreparedUses([]byte(sql))); diff != "" {
			t.Errorf("%q: %s", sql, diff)
		}
	}
}
