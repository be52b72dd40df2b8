package pgwire_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/pgwire"
)

func TestOptionsKeepTheirOrder(t *testing.T) {
	got, err := pgwire.SplitOptions(`-c b=1 --a.x-y=2 -cb=3\ 4 -S64 -Oe`)
	want := []pgwire.Param{{Name: "b", Value: "1"}, {Name: "a.x_y", Value: "2"}, {Name: "b", Value: "3 4"}, {Name: "work_mem", Value: "64"},
		{Name: "allow_system_table_mods", Value: "true"}, {Name: "datestyle", Value: "euro"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSwitchesThatMeanNothingHereAreRefused(t *testing.T) {
	for _, s := range []string{"-d 1", "-v 196608", "-E", "-r file", "-D dir", "-b", "-j", "-C x", "-n", "-T", "\xff", "-\xff"} {
		_, err := pgwire.SplitOptions(s)
		var e *pgwire.Error
		if !errors.As(err, &e) || e.ID != pgwire.ErrOptionArgument {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// quote is the inverse of SplitOptions.
func quote(params []pgwire.Param) string {
	var b strings.Builder
	for _, p := range params {
		b.WriteString(" -c ")
		for i := range len(p.Name + "=" + p.Value) {
			b.WriteByte('\\')
			b.WriteByte((p.Name + "=" + p.Value)[i])
		}
	}
	return b.String()
}

// FuzzSplitOptions (its seeds lie in testdata/fuzz): what is found can be written down again, and errors are those of the table.
func FuzzSplitOptions(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		params, err := pgwire.SplitOptions(s)
		if err != nil {
			if id := idOf(err); id != pgwire.ErrOptionArgument && id != pgwire.ErrOptionValue || params != nil {
				t.Errorf("%v, %#v", params, err)
			}
			return
		}
		for _, p := range params {
			if strings.ContainsAny(p.Name, "=-") {
				t.Errorf("name %q", p.Name)
			}
		}
		again, err := pgwire.SplitOptions(quote(params))
		if err != nil || !slices.Equal(again, params) {
			t.Errorf("%q\nread    %q\nwritten %q\nagain   %q, %v", s, params, quote(params), again, err)
		}
	})
}
