package main

import (
	"context"
	"errors"
	"slices"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/topology"
)

// dialer logs in to servers for the pool.
type dialer struct{ inForce *inForce }

// Dial opens one connection (pool.Dialer).
func (d *dialer) Dial(ctx context.Context, t backend.Target, k pool.Key) (*backend.Conn, error) {
	r := d.inForce.Load()
	cfg := backendConfig(r.Config)
	cfg.Pooler = r.pooled(t.Cluster)
	conn, err := backend.Dial(ctx, cfg, t, backend.Login{
		User: k.User, Database: k.OnServer(), Params: proxy.DecodeOptions(k.Options), Replication: k.Replication, Secret: r.serverSecret(k),
	})
	var refused *backend.DialError
	if errors.As(err, &refused) && refused.Code() == pgwire.CodeInvalidPassword {
		r.people.ring.Forget(k.User) // the password was changed: the next login of a client brings the new key
	}
	return conn, err
}

// pooled reports whether the nodes of a cluster are reached through a connection pooler.
func (r *regime) pooled(c topology.ClusterID) bool {
	return slices.ContainsFunc(r.Clusters, func(cl config.Cluster) bool { return cl.Name == string(c) && cl.ProbePort != 0 })
}

func backendConfig(cfg *config.Config) backend.Config {
	return backend.Config{
		ConnectTimeout: cfg.Pool.ConnectTimeout, LoginTimeout: cfg.Pool.ServerLogin, Socket: reactor.DefaultSocketOptions(),
		CheckInterval: cfg.Pool.CheckInterval,
	}
}

// policies says what holds for each client.
type policies struct{ inForce *inForce }

// Policy returns what holds for a user of a database (proxy.Policies).
func (p *policies) Policy(l proxy.ListenerConfig, user, database string) (proxy.Policy, *pgwire.Error) {
	r := p.inForce.Load()
	if database == "" {
		database = pgwire.ReplicationDatabase
	} else if !r.Serves(database) {
		return proxy.Policy{}, pgwire.ErrUnknownDatabase.New("", database)
	}
	c, quota := r.PoolFor(database, user), r.QuotaFor(database, user)
	mode, err := proxy.ParseMode(c.Mode)
	if err != nil {
		return proxy.Policy{}, pgwire.ErrInternal.New("")
	}
	return proxy.Policy{
		Mode: mode, MaxPrepared: c.MaxPrepared, RefusePins: c.OnPin == "error", HoldTimeout: c.HoldTimeout, WaitTimeout: c.WaitTimeout, LoginHoldTimeout: c.LoginHoldTimeout,
		Limits:     proxy.TimeLimits{Query: c.QueryTimeout, IdleTransaction: c.IdleTransaction, ClientIdle: c.ClientIdle},
		EagerLogin: c.Login == "eager", Replication: c.Replication == "pass", ReadOnly: c.NoPrimary == "read-only" && !r.pooled(l.Cluster), MaxDatabase: quota.DatabaseClients, MaxUser: quota.UserClients,
		ServerUser: r.ServerUser(database), ServerDatabase: r.ServerDatabase(database), Pool: poolConfig(c, quota),
	}, nil
}

func poolConfig(c config.Pool, quota config.Quota) pool.Config {
	out := pool.Defaults()
	out.Size, out.MinSize, out.ReserveSize, out.ReserveTimeout = c.Size, c.MinSize, c.ReserveSize, c.ReserveTimeout
	out.MaxDatabase, out.MaxUser = quota.DatabaseServers, quota.UserServers
	out.NoPrimaryAfter, out.ResetAlways = c.NoPrimaryAfter, c.Reset == "always"
	out.IdleTimeout, out.Lifetime = c.IdleTimeout, c.Lifetime
	out.MaxWaiters, out.DialParallel, out.ResetQuery = c.HoldMaxClients, c.DialParallel, c.ResetQuery
	out.DialBackoffMin, out.DialBackoffMax = c.DialBackoffMin, c.DialBackoffMax
	return out
}

func poolLimits(cfg *config.Config) pool.Limits {
	return pool.Limits{Total: cfg.Limits.MaxServers, Node: cfg.Limits.MaxNodeServers}
}

func proxyConfig(cfg *config.Config) proxy.Config {
	out := proxy.Defaults()
	out.MaxClients, out.MaxLogins, out.LoginTimeout = cfg.Limits.MaxClients, cfg.Limits.MaxLogins, cfg.Limits.LoginTimeout
	out.CancelParallel, out.CancelTimeout = cfg.Limits.CancelParallel, cfg.Limits.CancelTimeout
	out.HoldMaxBytes, out.MaxClientBuffer = int64(cfg.Pool.HoldMaxBytes), int(cfg.Limits.MaxClientBuffer)
	out.NoReplay, out.Backend = cfg.Pool.Replay == "never", backendConfig(cfg)
	return out
}

// troubles wakes the discovery of a cluster when a server connection breaks (pool.Signals).
type troubles struct {
	trigger func(topology.ClusterID, topology.NodeID)
}

// NodeTrouble makes the node's probe run at once.
func (t *troubles) NodeTrouble(c topology.ClusterID, n topology.NodeID, _ error) { t.trigger(c, n) }
