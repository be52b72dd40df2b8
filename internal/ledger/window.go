package ledger

import (
	"maps"
	"time"
)

// Mark begins a new window of the figures. An operation that touches a window marked as an event counts there, whether it
// began before or ended after it; all others count where they ended.
type mark struct {
	name  string
	event bool
	at    time.Time
}

// Figures are what clients saw, of one window or of all.
type Figures struct {
	Reads, Writes Histogram // latency of operations that were answered well, as the client waited for it
	Acknowledged  int64     // operations, lookups included
	Failed        int64
	Unknown       int64
	Errors        map[string]int64 // by SQLSTATE, or ErrorLost, ErrorRefused, ErrorTimeout; failed connects included
	Faults        map[Fault]int64  // the same, told apart by how far the operation had come
	Reconnects    int64            // connections opened again after they were lost
	Failures      []Failure        // the first of the errors, at most failuresKept for each client and window
	Held          int64            // operations that took Config.Slow or longer and were then answered well
	HeldMax       time.Duration    // the longest of them
	Mixed         int64            // statements whose answer is not their own, or lacks its row: must stay 0
	Answers       []string         // some of those
}

// failuresKept is enough to judge the errors of an event, and keeps a load against a dead server from growing.
const failuresKept = 100

// Failure is an operation that an error has ended.
type Failure struct {
	Fault
	Began, Ended time.Time
}

func (f *Figures) mixed(answer string) {
	f.Mixed++
	if len(f.Answers) < maxExamples {
		f.Answers = append(f.Answers, answer)
	}
}

func (f *Figures) count(failure Failure) {
	fault := failure.Fault
	if len(f.Failures) < failuresKept {
		f.Failures = append(f.Failures, failure)
	}
	if f.Errors == nil {
		f.Errors, f.Faults = map[string]int64{}, map[Fault]int64{}
	}
	f.Errors[fault.Code]++
	f.Faults[fault]++
}

// Merge adds another's figures.
func (f *Figures) Merge(o *Figures) {
	f.Reads.Merge(&o.Reads)
	f.Writes.Merge(&o.Writes)
	f.Acknowledged += o.Acknowledged
	f.Failed += o.Failed
	f.Unknown += o.Unknown
	f.Reconnects += o.Reconnects
	f.Held += o.Held
	f.HeldMax = max(f.HeldMax, o.HeldMax)
	f.Mixed += o.Mixed
	f.Answers = append(f.Answers, o.Answers...)
	f.Failures = append(f.Failures, o.Failures...)
	if f.Errors == nil {
		f.Errors, f.Faults = maps.Clone(o.Errors), maps.Clone(o.Faults)
		return
	}
	for key, n := range o.Errors {
		f.Errors[key] += n
	}
	for fault, n := range o.Faults {
		f.Faults[fault] += n
	}
}

// All returns reads and writes in one histogram.
func (f *Figures) All() Histogram {
	all := f.Reads
	all.Merge(&f.Writes)
	return all
}

// Window is one stretch of the load's life with its figures.
type Window struct {
	Name  string
	Begin time.Time
	Gap   Gap         // the longest stretch without an acknowledged write that ended in this window
	Acks  []time.Time // of writes, nearly in order, if the window is that of an event
	Figures
}

// FirstWrite returns when a write was acknowledged first, at or after a moment of an event; the zero time if none was.
func (w *Window) FirstWrite(since time.Time) time.Time {
	var found time.Time
	for _, at := range w.Acks {
		if !at.Before(since) && (found.IsZero() || at.Before(found)) {
			found = at
		}
	}
	return found
}

// writeTimes are Gap and Acks of one window.
type writeTimes struct {
	gap  Gap
	acks []time.Time
}

// Gap is a stretch of time without an acknowledged write; To is when the first one came again.
type Gap struct{ From, To time.Time }

// Length returns how long it was.
func (g Gap) Length() time.Duration { return g.To.Sub(g.From) }
