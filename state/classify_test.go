package state

import (
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/event"
)

func TestClassifyErrsOnTheSafeSide(t *testing.T) {
	for _, tc := range []struct {
		sql  string
		want Class
	}{
		{"select 1", Class{}},
		{"SELECT 1;", Class{}},
		{"  -- a comment\n/* and /* nested */ */ InSeRt into t values (1)", Class{}},
		{"commit", Class{MayEnd: true}},
		{"/* hidden */ COMMIT;", Class{MayEnd: true}},
		{"end", Class{MayEnd: true}},
		{"rollback to savepoint s", Class{MayEnd: true}},
		{"prepare transaction 'x'", Class{MayEnd: true}},
		{"frobnicate", Class{MayEnd: true}},
		{"(select 1)", Class{MayEnd: true}},
		{"", Class{MayEnd: true}},
		{"call p()", Class{MayEnd: true}},
		{"do $$begin commit; end$$", Class{MayEnd: true}},
		{"select 1; commit", Class{MayEnd: true, Multi: true}},
		{"select 1; select 2;", Class{Multi: true}},
		{"select ';commit'", Class{}},
		{"select $tag$ ; commit $$ $tag$", Class{}},
		{`select E'\'; commit; --'`, Class{MayEnd: true, Multi: true}}, // the backslash may be half of a character
		{`select '\'; commit; --'`, Class{MayEnd: true, Multi: true}},
		{`select '\'' ; commit; --'`, Class{MayEnd: true, Multi: true}}, // only without standard_conforming_strings
		{`select 'a\d+;commit' ~ E'\\d;commit'`, Class{}},
		{`select U&'\0061;commit'`, Class{}},
		{"select a$$b$; commit", Class{MayEnd: true, Multi: true}}, // a dollar sign goes on with a word
		{"select $1$$;commit$$", Class{}},
		{"select 1 /* ; /* ; */ commit; */", Class{}},
		{"select 1 /*/ ; commit */", Class{}},
		{"select 1; -- the end", Class{}},
		{";;", Class{MayEnd: true}},
		{"; /* nothing */ ;", Class{MayEnd: true}},
		{"prepare transaction as select 1", Class{MayEnd: true}},
		{"explain analyze select 1", Class{}},
		{`select ";commit"`, Class{}},
		{"select 1 -- ; commit", Class{}},
		{"set local work_mem = '1MB'", Class{}},
		{"set transaction read only", Class{}},
		{"set session timezone = 'UTC'", Class{}},
		{"set time zone 'UTC'", Class{}},
		{"set work_mem = '1MB'", Class{Touches: true}},
		{"set role other", Class{Touches: true}},
		{"set session authorization other", Class{Touches: true}},
		{"do $$begin set role other; end$$", Class{MayEnd: true, Pin: event.PinRole}},
		{"listen x", Class{Pin: event.PinListen}},
		{"load 'auto_explain'", Class{Pin: event.PinLoad}},
		{"prepare p as select 1", Class{}},
		{"prepare p as select pg_advisory_lock(1)", Class{Later: event.PinAdvisoryLock}},
		{"prepare p as select 1; select pg_advisory_lock(1)", Class{Multi: true, Pin: event.PinAdvisoryLock}},
		{"listen x; prepare p as select currval('s')", Class{Multi: true, Pin: event.PinListen, Later: event.PinSequence}},
		{"create temp table t(n int)", Class{Pin: event.PinTempTable}},
		{"create or replace local temporary view v as select 1", Class{Pin: event.PinTempTable}},
		{"create table t(n int)", Class{}},
		{"create temp table t(n int); do $$begin set work_mem = '3MB'; end$$", Class{MayEnd: true, Multi: true, Pin: event.PinSetting}},
		{"do $$begin set role other; end$$; listen x", Class{MayEnd: true, Multi: true, Pin: event.PinRole}},
		{"listen x; create temp table t(n int)", Class{Multi: true, Pin: event.PinListen}},
		{"listen x; load 'auto_explain'", Class{Multi: true, Pin: event.PinLoad}},
		{"declare c cursor with hold for select 1", Class{Pin: event.PinCursor}},
		{"declare c cursor for select 1", Class{}},
		{"select pg_advisory_lock(1)", Class{Pin: event.PinAdvisoryLock}},
		{"select set_config('work_mem', '1MB', false)", Class{Touches: true, Sets: true}},
		{"select set_config('work_mem', '1MB', true)", Class{Sets: true}},
		{"update pg_settings set setting = 'off' where name = 'enable_sort'", Class{Pin: event.PinSetting}},
		{`explain analyze update only pg_catalog . "pg_settings" as s set setting = 'x'`, Class{Pin: event.PinSetting}},
		{"select 1; with x as (update pg_settings set setting = 'off' returning 1) table x", Class{Multi: true, Pin: event.PinSetting}},
		{"do 'begin update pg_settings set setting = 1; end'", Class{MayEnd: true, Pin: event.PinSetting}},
		{"update t set n = 1 from pg_settings_of_mine", Class{}},
		{"select setting from pg_settings", Class{}},
	} {
		if got := Classify([]byte(tc.sql)); got != tc.want {
			t.Errorf("%q: %+v, want %+v", tc.sql, got, tc.want)
		}
	}
}

func TestClassifyAllocatesNothing(t *testing.T) {
	for _, text := range []string{
		"insert into location(username, contact) values ('a', ';b'); select 1",
		`select E'it\'s', "a b", set_config('work_mem', '1MB', true) from pg_temp_names`,
		"do $$begin execute 'select 1'; create temp table t(n int) on commit drop; end$$",
		"explain analyze create temp table t(n) on commit drop as select 1",
		"declare c scroll cursor without hold for select 1",
		"set session TimeZone to 'UTC'",
	} {
		sql := []byte(text)
		if n := testing.AllocsPerRun(100, func() { Classify(sql) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func TestVectorsAreInterned(t *testing.T) {
	var table Table
	a := table.With(table.With(table.Empty(), "TimeZone", "UTC"), "application_name", "x")
	b := table.With(table.With(table.Empty(), "APPLICATION_NAME", "x"), "timezone", "UTC")
	if a != b {
		t.Error("equal vectors have two pointers")
	}
	if table.With(a, "work_mem", "1MB") != a || table.With(a, "TimeZone", "UTC") != a {
		t.Error("what changes nothing makes another vector")
	}
	c := table.With(a, "TimeZone", `it's \ odd`)
	if got := string(c.AppendChange(nil, a)); got != `SET TimeZone TO  E'it''s \\ odd';` {
		t.Errorf("%s", got)
	}
	if got := string(a.AppendChange(nil, a)); got != "" {
		t.Errorf("no change: %s", got)
	}
	nameless := table.With(a, "application_name", "")
	if got := string(nameless.AppendChange(nil, a)); got != `SET application_name TO '';` {
		t.Errorf("who has no name does not keep another's: %s", got)
	}
	if got := string(table.With(a, "TimeZone", "").AppendChange(nil, a)); got != "" {
		t.Errorf("what is not known is left alone: %s", got)
	}
}

// TestATextThatMayFreeLocksSaysSo: the server is asked behind it whether a pin still holds.
func TestATextThatMayFreeLocksSaysSo(t *testing.T) {
	for sql, want := range map[string]bool{
		"select pg_advisory_unlock(1)":                              true,
		"select 1; SELECT \"pg_advisory_unlock_all\" ()":            true,
		"with x as (select pg_advisory_unlock_shared(1)) table x":   true,
		"select pg_try_advisory_lock(1)":                            true,
		"select pg_try_advisory_lock(1); select 1":                  true,
		"select pg_advisory_lock(1)":                                false,
		"select 'pg_advisory_unlock(1)'":                            false,
		"select pg_advisory_unlock from t":                          false,
		"select pg_try_advisory_xact_lock(1)":                       false,
		"insert into t values (1) returning pg_advisory_unlock(n)":  true,
		"select 'a\\'; select pg_advisory_unlock(1); select '\\'a'": true, // by one of the readings
	} {
		if got := Classify([]byte(sql)).Frees; got != want {
			t.Errorf("%s: %t, want %t", sql, got, want)
		}
	}
}

// TestKeywordsAreToldFromAllOtherWords of the same letters, and length, but one.
func TestKeywordsAreToldFromAllOtherWords(t *testing.T) {
	known := map[string]kw{
		"select": kwQuery, "insert": kwPlain, "update": kwPlain, "delete": kwPlain, "with": kwWith, "begin": kwSession, "start": kwSession,
		"commit": kwEnd, "end": kwEnd, "rollback": kwEnd, "abort": kwEnd, "set": kwSet, "reset": kwReset, "show": kwSession, "values": kwQuery,
		"table": kwQuery, "merge": kwPlain, "savepoint": kwSession, "release": kwSession, "lock": kwPlain, "copy": kwPlain, "fetch": kwSession,
		"move": kwSession, "close": kwSession, "execute": kwPlain, "explain": kwExplain, "notify": kwPlain, "unlisten": kwSession,
		"deallocate": kwSession, "discard": kwDiscard, "truncate": kwPlain, "analyze": kwPlain, "alter": kwPlain, "drop": kwPlain, "grant": kwPlain,
		"revoke": kwPlain, "comment": kwPlain, "create": kwCreate, "declare": kwDeclare, "listen": kwListen, "load": kwLoad, "prepare": kwPrepare,
		"call": kwCall, "do": kwDo,
	}
	for keyword := range known {
		words := []string{keyword, strings.ToUpper(keyword), keyword + "s", keyword[1:], keyword[:len(keyword)-1]}
		for i := range keyword {
			for _, c := range []string{"x", "X", "_", "\x13", "3", "\xe9"} {
				words = append(words, keyword[:i]+c+keyword[i+1:])
			}
			words = append(words, keyword[:i]+strings.ToUpper(keyword[i:]), keyword[:i]+string(rune(keyword[i]&^0x60))+keyword[i+1:])
		}
		for _, word := range words {
			if got, want := keywordOf([]byte(word)), known[strings.ToLower(word)]; got != want {
				t.Errorf("%q is %d, want %d", word, got, want)
			}
		}
	}
}
