package patroni

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/topology"
)

// OrderError says what has become of an order that was not done. With neither Refused nor Failed it is not known.
type OrderError struct {
	Refused bool // nothing was begun
	Failed  bool // Patroni has given it up
	Err     error
}

// Error is the text of Err, which has Patroni's.
func (e *OrderError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *OrderError) Unwrap() error { return e.Err }

// Configured reports whether there is anybody to ask: a URL, or a member that another source has found.
func (s *Source) Configured() bool {
	set, met := s.inForce()
	return len(set.seeds)+len(met) > 0
}

// Switchover lets Patroni move the primary from a node to another, "" = whom it chooses. It returns when Patroni has answered: when it
// is done, has failed, or is refused (*OrderError). ctx bounds that; Patroni may take some ten seconds.
func (s *Source) Switchover(ctx context.Context, from, to topology.NodeID) error {
	return s.order(ctx, "/switchover", from, to)
}

// Failover lets Patroni make a node the primary where nobody is. It returns as Switchover does.
func (s *Source) Failover(ctx context.Context, to topology.NodeID) error {
	return s.order(ctx, "/failover", "", to)
}

// order says the nodes by the names of members, and asks one: the leader that is to go, then those that answered lately.
func (s *Source) order(ctx context.Context, path string, from, to topology.NodeID) error {
	set, _ := s.inForce()
	members := s.members()
	request := make(map[string]string)
	bases := bases(members, set.seeds)
	for key, node := range map[string]topology.NodeID{"leader": from, "candidate": to} {
		if node == "" {
			continue
		}
		m := memberOf(members, node, set.addresses)
		if m == nil {
			return &OrderError{Refused: true, Err: fmt.Errorf("no member of Patroni's has the address %s", node)}
		}
		request[key] = m.name
		if key == "leader" && m.base != "" {
			bases = slices.Insert(slices.DeleteFunc(bases, func(b string) bool { return b == m.base }), 0, m.base)
		}
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	return set.client.order(ctx, bases, path, body)
}

// memberOf returns the member whose server is a node, or nil.
func memberOf(members []member, node topology.NodeID, addresses discovery.AddressMap) *member {
	for i := range members {
		if members[i].node(addresses) == node {
			return &members[i]
		}
	}
	return nil
}

// bases returns whom to ask: members as they come, and the configured URLs.
func bases(members []member, seeds []string) []string {
	var all []string
	for _, m := range members {
		all = append(all, m.base)
	}
	var once []string
	for _, b := range append(all, seeds...) {
		if b != "" && !slices.Contains(once, b) {
			once = append(once, b)
		}
	}
	return once
}

// order gives an order to the first member that can be reached. As soon as one has been, no other is asked: it may have taken the order.
func (c *client) order(ctx context.Context, bases []string, path string, body []byte) error {
	var faults []string
	for _, base := range bases {
		reached, err := c.post(ctx, base, path, body)
		if reached || err == nil {
			return err
		}
		if len(faults) < maxFaults {
			faults = append(faults, base+": "+err.Error())
		}
	}
	return &OrderError{Refused: true, Err: errors.New("no member of Patroni's can be reached: " + strings.Join(faults, "; "))}
}

// post gives an order to a member. reached is false when it cannot have heard it.
func (c *client) post(ctx context.Context, base, path string, body []byte) (reached bool, err error) {
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	r, err := c.send(ctx, http.MethodPost, base+path, bytes.NewReader(body))
	switch {
	case err != nil && !connected.Load():
		return false, err
	case err != nil:
		return true, &OrderError{Err: fmt.Errorf("%s%s: %w", base, path, err)}
	}
	return true, orderResult(base+path, r)
}

// unknownStatus is what Patroni says when it has waited long enough for the outcome.
const unknownStatus = "status unknown"

// orderResult reads an answer. Patroni waits for the outcome; one that is scheduled has been taken.
func orderResult(what string, r reply) error {
	text := words(r.body)
	e := &OrderError{Err: fmt.Errorf("%s: HTTP status %d, %s%s", what, r.status, text, hint(r.status))}
	switch {
	case r.status == http.StatusOK, r.status == http.StatusAccepted:
		return nil
	case r.status >= http.StatusMultipleChoices && r.status < http.StatusInternalServerError:
		e.Refused = true
	case r.status == http.StatusServiceUnavailable && !strings.Contains(text, unknownStatus):
		e.Failed = true
	}
	return e
}

// maxWords is how much of an answer stands in an error, in bytes.
const maxWords = 200

// words is the text of an answer in one line.
func words(body []byte) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(body[:min(len(body), maxWords)]), "")), " ")
	if text == "" {
		return "no text"
	}
	return text
}
