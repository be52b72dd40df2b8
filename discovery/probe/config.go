package probe

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Config says how the probes log in.
type Config struct {
	User           string
	Password       string
	Database       string
	Port           uint16 // where the node is asked; 0: where it does its work. It differs where a connection pooler does the work
	SSLMode        string // libpq's: disable, allow, prefer, require, verify-ca, verify-full
	SSLRootCert    string // file of the CA for verify-ca and verify-full; "" means the system's
	SSLCert        string // files of the probe's own certificate and key, where the servers ask for one
	SSLKey         string
	ConnectTimeout time.Duration // for each attempt to connect and log in
}

// The defaults of a Config, and the name under which pg_stat_activity shows the probes.
const (
	DefaultUser           = "pgrouter"
	DefaultDatabase       = "postgres"
	DefaultSSLMode        = "prefer"
	DefaultConnectTimeout = 2 * time.Second

	ApplicationName = "pgrouter probe"
)

// Defaults returns the configuration about which nothing is said: no password.
func Defaults() Config {
	return Config{User: DefaultUser, Database: DefaultDatabase, SSLMode: DefaultSSLMode, ConnectTimeout: DefaultConnectTimeout}
}

// Validate names all that is wrong.
func (c Config) Validate() error {
	var faults []error
	if c.User == "" || c.Database == "" {
		faults = append(faults, errors.New("the probe needs a user and a database"))
	}
	if c.ConnectTimeout <= 0 {
		faults = append(faults, fmt.Errorf("connect timeout %s: it must be above 0", c.ConnectTimeout))
	}
	if _, err := c.settings("localhost:5432"); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// Apply returns what of a new configuration needs a restart: nothing. Prober.Reload puts it in force.
func Apply(_, _ Config) []string { return nil }

// String leaves the password out.
func (c Config) String() string {
	return fmt.Sprintf("user=%s database=%s sslmode=%s", c.User, c.Database, c.SSLMode)
}

// GoString leaves the password out.
func (c Config) GoString() string { return "probe.Config{" + c.String() + "}" }

// LogValue leaves the password out.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// settings makes pgconn's configuration for one address. Nothing comes from the environment except the password file
// (~/.pgpass, PGPASSFILE), as with libpq, when no password is given.
func (c Config) settings(address string) (*pgconn.Config, error) {
	host, port, err := splitAddress(address)
	if err != nil {
		return nil, err
	}
	if c.Port != 0 {
		port = c.Port
	}
	text := connString(map[string]string{
		"host": host, "port": strconv.Itoa(int(port)), "user": c.User, "password": c.Password, "dbname": c.Database,
		"sslmode": cmp.Or(c.SSLMode, DefaultSSLMode), "sslrootcert": c.SSLRootCert, "sslcert": c.SSLCert, "sslkey": c.SSLKey,
		"sslcertmode": "allow", "sslnegotiation": "postgres", "sslsni": "1", "channel_binding": "prefer", "require_auth": "",
		"min_protocol_version": "3.0", "max_protocol_version": "3.0", "target_session_attrs": "any", "options": "",
	})
	settings, err := pgconn.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("probe settings: %w", withoutText(err))
	}
	settings.ConnectTimeout = c.ConnectTimeout
	settings.RuntimeParams = map[string]string{
		"application_name": ApplicationName,
		// A server may default to serializable, which a standby refuses.
		"default_transaction_isolation": "read committed",
	}
	return settings, nil
}

// withoutText takes the outer error away, which repeats the whole connection string.
func withoutText(err error) error {
	if parse, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		return cmp.Or(parse.Unwrap(), errors.New("invalid"))
	}
	return err
}

// connString writes keywords and values as libpq reads them.
func connString(values map[string]string) string {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "%s='%s' ", key, quote.Replace(values[key]))
	}
	return b.String()
}

// splitAddress parts "host:port", "[v6]:port" and "/directory:port".
func splitAddress(address string) (host string, port uint16, err error) {
	var text string
	if strings.HasPrefix(address, "/") {
		i := strings.LastIndexByte(address, ':')
		if i < 0 {
			return "", 0, fmt.Errorf("address %q: no port", address)
		}
		host, text = address[:i], address[i+1:]
	} else if host, text, err = net.SplitHostPort(address); err != nil {
		return "", 0, fmt.Errorf("address %q: %w", address, err)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: port: %w", address, err)
	}
	return host, uint16(n), nil
}
