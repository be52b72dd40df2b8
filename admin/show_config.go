package admin

import (
	"context"
	"runtime/metrics"
	"strconv"
	"time"
)

func configColumns() []column {
	return []column{
		{"key", typeText, "first PgBouncer's names of what we have too, with times in seconds as there; then ours, `section.key`"},
		{"value", typeText, "the value in force; of secrets and commands only whether there is one"},
		{"default", typeText, "the value without the configuration"},
		{"changeable", typeText, "yes: SET and RELOAD put another value in force; RELOAD alone for secrets, commands and what belongs to a listener"},
	}
}

// counterpart is a setting of PgBouncer's and the one of ours that means the same. Where we have none it has a fixed value.
type counterpart struct {
	key, ours string
	fixed     string
}

// counterparts is the table of them, in alphabetical order. The exporter reads max_client_conn and max_user_connections.
func counterparts() []counterpart {
	return []counterpart{
		{key: "admin_users", ours: "admin.users"},
		{key: "auth_file", ours: "auth.userlist"},
		{key: "auth_type", ours: "auth.method"},
		{key: "client_login_timeout", ours: "limits.login_timeout"},
		{key: "default_pool_size", ours: "pool.size"},
		{key: "max_client_conn", ours: "limits.max_clients"},
		{key: "max_db_client_connections", ours: "limits.max_db_client_connections"},
		{key: "max_db_connections", ours: "limits.max_db_connections"},
		{key: "max_user_client_connections", ours: "limits.max_user_client_connections"},
		{key: "max_user_connections", ours: "limits.max_user_connections"},
		{key: "min_pool_size", ours: "pool.min_size"},
		{key: "pool_mode", ours: "pool.mode"},
		{key: "query_wait_timeout", ours: "pool.wait_timeout"},
		{key: "reserve_pool_size", ours: "pool.reserve_size"},
		{key: "reserve_pool_timeout", ours: "pool.reserve_timeout"},
		{key: "server_connect_timeout", ours: "pool.connect_timeout"},
		{key: "server_idle_timeout", ours: "pool.idle_timeout"},
		{key: "server_lifetime", ours: "pool.lifetime"},
		{key: "server_reset_query", ours: "pool.reset_query"},
		{key: "stats_period", fixed: strconv.Itoa(int(statsPeriod / time.Second))},
		{key: "stats_users", ours: "admin.stats_users"},
	}
}

func showConfig(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	settings := a.world.Setup().Settings
	known := make(map[string]Setting)
	for _, s := range settings {
		known[s.Key] = s
	}
	var rows [][]string
	for _, c := range counterparts() {
		s := known[c.ours]
		if c.fixed != "" {
			s = Setting{Value: c.fixed, Default: c.fixed}
		}
		rows = append(rows, []string{c.key, inSeconds(s.Value), inSeconds(s.Default), yesNo(s.Changeable)})
	}
	for _, s := range settings {
		rows = append(rows, []string{s.Key, s.Value, s.Default, yesNo(s.Changeable)})
	}
	return rows, nil
}

func listColumns() []column {
	return []column{{"list", typeText, "what is counted, by PgBouncer's names"}, {"items", typeInt4, "how many"}}
}

func showLists(ctx context.Context, a *Admin, _ []string) ([][]string, error) {
	databases, err := showDatabases(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	users, err := showUsers(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	logins, clients := 0, 0
	for _, c := range a.world.Clients() {
		if c.Kind == "login" {
			logins++
		} else {
			clients++
		}
	}
	free, used := 0, 0
	for _, s := range a.world.Servers() {
		if s.State == "idle" {
			free++
		} else {
			used++
		}
	}
	var rows [][]string
	for _, l := range []struct {
		list  string
		items int
	}{
		{"databases", len(databases)}, {"users", len(users)}, {"peers", len(a.world.Peers())}, {"pools", len(a.shares())}, {"peer_pools", 0}, {"free_clients", 0},
		{"used_clients", clients}, {"login_clients", logins}, {"free_servers", free}, {"used_servers", used}, {"dns_names", 0}, {"dns_zones", 0},
		{"dns_queries", 0}, {"dns_pending", 0},
	} {
		rows = append(rows, []string{l.list, strconv.Itoa(l.items)})
	}
	return rows, nil
}

func memColumns() []column {
	return []column{
		{"name", typeText, "what the memory is for, by the names of Go's runtime/metrics"},
		{"size", typeInt4, "always 1: there are no slabs, memory is counted in bytes"},
		{"used", typeInt8, "bytes in use"},
		{"free", typeInt8, "bytes that wait to be used; PgBouncer's columns are int4, which is too short for them"},
		{"memtotal", typeInt8, "both"},
	}
}

func showMem(context.Context, *Admin, []string) ([][]string, error) {
	classes := []struct{ name, used, free string }{
		{"heap", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes"},
		{"stacks", "/memory/classes/heap/stacks:bytes", ""},
		{"runtime", "/memory/classes/metadata/other:bytes", "/memory/classes/heap/unused:bytes"},
		{"os_stacks", "/memory/classes/os-stacks:bytes", ""},
	}
	read := func(name string) uint64 {
		if name == "" {
			return 0
		}
		sample := []metrics.Sample{{Name: name}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	var rows [][]string
	for _, c := range classes {
		used, free := read(c.used), read(c.free)
		rows = append(rows, []string{c.name, "1", number(used), number(free), number(used + free)})
	}
	return rows, nil
}
