package config

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// checkPeers looks at where the other routers are, and makes URLs of their addresses.
func (c *checker) checkPeers(a *Admin) {
	for i, text := range a.Peers {
		path := element("admin.peers", i)
		peer, err := peerURL(text)
		switch {
		case err != nil:
			// The text is not shown: it may have a password in it.
			c.fault(path, err.Error(), `write "10.0.0.2:7000", its [admin] http`)
			continue
		case slices.Contains(a.Peers[:i], peer):
			c.fault(path, c.shown(path, text)+" is there twice", "")
		}
		a.Peers[i] = peer
	}
}

// peerURL returns the URL of a router's HTTP server, without a path.
func peerURL(text string) (string, error) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "://") {
		host, port, err := splitAddress(text, "")
		switch {
		case err != nil:
			return "", err
		case host == "" || strings.HasPrefix(host, "/"):
			return "", errors.New("must be host:port")
		}
		return "http://" + joinAddress(host, port), nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" {
		return "", errors.New("must be host:port, or http:// or https:// with host and port, without credentials")
	}
	return u.Scheme + "://" + u.Host, nil
}
