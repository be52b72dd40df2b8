package patroni

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/discovery"
)

// Config says where Patroni is asked, and how.
type Config struct {
	URLs       []string // of members' REST interfaces; the others are found. None: nobody is asked
	Username   string   // basic authentication; "" = none
	Password   string
	CAFile     string        // who has signed the members' certificates; "" means the system's
	CertFile   string        // the certificate to show, where members ask for one
	KeyFile    string        // its key
	Interval   time.Duration // between two questions to one member, a fifth more or less
	Timeout    time.Duration // for each question
	AddressMap []string      // "host:port=host:port": what members call the first is reached at the second
}

// The defaults of a Config.
const (
	DefaultInterval = time.Second
	DefaultTimeout  = 2 * time.Second
)

// Defaults returns the configuration about which nothing is said: nobody is asked.
func Defaults() Config { return Config{Interval: DefaultInterval, Timeout: DefaultTimeout} }

// Validate names all that is wrong, but for the contents of files.
func (c Config) Validate() error {
	var faults []error
	for _, text := range c.URLs {
		if _, err := baseURL(text); err != nil {
			faults = append(faults, fmt.Errorf("urls: %w", err))
		}
	}
	if _, err := discovery.ParseAddressMap(c.AddressMap); err != nil {
		faults = append(faults, err)
	}
	if c.Username == "" && c.Password != "" {
		faults = append(faults, errors.New("password: there is no username"))
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		faults = append(faults, errors.New("cert_file and key_file: one without the other"))
	}
	if c.Interval <= 0 || c.Timeout <= 0 {
		faults = append(faults, fmt.Errorf("interval %s, timeout %s: they must be above 0", c.Interval, c.Timeout))
	}
	return errors.Join(faults...)
}

// Apply returns what of a new configuration needs a restart: nothing. Source.Reload puts it in force.
func Apply(_, _ Config) []string { return nil }

// String leaves the password out.
func (c Config) String() string {
	return fmt.Sprintf("urls=%v username=%s interval=%s timeout=%s", c.URLs, c.Username, c.Interval, c.Timeout)
}

// GoString leaves the password out.
func (c Config) GoString() string { return "patroni.Config{" + c.String() + "}" }

// LogValue leaves the password out.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// hostBytes are all that is in hosts and ports: names, IPv4, [IPv6%zone]:port.
const hostBytes = "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]%"

// baseURL returns scheme and host of a REST interface's address, in one form. Members announce theirs with a path.
func baseURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", errors.New("it is no URL") // the error repeats the text, which may hold a password
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("scheme %q: http or https is needed", u.Scheme)
	case u.User != nil:
		return "", errors.New("credentials do not belong in a URL")
	case u.Hostname() == "" || strings.Trim(strings.ToLower(u.Host), hostBytes) != "":
		return "", errors.New("the URL has no host that could be asked")
	}
	return (&url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}).String(), nil
}
