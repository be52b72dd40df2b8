package admin

import (
	"context"
	"strconv"
	"strings"
	"time"
)

func holdColumns() []column {
	return []column{
		{"cluster", typeText, "on whose primary no new work begins"},
		{"id", typeText, "an order with the same one renews it: `operator` unless its order says otherwise"},
		{"by", typeText, "who asked for it: a user of the console, `operator`, another router …"},
		{"reason", typeText, "what for: `ordered` (here, by a hook or another router), `switchover` (begun here), `requested` (Patroni was asked)"},
		{"since", typeText, "since when"},
		{"until", typeText, "when it ends by itself"},
	}
}

func showHolds(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for _, h := range a.world.Holds() {
		rows = append(rows, []string{h.Cluster, h.ID, h.By, h.Reason, momentText(h.Since), momentText(h.Until)})
	}
	return rows, nil
}

func failoverColumns() []column {
	return []column{
		{"first_signal", typeText, "when the first sign of it was seen, UTC"},
		{"source", typeText, "what that sign was: `order` (given here), `request` (Patroni was asked), `server` (connections broke), `dcs` (the leader key), `sql` (a probe)"},
		{"cluster", typeText, "where"},
		{"from", typeText, "the primary before"},
		{"to", typeText, "the primary after"},
		{"epoch", typeInt8, "how many primaries the cluster has had with it"},
		{"planned", typeText, "yes for a switchover"},
		{"hold_start", typeText, "from here on no new work went to the old primary"},
		{"drained", typeText, "when nothing ran there any more; empty: that was not waited for"},
		{"leader_gone", typeText, "when the old primary did not hold the leader key any more; empty: there is none"},
		{"leader_new", typeText, "when the new one held it"},
		{"writable", typeText, "when the new primary was proven"},
		{"first_served", typeText, "when the first work after that had ended, as far as it was seen"},
		{"gap_ms", typeInt8, "how long no writes could be taken, in milliseconds"},
		{"held", typeInt8, "units of work that waited"},
		{"expired", typeInt8, "… that waited too long and were refused"},
		{"cut", typeInt8, "sessions whose server was taken away"},
		{"in_doubt", typeInt8, "clients told 08007: nobody knows whether their work was committed"},
		{"aborted", typeInt8, "clients told 57P01: nothing of their transaction was committed"},
		{"requeued", typeInt8, "units that no server had accepted, and that went to another one"},
		{"replayed", typeInt8, "reads that were sent once more, to another standby"},
		{"longest_hold_ms", typeInt8, "how long the unit of work waited that waited longest, in milliseconds, an eighth too long at most"},
		{"p99_hold_ms", typeInt8, "99 of 100 of those that waited did not wait longer"},
		{"warmed", typeInt4, "connections to the new primary that were being opened before it was one"},
		{"peers_unreached", typeText, "peers that could not be asked to hold"},
		{"outcome", typeText, "how it ended"},
	}
}

func showFailovers(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for _, r := range a.world.Failovers() {
		rows = append(rows, []string{
			momentText(r.FirstSignal), string(r.Source), string(r.Cluster), string(r.From), string(r.To), number(uint64(r.Epoch)), yesNo(r.Planned),
			momentText(r.HoldStart), momentText(r.Drained), momentText(r.LeaderGone), momentText(r.LeaderNew), momentText(r.Writable),
			momentText(r.FirstServed), milliseconds(r.Gap), number(r.Held), number(r.Expired), strconv.Itoa(r.Cut), number(r.InDoubt),
			number(r.Aborted), number(r.Requeued), number(r.Replayed), milliseconds(r.LongestHold), milliseconds(r.P99Hold),
			strconv.Itoa(r.Warmed), strings.Join(r.Unreached, ", "), r.Outcome,
		})
	}
	return rows, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// momentText is a time of day to the millisecond, "" for none.
func momentText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05.000")
}
