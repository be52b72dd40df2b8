package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgrouter/pgrouter/admin/client"
	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/failover"
)

// asking is what the verbs have in common that ask the running router.
type asking struct {
	path    string // of the configuration
	admin   string
	cluster string
	streams streams
}

func (a *asking) flags(cmd *cobra.Command) {
	configFlag(cmd, &a.path)
	cmd.Flags().StringVar(&a.admin, "admin", "", "host:port or URL of the router's HTTP server; without it the configuration is asked")
	cmd.Flags().StringVar(&a.cluster, "cluster", "", "the cluster, when there are several")
}

// ask finds the running router and asks it for something, for no longer than limit.
func ask[T any](ctx context.Context, a *asking, limit time.Duration, order func(context.Context, *client.Router) (T, error)) (answer T, err error) {
	router, err := a.router()
	if err != nil {
		return answer, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err = order(ctx, router)
	refused, told := errors.AsType[*client.RefusedError](err)
	switch {
	case err == nil:
	case !told:
		err = fmt.Errorf("the router at %s does not answer: %w (does it run? [admin] http says where it listens, --admin names another)", router.URL(), err)
	case len(refused.Blockers) > 0:
		err = errors.Join(tellBlockers(a.streams, refused.Blockers), err)
	}
	return answer, err
}

// router finds the running router.
func (a *asking) router() (*client.Router, error) {
	if a.admin != "" {
		return client.New(a.admin), nil
	}
	cfg, faults := config.Load(a.path, os.Environ())
	if config.Failed(faults) {
		for _, f := range faults {
			fmt.Fprintln(a.streams.err, f)
		}
		return nil, &toldError{&usageError{errFaulty}}
	}
	if cfg.Admin.HTTP == "" {
		return nil, errors.New("the router has no HTTP server ([admin] http is empty): that is where it is asked")
	}
	return client.New(cfg.Admin.HTTP), nil
}

// tellBlockers prints a table of whose work keeps a primary busy. Routers are told apart where there are several.
func tellBlockers(s streams, all []failover.Blocker) error {
	several := slices.ContainsFunc(all, func(b failover.Blocker) bool { return b.Peer != "" })
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	row := func(router string, cells ...string) {
		if several {
			cells = append([]string{router}, cells...)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	row("ROUTER", "CLIENT", "USER", "DATABASE", "APPLICATION", "STATE", "FOR")
	for _, b := range all {
		row(cmp.Or(b.Peer, "this one"), strconv.FormatUint(b.Client, 10), b.User, b.Database, cmp.Or(b.Application, "-"), b.State,
			b.For.Round(time.Second/10).String())
	}
	return w.Flush()
}

// duration is a flag's value, which the router reads again.
func duration(flag, text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, &usageError{fmt.Errorf("--%s: %q is no duration, such as 10s", flag, text)}
	}
	return d, nil
}
