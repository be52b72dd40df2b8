package proxy

import (
	"strings"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/routing"
)

// Separators of an encoded list of start-up parameters. Neither can stand in a start-up packet's strings.
const (
	optionEnd = "\x00"
	nameEnd   = "\x00"
)

// sessionAttrs is a parameter of libpq's that some drivers pass on. No server knows it.
const sessionAttrs = "target_session_attrs"

// aim follows the client's target_session_attrs, if it has given one. Options that cannot be read are told of later.
func (l *login) aim() *pgwire.Error {
	params, _ := pgwire.SplitOptions(l.message.Options)
	for _, param := range append(params, l.message.Params...) {
		if !equalName(param.Name, sessionAttrs) {
			continue
		}
		var ok bool
		if l.attrs, ok = routing.ParseSessionAttrs(param.Value); !ok {
			return pgwire.ErrSessionAttrs.New("", param.Value)
		}
	}
	l.listener = l.listener.aimed(l.attrs)
	return nil
}

// EncodeOptions makes one string of start-up parameters, for pool.Key.Options. Names are compared without case, and of a name
// given twice the last counts, as in PostgreSQL; the order of the others is kept.
func EncodeOptions(params []pgwire.Param) string {
	var b strings.Builder
	for i, p := range params {
		if repeated(params[i+1:], p.Name) {
			continue
		}
		b.WriteString(strings.ToLower(p.Name) + nameEnd + p.Value + optionEnd)
	}
	return b.String()
}

// DecodeOptions is the inverse of EncodeOptions: what a dialler sends to the server.
func DecodeOptions(s string) []pgwire.Param {
	var params []pgwire.Param
	for s != "" {
		name, rest, _ := strings.Cut(s, nameEnd)
		value, rest, _ := strings.Cut(rest, optionEnd)
		params = append(params, pgwire.Param{Name: name, Value: value})
		s = rest
	}
	return params
}

func repeated(params []pgwire.Param, name string) bool {
	for _, p := range params {
		if equalName(p.Name, name) {
			return true
		}
	}
	return false
}

func equalName(a, b string) bool { return strings.EqualFold(a, b) }
