package state

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/event"
)

// named is what is touched by a statement that sets settings.
func named(names ...string) Touched {
	var t Touched
	for _, name := range names {
		t.Settings = append(t.Settings, Touch{Name: name})
	}
	return t
}

// back is what is touched by one that resets them.
func back(names ...string) Touched {
	t := named(names...)
	for i := range t.Settings {
		t.Settings[i].Reset = true
	}
	return t
}

// TestWhatATextTouches holds what is read of a text, and that it is read at all: Classify says so, and does not pin.
func TestWhatATextTouches(t *testing.T) {
	unknown := Touched{Unknown: true}
	for sql, want := range map[string]Touched{
		"set work_mem = '1MB'":                     named("work_mem"),
		"set session work_mem to '1MB'":            named("work_mem"),
		`set "Work_Mem" = '1MB'`:                   named("work_mem"),
		"set /* a */ app . tenant = 'x'":           named("app.tenant"),
		`set app."Tenant" = 'x'`:                   named("app.tenant"),
		"set local.x = 'y'":                        named("local.x"),
		"set session.x = 'y'":                      named("session.x"),
		"set session local.x = 'y'":                named("local.x"),
		"set transaction.x = 'y'":                  named("transaction.x"),
		"set timezone.x = 'y'":                     named("timezone.x"),
		"set role.x = default":                     back("role.x"),
		"set a.b.c = 1":                            named("a.b.c"),
		"set work_mem to default":                  back("work_mem"),
		"set search_path = a, default":             named("search_path"),
		"set search_path to 'default'":             named("search_path"),
		"set schema 'x'":                           named("search_path"),
		"set xml option document":                  named("xmloption"),
		"set time zone default":                    back("timezone"),
		"set time zone local":                      back("timezone"),
		"set timezone to default":                  back("timezone"),
		"set session time zone default":            back("timezone"),
		"set names":                                back("client_encoding"),
		"set names default":                        back("client_encoding"),
		"set role x":                               named("role"),
		"set session role x":                       named("role"),
		`set "role" = x`:                           named("role"),
		"set role none":                            named("role"),
		"set role to default":                      back("role"),
		"set session authorization x":              named("role", "session_authorization"),
		"set session session authorization x":      named("role", "session_authorization"),
		"set session_authorization = 'x'":          named("role", "session_authorization"),
		"set session authorization default":        back("role", "session_authorization"),
		"reset session authorization":              back("role", "session_authorization"),
		"reset role":                               back("role"),
		"reset time zone":                          back("timezone"),
		"reset app.tenant":                         back("app.tenant"),
		"reset all":                                {All: true},
		"discard all":                              {All: true, Settings: back("role", "session_authorization").Settings},
		"discard plans":                            {},
		"discard temp":                             {},
		"reset transaction isolation level":        {},
		"set transaction_isolation = serializable": {},
		"set session characteristics as transaction read only": named(
			"default_transaction_isolation", "default_transaction_read_only", "default_transaction_deferrable"),
		"select set_config('work_mem', '1MB', false)":                                      named("work_mem"),
		"SELECT PG_CATALOG.SET_CONFIG('Work_Mem', '1MB', FALSE)":                           named("work_mem"),
		`select pg_catalog."set_config"('work_mem', '1MB', $1)`:                            named("work_mem"),
		"select set_config($$work_mem$$, f(1, true), not true)":                            named("work_mem"),
		"select set_config('work_mem', '1MB', 'true')":                                     named("work_mem"),
		`select set_config('work_mem', '1MB', "true")`:                                     named("work_mem"),
		"select set_config('work_mem', '1MB', true and f())":                               named("work_mem"),
		"select set_config('a.b', 'c', true), set_config('a.c', 'c', false)":               named("a.c"),
		"update t set n = set_config('a.b', array[1, 2]::text, false)":                     named("a.b"),
		"call p(set_config('a.b', 'c', false))":                                            named("a.b"),
		"select set_config('work_mem', '1MB', true), set_config('role', 'x', (false))":     named("role"),
		"set a.b = 1; begin; set local c.d = 1; reset a.c; set a.b = 2":                    {Settings: append(named("a.b").Settings, back("a.c").Settings...)},
		"select set_config('work_mem', '1MB', is_local => true)":                           named("work_mem"),
		"select set_config($1, $2, $3)":                                                    unknown,
		"select set_config('work' '_mem', '1MB', false)":                                   unknown,
		"select set_config('work_mem'::text, '1MB', false)":                                unknown,
		"select set_config(n, '1MB', false) from s":                                        unknown,
		`select set_config(E'work\x5fmem', '1MB', false)`:                                  unknown,
		"select set_config('it''s', '1MB', false)":                                         unknown,
		"select set_config('été.x', '1', false)":                                           unknown,
		"select set_config(is_local => false, setting_name => 'a.b', new_value => 'true')": unknown,
		"select set_config('a.b', set_config('a.c', 'c', false), true)":                    {Unknown: true, Settings: named("a.c").Settings},
		"select set_config('a.b', 'c'":                                                     unknown,
		"set seed = 0.5":                                                                   {Unknown: true, Settings: named("seed").Settings},
		`set a."b c" = 1`:                                                                  unknown,
		"set a." + strings.Repeat("x", 70) + " = 1":                                        unknown,
		`set a.b = E'it\'s'`:                                                               unknown, // by some readings more follows
		"select set_config('" + strings.Repeat("a.''", 5000) + "', '1', false)":            unknown,
	} {
		c := Classify([]byte(sql))
		if !c.Touches || c.Pin != event.PinNone {
			t.Errorf("%.80s: %+v", sql, c)
		}
		if got := ReadTouched([]byte(sql)); cmp.Diff(want, *got) != "" {
			t.Errorf("%.80s: %+v, want %+v", sql, *got, want)
		}
	}
}

func TestTextsThatTouchNothing(t *testing.T) {
	for _, sql := range []string{
		"select 1", "select set_config('work_mem', '1MB', true)", "SELECT SET_CONFIG('work_mem', '1MB', TRUE)",
		"select set_config('work_mem', f(1, 2, array[3, 4]) || ',', true /* local */ )", "select 'set_config(1, 2, false)'", "select set_config from t",
		"set local work_mem = '1MB'", "set local role x", "set local timezone to default", "set constraints all deferred",
		"set transaction isolation level serializable", "set session transaction read only", "update t set work_mem = 1", "show all",
		"set timezone = 'UTC'", "set session timezone to 'Default'", "set time zone 'UTC'", "set names 'utf8'", "set application_name = x", "set datestyle to iso, mdy",
		"create function f() returns int language sql set search_path = public as 'select 1'", "alter role x set work_mem = '1MB'",
		"do $$begin set local work_mem = '1MB'; end$$", "listen x",
	} {
		if Classify([]byte(sql)).Touches {
			t.Errorf("%s touches something", sql)
		}
	}
}

// TestWhatATextTouchesIsBounded holds that one with too many names is one of which nothing is known.
func TestWhatATextTouchesIsBounded(t *testing.T) {
	var all Touched
	for range 2 {
		for n := range settingsLimit {
			all.Add(ReadTouched(fmt.Appendf(nil, "set a.x%d = 1", n)))
		}
	}
	if all.Unknown || len(all.Settings) != settingsLimit || all.Nothing() {
		t.Fatalf("%d settings, unknown: %t", len(all.Settings), all.Unknown)
	}
	all.Add(ReadTouched([]byte("set b.x = 1")))
	if !all.Unknown || len(all.Settings) != settingsLimit {
		t.Fatalf("%d settings, unknown: %t", len(all.Settings), all.Unknown)
	}
}

// FuzzReadTouched holds that any text is read, and that a statement behind it is seen unless nothing is known or what stands in
// front has not ended.
func FuzzReadTouched(f *testing.F) {
	for _, sql := range []string{"set a.b = 1", "reset all", "select set_config('a', 'b', false)", "set session authorization default", "do $$set x$$", "'", "set_config(", `"`} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted := "select '" + strings.ReplaceAll(text, "'", "''") + "'; set app.tenant = 1"
		if strings.Contains(text, "\x00") || strings.Contains(quoted, `\'`) {
			return
		}
		ReadTouched([]byte(text))
		got := ReadTouched([]byte(quoted))
		if want := named("app.tenant"); cmp.Diff(want, *got) != "" {
			t.Fatalf("%q: %+v", quoted, *got)
		}
	})
}
