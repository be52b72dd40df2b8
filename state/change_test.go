package state

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// server is a naive model of what a server does with the statements of a prelude: it obeys those that this package writes, and
// lets only who has logged in set anything but a tracked parameter.
type server struct {
	t        *rapid.T
	settings map[string]string
}

var (
	setTracked = regexp.MustCompile(`^SET (\w+) TO (.+)$`)
	setConfig  = regexp.MustCompile(`^SELECT pg_catalog\.set_config\('([^']*)',(.+),false\)$`)
	resetOne   = regexp.MustCompile(`^RESET "([^"]*)"$`)
)

func (s *server) impersonates() bool {
	return s.settings[Role] != "" || s.settings[SessionAuthorization] != ""
}

func (s *server) run(sql string) {
	for _, statement := range splitStatements(sql) {
		switch set, config, reset := setTracked.FindStringSubmatch(statement), setConfig.FindStringSubmatch(statement), resetOne.FindStringSubmatch(statement); {
		case statement == "RESET SESSION AUTHORIZATION":
			delete(s.settings, SessionAuthorization)
			delete(s.settings, Role)
		case statement == "RESET ROLE":
			delete(s.settings, Role)
		case set != nil:
			s.settings[set[1]] = literal(set[2])
		case config != nil && config[1] == SessionAuthorization:
			s.settings[SessionAuthorization] = literal(config[2])
			delete(s.settings, Role)
		case config != nil && config[1] == Role:
			s.settings[Role] = literal(config[2])
		case config != nil && !s.impersonates():
			s.settings[config[1]] = literal(config[2])
		case reset != nil && !s.impersonates():
			delete(s.settings, reset[1])
		default:
			s.t.Fatalf("%s: refused with %v", statement, s.settings)
		}
	}
}

// splitStatements splits at semicolons outside of strings.
func splitStatements(sql string) []string {
	var all []string
	quoted, from := false, 0
	for i, c := range sql {
		switch {
		case c == '\'' && (i == 0 || sql[i-1] != '\\' || strings.HasSuffix(sql[:i], `\\`)):
			quoted = !quoted
		case c == ';' && !quoted:
			all = append(all, sql[from:i])
			from = i + 1
		}
	}
	return all
}

func literal(s string) string {
	s = strings.TrimSpace(s)
	if inner, escaped := strings.CutPrefix(s, "E"); escaped {
		s = strings.ReplaceAll(inner, `\\`, `\`)
	}
	return strings.ReplaceAll(s[1:len(s)-1], "''", "'")
}

// drawn is a vector, and the same as a map.
type drawn struct {
	vector *Vector
	as     map[string]string
}

func drawVector(t *rapid.T, table *Table, label string) drawn {
	d := drawn{vector: table.With(table.With(table.Empty(), "DateStyle", "ISO"), "TimeZone", "UTC"), as: map[string]string{"DateStyle": "ISO", "TimeZone": "UTC"}}
	d.as["application_name"] = rapid.SampledFrom([]string{"", "a", "it's"}).Draw(t, label+" name")
	d.vector = table.With(d.vector, "application_name", d.as["application_name"])
	if zone := rapid.SampledFrom([]string{"UTC", "Asia/Tokyo"}).Draw(t, label+" zone"); zone != "UTC" {
		d.as["TimeZone"] = zone
		d.vector = table.With(d.vector, "TimeZone", zone)
	}
	names := rapid.SampledFrom([]string{"search_path", "statement_timeout", "app.tenant", "work_mem", Role, SessionAuthorization})
	values := rapid.SampledFrom([]string{"", "x", `"$user", public`, `it's; RESET`, `a\b'`, "off"})
	for range rapid.IntRange(0, 6).Draw(t, label+" settings") {
		name := names.Draw(t, label+" setting")
		if rapid.Bool().Draw(t, label+" away") {
			delete(d.as, name)
			d.vector = table.WithoutSetting(d.vector, name)
			continue
		}
		value := values.Draw(t, label+" value")
		if IsIdentity(name) && value == "" {
			value = "none"
		}
		d.as[name] = value
		d.vector = table.WithSetting(d.vector, Setting{name, value})
	}
	return d
}

// TestAChangeMakesOneServerOfAnother draws what a server has and what a client wants, and lets a naive server run the change.
func TestAChangeMakesOneServerOfAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table Table
		from, to := drawVector(t, &table, "from"), drawVector(t, &table, "to")
		s := server{t: t, settings: maps.Clone(from.as)}
		sql := string(to.vector.AppendChange(nil, from.vector))
		s.run(sql)
		if s.settings["application_name"] == "" {
			s.settings["application_name"] = ""
		}
		if !maps.Equal(s.settings, to.as) {
			t.Fatalf("%v with %s is %v, want %v", from.as, sql, s.settings, to.as)
		}
		if (from.vector == to.vector) != maps.Equal(from.as, to.as) {
			t.Fatalf("%v and %v: one vector: %t", from.as, to.as, from.vector == to.vector)
		}
		for _, setting := range to.vector.Settings() {
			if to.as[setting.Name] != setting.Value {
				t.Fatalf("%v is %v", to.vector.Settings(), to.as)
			}
		}
		if !slices.IsSortedFunc(to.vector.Settings(), func(a, b Setting) int { return strings.Compare(a.Name, b.Name) }) {
			t.Fatalf("%v is not sorted", to.vector.Settings())
		}
	})
}

func TestWhatCanBeMovedIsBounded(t *testing.T) {
	var table Table
	v := table.Empty()
	for n := range settingsLimit {
		v = table.WithSetting(v, Setting{"a.x" + strings.Repeat("x", n), "1"})
	}
	if !v.Movable() {
		t.Error("as many settings as may be cannot be moved")
	}
	if table.WithSetting(v, Setting{"b", "1"}).Movable() {
		t.Error("one more can be moved")
	}
	long := table.WithSetting(table.Empty(), Setting{"a", strings.Repeat("x", settingsSizeLimit)})
	if long.Movable() || !table.WithSetting(long, Setting{"a", strings.Repeat("x", settingsSizeLimit-3)}).Movable() {
		t.Error("the limit of size is not where it is said to be")
	}
	if table.WithSetting(table.Empty(), Setting{"a.b", "Müller"}).Movable() {
		t.Error("a value that depends on the encoding can be moved")
	}
}

// TestLimitsOfTimeStandAtBothEnds holds that a limit is taken away first and given last.
func TestLimitsOfTimeStandAtBothEnds(t *testing.T) {
	var table Table
	from := table.WithSetting(table.WithSetting(table.Empty(), Setting{"lock_timeout", "1ms"}), Setting{"a.b", "1"})
	to := table.WithSetting(table.WithSetting(table.Empty(), Setting{"statement_timeout", "1ms"}), Setting{"work_mem", "1MB"})
	want := `RESET "lock_timeout";RESET "a.b";SELECT pg_catalog.set_config('work_mem','1MB',false);` +
		`SELECT pg_catalog.set_config('statement_timeout','1ms',false);`
	if got := string(to.AppendChange(nil, from)); got != want {
		t.Errorf("%s", got)
	}
}
