package config

import "reflect"

// over returns what the override makes of a pool's settings.
func (o *Override) over(p Pool) Pool {
	set(&p.Mode, o.Mode)
	set(&p.Size, o.Size)
	set(&p.MinSize, o.MinSize)
	set(&p.ReserveSize, o.ReserveSize)
	set(&p.ReserveTimeout, o.ReserveTimeout)
	set(&p.HoldMaxClients, o.HoldMaxClients)
	set(&p.IdleTimeout, o.IdleTimeout)
	set(&p.Lifetime, o.Lifetime)
	set(&p.ResetQuery, o.ResetQuery)
	set(&p.OnPin, o.OnPin)
	set(&p.Reset, o.Reset)
	set(&p.HoldTimeout, o.HoldTimeout)
	set(&p.MaxPrepared, o.MaxPrepared)
	set(&p.WaitTimeout, o.WaitTimeout)
	set(&p.NoPrimary, o.NoPrimary)
	set(&p.NoPrimaryAfter, o.NoPrimaryAfter)
	set(&p.LoginHoldTimeout, o.LoginHoldTimeout)
	set(&p.Replication, o.Replication)
	set(&p.Login, o.Login)
	set(&p.QueryTimeout, o.QueryTimeout)
	set(&p.IdleTransaction, o.IdleTransaction)
	set(&p.ClientIdle, o.ClientIdle)
	return p
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// PoolFor returns the settings that hold for a client of a database and a user, by the names that the client uses: [pool], over
// it [database.NAME], over that [user.NAME].
func (c *Config) PoolFor(database, user string) Pool {
	p := c.Pool
	if d := c.DatabaseFor(database); d != nil {
		p = d.over(p)
	}
	if u := c.UserFor(user); u != nil {
		p = u.over(p)
	}
	return p
}

// AnyDatabase is the name of the table that counts for each database without one of its own, as in PgBouncer.
const AnyDatabase = "*"

// DatabaseFor returns the [database.NAME] of a name that clients use: its own, or the one for any; nil if there is none.
func (c *Config) DatabaseFor(name string) *Database {
	var wild *Database
	for i := range c.Databases {
		switch d := &c.Databases[i]; d.Name {
		case name:
			return d
		case AnyDatabase:
			wild = d
		}
	}
	return wild
}

// UserFor returns the [user.NAME]; nil if there is none.
func (c *Config) UserFor(name string) *User {
	for i := range c.Users {
		if c.Users[i].Name == name {
			return &c.Users[i]
		}
	}
	return nil
}

// Quota is how many connections a database and a user may have; 0 = no limit.
type Quota struct {
	DatabaseClients, UserClients int // by the names that clients use
	DatabaseServers, UserServers int // the user by the name that servers know
}

// QuotaFor returns the limits that hold for a client of a database and a user, by the names that the client uses.
func (c *Config) QuotaFor(database, user string) Quota {
	l := &c.Limits
	q := Quota{DatabaseClients: l.MaxDBClients, UserClients: l.MaxUserClients, DatabaseServers: l.MaxDBServers, UserServers: l.MaxUserServers}
	server := user
	if d := c.DatabaseFor(database); d != nil {
		set(&q.DatabaseClients, d.MaxClients)
		set(&q.DatabaseServers, d.MaxServers)
		if d.User != "" {
			server = d.User
		}
	}
	if u := c.UserFor(user); u != nil {
		set(&q.UserClients, u.MaxClients)
	}
	if u := c.UserFor(server); u != nil {
		set(&q.UserServers, u.MaxServers)
	}
	return q
}

// Serves says whether clients may ask for a database.
func (c *Config) Serves(database string) bool {
	return c.Limits.Databases != "listed" || c.DatabaseFor(database) != nil
}

// ServerDatabase returns the name that a database has on the servers.
func (c *Config) ServerDatabase(database string) string {
	if d := c.DatabaseFor(database); d != nil && d.DBName != "" {
		return d.DBName
	}
	return database
}

// ServerUser returns as whom the router logs in for the clients of a database; "" = as the client.
func (c *Config) ServerUser(database string) string {
	if d := c.DatabaseFor(database); d != nil {
		return d.User
	}
	return ""
}

// ServerPassword returns the configured password with which the router logs in for the clients of a database as a user that servers
// know; zero if there is none.
func (c *Config) ServerPassword(database, user string) Secret {
	if d := c.DatabaseFor(database); d != nil && d.User == user {
		return d.Password
	}
	return Secret{}
}

// listenersOf is where listeners go.
func listenersOf(c *Config) reflect.Value { return reflect.ValueOf(&c.Listeners).Elem() }

// sectionNamed returns a section that is known to exist.
func sectionNamed(name string) *section {
	for _, s := range sections() {
		if s.name == name {
			return &s
		}
	}
	return &section{}
}
