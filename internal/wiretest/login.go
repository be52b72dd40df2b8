package wiretest

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"
)

// The process id and key that a scripted server gives its clients unless told otherwise.
const (
	ServerPID = 4711
	ServerKey = "\x01\x02\x03\x04"
)

// ErrCancelRequest says that a connection brought a CancelRequest instead of a login.
var ErrCancelRequest = errors.New("a cancel request, not a login")

// DefaultParameters are the settings that a scripted server reports after a login.
func DefaultParameters() map[string]string {
	return map[string]string{
		"server_version": "15.8", "server_encoding": "UTF8", "client_encoding": "UTF8", "DateStyle": "ISO, MDY",
		"TimeZone": "UTC", "IntervalStyle": "postgres", "integer_datetimes": "on", "standard_conforming_strings": "on",
		"application_name": "", "is_superuser": "off", "session_authorization": "app", "in_hot_standby": "off",
		"default_transaction_read_only": "off",
	}
}

// Login logs a client in at a server that trusts it or asks for a cleartext password, and reads up to ReadyForQuery. It
// returns the settings that the server reported.
func (p *Peer) Login(user, database, password string) (map[string]string, error) {
	err := p.Send(&pgproto3.StartupMessage{
		ProtocolVersion: pgproto3.ProtocolVersionNumber,
		Parameters:      map[string]string{"user": user, "database": database},
	})
	if err != nil {
		return nil, err
	}
	reported := map[string]string{}
	for {
		m, err := p.Next()
		if err != nil {
			return nil, fmt.Errorf("login: %w", err)
		}
		switch v := m.Value.(type) {
		case *pgproto3.ParameterStatus:
			reported[v.Name] = v.Value
		case *pgproto3.AuthenticationCleartextPassword:
			if err := p.Send(&pgproto3.PasswordMessage{Password: password}); err != nil {
				return nil, err
			}
		case *pgproto3.ErrorResponse:
			return nil, fmt.Errorf("login: %s", m.Text)
		case *pgproto3.ReadyForQuery:
			return reported, nil
		}
	}
}

// ReadStartup answers requests for encryption with "no" and returns the client's start-up message. For a CancelRequest
// the error is ErrCancelRequest; the message is returned all the same.
func (p *Peer) ReadStartup() (Message, error) {
	for {
		m, err := p.NextStartup()
		if err != nil {
			return m, err
		}
		switch m.Value.(type) {
		case *pgproto3.StartupMessage:
			return m, nil
		case *pgproto3.CancelRequest:
			return m, ErrCancelRequest
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if err := p.SendBytes([]byte{'N'}); err != nil {
				return m, err
			}
		default:
			return m, fmt.Errorf("unreadable start-up: %s", m.Text)
		}
	}
}

// AcceptTrust logs in whoever comes, as a server: the start-up, and what Admit says.
func (p *Peer) AcceptTrust(parameters map[string]string) (Message, error) {
	start, err := p.ReadStartup()
	if err != nil {
		return start, err
	}
	return start, p.Admit(parameters, ServerPID)
}

// Admit says, as the server's process of that id, what ends a login: AuthenticationOk, the settings in alphabetical order,
// key data and ReadyForQuery.
func (p *Peer) Admit(parameters map[string]string, pid uint32) error {
	messages := []pgproto3.Message{&pgproto3.AuthenticationOk{}}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		messages = append(messages, &pgproto3.ParameterStatus{Name: name, Value: parameters[name]})
	}
	messages = append(messages, &pgproto3.BackendKeyData{ProcessID: pid, SecretKey: []byte(ServerKey)}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	return p.Send(messages...)
}
