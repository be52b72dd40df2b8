package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgrouter/pgrouter/admin"
	"github.com/pgrouter/pgrouter/admin/client"
)

// holdMargin is how much longer than its wait a hold may take: to connect, and for a peer that does not answer.
const holdMargin = 3 * time.Second

// releaseLimit bounds a release.
const releaseLimit = 5 * time.Second

func holdCommand(s streams) *cobra.Command {
	a := &asking{streams: s}
	order := admin.HoldRequest{}
	cmd := &cobra.Command{
		Use: "hold [--wait 5s] [--for 30s]", Short: "Let no new work begin on the primary, and wait for running work", Args: noArgs,
		Long: `hold asks the running router, and through it its peers, to let no new work begin on the primary, and waits for work that runs. It is for
Patroni's before_stop, for scripts of keepalived and repmgr, and for runbooks. New work waits; clients see latency.

Exit status 0: nothing runs any more. 1: something still does (it is listed), or the router did not answer. The hold stays in either case until
--for is over, pgrouter release, or the primary has changed or come back. A second hold renews the first. It never takes longer than --wait and
three seconds, also when the router hangs or is not there.`,
		Example: "  pgrouter hold --admin 10.0.0.5:7000 --wait 5s\n  pgrouter hold --wait 10s --for 1m && patronictl switchover; pgrouter release",
		RunE: func(cmd *cobra.Command, _ []string) error {
			wait, err := duration("wait", order.Wait)
			if err != nil {
				return err
			}
			if _, err := duration("for", order.Lease); err != nil {
				return err
			}
			if !cmd.Flags().Changed("wait") { // the router knows what is good for a short hold
				order.Wait = ""
			}
			order.Cluster = a.cluster
			answer, err := ask(cmd.Context(), a, wait+holdMargin, func(ctx context.Context, r *client.Router) (admin.HoldAnswer, error) { return r.Hold(ctx, order) })
			if err != nil {
				return err
			}
			return a.tellHeld(&answer)
		},
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&order.Wait, "wait", admin.DefaultWait.String(), "how long to wait for running work")
	cmd.Flags().StringVar(&order.Lease, "for", admin.DefaultLease.String(), "when the hold ends by itself; 5m at most")
	cmd.Flags().StringVar(&order.ID, "id", "", "whose hold it is; another one with the same id renews it (default "+admin.OperatorID+")")
	cmd.Flags().StringVar(&order.By, "by", "", "who asks, for SHOW HOLDS and the log (default "+admin.OperatorID+")")
	cmd.Flags().BoolVar(&order.Local, "local", false, "peers are not asked")
	return cmd
}

// tellHeld tells what has become of a hold; the error says that it is not complete.
func (a *asking) tellHeld(answer *admin.HoldAnswer) error {
	until := answer.Until.Local().Format(time.TimeOnly)
	if answer.Drained {
		_, err := fmt.Fprintf(a.streams.out, "nothing runs on the primary; new work is held until %s\n", until)
		return err
	}
	var faults []error
	if len(answer.Blockers) > 0 {
		faults = append(faults, tellBlockers(a.streams, answer.Blockers))
	}
	for _, p := range answer.Peers {
		if p.Error != "" {
			faults = append(faults, fmt.Errorf("peer %s: %s", p.Peer, p.Error))
		}
	}
	return errors.Join(append(faults, fmt.Errorf("not all work is known to have ended; new work is held until %s (pgrouter release ends that)", until))...)
}

func releaseCommand(s streams) *cobra.Command {
	a := &asking{streams: s}
	var order admin.ReleaseRequest
	cmd := &cobra.Command{
		Use: "release", Short: "End the holds that pgrouter hold, or somebody else, has ordered", Args: noArgs,
		Long: `release asks the running router, and through it its peers, to end the holds that were ordered, of one cluster or of all, so that new work goes on. A hold
that has ended by itself is no error.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			order.Cluster = a.cluster
			answer, err := ask(cmd.Context(), a, releaseLimit, func(ctx context.Context, r *client.Router) (admin.ReleaseAnswer, error) { return r.Release(ctx, order) })
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.out, "%d hold(s) ended\n", answer.Ended)
			return err
		},
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&order.ID, "id", "", "only holds of that id")
	cmd.Flags().BoolVar(&order.Local, "local", false, "peers are not asked")
	return cmd
}
