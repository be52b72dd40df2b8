package discovery

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// AddressMap is where the addresses that members announce are reached from here, servers' and agents' alike: nil maps none.
type AddressMap map[string]string

// ParseAddressMap reads pairs of host:port=host:port.
func ParseAddressMap(pairs []string) (AddressMap, error) {
	m := make(AddressMap)
	for _, pair := range pairs {
		from, to, _ := strings.Cut(pair, "=")
		from, errFrom := hostPort(from)
		to, errTo := hostPort(to)
		if errFrom != nil || errTo != nil {
			return nil, fmt.Errorf("address_map: %q is not host:port=host:port", pair)
		}
		if _, twice := m[from]; twice {
			return nil, fmt.Errorf("address_map: %s stands there twice", from)
		}
		m[from] = to
	}
	return m, nil
}

// Through returns where an address is reached.
func (m AddressMap) Through(address string) string {
	if to, mapped := m[address]; mapped {
		return to
	}
	return address
}

// hostPort returns an address in the form in which it names a node.
func hostPort(text string) (string, error) {
	host, port, err := net.SplitHostPort(strings.TrimSpace(text))
	if err != nil || host == "" || port == "" {
		return "", errors.New("must be host:port")
	}
	return net.JoinHostPort(strings.ToLower(host), port), nil
}

// AgentAddress is where the agent of a member is asked, as a DCS has it.
type AgentAddress struct {
	Name   string // the member's
	Server string // host:port of its server, as announced
	URL    string // of its REST interface
}
