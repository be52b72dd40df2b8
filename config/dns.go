package config

import (
	"net/netip"
	"strings"
	"time"
)

// DNS is one [cluster.NAME.dns].
type DNS struct {
	Names       []string      `key:"names" unit:"names" doc:"Names whose addresses are members, such as pg.db.svc.cluster.local:5432 (without a port: 5432), and services, whose names begin with _, such as _postgresql._tcp.pg.db.svc.cluster.local: their targets are members, each followed by its name. Empty: none."`
	Server      string        `key:"server" unit:"address:port" doc:"The DNS server to ask. Empty: those of /etc/resolv.conf. /etc/hosts counts first."`
	Family      string        `key:"family" default:"ipv4" oneof:"ipv4 ipv6" doc:"Which addresses of names are members. One family only: a server with an address of each would count as two nodes that are both primary."`
	Timeout     time.Duration `key:"timeout" default:"2s" min:"50ms" max:"1m" doc:"How long an answer may take. What was known stays when there is none."`
	MaxTTL      time.Duration `key:"max_ttl" default:"30s" min:"1s" max:"24h" doc:"After how long a name is asked for again, also a node's, when the TTL of its answer is longer. It is never sooner than 1 s."`
	ForgetAfter time.Duration `key:"forget_after" default:"1m" min:"0s" max:"24h" doc:"How long a member is kept that no answer of its name has any more, as while a pod is not ready. An answer without any member takes none away."`
}

// checkDNS looks at the names that are followed.
func (c *checker) checkDNS(d *DNS, path string) {
	for i, text := range d.Names {
		at := element(path+".names", i)
		if strings.HasPrefix(text, "_") {
			if strings.ContainsAny(text, ": /,") {
				c.fault(at, c.shown(at, text)+" must be a service's name without a port: its answer has the ports", `write "_postgresql._tcp.example.com"`)
			}
			continue
		}
		host, _, err := splitAddress(text, defaultPort)
		_, literal := netip.ParseAddr(host)
		switch {
		case err != nil:
			c.fault(at, c.shown(at, text)+" "+err.Error(), `write "pg.example.com:5432"`)
		case host == "" || literal == nil || strings.ContainsAny(host, "/ ,"):
			c.fault(at, c.shown(at, text)+" must be a name with a port", "addresses belong into nodes")
		}
	}
	if server, err := netip.ParseAddrPort(d.Server); d.Server != "" && (err != nil || server.Port() == 0) {
		c.fault(path+".server", "must be address:port", `write "10.96.0.10:53"`)
	}
}
