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

// moveLimit bounds a switchover or failover seen from outside: the router's own limits are shorter.
const moveLimit = 10 * time.Minute

func switchoverCommand(s streams) *cobra.Command {
	a := &asking{streams: s}
	var order admin.SwitchoverRequest
	cmd := &cobra.Command{
		Use: "switchover [--to NODE] [--within 10s]", Short: "Move the primary without an error for anybody", Args: noArgs,
		Long: `switchover asks the running router to hold new work, here and at its peers, to wait for running transactions, to have the primary moved,
and to let work go on there. With Patroni it is Patroni that moves it; otherwise demote_command stops the old primary, and the standby is
promoted when it has replayed everything. Without --to Patroni, or else the router, chooses.

When running transactions do not end in time nothing is touched: everything goes on as before, and the clients in the way are listed.`,
		Example: "  pgrouter switchover --to 10.0.0.12:5432\n  pgrouter switchover --admin 127.0.0.1:7000 --within 30s",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if order.Within != "" {
				if _, err := duration("within", order.Within); err != nil {
					return err
				}
			}
			order.Cluster = a.cluster
			return a.move(cmd.Context(), func(ctx context.Context, r *client.Router) (admin.MoveAnswer, error) { return r.Switchover(ctx, order) })
		},
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&order.To, "to", "", "the node that becomes the primary (host:port, as SHOW NODES prints it)")
	cmd.Flags().StringVar(&order.Within, "within", "", "how long running transactions may take to end (as in 10s); without it drain_timeout")
	return cmd
}

func failoverCommand(s streams) *cobra.Command {
	a := &asking{streams: s}
	var order admin.FailoverRequest
	cmd := &cobra.Command{
		Use: "failover --to NODE", Short: "Let Patroni make a node the primary when nobody is", Args: noArgs,
		Long: `failover asks the running router to have Patroni make NODE the primary. It is for a cluster in which nobody leads and Patroni elects nobody, because
every standby lags too far behind or is told not to take part: what NODE has not received is lost. Where there is a primary it is refused: see
pgrouter switchover. Without Patroni promote a standby yourself; the router sees it.`,
		Example: "  pgrouter failover --to 10.0.0.12:5432",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if order.To == "" {
				return &usageError{errors.New("--to NODE is missing: host:port of a node, as SHOW NODES prints it")}
			}
			order.Cluster = a.cluster
			return a.move(cmd.Context(), func(ctx context.Context, r *client.Router) (admin.MoveAnswer, error) { return r.Failover(ctx, order) })
		},
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&order.To, "to", "", "the node that becomes the primary (host:port, as SHOW NODES prints it)")
	return cmd
}

// move orders another primary and tells what has become of it.
func (a *asking) move(ctx context.Context, order func(context.Context, *client.Router) (admin.MoveAnswer, error)) error {
	done, err := ask(ctx, a, moveLimit, order)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.streams.out, "%s is the primary after %.1f s (before: %s)\n", done.Primary, done.Took, done.From)
	return err
}
