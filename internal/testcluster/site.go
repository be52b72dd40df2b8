package testcluster

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
)

// site is what every kind of cluster stands on: who runs the programs, which they are, where their files lie, and who may log in.
type site struct {
	options   Options
	account   account
	binaries  string
	dir       string // owned: removed by remove
	socketDir string
	roles     []Role
	network   *network // nil: everybody lives at loopback
	lock      *os.File // held while the cluster lives; tells sweepers that it does
}

// newSite finds programs and account and makes the directory.
func newSite(ctx context.Context, options Options) (*site, error) {
	a, err := findAccount()
	if err != nil {
		return nil, err
	}
	binaries := options.Binaries
	if binaries == "" {
		if binaries, err = FindBinaries(ctx); err != nil {
			return nil, err
		}
	}
	sweep(options.Dir, options.Logger)
	dir, lock, err := makeDir(options.Dir, a)
	if err != nil {
		return nil, err
	}
	s := &site{options: options, account: a, binaries: binaries, dir: dir, lock: lock, socketDir: filepath.Join(dir, "s"), roles: options.roles()}
	if err := a.mkdir(s.socketDir); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// remove kills every process that lives in the directory, and removes it.
func (s *site) remove() error {
	killAll(s.dir)
	return errors.Join(removeDir(s.dir), s.lock.Close(), s.network.close())
}

// Role returns the login role of that name with its password.
func (s *site) Role(name string) Role {
	for _, r := range s.roles {
		if r.Name == name {
			return r
		}
	}
	return Role{Name: name}
}

// DSN returns a connection URI for a role of the cluster at any address (a node's, a proxy's, a router's).
func (s *site) DSN(addr, role, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, s.Role(role).Password), Host: addr, Path: "/" + database,
		RawQuery: "sslmode=disable"}
	return u.String()
}

// Dir returns the temporary directory of the cluster. It is removed by Close.
func (s *site) Dir() string { return s.dir }

// Binaries returns the directory of the PostgreSQL programs in use.
func (s *site) Binaries() string { return s.binaries }

func (s *site) program(name string) string { return filepath.Join(s.binaries, name) }

// createRoles makes the roles and the database on a primary.
func (s *site) createRoles(ctx context.Context, primary *server) error {
	// The standbys may not be connected yet: these commits must not wait for them.
	const local = "SET synchronous_commit = local"
	if err := primary.exec(ctx, "postgres", append([]string{local}, s.roleStatements()...)...); err != nil {
		return err
	}
	return primary.exec(ctx, DefaultDatabase, local, "GRANT EXECUTE ON FUNCTION pg_promote TO "+ProbeUser)
}
