package auth

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxUserLen is the longest user name of a userlist, in bytes. PostgreSQL's own names are shorter.
const MaxUserLen = 127

// maxUserlistFaults is after how many faults reading stops.
const maxUserlistFaults = 20

// UserlistError is one fault of a userlist. It shows where the fault is, never what stands there.
type UserlistError struct {
	File string
	Line int // from 1
	Err  error
}

// Error returns "file:line: what is wrong".
func (e *UserlistError) Error() string {
	place := strconv.Itoa(e.Line)
	if e.File == "" {
		return "line " + place + ": " + e.Err.Error()
	}
	return e.File + ":" + place + ": " + e.Err.Error()
}

// Unwrap returns what is wrong.
func (e *UserlistError) Unwrap() error { return e.Err }

// UserlistErrors is all faults of a userlist, in the order of its lines.
type UserlistErrors []*UserlistError

// Error returns one line per fault.
func (es UserlistErrors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return "userlist: " + strings.Join(lines, "\n")
}

// Unwrap returns the faults.
func (es UserlistErrors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}

var (
	errNoUser       = errors.New("a line must begin with a user name in double quotes")
	errNoSecret     = errors.New("a secret in double quotes must follow the user name")
	errOpenQuote    = errors.New("the closing double quote is missing")
	errEmptyUser    = errors.New("the user name is empty")
	errUserTooLong  = fmt.Errorf("the user name is longer than %d bytes", MaxUserLen)
	errUserNUL      = errors.New("the user name contains a NUL byte")
	errTooManyFault = errors.New("too many faults, the rest was not read")
)

// userLine is one user of a userlist.
type userLine struct {
	number int
	user   string
	secret Secret
}

// scanUserlist returns the users in the order of their first lines.
func scanUserlist(name string, data []byte) ([]userLine, error) {
	var users []userLine
	var faults UserlistErrors
	seen := map[string]int{} // user → index in users
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	for number := 1; len(data) > 0; number++ {
		var text []byte
		text, data, _ = bytes.Cut(data, []byte("\n"))
		line, ok, err := scanUserLine(text)
		line.number = number
		if err == nil && ok {
			users, err = addUser(users, seen, line)
		}
		if err == nil {
			continue
		}
		faults = append(faults, &UserlistError{name, number, err})
		if len(faults) == maxUserlistFaults {
			faults = append(faults, &UserlistError{name, number, errTooManyFault})
			break
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return users, nil
}

func addUser(users []userLine, seen map[string]int, line userLine) ([]userLine, error) {
	at, twice := seen[line.user]
	switch {
	case !twice:
		seen[line.user] = len(users)
		return append(users, line), nil
	case users[at].secret.Equal(line.secret):
		return users, nil
	}
	return users, fmt.Errorf("the user stands on line %d already, with another secret", users[at].number)
}

// scanUserLine reads one line; ok is false when it is empty or a comment.
func scanUserLine(text []byte) (line userLine, ok bool, err error) {
	text = bytes.TrimLeft(text, userlistSpace)
	if len(text) == 0 || text[0] == ';' {
		return userLine{}, false, nil
	}
	if text[0] != '"' {
		return userLine{}, false, errNoUser
	}
	if line.user, text, err = scanQuoted(text); err != nil {
		return userLine{}, false, err
	}
	if err := checkUser(line.user); err != nil {
		return userLine{}, false, err
	}
	text = bytes.TrimLeft(text, userlistSpace)
	if len(text) == 0 || text[0] != '"' {
		return userLine{}, false, errNoSecret
	}
	secret, _, err := scanQuoted(text)
	if err != nil {
		return userLine{}, false, err
	}
	line.secret, err = ParseSecret(secret)
	return line, err == nil, err
}

const userlistSpace = " \t\r\v\f"

func checkUser(user string) error {
	switch {
	case user == "":
		return errEmptyUser
	case len(user) > MaxUserLen:
		return errUserTooLong
	case strings.IndexByte(user, 0) >= 0:
		return errUserNUL
	}
	return nil
}

// scanQuoted reads a string that begins with a double quote; a doubled one inside stands for one.
func scanQuoted(text []byte) (value string, rest []byte, err error) {
	var b strings.Builder
	for text = text[1:]; ; text = text[1:] {
		end := bytes.IndexByte(text, '"')
		if end < 0 {
			return "", nil, errOpenQuote
		}
		b.Write(text[:end])
		text = text[end+1:]
		if len(text) == 0 || text[0] != '"' {
			return b.String(), text, nil
		}
		b.WriteByte('"')
	}
}
