package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"
	"unicode"

	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/topology"
)

// Bounds of a hold that is ordered.
const (
	DefaultLease = 30 * time.Second
	DefaultWait  = 5 * time.Second
	MaxName      = 64 // bytes of an ID, and of who has asked
)

// OperatorID is the ID of a hold of which its order says nothing else: orders of operators renew each other.
const OperatorID = "operator"

// mistake is an order that cannot be understood. Nothing was done.
type mistake struct{ problem, hint string }

func (e *mistake) Error() string { return e.problem }

// takes makes the handler of an order, whose body is a T. It goes on when the client goes away: half of a switchover would leave the
// cluster without a primary. One whose client had gone before is not begun. A browser cannot be made to send one: the body must be JSON,
// which a foreign page may not post without being asked, and a page whose name was made to point to us sends its origin. No page of ours
// posts. example is a body that is right.
func takes[T any](a *Admin, example string, do func(ctx context.Context, order *T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if status, refused := a.guard(r, example); status != http.StatusOK {
			a.answer(w, status, refused)
			return
		}
		order := new(T)
		err := decodeStrictly(http.MaxBytesReader(w, r.Body, bodyLimit), order)
		if err != nil {
			a.answer(w, http.StatusBadRequest, Failure{Error: err.Error(), Hint: example})
			return
		}
		if goneAlready(r) {
			a.log.Warn("order not carried out: who sent it has hung up before it was read", "order", r.URL.Path, "from", r.RemoteAddr)
			return
		}
		if o, asks := any(order).(interface{ heard(from string) }); asks {
			o.heard(host(r.RemoteAddr))
		}
		done, err := do(a.life, order)
		if err != nil {
			a.answer(w, statusOf(err), failureOf(err))
			return
		}
		a.answer(w, http.StatusOK, done)
	}
}

// guard says whether a request may change something.
func (a *Admin) guard(r *http.Request, example string) (status int, refused Failure) {
	if !a.allowed(r) {
		return http.StatusForbidden, Failure{Error: "changes are not allowed from " + r.RemoteAddr, Hint: "see [admin] allow"}
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		return http.StatusForbidden, Failure{Error: "changes are not taken from web pages, such as " + origin, Hint: "use the verbs of pgrouter, or curl"}
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
		return http.StatusUnsupportedMediaType, Failure{Error: "the body must be application/json", Hint: example}
	}
	return http.StatusOK, Failure{}
}

// decodeStrictly reads one JSON object that has no key besides those of the order, and nothing behind it.
func decodeStrictly(body io.Reader, order any) error {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(order); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the JSON object")
	}
	return nil
}

func statusOf(err error) int {
	if _, ok := errors.AsType[*mistake](err); ok {
		return http.StatusBadRequest
	}
	return http.StatusConflict
}

func failureOf(err error) Failure {
	f := Failure{Error: err.Error()}
	if wrong, ok := errors.AsType[*mistake](err); ok {
		f.Hint = wrong.hint
	}
	if blocked, ok := errors.AsType[*failover.BlockedError](err); ok {
		f.Blockers, f.Hint = blocked.Blockers, "end this work, or give it longer: within"
	}
	return f
}

// getFailovers answers with the reports, the newest first.
func (a *Admin) getFailovers(w http.ResponseWriter, _ *http.Request) {
	reports := list(a.world.Failovers())
	slices.Reverse(reports)
	a.answer(w, http.StatusOK, reports)
}

func (a *Admin) postHold(ctx context.Context, r *HoldRequest) (any, error) {
	lease, err := durationOr("lease", r.Lease, DefaultLease)
	if err != nil {
		return nil, err
	}
	wait, err := durationOr("wait", r.Wait, min(DefaultWait, lease))
	if err != nil {
		return nil, err
	}
	order := HoldOrder{Cluster: a.sole(r.Cluster), Local: r.Local, HoldOrder: failover.HoldOrder{
		ID: cmp.Or(r.ID, OperatorID), By: cmp.Or(r.By, OperatorID), Lease: lease, Wait: wait,
	}}
	if err := order.check(); err != nil {
		return nil, err
	}
	held, err := a.actions.Hold(ctx, order)
	if err != nil {
		return nil, err
	}
	return holdAnswer(order.ID, &held), nil
}

// durationOr reads a duration of 0 or more; "" is the default.
func durationOr(key, text string, otherwise time.Duration) (time.Duration, error) {
	if text == "" {
		return otherwise, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, &mistake{key + ": " + text + " is no duration", `as in "10s"`}
	}
	return d, nil
}

// check says what is wrong with an order that somebody has written.
func (o *HoldOrder) check() error {
	switch {
	case o.Lease < failover.LeastLease || o.Lease > failover.MostLease:
		return &mistake{"a hold cannot last " + o.Lease.String(), "from 1s up to 5m: nothing is held for ever"}
	case o.Wait < 0 || o.Wait > failover.MostLease: // it may be longer than the lease, which is renewed
		return &mistake{"a wait of " + o.Wait.String() + " is too long", "up to 5m"}
	case !isName(o.ID):
		return &mistake{"id: it is no name", namesHint}
	case !isName(o.By):
		return &mistake{"by: it is no name", namesHint}
	}
	return nil
}

const namesHint = "up to 64 characters that can be printed"

// isName reports whether a text can stand in a log and a table.
func isName(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return s != "" && len(s) <= MaxName
}

func holdAnswer(id string, h *Held) HoldAnswer {
	answer := HoldAnswer{ID: id, Until: h.Until, Drained: h.Everywhere(), Blockers: list(h.InTheWay())}
	for _, p := range h.Peers {
		peer := PeerAnswer{Peer: p.Peer, Until: p.Until, Drained: p.Drained}
		if p.Err != nil {
			peer.Error = p.Err.Error()
		}
		answer.Peers = append(answer.Peers, peer)
	}
	return answer
}

func (a *Admin) postRelease(ctx context.Context, r *ReleaseRequest) (any, error) {
	if r.ID != "" && !isName(r.ID) {
		return nil, &mistake{"id: it is no name", namesHint}
	}
	ended, err := a.actions.Release(ctx, ReleaseOrder{Cluster: r.Cluster, ID: r.ID, Local: r.Local})
	return ReleaseAnswer{Ended: ended}, err
}

func (a *Admin) postSwitchover(ctx context.Context, r *SwitchoverRequest) (any, error) {
	within, err := durationOr("within", r.Within, 0)
	switch {
	case err != nil:
		return nil, err
	case within == 0 && r.Within != "", within > failover.MostLease:
		return nil, &mistake{"within: " + r.Within + " cannot be", "above 0 and up to 5m"}
	}
	return a.move(r.Cluster, func(cluster string) error { return a.actions.Switchover(ctx, cluster, r.To, within) })
}

func (a *Admin) postFailover(ctx context.Context, r *FailoverRequest) (any, error) {
	if r.To == "" {
		return nil, &mistake{"to is missing", "host:port of the node that becomes the primary"}
	}
	return a.move(r.Cluster, func(cluster string) error { return a.actions.Failover(ctx, cluster, r.To) })
}

// move tells what an order has moved.
func (a *Admin) move(named string, order func(cluster string) error) (any, error) {
	cluster := a.sole(named)
	begun, from := time.Now(), a.primary(cluster)
	if err := order(cluster); err != nil {
		return nil, err
	}
	return MoveAnswer{Cluster: cluster, From: from, Primary: a.primary(cluster), Took: time.Since(begun).Seconds()}, nil
}

// sole is the cluster that is meant when none is named: the only one that there is.
func (a *Admin) sole(named string) string {
	if all := a.world.Clusters(); named == "" && len(all) == 1 {
		return string(all[0].Cluster)
	}
	return named
}

// primary is the last node that was one, in a cluster of that name.
func (a *Admin) primary(cluster string) string {
	for _, s := range a.world.Clusters() {
		if s.Cluster == topology.ClusterID(cluster) {
			return string(s.LastPrimary)
		}
	}
	return ""
}
