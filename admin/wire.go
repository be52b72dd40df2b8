package admin

import (
	"time"

	"github.com/pgrouter/pgrouter/failover"
)

// The bodies of orders over HTTP, and of their answers: what the verbs of this program and other routers send and read. Durations are written
// as in "30s". What is left out has its default.

// HoldRequest is the body of POST /api/v1/hold.
type HoldRequest struct {
	Cluster string `json:"cluster,omitempty"` // may be left out when there is only one
	ID      string `json:"id,omitempty"`      // a second order with the same ID renews the first; OperatorID
	By      string `json:"by,omitempty"`      // who asks; OperatorID
	Lease   string `json:"lease,omitempty"`   // DefaultLease
	Wait    string `json:"wait,omitempty"`    // DefaultWait, "0s": it is not waited
	Local   bool   `json:"local,omitempty"`   // peers are not asked
}

// HoldAnswer is its answer.
type HoldAnswer struct {
	ID       string             `json:"id"`
	Until    time.Time          `json:"until"`
	Drained  bool               `json:"drained"`  // nothing runs on the primary any more, here and at all peers
	Blockers []failover.Blocker `json:"blockers"` // what still runs
	Peers    []PeerAnswer       `json:"peers,omitempty"`
}

// PeerAnswer is what another router has answered.
type PeerAnswer struct {
	Peer    string    `json:"peer"`
	Until   time.Time `json:"until,omitzero"`
	Drained bool      `json:"drained"`
	Error   string    `json:"error,omitempty"`
}

// ReleaseRequest is the body of POST /api/v1/release.
type ReleaseRequest struct {
	Cluster string `json:"cluster,omitempty"` // may be left out: all
	ID      string `json:"id,omitempty"`      // may be left out: all
	Local   bool   `json:"local,omitempty"`   // peers are not asked
}

// ReleaseAnswer is its answer.
type ReleaseAnswer struct {
	Ended int `json:"ended"` // how many holds, here
}

// SwitchoverRequest is the body of POST /api/v1/switchover.
type SwitchoverRequest struct {
	Cluster string `json:"cluster,omitempty"`
	To      string `json:"to,omitempty"` // may be left out: Patroni, or the router, chooses
	Within  string `json:"within,omitempty"`
}

// FailoverRequest is the body of POST /api/v1/failover.
type FailoverRequest struct {
	Cluster string `json:"cluster,omitempty"`
	To      string `json:"to"`
}

// MoveAnswer is the answer to both.
type MoveAnswer struct {
	Cluster string  `json:"cluster"`
	From    string  `json:"from"` // the primary before
	Primary string  `json:"primary"`
	Took    float64 `json:"took_seconds"`
}

// Failure is the answer to an order that was not carried out.
type Failure struct {
	Error    string             `json:"error"`
	Hint     string             `json:"hint,omitempty"`
	Blockers []failover.Blocker `json:"blockers,omitempty"` // of a switchover: whose work did not end
}

// HoldView is a hold in force.
type HoldView struct {
	Cluster string    `json:"cluster"`
	ID      string    `json:"id"`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
}

// PeerView is another router, as it was when it was last asked.
type PeerView struct {
	Peer  string    `json:"peer"` // its URL
	Up    bool      `json:"up"`
	At    time.Time `json:"asked_at"`        // zero: not yet
	Since time.Time `json:"since"`           // since when it is so
	Error string    `json:"error,omitempty"` // why it is not
}
