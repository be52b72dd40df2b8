package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/admin"
)

// dialLimit bounds the connecting to a router: it is near, and one that is not there shall not hold up the others.
const dialLimit = time.Second

// answerLimit bounds what is read of an answer, in bytes.
const answerLimit = 8 << 20

// Router is the HTTP interface of a router. It is safe for concurrent use.
type Router struct {
	url  string
	http *http.Client
}

// New returns the router at an address, host:port or a URL. It is not asked for anything yet.
func New(address string) *Router {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	return &Router{url: strings.TrimSuffix(address, "/"), http: &http.Client{
		// No proxy of the environment stands between routers.
		Transport:     &http.Transport{DialContext: (&net.Dialer{Timeout: dialLimit}).DialContext, DisableKeepAlives: true, TLSHandshakeTimeout: dialLimit},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// URL is where the router is.
func (r *Router) URL() string { return r.url }

// RefusedError is an order that the router has not carried out, and why.
type RefusedError struct {
	Status int // of HTTP
	admin.Failure
}

// Error returns the router's words.
func (e *RefusedError) Error() string {
	if e.Hint != "" {
		return e.Failure.Error + " (" + e.Hint + ")"
	}
	return e.Failure.Error
}

// Hold orders a hold.
func (r *Router) Hold(ctx context.Context, order admin.HoldRequest) (answer admin.HoldAnswer, err error) {
	return answer, r.post(ctx, "hold", order, &answer)
}

// Release takes holds back.
func (r *Router) Release(ctx context.Context, order admin.ReleaseRequest) (answer admin.ReleaseAnswer, err error) {
	return answer, r.post(ctx, "release", order, &answer)
}

// Switchover moves a primary.
func (r *Router) Switchover(ctx context.Context, order admin.SwitchoverRequest) (answer admin.MoveAnswer, err error) {
	return answer, r.post(ctx, "switchover", order, &answer)
}

// Failover makes a primary where there is none.
func (r *Router) Failover(ctx context.Context, order admin.FailoverRequest) (answer admin.MoveAnswer, err error) {
	return answer, r.post(ctx, "failover", order, &answer)
}

// Accept lets a cluster be what its writable node says.
func (r *Router) Accept(ctx context.Context, order admin.AcceptRequest) (answer admin.AcceptAnswer, err error) {
	return answer, r.post(ctx, "accept-cluster", order, &answer)
}

// View returns all that the status page shows.
func (r *Router) View(ctx context.Context) (view admin.View, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/api/v1/cluster", http.NoBody)
	if err != nil {
		return view, err
	}
	return view, r.do(req, &view)
}

// post sends an order and reads its answer. The error is a *RefusedError when the router has given one.
func (r *Router) post(ctx context.Context, what string, order, answer any) error {
	body, err := json.Marshal(order)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/api/v1/"+what, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	return r.do(req, answer)
}

func (r *Router) do(req *http.Request, answer any) error {
	resp, err := r.http.Do(req)
	if err != nil {
		return plainly(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return plainly(err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp.StatusCode, text)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("what answers there is no router: %w", err)
	}
	return nil
}

// plainly says why there is no answer, without method and URL, which the reader knows.
func plainly(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	if wrapped, ok := errors.AsType[interface {
		error
		Unwrap() error
	}](err); ok {
		return wrapped.Unwrap()
	}
	return err
}

// isConflict reports whether a router has understood an order, and could not carry it out.
func isConflict(err error) bool {
	refused, ok := errors.AsType[*RefusedError](err)
	return ok && refused.Status == http.StatusConflict
}

func refusal(status int, text []byte) error {
	e := &RefusedError{Status: status}
	if err := json.Unmarshal(text, &e.Failure); err != nil || e.Failure.Error == "" {
		const shown = 200
		text = bytes.TrimSpace(text)
		e.Failure = admin.Failure{Error: fmt.Sprintf("%d %s: %s", status, http.StatusText(status), text[:min(len(text), shown)])}
	}
	return e
}
