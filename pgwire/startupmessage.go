package pgwire

import (
	"bytes"
	"strings"
)

// maxName is the longest name of a user or a database, in bytes (NAMEDATALEN - 1). PostgreSQL cuts longer ones.
const maxName = 63

// protocolOption is what the names of protocol options in a start-up packet begin with.
const protocolOption = "_pq_."

// Values of StartupMessage.Replication.
const (
	ReplicationNone     = ""
	ReplicationPhysical = "true"
	ReplicationLogical  = "database"
)

// ReplicationDatabase stands for physical replication where databases are named, as in pg_hba.conf.
const ReplicationDatabase = "replication"

// StartupMessage is what a client asks for when it connects.
type StartupMessage struct {
	Major, Minor uint16
	User         string   // never empty, at most 63 bytes
	Database     string   // the user's name when none was given; at most 63 bytes
	Options      string   // command-line options; see SplitOptions. Params override them
	Replication  string   // ReplicationNone, ReplicationPhysical or ReplicationLogical
	Params       []Param  // the settings, in order; of a name given twice (case does not matter) only the last
	Unknown      []string // names of the _pq_.* options, none of which is known here
}

// Param returns the value of the setting called name; case does not matter.
func (m *StartupMessage) Param(name string) (value string, ok bool) {
	for _, p := range m.Params {
		if strings.EqualFold(p.Name, name) {
			return p.Value, true
		}
	}
	return "", false
}

// parse reads pairs of names and values, as ProcessStartupPacket in PostgreSQL's postmaster.c does.
func (m *StartupMessage) parse(b []byte) error {
	var replication walsender
	for len(b) > 0 && b[0] != 0 {
		name, rest, ok := CString(b)
		if !ok || len(rest) == 0 {
			break // no value; complained of below
		}
		value, after, ok := CString(rest)
		if !ok {
			value, after = rest, nil // complained of below, too
		}
		if err := m.set(string(name), string(value), &replication); err != nil {
			return err
		}
		b = after
	}
	if len(b) != 1 {
		return ErrStartupLayout.New("")
	}
	m.Params = lastOfEach(m.Params)
	m.Replication = replication.String()
	return m.finish()
}

func (m *StartupMessage) set(name, value string, replication *walsender) error {
	switch {
	case name == "user":
		m.User = value
	case name == "database":
		m.Database = value
	case name == "options":
		m.Options = value
	case name == "replication":
		return replication.set(value)
	case strings.HasPrefix(name, protocolOption):
		m.Unknown = append(m.Unknown, name)
	default:
		m.Params = append(m.Params, Param{name, value})
	}
	return nil
}

func (m *StartupMessage) finish() error {
	if m.User == "" {
		return ErrNoUserName.New("")
	}
	if m.Database == "" {
		m.Database = m.User
	}
	m.User = m.User[:min(len(m.User), maxName)]
	m.Database = m.Database[:min(len(m.Database), maxName)]
	return nil
}

// lastOfEach removes every parameter that a later one of the same name overrides.
func lastOfEach(params []Param) []Param {
	last := make(map[string]int, len(params))
	for i, p := range params {
		last[lowerASCII(p.Name)] = i
	}
	if len(last) == len(params) {
		return params
	}
	kept := params[:0]
	for i, p := range params {
		if last[lowerASCII(p.Name)] == i {
			kept = append(kept, p)
		}
	}
	return kept
}

// walsender is the hybrid that the parameter "replication" is: a boolean, or the word "database".
type walsender struct{ on, database bool }

func (w *walsender) set(value string) error {
	if value == ReplicationLogical {
		w.on, w.database = true, true
		return nil
	}
	on, ok := parseBool(value)
	if !ok {
		return ErrReplicationValue.New("", value)
	}
	w.on = on
	return nil
}

func (w walsender) String() string {
	switch {
	case !w.on:
		return ReplicationNone
	case w.database:
		return ReplicationLogical
	default:
		return ReplicationPhysical
	}
}

// parseBool reads a boolean like PostgreSQL's parse_bool: any unambiguous beginning of true, false, yes, no, on, off, and
// 1 and 0, in any case.
func parseBool(s string) (value, ok bool) {
	s = lowerASCII(s)
	for _, w := range [...]struct {
		word  string
		least int // letters that make it unambiguous
		value bool
	}{{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false}, {"on", 2, true}, {"off", 2, false}, {"1", 1, true}, {"0", 1, false}} {
		if len(s) >= w.least && strings.HasPrefix(w.word, s) {
			return w.value, true
		}
	}
	return false, false
}

// lowerASCII folds the letters A to Z only, as PostgreSQL compares the names of settings.
func lowerASCII(s string) string {
	if strings.IndexFunc(s, isUpperASCII) < 0 {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if isUpperASCII(rune(c)) {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func isUpperASCII(r rune) bool { return r >= 'A' && r <= 'Z' }

// CString splits b behind its first NUL: s is what stands before it. ok is false when there is none.
func CString(b []byte) (s, rest []byte, ok bool) {
	before, after, ok := bytes.Cut(b, []byte{0})
	if !ok {
		return nil, b, false
	}
	return before, after, true
}
