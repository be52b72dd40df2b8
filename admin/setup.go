package admin

import "time"

// Setup is what the configuration says of databases, users and settings. Databases and users have the names that clients use.
type Setup struct {
	Databases []string // that it names
	Users     []string // that it or the userlist names
	Settings  []Setting

	// Database tells what holds for a database, be it named or not, and User what holds for a user of his own.
	Database func(name string) DatabaseSetup
	User     func(name string) UserSetup
}

// Setting is one key of the configuration and its value, which is no secret.
type Setting struct {
	Key        string // section.key
	Value      string // as the file has it
	Default    string
	Changeable bool // by SET or a reload
}

// DatabaseSetup is what holds for a database. 0 of a limit is none.
type DatabaseSetup struct {
	ServerName     string // its name on the servers
	ServerUser     string // as whom we log in to them; "": as the client
	Mode           string
	Size           int
	MinSize        int
	ReserveSize    int
	Lifetime       time.Duration
	MaxConnections int
	MaxClients     int
	Disabled       bool
}

// UserSetup is what holds for a user: what he has of his own (0 and "": nothing), and his limits.
type UserSetup struct {
	Mode           string
	Size           int
	ReserveSize    int
	MaxConnections int
	MaxClients     int
}
