package admin

import (
	"context"
	"strings"

	"github.com/pgrouter/pgrouter/pgwire"
)

// setting is a parameter of PostgreSQL's that drivers and tools set or show. Nothing of it means anything here: SET is accepted
// and changes nothing, SHOW prints what holds.
type setting struct {
	name  string // as PostgreSQL spells it
	value string
	fixed bool // SET is an error, as in PostgreSQL
}

// settings is the table of them, in alphabetical order.
func (a *Admin) settings() []setting {
	return []setting{
		{name: "application_name"}, {name: "bytea_output", value: "hex"}, {name: "client_encoding", value: "UTF8"},
		{name: "client_min_messages", value: "notice"}, {name: "DateStyle", value: "ISO"},
		{name: "default_transaction_deferrable", value: "off"}, {name: "default_transaction_isolation", value: "read committed"},
		{name: "default_transaction_read_only", value: "off"}, {name: "escape_string_warning", value: "on"},
		{name: "extra_float_digits", value: "1"}, {name: "idle_in_transaction_session_timeout", value: "0"},
		{name: "idle_session_timeout", value: "0"}, {name: "in_hot_standby", value: "off", fixed: true},
		{name: "integer_datetimes", value: "on", fixed: true}, {name: "IntervalStyle", value: "postgres"},
		{name: "is_superuser", value: "on", fixed: true}, {name: "jit", value: "off"}, {name: "lc_messages", value: "C"},
		{name: "lc_monetary", value: "C"}, {name: "lc_numeric", value: "C"}, {name: "lc_time", value: "C"},
		{name: "lock_timeout", value: "0"}, {name: "max_identifier_length", value: "63", fixed: true},
		{name: "quote_all_identifiers", value: "off"}, {name: "row_security", value: "on"}, {name: "search_path", value: "public"},
		{name: "server_encoding", value: "UTF8", fixed: true}, {name: "server_version", value: a.serverVersion(), fixed: true},
		{name: "server_version_num", value: "150000", fixed: true}, {name: "standard_conforming_strings", value: "on"},
		{name: "statement_timeout", value: "0"}, {name: "synchronize_seqscans", value: "on"}, {name: "synchronous_commit", value: "on"},
		{name: "TimeZone", value: "GMT"}, {name: "transaction_deferrable", value: "off"},
		{name: "transaction_isolation", value: "read committed"}, {name: "transaction_read_only", value: "off"},
		{name: "transaction_timeout", value: "0"}, {name: "xmloption", value: "content"},
	}
}

// serverVersion is what the console says at login: drivers want a PostgreSQL.
func (a *Admin) serverVersion() string { return "15.0 (pgrouter " + a.cfg.Load().Version + ")" }

// setting finds a parameter; names are not sensitive to case.
func (a *Admin) setting(name string) (setting, bool) {
	for _, s := range a.settings() {
		if strings.EqualFold(s.name, name) {
			return s, true
		}
	}
	return setting{}, false
}

// isParameter reports whether a name is one of PostgreSQL's or of an extension's, and not one of pgrouter's own settings.
func (a *Admin) isParameter(name string) bool {
	if at := strings.IndexAny(name, ".["); at > 0 {
		return !isSection(strings.ToLower(name[:at]))
	}
	_, known := a.setting(name)
	return known
}

// setParameter accepts SET of PostgreSQL's parameters, because drivers begin with it.
func setParameter(_ context.Context, a *Admin, args []string) ([][]string, error) {
	name, value := args[0], args[1]
	s, known := a.setting(name)
	switch {
	case s.fixed:
		return nil, cannotBeChanged(s.name)
	case known && value == "":
		return nil, pgwire.ErrConsoleSyntax.New("a value is missing", name)
	}
	return nil, nil
}

func cannotBeChanged(name string) error {
	return pgwire.ErrConsoleState.New("", `parameter "`+name+`" cannot be changed`)
}

// isSection reports whether a word begins the name of one of pgrouter's own settings, such as pool.size.
func isSection(word string) bool {
	switch word {
	case "admin", "auth", "cluster", "database", "limits", "listener", "log", "pool", "user":
		return true
	}
	return false
}

// reset accepts RESET of what SET accepts, and RESET ALL.
func reset(ctx context.Context, a *Admin, args []string) ([][]string, error) {
	name := alias(unquote(strings.TrimSpace(args[0])))
	switch {
	case strings.EqualFold(name, "all"):
		return nil, nil
	case !a.isParameter(name):
		return nil, pgwire.ErrConsoleSetting.New("RESET takes parameters of PostgreSQL, and changes nothing. "+reloadHint, name)
	}
	return setParameter(ctx, a, []string{name, "default"})
}

// alias turns the names that are several words into those of their parameters.
func alias(name string) string {
	switch strings.ToLower(strings.Join(strings.Fields(name), " ")) {
	case "time zone":
		return "TimeZone"
	case "names":
		return "client_encoding"
	case "transaction isolation level":
		return "transaction_isolation"
	}
	return name
}

// splitSetting reads what stands behind SET: the parameter, and the text of its value.
func splitSetting(text string) (name, value string, err error) {
	word, rest := firstWord(text)
	if isScope(word) {
		word, rest = firstWord(rest)
	}
	switch strings.ToLower(word) {
	case "":
		return "", "", pgwire.ErrConsoleSyntax.New("", "SET")
	case "names":
		return "client_encoding", rest, nil
	case "characteristics", "transaction":
		return "transaction_isolation", rest, nil
	case "time":
		if zone, behind := firstWord(rest); strings.EqualFold(zone, "zone") {
			return "TimeZone", behind, nil
		}
	}
	rest, ok := afterTo(rest)
	if !ok {
		return "", "", pgwire.ErrConsoleSyntax.New("= or TO is missing", word)
	}
	return unquote(word), rest, nil
}

// isScope reports whether a word says for whom, or for how long, a parameter counts.
func isScope(word string) bool {
	return strings.EqualFold(word, "session") || strings.EqualFold(word, "local")
}

// afterTo cuts "=" or TO off the front.
func afterTo(text string) (rest string, ok bool) {
	if rest, ok = strings.CutPrefix(text, "="); ok {
		return strings.TrimSpace(rest), true
	}
	to, rest := firstWord(text)
	return rest, strings.EqualFold(to, "to")
}

// firstWord cuts a word off the front of text: up to a space or "=" that does not stand in double quotes.
func firstWord(text string) (word, rest string) {
	text = strings.TrimSpace(text)
	inside := false
	end := strings.IndexFunc(text, func(c rune) bool {
		if c == '"' {
			inside = !inside
		}
		return !inside && strings.ContainsRune(" \t\r\n\f\v=", c)
	})
	if end < 0 {
		end = len(text)
	}
	return text[:end], strings.TrimSpace(text[end:])
}

// unquote takes the double quotes off a name.
func unquote(name string) string {
	if !strings.HasPrefix(name, `"`) {
		return name
	}
	if word, rest, ok := quoted(name); ok && rest == "" {
		return word
	}
	return name
}

// accept is a command that drivers send and that has nothing to do here.
func accept(context.Context, *Admin, []string) ([][]string, error) { return nil, nil }

// endOfBlock accepts COMMIT and ROLLBACK, but not those of prepared transactions.
func endOfBlock(_ context.Context, _ *Admin, args []string) ([][]string, error) {
	if word := first(args); word != "" && !strings.EqualFold(word, "work") && !strings.EqualFold(word, "transaction") {
		return nil, pgwire.ErrConsoleSyntax.New("", word)
	}
	return nil, nil
}

// showSetting prints one parameter.
func showSetting(_ context.Context, a *Admin, args []string) ([][]string, error) {
	s, known := a.setting(alias(strings.Join(args, " ")))
	if !known {
		return nil, pgwire.ErrConsoleCommand.New("")
	}
	return [][]string{{s.value}}, nil
}
