package failover

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// splitAddress takes host and port out of a node's address: host:port, or /directory:port.
func splitAddress(address string) (host string, port uint16, err error) {
	var text string
	if strings.HasPrefix(address, "/") {
		i := strings.LastIndexByte(address, ':')
		if i < 0 {
			return "", 0, fmt.Errorf("address %q has no port", address)
		}
		host, text = address[:i], address[i+1:]
	} else if host, text, err = net.SplitHostPort(address); err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: port: %w", address, err)
	}
	return host, uint16(n), nil
}
