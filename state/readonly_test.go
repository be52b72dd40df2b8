package state

import (
	"strings"
	"testing"
)

func TestOnlyWhatReadsIsReadOnly(t *testing.T) {
	for sql, want := range map[string]bool{
		"select 1":                             true,
		"SELECT n FROM t WHERE n = 1;":         true,
		"/* why */ select 1 -- insert":         true,
		"select insert, delete from t":         true,
		"select 'into', n from t -- update":    true,
		"select 'insert', \"into\" from t":     true,
		"select $$delete$$":                    true,
		"values (1)":                           true,
		"table t":                              true,
		"with a as (select 1) select * from a": true,
		"show all":                             true,
		"explain select 1":                     true,
		"explain insert into t values (1)":     true,
		"explain analyze select 1":             true,
		"explain (analyze, buffers) table t":   true,
		"begin":                                true,
		"start transaction read only":          true,
		"commit":                               true,
		"rollback to savepoint a":              true,
		"set timezone to 'UTC'":                true,
		"fetch 10 from c":                      true,
		"declare c cursor for select 1":        true,
		"select 1; select 2":                   true,
		"begin; select 1; commit":              true,
		"":                                     true,
		";;":                                   true,

		"insert into t values (1)": false,
		"update t set n = 1":       false,
		"delete from t":            false,
		"merge into t using u on true when matched then delete":                          false,
		"with a as (insert into t values (1) returning n) select * from a":               false,
		"with a as (select 1) delete from t using a":                                     false,
		"with a as (select 1) update t set n = 1":                                        false,
		"with a as (select 1) merge into t using a on true when matched then do nothing": false,
		"select 1 into x":                            false,
		"select 1 as n INTO temp x":                  false,
		"select * from t for update":                 false,
		"select * from t for no key update":          false,
		"table t for update":                         false,
		"explain analyze insert into t values (1)":   false,
		"explain (analyze) execute p":                false,
		"explain analyse create table t as select 1": false,
		"commit prepared 'x'":                        false,
		"rollback prepared 'x'":                      false,
		"prepare transaction 'x'":                    false,
		"prepare p as insert into t values (1)":      false,
		"execute p":                                  false,
		"call p()":                                   false,
		"do $$begin end$$":                           false,
		"copy t to program 'x'":                      false,
		"create table t(n int)":                      false,
		"vacuum t":                                   false,
		"nextval":                                    false,
		"(select 1)":                                 false, // not looked into
		"select 1; insert into t values (1)":         false,
		"begin; insert into t values (1)":            false,
		`select '\'; insert into t values (1); --'`:  false, // by one reading of the backslash
		`select '\''; insert into t values (1); --'`: false, // by another
	} {
		for _, text := range []string{sql, strings.ToUpper(sql), "/* a */ " + sql, sql + " -- b"} {
			if got := ReadOnly([]byte(text)); got != want {
				t.Errorf("%s: %t", text, got)
			}
		}
	}
}

func TestReadOnlyAllocatesNothing(t *testing.T) {
	sql := []byte(`with a as (select E'it\'s', $1) select * from a; select 1`)
	if n := testing.AllocsPerRun(100, func() { ReadOnly(sql) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
