package config

import (
	"net/url"
	"strings"
)

// checkPatroni looks at how a cluster's Patroni is asked. Its members may be found by etcd.
func (c *checker) checkPatroni(p *Patroni, found bool, path string) {
	if len(p.URLs) == 0 && !found && (p.Username != "" || p.CAFile != "" || p.CertFile != "") {
		c.fault(path+".urls", "is required", `write urls = ["http://10.0.0.11:8008"]`)
	}
	for i, text := range p.URLs {
		if !isRESTURL(text) {
			// The text is not shown: it may have a password in it.
			c.fault(element(path+".urls", i), "must be http:// or https:// with host and port, without credentials", `write "http://10.0.0.11:8008"`)
		}
	}
	if p.Username == "" && !p.Password.IsZero() {
		c.fault(path+".username", "must be given with the password", "")
	}
	if (p.CertFile == "") != (p.KeyFile == "") {
		c.fault(path+".cert_file", "must be given together with key_file", "")
	}
	c.checkFiles(path, map[string]string{"ca_file": p.CAFile, "cert_file": p.CertFile, "key_file": p.KeyFile})
}

// checkAddressMap looks at where announced addresses are reached.
func (c *checker) checkAddressMap(pairs []string, path string) {
	for i, pair := range pairs {
		at := element(path, i)
		if !isAddressPair(pair) {
			c.fault(at, c.shown(at, pair)+" must be host:port=host:port", "")
		}
	}
}

// checkFiles sees that the files are there that a table names, by key; those with no name are not given.
func (c *checker) checkFiles(path string, named map[string]string) {
	for key, file := range named {
		if file == "" {
			continue
		}
		if err := c.files.isRegular(file); err != nil {
			c.fault(path+"."+key, err.Error(), "")
		}
	}
}

// isRESTURL says whether a text leads to a REST interface.
func isRESTURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil
}

// isAddressPair says whether a text maps one address of the network to another.
func isAddressPair(text string) bool {
	from, to, ok := strings.Cut(text, "=")
	for _, address := range []string{from, to} {
		host, _, err := splitAddress(address, "")
		ok = ok && err == nil && host != "" && !strings.HasPrefix(host, "/")
	}
	return ok
}
