package config

import (
	"net/url"
	"strings"
)

// checkEtcd looks at how Patroni's keys are read.
func (c *checker) checkEtcd(e *Etcd, path string) {
	if len(e.Endpoints) == 0 && (e.Scope != "" || e.Username != "" || e.CAFile != "" || e.CertFile != "") {
		c.fault(path+".endpoints", "is required", `write endpoints = ["http://10.0.0.1:2379"]`)
	}
	schemes := make(map[string]bool)
	for i, text := range e.Endpoints {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Port() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
			// The text is not shown: it may have a password in it.
			c.fault(element(path+".endpoints", i), "must be http:// or https:// with host and port, without credentials", `write "http://10.0.0.1:2379"`)
			continue
		}
		schemes[u.Scheme] = true
	}
	if len(schemes) > 1 {
		c.fault(path+".endpoints", "must be all http or all https", "")
	}
	if schemes["http"] && e.CAFile+e.CertFile != "" {
		c.fault(path+".endpoints", "must be https where certificates are given", "")
	}
	if (e.Username == "") != e.Password.IsZero() {
		c.fault(path+".username", "must be given together with password", "")
	}
	if (e.CertFile == "") != (e.KeyFile == "") {
		c.fault(path+".cert_file", "must be given together with key_file", "")
	}
	if len(e.Endpoints) > 0 && strings.Trim(e.Scope, "/") == "" {
		c.fault(path+".scope", "must not be empty", "")
	}
	c.checkFiles(path, map[string]string{"ca_file": e.CAFile, "cert_file": e.CertFile, "key_file": e.KeyFile})
}
