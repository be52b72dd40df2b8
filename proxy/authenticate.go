package proxy

import (
	"github.com/pgrouter/pgrouter/pgwire"
)

// authenticate runs the exchange that the configuration asks for. It returns what is still to be sent in front of
// AuthenticationOk: that comes later, because a client that was told Ok does not try its next host any more.
func (l *login) authenticate() (last []byte, fault *pgwire.Error) {
	x := l.proxy.deps.Authenticator.Exchange(l.message.User)
	out, done, err := x.Start()
	for err == nil && !done {
		if _, werr := l.sock.Write(out); werr != nil {
			return nil, pgwire.ErrStartupIncomplete.New("")
		}
		var kind byte
		var body []byte
		if kind, body, fault = l.readMessage(); fault != nil {
			return nil, fault
		}
		out, done, err = x.Next(kind, body)
	}
	if err != nil {
		l.proxy.log.Info("authentication failed", "user", l.message.User, "database", l.message.Database,
			"remote", l.sock.RemoteAddr().String(), "error", err)
		return nil, asFault(err)
	}
	return out, nil
}

// readMessage reads one whole message of the login. Only password messages are expected, so that none is long.
func (l *login) readMessage() (kind byte, body []byte, fault *pgwire.Error) {
	buf := make([]byte, readChunk)
	for {
		f, ok, err := pgwire.PeekFrontend(l.ahead)
		if err != nil {
			return 0, nil, asFault(err)
		}
		if ok && f.Kind != pgwire.KindPassword {
			return f.Kind, nil, nil // refused by the exchange, whatever it holds
		}
		if ok && len(l.ahead) >= f.Len {
			body, l.ahead = l.ahead[pgwire.HeaderLen:f.Len], l.ahead[f.Len:]
			return f.Kind, body, nil
		}
		n, rerr := l.sock.Read(buf)
		l.ahead = append(l.ahead, buf[:n]...)
		if n == 0 && rerr != nil {
			return 0, nil, l.readFault(rerr, pgwire.ErrStartupIncomplete.New(""))
		}
	}
}
