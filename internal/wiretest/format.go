package wiretest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"
)

const longestText = 200 // bytes of a value that a trace shows

// format prints a message as one line of a trace: its name and what a reader wants to know. What differs from run to run
// (process ids, keys, salts) and secrets are left out.
func format(m Message) string {
	switch v := m.Value.(type) {
	case nil:
		return fmt.Sprintf("Unknown %q %d bytes", m.Kind, len(m.Raw))
	case *pgproto3.StartupMessage:
		return formatStartup(v)
	case *pgproto3.Query:
		return "Query " + quote(v.String)
	case *pgproto3.Parse:
		return fmt.Sprintf("Parse %q %s%s", v.Name, quote(v.Query), list(" oids", v.ParameterOIDs))
	case *pgproto3.Bind:
		return formatBind(v)
	case *pgproto3.Describe:
		return fmt.Sprintf("Describe %c %q", v.ObjectType, v.Name)
	case *pgproto3.Close:
		return fmt.Sprintf("Close %c %q", v.ObjectType, v.Name)
	case *pgproto3.Execute:
		return fmt.Sprintf("Execute %q %d", v.Portal, v.MaxRows)
	case *pgproto3.CopyFail:
		return "CopyFail " + quote(v.Message)
	case *pgproto3.CopyData:
		return "CopyData " + quote(string(v.Data))
	case *pgproto3.FunctionCall:
		return fmt.Sprintf("FunctionCall %d", v.Function)
	}
	return formatBackend(m)
}

func formatBackend(m Message) string {
	switch v := m.Value.(type) {
	case *pgproto3.ParameterStatus:
		return "ParameterStatus " + v.Name + "=" + v.Value
	case *pgproto3.ReadyForQuery:
		return "ReadyForQuery " + string(v.TxStatus)
	case *pgproto3.RowDescription:
		return formatColumns(v)
	case *pgproto3.DataRow:
		return "DataRow" + values(v.Values)
	case *pgproto3.CommandComplete:
		return "CommandComplete " + quote(string(v.CommandTag))
	case *pgproto3.ErrorResponse:
		return "ErrorResponse " + formatError(*v)
	case *pgproto3.NoticeResponse:
		return "NoticeResponse " + formatError(pgproto3.ErrorResponse(*v))
	case *pgproto3.NotificationResponse:
		return fmt.Sprintf("NotificationResponse %q %q", v.Channel, v.Payload)
	case *pgproto3.ParameterDescription:
		return "ParameterDescription" + list(" oids", v.ParameterOIDs)
	case *pgproto3.AuthenticationSASL:
		return "AuthenticationSASL " + strings.Join(v.AuthMechanisms, " ")
	case *pgproto3.NegotiateProtocolVersion:
		return "NegotiateProtocolVersion " + version(v.NewestMinorProtocol) + list(" unknown", v.UnrecognizedOptions)
	}
	if name, ok := strings.CutPrefix(fmt.Sprintf("%T", m.Value), "*pgproto3."); ok {
		return name
	}
	return "Bytes " + quote(string(m.Raw))
}

// formatError prints the fields of an error or notice that people read.
func formatError(e pgproto3.ErrorResponse) string {
	text := fmt.Sprintf("%s %s %s", e.Severity, e.Code, quote(e.Message))
	if e.Detail != "" {
		text += " DETAIL " + quote(e.Detail)
	}
	if e.Hint != "" {
		text += " HINT " + quote(e.Hint)
	}
	return text
}

func version(protocol uint32) string {
	const minorBits = 16
	return fmt.Sprintf("%d.%d", protocol>>minorBits, protocol&(1<<minorBits-1))
}

func formatStartup(v *pgproto3.StartupMessage) string {
	var b strings.Builder
	b.WriteString("StartupMessage " + version(v.ProtocolVersion))
	for _, name := range slices.Sorted(maps.Keys(v.Parameters)) {
		fmt.Fprintf(&b, " %s=%s", name, v.Parameters[name])
	}
	return b.String()
}

func formatBind(v *pgproto3.Bind) string {
	return fmt.Sprintf("Bind %q %q%s%s%s", v.DestinationPortal, v.PreparedStatement, values(v.Parameters),
		list(" formats", v.ParameterFormatCodes), list(" results", v.ResultFormatCodes))
}

func formatColumns(v *pgproto3.RowDescription) string {
	var b strings.Builder
	b.WriteString("RowDescription")
	for _, f := range v.Fields {
		fmt.Fprintf(&b, " %s:%d", f.Name, f.DataTypeOID)
	}
	return b.String()
}

func values(vs [][]byte) string {
	var b strings.Builder
	for _, v := range vs {
		if v == nil {
			b.WriteString(" NULL")
			continue
		}
		b.WriteString(" " + quote(string(v)))
	}
	return b.String()
}

func list[T any](name string, vs []T) string {
	if len(vs) == 0 {
		return ""
	}
	return name + "=" + strings.ReplaceAll(fmt.Sprint(vs), " ", ",")
}

func quote(s string) string {
	if len(s) > longestText {
		cut := longestText
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		return strconv.Quote(s[:cut]) + fmt.Sprintf("… %d bytes", len(s))
	}
	return strconv.Quote(s)
}
