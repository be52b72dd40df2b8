package pgwire

import "strings"

// endOfOptions is getopt's word for it; nothing may stand behind it.
const endOfOptions = "--"

// SplitOptions turns the start-up parameter "options" (what psql takes from PGOPTIONS) into settings, in order, as PostgreSQL
// does it: words are split at spaces unless a backslash stands before them (pg_split_opts), -c name=value and --name=value
// are settings, and the old one-letter switches that mean nothing but a setting are known as well. In names '-' becomes '_'.
//
// The error is an *Error with PostgreSQL's own text (ErrOptionArgument, ErrOptionValue). Switches that a client of a server
// behind a router cannot mean (-d, -v, -E, -r and the like) are refused with the same text as unknown ones.
func SplitOptions(s string) ([]Param, error) {
	var params []Param
	words := splitWords(s)
	for i := 0; i < len(words); i++ {
		word := words[i]
		next, more := "", i+1 < len(words)
		if more {
			next = words[i+1]
		}
		if word == endOfOptions && !more {
			break
		}
		if word == endOfOptions {
			return nil, ErrOptionArgument.New("", next)
		}
		if len(word) < 2 || word[0] != '-' {
			return nil, ErrOptionArgument.New("", word)
		}
		found, tookNext, err := switches(word, next, more)
		if err != nil {
			return nil, err
		}
		if params = append(params, found...); tookNext {
			i++
		}
	}
	return params, nil
}

// splitWords is PostgreSQL's pg_split_opts: a backslash takes the byte behind it as it is.
func splitWords(s string) []string {
	var words []string
	for i := 0; ; {
		for i < len(s) && isSpace(s[i]) {
			i++
		}
		if i == len(s) {
			return words
		}
		word := make([]byte, 0, len(s)-i)
		for escaped := false; i < len(s) && (escaped || !isSpace(s[i])); i++ {
			if s[i] == '\\' && !escaped {
				escaped = true
				continue
			}
			escaped = false
			word = append(word, s[i])
		}
		words = append(words, string(word))
	}
}

// isSpace is isspace of the C locale.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// switches reads one word of one-letter switches as getopt does: letters without an argument may stand together, the rest of
// the word, or the next word, is the argument of a letter that takes one.
func switches(word, next string, more bool) (params []Param, tookNext bool, err error) {
	for i := 1; i < len(word); i++ {
		sw, ok := optionSwitches[word[i]]
		if !ok {
			return nil, false, ErrOptionArgument.New("", word)
		}
		if !sw.takes {
			params = append(params, Param{sw.name, sw.value})
			continue
		}
		argument := word[i+1:]
		if argument == "" {
			if !more {
				return nil, false, ErrOptionArgument.New("", word)
			}
			argument, tookNext = next, true
		}
		p, err := sw.param(word, word[i], argument)
		return append(params, p), tookNext, err
	}
	return params, false, nil
}

// optionSwitch is one letter: the setting it stands for and its value, unless it takes one.
type optionSwitch struct {
	name  string
	value string
	takes bool
	of    map[string]string // where the argument chooses the setting
}

func (sw optionSwitch) param(word string, letter byte, argument string) (Param, error) {
	switch {
	case letter == 'c' || letter == '-':
		return longOption(letter, argument)
	case sw.of != nil:
		name, ok := sw.of[argument]
		if !ok {
			return Param{}, ErrOptionArgument.New("", word)
		}
		return Param{name, sw.value}, nil
	default:
		return Param{sw.name, argument}, nil
	}
}

// longOption is PostgreSQL's ParseLongOption.
func longOption(letter byte, argument string) (Param, error) {
	name, value, ok := strings.Cut(argument, "=")
	if !ok {
		lead := "-c "
		if letter == '-' {
			lead = "--"
		}
		return Param{}, ErrOptionValue.New("", lead+argument)
	}
	return Param{strings.ReplaceAll(name, "-", "_"), value}, nil
}

// optionSwitches is the part of process_postgres_switches that sets settings.
var optionSwitches = map[byte]optionSwitch{
	'c': {takes: true},
	'-': {takes: true},
	'B': {name: "shared_buffers", takes: true},
	'e': {name: "datestyle", value: "euro"},
	'F': {name: "fsync", value: "false"},
	'f': {takes: true, value: "false", of: map[string]string{
		"s": "enable_seqscan", "i": "enable_indexscan", "o": "enable_indexonlyscan", "b": "enable_bitmapscan", "t": "enable_tidscan",
		"n": "enable_nestloop", "m": "enable_mergejoin", "h": "enable_hashjoin",
	}},
	'h': {name: "listen_addresses", takes: true},
	'i': {name: "listen_addresses", value: "*"},
	'k': {name: "unix_socket_directories", takes: true},
	'l': {name: "ssl", value: "true"},
	'N': {name: "max_connections", takes: true},
	'O': {name: "allow_system_table_mods", value: "true"},
	'P': {name: "ignore_system_indexes", value: "true"},
	'p': {name: "port", takes: true},
	'S': {name: "work_mem", takes: true},
	's': {name: "log_statement_stats", value: "true"},
	't': {takes: true, value: "true", of: map[string]string{
		"pa": "log_parser_stats", "parser": "log_parser_stats", "pl": "log_planner_stats", "planner": "log_planner_stats",
		"e": "log_executor_stats", "executor": "log_executor_stats",
	}},
	'W': {name: "post_auth_delay", takes: true},
}
