package testcluster

import (
	"maps"
	"time"
)

// Where Patroni keeps the cluster in etcd: below PatroniNamespace/PatroniScope/.
const (
	PatroniNamespace = "/service"
	PatroniScope     = "main"
)

// The roles that the agents use: one streams, one rewinds.
const (
	replicator = "replicator"
	rewinder   = "rewinder"
)

type object = map[string]any

// config is the node's patroni.yml.
func (n *PatroniNode) config(index int) object {
	c := n.cluster
	config := object{
		"scope": PatroniScope, "namespace": PatroniNamespace, "name": n.name,
		"restapi":    object{"listen": n.rest, "connect_address": n.rest},
		"etcd3":      c.etcdConfig(index),
		"bootstrap":  object{"dcs": c.dynamicConfig(), "initdb": initdbOptions()},
		"postgresql": n.postgresConfig(),
		"watchdog":   object{"mode": "off"},
	}
	if index < len(c.patroni.Tags) {
		config["tags"] = c.patroni.Tags[index]
	}
	return config
}

// etcdConfig says where the node reaches etcd. Behind proxies it must not ask etcd where else it is.
func (c *PatroniCluster) etcdConfig(node int) object {
	hosts := c.etcd.endpoints()
	if c.patroni.EtcdVia == nil {
		return object{"hosts": hosts}
	}
	for i, member := range hosts {
		hosts[i] = c.patroni.EtcdVia(node, member)
	}
	return object{"hosts": hosts, "use_proxies": true}
}

func initdbOptions() []any {
	return []any{"no-sync", "no-locale", object{"encoding": "UTF8"}, object{"wal-segsize": segmentSize}}
}

// dynamicConfig is what the agents share and keep in etcd.
func (c *PatroniCluster) dynamicConfig() object {
	seconds := func(d time.Duration) int { return int(d / time.Second) }
	return object{
		"ttl": seconds(c.patroni.TTL), "loop_wait": seconds(c.patroni.LoopWait), "retry_timeout": seconds(c.patroni.RetryTimeout),
		"synchronous_mode":        c.patroni.Synchronous != SyncOff,
		"synchronous_mode_strict": c.patroni.Synchronous == SyncStrict,
		"failsafe_mode":           c.patroni.Failsafe,
		"postgresql":              object{"use_pg_rewind": true, "use_slots": true, "parameters": c.sharedSettings()},
	}
}

// sharedSettings are those of every cluster, without what Patroni keeps for itself.
func (c *PatroniCluster) sharedSettings() map[string]string {
	settings := c.baseSettings()
	maps.DeleteFunc(settings, func(name, _ string) bool {
		return name == "listen_addresses" || name == "hot_standby" || name == "wal_log_hints" || name == "recovery_target_timeline"
	})
	return settings
}

func (n *PatroniNode) postgresConfig() object {
	c := n.cluster
	config := object{
		"listen": n.Addr(), "connect_address": n.Addr(), "data_dir": n.DataDir(), "bin_dir": c.binaries, "pgpass": n.path("pgpass"),
		"use_unix_socket": true, "pg_hba": c.hba(), "parameters": object{},
		"authentication": object{
			"superuser":   object{"username": SuperUser},
			"replication": object{"username": replicator, "password": c.secret},
			"rewind":      object{"username": rewinder, "password": c.secret},
		},
		"basebackup": []any{object{"checkpoint": "fast"}, "no-sync"},
		// A node that cannot be rewound is built anew, as in a Supervisor's cluster.
		"remove_data_directory_on_rewind_failure":     true,
		"remove_data_directory_on_diverged_timelines": true,
	}
	if c.patroni.BeforeStop != nil {
		config["before_stop"] = c.patroni.BeforeStop(n)
	}
	return config
}
