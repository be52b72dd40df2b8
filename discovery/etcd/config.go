package etcd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/pgrouter/pgrouter/discovery"
)

// Config says where Patroni's keys are and how the router logs in there.
type Config struct {
	Endpoints []string // http://host:port or https://host:port, all of one kind; none: the source rests
	Namespace string   // Patroni's, where its scopes stand
	Scope     string   // Patroni's name of the cluster; SCOPE/GROUP where Citus has groups
	Username  string   // "" where etcd has no authentication
	Password  string
	CAFile    string        // who may have signed the members' certificates; "" means the system's
	CertFile  string        // files of the router's own certificate and key, where etcd asks for one
	KeyFile   string        //
	Timeout   time.Duration // for one read, and for a login

	AddressMap []string // "host:port=host:port": what members call the first is reached at the second
}

// The defaults of a Config.
const (
	DefaultNamespace = "/service"
	DefaultTimeout   = time.Second
)

const (
	maxAnswer     = 4 << 20         // bytes of a whole scope; Patroni's are some kB
	retries       = 10              // within one read, some 25 ms apart; more would end as a timeout that hides the reason
	keepAliveTime = 2 * time.Second // after how long without a word a connection is asked whether it lives
)

// Defaults returns the configuration about which nothing is said: it has no endpoints and no scope.
func Defaults() Config { return Config{Namespace: DefaultNamespace, Timeout: DefaultTimeout} }

// Validate names all that is wrong. Without endpoints nothing is.
func (c *Config) Validate() error {
	if len(c.Endpoints) == 0 {
		return nil
	}
	var faults []error
	secure := 0
	for _, endpoint := range c.Endpoints {
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Port() == "" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
			faults = append(faults, errors.New("endpoints: expected http://host:port or https://host:port"))
			continue
		}
		if u.Scheme == "https" {
			secure++
		}
	}
	files := c.CAFile != "" || c.CertFile != "" || c.KeyFile != ""
	for _, rule := range []struct {
		broken bool
		text   string
	}{
		{secure > 0 && secure < len(c.Endpoints), "endpoints: all of them must be http, or all https"},
		{secure == 0 && files, "certificates are given, but the endpoints are not https"},
		{(c.CertFile == "") != (c.KeyFile == ""), "cert_file and key_file belong together"},
		{(c.Username == "") != (c.Password == ""), "username and password belong together"},
		{strings.Trim(c.Scope, "/") == "", "scope: it is empty"},
		{c.Timeout <= 0, fmt.Sprintf("timeout %s: it must be above 0", c.Timeout)},
	} {
		if rule.broken {
			faults = append(faults, errors.New(rule.text))
		}
	}
	if _, err := discovery.ParseAddressMap(c.AddressMap); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// String leaves the password out.
func (c *Config) String() string {
	return fmt.Sprintf("endpoints=%s prefix=%s username=%s", strings.Join(c.Endpoints, ","), c.prefix(), c.Username)
}

// GoString leaves the password out.
func (c *Config) GoString() string { return "etcd.Config{" + c.String() + "}" }

// LogValue leaves the password out.
func (c *Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// prefix is where the keys of the scope stand, put together as Patroni does it.
func (c *Config) prefix() string {
	var parts []string
	for part := range strings.SplitSeq(c.Namespace+"/"+c.Scope, "/") {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return "/" + strings.Join(parts, "/") + "/"
}

// settings makes the client library's configuration. The files are read anew each time: certificates are renewed.
func (c *Config) settings() (clientv3.Config, error) {
	secure, err := c.tls()
	return clientv3.Config{
		Endpoints: c.Endpoints, Username: c.Username, Password: c.Password, TLS: secure,
		DialTimeout: c.Timeout, DialKeepAliveTime: keepAliveTime, DialKeepAliveTimeout: c.Timeout,
		MaxCallRecvMsgSize: maxAnswer,
		MaxUnaryRetries:    retries,
		Logger:             zap.NewNop(), // what matters comes back as an error
	}, err
}

// tls returns nil where the endpoints do not want it.
func (c *Config) tls() (*tls.Config, error) {
	if !strings.HasPrefix(c.Endpoints[0], "https:") {
		return nil, nil //nolint:nilnil // no TLS is no error
	}
	return discovery.ClientTLS(c.CAFile, c.CertFile, c.KeyFile)
}
