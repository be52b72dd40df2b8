package main

import (
	"github.com/pgrouter/pgrouter/admin"
	"github.com/pgrouter/pgrouter/config"
)

// Setup returns what the configuration in force says (admin.World).
func (o *outlook) Setup() admin.Setup {
	regime := o.router.inForce.Load()
	s := admin.Setup{
		Users: regime.people.names(),
		Database: func(name string) admin.DatabaseSetup {
			d := databaseSetup(regime.Config, name)
			d.Disabled = o.router.proxy.Disabled(name)
			return d
		},
		User: func(name string) admin.UserSetup { return userSetup(regime.Config, name) },
	}
	for i := range regime.Databases {
		if name := regime.Databases[i].Name; name != config.AnyDatabase {
			s.Databases = append(s.Databases, name)
		}
	}
	for i := range regime.Users {
		s.Users = append(s.Users, regime.Users[i].Name)
	}
	for _, one := range regime.Settings() {
		s.Settings = append(s.Settings, admin.Setting{Key: one.Key, Value: one.Value, Default: one.Default, Changeable: !one.Restart})
	}
	return s
}

// databaseSetup returns what holds for a database, whoever its user is.
func databaseSetup(cfg *config.Config, name string) admin.DatabaseSetup {
	p, quota := cfg.PoolFor(name, ""), cfg.QuotaFor(name, "")
	return admin.DatabaseSetup{
		ServerName: cfg.ServerDatabase(name), ServerUser: cfg.ServerUser(name), Mode: p.Mode, Size: p.Size, MinSize: p.MinSize,
		ReserveSize: p.ReserveSize, Lifetime: p.Lifetime, MaxConnections: quota.DatabaseServers, MaxClients: quota.DatabaseClients,
	}
}

// userSetup returns what a user has of his own, and his limits.
func userSetup(cfg *config.Config, name string) admin.UserSetup {
	quota := cfg.QuotaFor("", name)
	s := admin.UserSetup{MaxConnections: quota.UserServers, MaxClients: quota.UserClients}
	if u := cfg.UserFor(name); u != nil {
		s.Mode, s.Size, s.ReserveSize = given(u.Mode), given(u.Size), given(u.ReserveSize)
	}
	return s
}

// given returns what p points to, if anything.
func given[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}
