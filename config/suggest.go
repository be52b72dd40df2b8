package config

import (
	"cmp"
	"slices"
	"strings"
)

// elsewhere is what settings of PgBouncer and HAProxy are called here, for those who come from there. Constant table.
var elsewhere = map[string]string{
	"pool_mode": "pool.mode", "default_pool_size": "pool.size", "pool_size": "pool.size", "max_client_conn": "limits.max_clients",
	"maxconn": "limits.max_clients", "query_wait_timeout": "pool.wait_timeout", "server_idle_timeout": "pool.idle_timeout",
	"server_lifetime": "pool.lifetime", "server_connect_timeout": "pool.connect_timeout", "server_reset_query": "pool.reset_query", "server_reset_query_always": "pool.reset",
	"auth_type": "auth.method", "auth_file": "auth.userlist", "admin_users": "admin.users", "stats_users": "admin.stats_users",
	"client_login_timeout": "limits.login_timeout", "cancel_wait_timeout": "limits.cancel_timeout", "listen_addr": "listener.address",
	"listen_port": "listener.address", "bind": "listener.address", "verbose": "log.level",
}

// maxDistance is how many letters may be wrong in a name that is still recognised.
const maxDistance = 2

// hintFor says what somebody may have meant who wrote an unknown key in a section, or what there is to choose from.
func hintFor(key, in string, known []string) string {
	return cmp.Or(meant(key, in, known), "known here: "+strings.Join(known, ", "))
}

// meant says what somebody may have meant who wrote an unknown key in a section; "" for no idea.
func meant(key, in string, known []string) string {
	if near := nearest(key, known); near != "" {
		return "did you mean " + near + "?"
	}
	if name, ok := elsewhere[key]; ok {
		return "did you mean " + name + "?"
	}
	for _, s := range sections() {
		if f, _ := s.find(key); f != nil && s.name != in {
			return "it belongs to " + s.title()
		}
	}
	return ""
}

// title is the section's header as one writes it.
func (s *section) title() string {
	switch s.group {
	case groupTables:
		return "[" + s.name + ".NAME]"
	case groupArray:
		return "[[" + s.name + "]]"
	case groupTable:
	}
	return "[" + s.name + "]"
}

// nearest returns the known word that differs least from a word, if it is near enough.
func nearest(word string, known []string) string {
	best, least := "", min(maxDistance, len(word)/2)+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts how many letters must be changed, inserted or dropped, or swapped with their neighbour, to turn a into b.
func distance(a, b string) int {
	if len(a) > len(b)+maxDistance || len(b) > len(a)+maxDistance {
		return maxDistance + 1
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		older, old, now := rows[(i-1)%3], rows[i%3], rows[(i+1)%3]
		now[0] = i
		for j := 1; j <= len(b); j++ {
			change := old[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			now[j] = slices.Min([]int{change, old[j] + 1, now[j-1] + 1})
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], older[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
