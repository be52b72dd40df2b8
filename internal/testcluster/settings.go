package testcluster

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// baseSettings are the settings of every node: small, quick to start, ready for replication and pg_rewind.
func (s *site) baseSettings() map[string]string {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": s.socketDir,
		"unix_socket_permissions": "0700",
		// Files in the data directory go away with it, also after kill -9; those in /dev/shm would stay.
		"dynamic_shared_memory_type": "mmap",
		"shared_buffers":             "16MB",
		"huge_pages":                 "off",
		"max_connections":            "200",
		"jit":                        "off",
		"wal_level":                  "replica",
		"hot_standby":                "on",
		"max_wal_senders":            "10",
		"max_replication_slots":      "10",
		"wal_log_hints":              "on", // pg_rewind asks for it
		"wal_keep_size":              "256MB",
		"min_wal_size":               "32MB",
		"max_wal_size":               "512MB",
		// The answer to "how quickly does a standby find its new primary".
		"wal_retrieve_retry_interval":  "100ms",
		"wal_receiver_status_interval": "1s",
		"recovery_target_timeline":     "latest",
		"password_encryption":          "scram-sha-256",
		"log_line_prefix":              "%m [%p] %q%u@%d %a ",
		"fsync":                        onOff(s.options.Durable),
	}
	if s.options.Sync {
		settings["synchronous_standby_names"] = "ANY 1 (*)"
	}
	maps.Copy(settings, s.options.Conf)
	return settings
}

// settingsLocked renders the node's postgresql.conf.
func (n *Node) settingsLocked() string {
	s := n.cluster.baseSettings()
	s["port"] = strconv.Itoa(n.port)
	s["hba_file"] = n.path("pg_hba.conf")
	s["cluster_name"] = n.name
	if n.mu.upstream != nil {
		s["primary_conninfo"] = n.mu.upstream.conninfo() + " application_name=" + n.name
	}
	maps.Copy(s, n.mu.settings)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s = %s\n", name, quoteSetting(s[name]))
	}
	return b.String()
}

// hba are the lines of pg_hba.conf.
func (s *site) hba() []string {
	from := s.network.addresses()
	lines := []string{"local all all trust", "local replication all trust"}
	lines = append(lines, s.options.HBA...)
	for _, r := range s.roles {
		if r.MD5 {
			lines = append(lines, "host all "+quoteHBA(r.Name)+" "+from+" md5")
		}
	}
	return append(lines,
		"host all "+SuperUser+" "+from+" reject",
		"host all all "+from+" scram-sha-256",
		"host replication all "+from+" scram-sha-256")
}

func (s *site) roleStatements() []string {
	var statements []string
	for _, r := range s.roles {
		if r.MD5 {
			statements = append(statements, "SET password_encryption = 'md5'")
		}
		statements = append(statements, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD %s %s", quoteIdentifier(r.Name), quoteSetting(r.Password), r.Options))
		if r.MD5 {
			statements = append(statements, "RESET password_encryption")
		}
	}
	return append(statements,
		"GRANT pg_monitor TO "+ProbeUser,
		"GRANT EXECUTE ON FUNCTION pg_promote TO "+ProbeUser,
		"CREATE DATABASE "+DefaultDatabase+" OWNER "+AppUser)
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func quoteSetting(v string) string    { return "'" + strings.ReplaceAll(v, "'", "''") + "'" }
func quoteIdentifier(v string) string { return `"` + strings.ReplaceAll(v, `"`, `""`) + `"` }
func quoteHBA(v string) string        { return `"` + v + `"` }
