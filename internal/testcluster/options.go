package testcluster

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
)

// The names every cluster has.
const (
	SuperUser       = "postgres" // superuser, over the unix socket only
	AppUser         = "app"      // owner of the database DefaultDatabase, SCRAM password
	ProbeUser       = "pgrouter" // pg_monitor, REPLICATION and EXECUTE on pg_promote(); SCRAM password
	DefaultDatabase = "app"
)

// Role is a login role of the cluster. An empty Password is replaced by a random one.
type Role struct {
	Name     string
	Password string
	MD5      bool   // stored as an md5 hash instead of a SCRAM verifier, and asked for by md5 in pg_hba.conf
	Options  string // more of CREATE ROLE: "SUPERUSER", "CONNECTION LIMIT 5"…
}

// String leaves the password out.
func (r Role) String() string { return "role " + r.Name }

// Options say what cluster is wanted. The zero value is one primary without standbys.
type Options struct {
	Standbys int               // how many streaming standbys
	Sync     bool              // commits wait for one standby: ANY 1 (*), on every node, so also after a failover
	Roles    []Role            // roles beside app and pgrouter; one of those two names changes its password or options
	HBA      []string          // lines put before the ones of pg_hba.conf that ask for passwords
	Conf     map[string]string // settings of all nodes, over the built-in ones
	Durable  bool              // fsync on; off by default, for speed
	Dir      string            // where the temporary directory is made; os.TempDir() when empty
	Binaries string            // directory of PostgreSQL's programs; FindBinaries when empty
	Logger   *slog.Logger      // nil: nothing is logged
}

// maxStandbys keeps a typing error from starting a hundred servers; max_wal_senders fits it.
const maxStandbys = 8

// Validate names what cannot be built.
func (o Options) Validate() error {
	if o.Standbys < 0 || o.Standbys > maxStandbys {
		return fmt.Errorf("%d standbys: between 0 and %d are possible", o.Standbys, maxStandbys)
	}
	if o.Sync && o.Standbys == 0 {
		return errors.New("synchronous replication needs a standby")
	}
	for _, r := range o.Roles {
		if r.Name == "" || r.Name == SuperUser {
			return fmt.Errorf("role %q cannot be asked for", r.Name)
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Dir == "" {
		o.Dir = os.TempDir()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// roles merges the standing roles with the wanted ones and gives each a password.
func (o Options) roles() []Role {
	roles := []Role{{Name: AppUser}, {Name: ProbeUser, Options: "REPLICATION"}}
	for _, want := range o.Roles {
		merged := false
		for i := range roles {
			if roles[i].Name == want.Name {
				if want.Options == "" {
					want.Options = roles[i].Options
				}
				roles[i], merged = want, true
			}
		}
		if !merged {
			roles = append(roles, want)
		}
	}
	for i := range roles {
		if roles[i].Password == "" {
			roles[i].Password = rand.Text()
		}
	}
	return roles
}
