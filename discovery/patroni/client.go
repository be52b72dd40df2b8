package patroni

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/discovery"
)

const (
	maxBody    = 1 << 20  // bytes of an answer; a cluster of hundred members needs a twentieth
	maxHeaders = 64 << 10 // bytes before it
)

// client asks the members. Each question has a connection of its own: Patroni speaks HTTP/1.0.
type client struct {
	http               *http.Client
	timeout            time.Duration
	username, password string
	plain              bool // the credentials may go unencrypted: the configuration has such a URL
}

// reply is an answer of a member.
type reply struct {
	status int
	body   []byte
	date   time.Time // the member's clock; zero: it does not tell
}

func newClient(c Config, addresses discovery.AddressMap) (*client, error) {
	secure, err := discovery.ClientTLS(c.CAFile, c.CertFile, c.KeyFile)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: c.Timeout} // the transport goes on dialling when nobody waits any more
	return &client{
		http: &http.Client{
			Transport: &http.Transport{
				DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
					return dialer.DialContext(ctx, network, addresses.Through(address))
				},
				TLSClientConfig:        secure,
				TLSHandshakeTimeout:    c.Timeout,
				DisableKeepAlives:      true,
				MaxResponseHeaderBytes: maxHeaders,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		timeout:  c.Timeout,
		username: c.Username, password: c.Password,
		plain: slices.ContainsFunc(c.URLs, func(u string) bool { return strings.HasPrefix(strings.ToLower(u), "http:") }),
	}, nil
}

// get asks a member. Only an answer with one of these statuses is none that fails.
func (c *client) get(ctx context.Context, base, path string, statuses ...int) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := c.send(ctx, http.MethodGet, base+path, http.NoBody)
	if err == nil && !slices.Contains(statuses, r.status) {
		err = fmt.Errorf("HTTP status %d%s", r.status, hint(r.status))
	}
	if err != nil {
		return reply{}, fmt.Errorf("%s%s: %w", base, path, err)
	}
	return r, nil
}

func (c *client) send(ctx context.Context, method, url string, body io.Reader) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return reply{}, err
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.username != "" && (c.plain || request.URL.Scheme == "https") {
		request.SetBasicAuth(c.username, c.password)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return reply{}, explained(err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1))
	if err != nil {
		return reply{}, err
	}
	if len(said) > maxBody {
		return reply{}, fmt.Errorf("the answer is longer than %d bytes", maxBody)
	}
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		date = time.Time{}
	}
	return reply{status: answer.StatusCode, body: said, date: date}, nil
}

// explained takes the outer error away, which repeats what was asked.
func explained(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the connection was closed without an answer, as Patroni does when it does not reach its DCS")
	}
	return err
}

// hint says what a status that nobody wants may come from.
func hint(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ": look at username, password and the client certificate"
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return ": a redirect is not followed; is this Patroni?"
	}
	return ""
}
