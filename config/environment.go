package config

import (
	"maps"
	"os"
	"slices"
	"strings"
)

// Names in the environment.
const (
	envPrefix   = "PGROUTER_"
	envSource   = "environment"
	mainCluster = "main" // the only cluster that the environment can describe
)

// envOwn are variables with our prefix that are no settings.
var envOwn = [...]string{"PGROUTER_CONFIG", "PGROUTER_VERIFY"}

// envTable is a table that the environment can fill: PGROUTER_WORD_KEY is its KEY.
type envTable struct {
	word    string
	path    string
	section string
	without []string // keys that are given by the word itself
}

// envTables are all of them. Overrides and further clusters and listeners need a file. Constant table.
var envTables = [...]envTable{
	{word: "ADMIN", path: "admin", section: "admin"},
	{word: "AUTH", path: "auth", section: "auth"},
	{word: "POOL", path: "pool", section: "pool"},
	{word: "LOG", path: "log", section: "log"},
	{word: "LIMITS", path: "limits", section: "limits"},
	{word: "CLUSTER", path: "cluster." + mainCluster, section: "cluster"},
	{word: "PRIMARY", path: "listener[0]", section: "listener", without: []string{"route", "cluster"}},
	{word: "REPLICA", path: "listener[1]", section: "listener", without: []string{"route", "cluster"}},
}

// environmentPaths returns the path of every variable that is a setting.
func environmentPaths() map[string]string {
	paths := make(map[string]string)
	all := sections()
	for _, t := range envTables {
		for i := range all {
			if all[i].name != t.section {
				continue
			}
			for _, key := range all[i].keys() {
				if !slices.Contains(t.without, key) {
					paths[envPrefix+t.word+"_"+variableOf(key)] = t.path + "." + key
				}
			}
		}
	}
	return paths
}

// variableOf returns a key as variables have it.
func variableOf(key string) string { return strings.ToUpper(strings.ReplaceAll(key, ".", "_")) }

// FromEnvironment reads the configuration from the environment alone: PGROUTER_… and, as their defaults, libpq's PGHOST, PGPORT,
// PGUSER, PGPASSWORD and PGDATABASE. The cluster is called main.
func FromEnvironment(environ []string) (*Config, []Fault) {
	vars := variables(environ)
	paths := environmentPaths()
	values, names := make(map[string]any), make(map[string]string)
	for name, path := range paths {
		names[path] = name
	}
	libpq(vars, values, names)
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		path, known := paths[name]
		switch {
		case known:
			values[path], names[path] = text(vars[name]), name
		case isStray(name):
			unknown = append(unknown, name)
		}
	}
	preferFiles(values)
	d := &decoder{file: envSource, dir: workingDirectory(), names: names, environ: vars, files: newFiles()}
	known := make([]string, 0, len(paths))
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		known = append(known, strings.ToLower(name))
	}
	for _, name := range unknown {
		hint := ""
		if near := nearest(name, known); near != "" {
			hint = "did you mean " + strings.ToUpper(near) + "?"
		}
		d.faults = append(d.faults, Fault{File: envSource, Key: name, Problem: "is no setting", Hint: hint, Warning: true})
	}
	return d.finish(envTree(values))
}

// workingDirectory is where relative paths in the environment begin.
func workingDirectory() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	return dir
}

// preferFiles lets PGROUTER_…_FILE win over a libpq variable for the same secret.
func preferFiles(values map[string]any) {
	for path := range values {
		plain, ok := strings.CutSuffix(path, fileSuffix)
		if ok && values[plain] != nil {
			if _, fromLibpq := values[plain].(libpqText); fromLibpq {
				delete(values, plain)
			}
		}
	}
}

// libpqText is a text that is a default only.
type libpqText string

// libpq fills in what libpq's variables say.
func libpq(vars map[string]string, values map[string]any, names map[string]string) {
	put := func(name string, paths ...string) {
		if vars[name] == "" {
			return
		}
		for _, path := range paths {
			values[path], names[path] = libpqText(vars[name]), name
		}
	}
	cluster := "cluster." + mainCluster
	put("PGUSER", cluster+".probe_user", "auth.user")
	put("PGPASSWORD", cluster+".probe_password", "auth.password")
	put("PGDATABASE", cluster+".probe_database")
	put("PGHOST", cluster+".nodes")
	if hosts := vars["PGHOST"]; hosts != "" {
		values[cluster+".nodes"] = libpqText(strings.Join(libpqNodes(hosts, vars["PGPORT"]), ","))
	}
}

// libpqNodes joins libpq's lists: one port is for all hosts, or there is one for each.
func libpqNodes(hosts, ports string) []string {
	host, port := strings.Split(hosts, ","), strings.Split(ports, ",")
	nodes := make([]string, 0, len(host))
	for i, h := range host {
		h = strings.TrimSpace(h)
		p := port[0]
		if i < len(port) {
			p = port[i]
		}
		if strings.Contains(h, ":") && !strings.HasPrefix(h, "/") {
			h = "[" + h + "]"
		}
		if p = strings.TrimSpace(p); p != "" {
			h += ":" + p
		}
		nodes = append(nodes, h)
	}
	return nodes
}

// envTree builds the tree that a file with these values would be.
func envTree(values map[string]any) map[string]any {
	tree := make(map[string]any)
	rows := []map[string]any{{"address": text(defaultPrimary), "route": "primary"}, {"address": text(defaultReplica), "route": "replica"}}
	for path, v := range values {
		if t, ok := v.(libpqText); ok {
			v = text(t)
		}
		way := strings.Split(path, ".")
		switch way[0] {
		case "listener[0]":
			rows[0][way[1]] = v
		case "listener[1]":
			rows[1][way[1]] = v
		default:
			tree = changed(tree, way, v)
		}
	}
	tree["listener"] = rows
	return tree
}

// isStray says whether a variable looks like a setting of ours and is none. Kubernetes sets variables for a service called
// pgrouter, which nobody meant.
func isStray(name string) bool {
	rest, ours := strings.CutPrefix(name, envPrefix)
	if !ours || slices.Contains(envOwn[:], name) {
		return false
	}
	return !strings.HasPrefix(rest, "SERVICE_") && rest != "PORT" && !strings.HasPrefix(rest, "PORT_")
}
