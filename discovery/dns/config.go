package dns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Config says which names are followed, and whom they are asked of.
type Config struct {
	Nodes       []string      // host:port of nodes; those whose host is no name are left to others
	Names       []string      // host:port where each address is a node; a service, which has the ports itself, begins with "_"
	Server      string        // host:port of the DNS server to ask; "": those of /etc/resolv.conf
	Family      string        // of the addresses of Names: FamilyIPv4 or FamilyIPv6
	Timeout     time.Duration // for each question
	MaxTTL      time.Duration // a name is asked for again after so long, whatever the TTL is
	ForgetAfter time.Duration // a node of Names that no answer names any more is kept for so long
}

// The families. One of them: an address of each would be two nodes that are the same server.
const (
	FamilyIPv4 = "ipv4"
	FamilyIPv6 = "ipv6"
)

// The defaults of a Config.
const (
	DefaultTimeout     = 2 * time.Second
	DefaultMaxTTL      = 30 * time.Second
	DefaultForgetAfter = time.Minute
)

// Defaults returns the configuration about which nothing is said: no name is followed.
func Defaults() Config {
	return Config{Family: FamilyIPv4, Timeout: DefaultTimeout, MaxTTL: DefaultMaxTTL, ForgetAfter: DefaultForgetAfter}
}

// Validate names all that is wrong.
func (c Config) Validate() error {
	var faults []error
	for _, text := range c.Nodes {
		if _, err := parse(text); err != nil {
			faults = append(faults, fmt.Errorf("nodes: %w", err))
		}
	}
	for _, text := range c.Names {
		if _, err := ParseName(text); err != nil {
			faults = append(faults, fmt.Errorf("names: %w", err))
		}
	}
	if c.Server != "" {
		if at, err := netip.ParseAddrPort(c.Server); err != nil || at.Port() == 0 {
			faults = append(faults, fmt.Errorf("server: %q is not address:port", c.Server))
		}
	}
	if c.Family != FamilyIPv4 && c.Family != FamilyIPv6 {
		faults = append(faults, fmt.Errorf("family: %q is neither %s nor %s", c.Family, FamilyIPv4, FamilyIPv6))
	}
	if c.Timeout <= 0 || c.MaxTTL < minPause || c.ForgetAfter < 0 {
		faults = append(faults, fmt.Errorf("timeout %s, max_ttl %s, forget_after %s: above 0, at least %s, not below 0", c.Timeout, c.MaxTTL, c.ForgetAfter, minPause))
	}
	return errors.Join(faults...)
}

// kind is what a name stands for.
type kind uint8

const (
	node     kind = iota // one node, wherever the name leads
	several              // each address is a node
	services             // SRV: each target is a node, with its port
)

// name is a name that is followed.
type name struct {
	kind kind
	host string
	port string // "" for services
}

// String returns the name as it is configured; of a node, that is how it is called.
func (n name) String() string {
	if n.kind == services {
		return n.host
	}
	return net.JoinHostPort(n.host, n.port)
}

const defaultPort = "5432"

// ParseName reads a name whose addresses, or targets, are nodes, and returns it in one form.
func ParseName(text string) (string, error) {
	n, err := parse(text)
	switch {
	case err != nil:
		return "", err
	case strings.HasPrefix(n.host, "_"):
		if strings.Contains(text, ":") {
			return "", fmt.Errorf("%q: a service has its ports itself", text)
		}
		return n.host, nil
	case !n.isName():
		return "", fmt.Errorf("%q is no name: an address belongs into nodes", text)
	}
	return n.String(), nil
}

// parse reads host or host:port.
func parse(text string) (name, error) {
	if strings.HasPrefix(text, "/") {
		return name{host: text}, nil // a unix socket: not a name
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.Trim(text, "[]"), defaultPort
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || host == "" || strings.ContainsAny(host, " ,/\x00") {
		return name{}, fmt.Errorf("%q is not host:port", text)
	}
	return name{host: strings.ToLower(host), port: port}, nil
}

// isName reports whether there is something to look up.
func (n name) isName() bool {
	_, err := netip.ParseAddr(n.host)
	return err != nil && !strings.HasPrefix(n.host, "/")
}

// follows returns the names that the configuration has.
func (c Config) follows() []name {
	var all []name
	for _, text := range c.Nodes {
		if n, err := parse(text); err == nil && n.isName() {
			all = append(all, n)
		}
	}
	for _, text := range c.Names {
		n, err := parse(text)
		if err != nil {
			continue
		}
		n.kind = several
		if strings.HasPrefix(n.host, "_") {
			n.kind, n.port = services, ""
		}
		all = append(all, n)
	}
	return all
}

// IsName reports whether a node of the configuration is called by a name that this package follows.
func IsName(text string) bool {
	n, err := parse(text)
	return err == nil && n.isName()
}
