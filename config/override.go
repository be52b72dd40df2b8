package config

import "reflect"

// over returns what the override makes of a pool's settings.
func (o *Override) over(p Pool) Pool {
	set(&p.Mode, o.Mode)
	set(&p.Size, o.Size)
	set(&p.HoldTimeout, o.HoldTimeout)
	set(&p.WaitTimeout, o.WaitTimeout)
	set(&p.LoginHoldTimeout, o.LoginHoldTimeout)
	set(&p.Login, o.Login)
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
	for i := range c.Databases {
		if c.Databases[i].Name == database {
			p = c.Databases[i].over(p)
		}
	}
	for i := range c.Users {
		if c.Users[i].Name == user {
			p = c.Users[i].over(p)
		}
	}
	return p
}

// ServerDatabase returns the name that a database has on the servers.
func (c *Config) ServerDatabase(database string) string {
	for i := range c.Databases {
		if d := &c.Databases[i]; d.Name == database && d.DBName != "" {
			return d.DBName
		}
	}
	return database
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
