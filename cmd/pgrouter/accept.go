package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgrouter/pgrouter/admin"
	"github.com/pgrouter/pgrouter/admin/client"
)

// acceptLimit bounds each answer of the router: the floor is written before the last one.
const acceptLimit = 30 * time.Second

// acceptance is what accept-cluster asks of the router; 0 is not said.
type acceptance admin.AcceptRequest

// names reports whether a node is the one meant, as far as the flags say.
func (a acceptance) names(n *admin.NodeView) bool {
	return n.Role == "primary" && n.Health == "up" && !n.ReadOnly &&
		(a.SystemID == 0 || a.SystemID == n.SystemID) && (a.Timeline == 0 || a.Timeline == n.Timeline)
}

func acceptCommand(s streams) *cobra.Command {
	a := &asking{streams: s}
	var order acceptance
	var yes bool
	cmd := &cobra.Command{
		Use: "accept-cluster", Short: "Go on with another cluster, or on an older timeline, after pg_upgrade, recovery or initdb", Args: noArgs,
		Long: `accept-cluster is the way out where the running router refuses every node that takes writes, because it has seen this
cluster with another system identifier, or on a newer timeline: after pg_upgrade, point-in-time recovery or initdb, or when a
leader that was frozen has taken its key back. It shows what was accepted so far and what the nodes say now, asks, and moves
the floor to what the writable node says. Stop every other node that takes writes first: what it has committed is given up.
The router must run: it reads what is pinned from state_dir at its start, and holds writes.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			order.By = cmp.Or(os.Getenv("SUDO_USER"), os.Getenv("USER"), "uid "+strconv.Itoa(os.Getuid()))
			return a.accept(cmd.Context(), order, yes)
		},
	}
	a.flags(cmd)
	cmd.Flags().Uint64Var(&order.SystemID, "system-identifier", 0, "the system identifier to go on with (as pg_controldata prints it); without it the writable node's")
	cmd.Flags().Uint32Var(&order.Timeline, "timeline", 0, "the timeline to go on with; without it the writable node's")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// accept shows, asks and sends the order.
func (a *asking) accept(ctx context.Context, order acceptance, yes bool) error {
	now, err := ask(ctx, a, acceptLimit, func(ctx context.Context, r *client.Router) (admin.View, error) { return r.View(ctx) })
	if err != nil {
		return err
	}
	cluster, err := pick(now.Clusters, a.cluster)
	if err != nil {
		return err
	}
	if err := showFloor(a.streams.out, cluster); err != nil {
		return err
	}
	node, err := successor(cluster, order)
	if err != nil {
		return err
	}
	order.Cluster, order.SystemID, order.Timeline = cluster.Name, node.SystemID, node.Timeline
	if !yes {
		if err := confirm(a.streams, cluster.Name, node); err != nil {
			return err
		}
	}
	_, err = ask(ctx, a, acceptLimit, func(ctx context.Context, r *client.Router) (admin.AcceptAnswer, error) {
		return r.Accept(ctx, admin.AcceptRequest(order))
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.streams.out, "cluster %s is accepted with system identifier %d on timeline %d\n", cluster.Name, node.SystemID, node.Timeline)
	return err
}

// pick finds the cluster that is meant.
func pick(all []admin.ClusterView, name string) (*admin.ClusterView, error) {
	var names []string
	for i := range all {
		if all[i].Name == name || name == "" && len(all) == 1 {
			return &all[i], nil
		}
		names = append(names, all[i].Name)
	}
	return nil, &usageError{fmt.Errorf("--cluster must name one of the router's clusters: %s", strings.Join(names, ", "))}
}

// showFloor prints what was accepted so far, and what the nodes say now.
func showFloor(out io.Writer, c *admin.ClusterView) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "cluster %s\tsystem identifier\ttimeline\t\n", c.Name)
	fmt.Fprintf(w, "accepted so far\t%d\t%d\t\n", c.SystemID, c.Timeline)
	for i := range c.Nodes {
		n := &c.Nodes[i]
		fmt.Fprintf(w, "%s\t%d\t%d\t%s, %s\n", n.Node, n.SystemID, n.Timeline, n.Role, n.Health)
	}
	return w.Flush()
}

// successor returns the one node that takes writes and is meant.
func successor(c *admin.ClusterView, order acceptance) (*admin.NodeView, error) {
	if c.Primary != "" {
		return nil, fmt.Errorf("%s is the primary: there is nothing to accept", c.Primary)
	}
	var found *admin.NodeView
	for i := range c.Nodes {
		n := &c.Nodes[i]
		if !order.names(n) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s and %s take writes: stop the one that is not to be primary, or name the other with --system-identifier", found.Node, n.Node)
		}
		found = n
	}
	if found == nil {
		return nil, errors.New("no node takes writes that is the one meant: start the one that is to be primary first")
	}
	return found, nil
}

// confirm lets the operator type the cluster's name.
func confirm(s streams, cluster string, n *admin.NodeView) error {
	fmt.Fprintf(s.out, "\nThe router will go on with %s: system identifier %d, timeline %d. What other nodes have committed beyond is given up.\n"+
		"Type the cluster's name (%s) to accept: ", n.Node, n.SystemID, n.Timeline, cluster)
	answer, err := bufio.NewReader(s.in).ReadString('\n')
	if strings.TrimSpace(answer) == cluster {
		return nil
	}
	if err != nil {
		return errors.New("nothing was accepted: nobody confirmed it (--yes does without)")
	}
	return errors.New("nothing was accepted: that is not the cluster's name")
}
