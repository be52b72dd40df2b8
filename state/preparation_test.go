package state

import (
	"slices"
	"strings"
	"testing"
)

// TestAPreparationIsCutOutOfItsQueryString where it can be told from what stands around it, and only there.
func TestAPreparationIsCutOutOfItsQueryString(t *testing.T) {
	for _, tc := range []struct {
		sql, name, want string
		ok              bool
	}{
		{"prepare p as select 1", "p", "prepare p as select 1", true},
		{" /* why */ PREPARE P (int) AS select ';' ;", "p", " /* why */ PREPARE P (int) AS select ';' ;", true},
		{`prepare "P" as select 1`, "P", `prepare "P" as select 1`, true},
		{`prepare "P" as select 1`, "p", "", false},
		{"prepare transaction as select 1", "transaction", "prepare transaction as select 1", true},
		{"select 1; prepare p as select ';', $$;$$ ; prepare q as select 2", "p", "          prepare p as select ';', $$;$$", true},
		{"select 1; prepare p as select 1; prepare q as select 2", "q", strings.Repeat(" ", 33) + "prepare q as select 2", true},
		{"select 'ä€'\n;\n\tprepare p as select 1;", "p", strings.Repeat(" ", 15) + "prepare p as select 1", true},
		{"select 1;" + strings.Repeat(" ", 503) + "prepare p as select 1", "p", strings.Repeat(" ", 512) + "prepare p as select 1", true},
		{"select 1;" + strings.Repeat(" ", 504) + "prepare p as select 1", "p", "prepare p as select 1", true},
		{"prepare p as select 1 as a\u00a0; select 2", "p", "prepare p as select 1 as a\u00a0", true}, // no white space to PostgreSQL
		{"prepare p as select 1; deallocate p; prepare p as select 2", "p", "", false},
		{`select '\'; prepare p as select 1`, "p", "", false},
		{`prepare p as select '\'`, "p", `prepare p as select '\'`, true},
		{`prepare u&"p" as select 1`, "p", "", false},
		{"select hide('prepare p as select 1')", "p", "", false},
		{"explain execute p", "p", "", false},
		{"", "", "", false},
	} {
		got, ok := PreparationOf([]byte(tc.sql), tc.name)
		if ok != tc.ok || ok && string(got) != tc.want {
			t.Errorf("%s of %q: %q, %v, want %q, %v", tc.name, tc.sql, got, ok, tc.want, tc.ok)
		}
	}
}

// TestWhatIsPreparedAnewMeansWhatItMeant: the settings that decide that are given back for the transaction, and no others.
func TestWhatIsPreparedAnewMeansWhatItMeant(t *testing.T) {
	var table Table
	with := func(v *Vector, name, value string) *Vector {
		return table.WithSetting(v, Setting{Name: name, Value: value})
	}
	then := table.With(table.With(table.Empty(), "DateStyle", "German, DMY"), "application_name", "a")
	now := table.With(table.With(table.Empty(), "DateStyle", "ISO, MDY"), "application_name", "b")
	for _, name := range []string{"search_path", "statement_timeout", "app.tenant", "row_security", "array_nulls"} {
		now = with(now, name, "off")
	}
	then = with(then, "transform_null_equals", "on")
	want := []string{
		"SET LOCAL DateStyle TO 'German, DMY'", `SET LOCAL "array_nulls" TO DEFAULT`, "SELECT pg_catalog.set_config('transform_null_equals','on',true)",
	}
	if got := then.LocalChanges(now); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := then.LocalChanges(then); got != nil {
		t.Errorf("%q, want nothing", got)
	}
}
