package arch

import "strings"

// House says which packages a module has and who may lean on whom.
type House struct {
	Module string   // import path of the module
	Floors [][]Room // Floors[n] are the packages of floor n. Imports go to a lower floor only
	Annex  []Annex  // packages beside the house; the first that matches counts
}

// Room is one package of the house.
type Room struct {
	Path string // below the module's path
	Pure bool   // bytes and values in, values out: no socket, file, log, clock, chance, goroutine or foreign module
}

// Annex is a package beside the house: it may use all of the house, and only tests and its named users may use it.
type Annex struct {
	Path   string   // below the module's path; "bench/..." stands for bench and everything below it
	UsedBy []string // packages that may import it outside of tests, written like Path
}

// PGRouter is the house of this module. A new package gets its line here, together with its doc.go, before it gets its code.
func PGRouter() House {
	return House{
		Module: "github.com/pgrouter/pgrouter",
		Floors: [][]Room{
			0: {{Path: "pgwire", Pure: true}, {Path: "topology", Pure: true}, {Path: "event", Pure: true}, {Path: "reactor"}, {Path: "metrics"}},
			1: {{Path: "state", Pure: true}},
			2: {{Path: "relay", Pure: true}, {Path: "routing", Pure: true}, {Path: "auth"}, {Path: "discovery"}},
			3: {{Path: "backend"}, {Path: "discovery/static"}, {Path: "discovery/dns"}, {Path: "discovery/probe"}, {Path: "discovery/patroni"}, {Path: "discovery/etcd"}},
			4: {{Path: "pool"}},
			5: {{Path: "proxy"}, {Path: "failover"}},
			6: {{Path: "admin"}},
			7: {{Path: "config"}, {Path: "admin/client"}},
			8: {{Path: "cmd/pgrouter"}},
		},
		Annex: []Annex{
			{Path: "internal/demo", UsedBy: []string{"cmd/pgrouter"}},                      // the demo verb
			{Path: "internal/testcluster/clustertest", UsedBy: []string{"internal/drill"}}, // it wants a testing.TB
			{Path: "internal/testcluster", UsedBy: []string{
				"cmd/pgrouter", "internal/demo", "internal/drill", "internal/soak", "internal/testcluster/clustertest", "internal/testrouter", "bench/...",
			}},
			{Path: "internal/ledger", UsedBy: []string{"internal/demo", "internal/drill", "internal/soak", "bench/..."}},
			{Path: "internal/wiretest", UsedBy: []string{"internal/drill", "internal/soak", "bench/..."}},
			{Path: "internal/testrouter", UsedBy: []string{"internal/drill", "internal/soak", "bench/..."}},
			{Path: "internal/drill", UsedBy: []string{"bench/..."}},
			{Path: "internal/soak"},
			{Path: "internal/system"},
			{Path: "internal/suites"},
			{Path: "internal/drivers"},
			{Path: "internal/oracle"},
			{Path: "internal/arch"},
			{Path: "bench/...", UsedBy: []string{"bench/..."}},
			{Path: "examples/...", UsedBy: []string{"examples/..."}},
		},
	}
}

// place is where a package stands in a house.
type place struct {
	floor int    // -1 beside the house
	room  Room   // when floor >= 0
	annex *Annex // when floor < 0
}

// find returns the place of the package at path, below the module's path.
func (h *House) find(path string) (place, bool) {
	for floor, rooms := range h.Floors {
		for _, room := range rooms {
			if room.Path == path {
				return place{floor: floor, room: room}, true
			}
		}
	}
	for i := range h.Annex {
		if matches(h.Annex[i].Path, path) {
			return place{floor: -1, annex: &h.Annex[i]}, true
		}
	}
	return place{}, false
}

// inModule returns the path below the module's path of an imported package, and whether it is of this module at all.
func (h *House) inModule(imported string) (string, bool) {
	if imported == h.Module {
		return ".", true
	}
	return strings.CutPrefix(imported, h.Module+"/")
}

// mayBeUsedBy tells whether the package at path may import the annex outside of tests.
func (a *Annex) mayBeUsedBy(path string) bool {
	for _, user := range a.UsedBy {
		if matches(user, path) {
			return true
		}
	}
	return false
}

// matches compares a path with a pattern, in which a last element "..." stands for the package and all below it.
func matches(pattern, path string) bool {
	parent, subtree := strings.CutSuffix(pattern, "/...")
	return path == parent || subtree && strings.HasPrefix(path, parent+"/")
}
