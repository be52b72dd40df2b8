package patroni

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/topology"
)

// forgetAfter is how long a member is kept that no answer names any more: a node that died is gone from Patroni's list after its ttl,
// and must still be known when it comes back.
const forgetAfter = time.Hour

// roster is all members that were found, by name. Who comes back at another address has that one only.
type roster map[string]found

type found struct {
	member
	seenAt time.Time // when an answer last named it
}

// note takes in whom an answer names, and forgets who was not named for long, or all who are not named when they are too many: each is
// asked by a goroutine.
func (r roster) note(members []member, now time.Time) {
	for _, m := range members {
		r[m.name] = found{m, now}
	}
	crowded := len(r) > maxMembers
	maps.DeleteFunc(r, func(_ string, f found) bool {
		return now.Sub(f.seenAt) > forgetAfter || crowded && !f.seenAt.Equal(now)
	})
}

// sorted returns the members, by name.
func (r roster) sorted() []member {
	all := make([]member, 0, len(r))
	for _, f := range r {
		all = append(all, f.member)
	}
	slices.SortFunc(all, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	return all
}

// nodes returns those that have a server's address, sorted.
func (r roster) nodes(addresses discovery.AddressMap) []topology.Member {
	var nodes []topology.Member
	for _, m := range r.sorted() {
		if id := m.node(addresses); id != "" {
			nodes = append(nodes, topology.Member{ID: id, Address: string(id)})
		}
	}
	slices.SortFunc(nodes, func(a, b topology.Member) int { return cmp.Compare(a.ID, b.ID) })
	return slices.Compact(nodes)
}

// bases returns whom to ask for the cluster: the one that answered last, the others that were found, and the configured URLs.
func (r roster) bases(last string, seeds []string) []string {
	var bases []string
	for _, m := range r.sorted() {
		bases = append(bases, m.base)
	}
	bases = append(bases, seeds...)
	if slices.Contains(bases, last) {
		bases = slices.Insert(bases, 0, last)
	}
	var once []string
	for _, b := range bases {
		if b != "" && !slices.Contains(once, b) {
			once = append(once, b)
		}
	}
	return once
}
