package etcd

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/discovery"
)

const (
	patroniTTL = 30 * time.Second // Patroni's default, where its configuration does not say
	maxTTL     = 24 * time.Hour   // more is a mistake: for so long a leader that is gone would still count
)

// pair is a key, below the scope's prefix, and its value.
type pair struct {
	key   string
	value []byte
}

// tree is what stands under a scope, as far as it says who leads. History, status and failsafe are left alone: SQL knows the timelines
// and positions first hand.
type tree struct {
	leader   string            // a member's name; "" = nobody
	members  map[string]member // by name
	systemID uint64            // 0 = not said
	ttl      time.Duration
	paused   bool
	asked    request
	sync     []string // names of the synchronous standbys
	faults   []string // what could not be read, for operators; never a value, which may hold a password

	addresses discovery.AddressMap
}

// request is Patroni's key failover, by names.
type request struct {
	pending  bool
	from, to string
	at       time.Time
}

// parseTree reads all keys of a scope. What cannot be read is named in faults and counts as not there.
func parseTree(pairs []pair, addresses discovery.AddressMap) tree {
	t := tree{members: make(map[string]member), ttl: patroniTTL, addresses: addresses}
	for _, p := range pairs {
		if err := t.take(p.key, p.value); err != nil {
			t.faults = append(t.faults, p.key+": "+err.Error())
		}
	}
	return t
}

// take reads one key.
func (t *tree) take(key string, value []byte) (err error) {
	switch key {
	case "leader":
		t.leader = string(value)
	case "initialize":
		t.systemID, err = parseSystemID(value)
	case "config":
		err = t.takeConfig(value)
	case "failover":
		t.asked, err = parseRequest(value)
	case "sync":
		t.sync, err = parseSync(value)
	default:
		if name, is := strings.CutPrefix(key, "members/"); is {
			err = t.takeMember(name, value)
		}
	}
	return err
}

// isQuiet reports whether a change of the key says nothing that the tree holds: Patroni writes some of them in each of its loops.
func isQuiet(key string) bool {
	switch key {
	case "leader", "initialize", "config", "failover", "sync":
		return false
	}
	return !strings.HasPrefix(key, "members/")
}

// parseSystemID reads the key initialize, which is empty while a cluster is made.
func parseSystemID(value []byte) (uint64, error) {
	if len(value) == 0 {
		return 0, nil
	}
	id, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		return 0, errors.New("expected a system identifier")
	}
	return id, nil
}

func (t *tree) takeConfig(value []byte) error {
	var said struct {
		TTL   loose `json:"ttl"`
		Pause loose `json:"pause"`
	}
	if json.Unmarshal(value, &said) != nil {
		return errors.New("expected Patroni's configuration in JSON")
	}
	t.paused = said.Pause.isTrue()
	if said.TTL == "" {
		return nil
	}
	seconds, err := strconv.Atoi(string(said.TTL))
	if err != nil || seconds < 1 || seconds > int(maxTTL/time.Second) {
		return fmt.Errorf("ttl: expected 1 to %d seconds", int(maxTTL/time.Second))
	}
	t.ttl = time.Duration(seconds) * time.Second
	return nil
}

// loose is a value as Patroni takes it from its users: true, "on" and 1 are the same to it.
type loose string

// UnmarshalJSON keeps a number's or word's text without quotes. A list, an object and null are as good as nothing.
func (l *loose) UnmarshalJSON(text []byte) error {
	var word string
	switch {
	case json.Unmarshal(text, &word) == nil:
		*l = loose(strings.TrimSpace(word))
	case strings.IndexByte("{[n", text[0]) < 0:
		*l = loose(text)
	}
	return nil
}

func (l loose) isTrue() bool {
	switch strings.ToLower(string(l)) {
	case "true", "on", "yes", "1":
		return true
	}
	return false
}

func parseRequest(value []byte) (request, error) {
	var said struct {
		Leader      string `json:"leader"`
		Member      string `json:"member"`
		ScheduledAt string `json:"scheduled_at"`
	}
	if len(value) == 0 {
		return request{}, nil
	}
	if json.Unmarshal(value, &said) != nil {
		return request{}, errors.New("expected a request in JSON")
	}
	r := request{pending: said.Leader != "" || said.Member != "", from: said.Leader, to: said.Member}
	if said.ScheduledAt != "" {
		var err error
		if r.at, err = time.Parse(time.RFC3339, said.ScheduledAt); err != nil {
			return request{}, errors.New("scheduled_at: expected a time with its zone") // without it the request would mean: at once
		}
		r.at = r.at.UTC()
	}
	return r, nil
}

// parseSync reads the names in sync_standby, which commas part. Without a leader there are none.
func parseSync(value []byte) ([]string, error) {
	var said struct {
		Leader  string `json:"leader"`
		Standby string `json:"sync_standby"`
	}
	if len(value) == 0 {
		return nil, nil
	}
	if json.Unmarshal(value, &said) != nil {
		return nil, errors.New("expected the synchronous standbys in JSON")
	}
	var names []string
	for name := range strings.SplitSeq(said.Standby, ",") {
		if name = strings.TrimSpace(name); name != "" && said.Leader != "" {
			names = append(names, name)
		}
	}
	return names, nil
}
