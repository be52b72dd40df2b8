package config

import "time"

// Config is everything that can be set, complete: what was not given has its default. It is plain data that its reader owns.
//
// The tags describe a field once for all: key is its name in the file; default, min, max and oneof are what they say; required means that
// there is no default; unit and doc are what docs/configuration.md says. A Secret has a second key, with _file behind its name.
// within:"NAME" is a table in a table. expand:"no" leaves ${…} in the value alone. reload:"restart" says that a running router cannot take
// another value over; all others it can.
type Config struct {
	Source    string     // the file it was read from, or "environment"
	Admin     Admin      `table:"admin" doc:"What people and machines look at: the HTTP server and the console."`
	Auth      Auth       `table:"auth" doc:"How clients prove who they are. The same secrets log the router in to the servers."`
	Pool      Pool       `table:"pool" doc:"How clients share server connections, and how long they wait. [database.NAME] and [user.NAME] override parts of it."`
	Log       Log        `table:"log" doc:"The log on standard error."`
	Limits    Limits     `table:"limits" doc:"What the router allows itself."`
	Databases []Database `tables:"database" doc:"Overrides for the clients of one database, under the name that clients use. What is not given is as in [pool]. [database.\"*\"] is for every database without a table of its own."`
	Users     []User     `tables:"user" doc:"Overrides for one user, stronger than those of a database."`
	Clusters  []Cluster  `tables:"cluster" doc:"One PostgreSQL cluster: a primary and its standbys. NAME is its identity in listeners, metrics and the console."`
	Listeners []Listener `array:"listener" doc:"One address to which clients connect, and the nodes that they reach there. Without any: 127.0.0.1:5000 for the primary and 127.0.0.1:5001 for replicas."`

	origin *origin // see Fault and With; nil in one that was not read
}

// Admin is [admin].
type Admin struct {
	HTTP       string        `key:"http" default:"127.0.0.1:7000" unit:"host:port" reload:"restart" doc:"Address of the HTTP server: /metrics, /healthz, /readyz, /primary, /replica, /api/v1 and the status page at /. Empty: no HTTP server."`
	Allow      []string      `key:"allow" unit:"addresses, networks" doc:"From where changes may be made over HTTP (a hold, a switchover), besides the machine itself: the peers, and the servers whose Patroni asks for a hold. Looking is open to everybody who reaches the address."`
	Peers      []string      `key:"peers" unit:"host:port, URLs" doc:"The HTTP servers of the other routers in front of the same clusters, such as 10.0.0.2:7000: what is held for a switchover is held there as well. Clusters have the same names on all of them, and each has the others in allow. It may be among them itself."`
	Users      []string      `key:"users" unit:"user names" doc:"Who may do everything in the console, the database pgrouter (alias pgbouncer) on every listener."`
	PauseLimit time.Duration `key:"pause_limit" default:"10m" min:"1s" max:"24h" doc:"When a PAUSE or KILL of the console that says no FOR ends by itself, and the pause of SIGUSR1: nothing stays paused because somebody forgot it."`
	StatsUsers []string      `key:"stats_users" unit:"user names" doc:"Who may only look in the console: monitoring."`
}

// Auth is [auth].
type Auth struct {
	Method   string `key:"method" default:"scram-sha-256" oneof:"trust password md5 scram-sha-256" doc:"How a client proves who it is. With trust it does not; if there is a userlist, the name must still be in it."`
	Userlist string `key:"userlist" unit:"file" doc:"Users and their secrets in PgBouncer's format, one line each: \"name\" \"plain, md5… or SCRAM-SHA-256$…\". A relative path begins where the configuration file lies."`
	User     string `key:"user" unit:"user name" doc:"A single user, instead of or in addition to the userlist. For containers."`
	Password Secret `key:"password" doc:"The password of that user."`
}

// Pool is [pool].
type Pool struct {
	Mode             string        `key:"mode" default:"transaction" oneof:"session transaction statement" doc:"When a client gives its server connection back: when it leaves, after each transaction, or after each statement."`
	Size             int           `key:"size" default:"20" min:"1" max:"10000" unit:"connections per node" doc:"How many server connections one queue (database, user, route) may have to each node."`
	MinSize          int           `key:"min_size" default:"0" min:"0" max:"10000" unit:"connections per node" doc:"How many of them are opened ahead and kept open as long as the queue has a client; where the database has a user of its own, always. At most size counts."`
	ReserveSize      int           `key:"reserve_size" default:"0" min:"0" max:"10000" unit:"connections per node" doc:"How many more it may have when a client has waited for reserve_timeout."`
	ReserveTimeout   time.Duration `key:"reserve_timeout" default:"5s" min:"0s" doc:"When the reserve is opened up, to the second."`
	HoldTimeout      time.Duration `key:"hold_timeout" default:"8s" min:"0s" doc:"How long work waits while no node may take it (a failover). Then the client gets FATAL 57P03."`
	MaxPrepared      int           `key:"max_prepared_statements" default:"200" min:"1" max:"100000" unit:"statements per server connection" doc:"How many statements one server connection keeps prepared, whoever of its clients has prepared them. The one not used for longest is closed for another, and prepared again when it is needed."`
	WaitTimeout      time.Duration `key:"wait_timeout" default:"2m" min:"1ms" doc:"How long work waits while all server connections are taken. Then the client gets FATAL 53300."`
	NoPrimary        string        `key:"no_primary" default:"hold" oneof:"hold read-only" doc:"What the route primary does while no node may take writes. read-only: after no_primary_after work goes to the freshest standby, where reads are served, as old as they may be, and writes get ERROR 25006; with the next primary it goes back there."`
	NoPrimaryAfter   time.Duration `key:"no_primary_after" default:"5s" min:"0s" doc:"How long work is held before that, so that a failover is a wait and not an error. Shorter than hold_timeout, and than login_hold_timeout."`
	LoginHoldTimeout time.Duration `key:"login_hold_timeout" default:"8s" min:"0s" doc:"How long a login waits while no node may take it."`
	Login            string        `key:"login" default:"hold" oneof:"hold eager" doc:"eager lets clients log in while no node is there, with the parameters that servers reported before."`
	QueryTimeout     time.Duration `key:"query_timeout" default:"0s" min:"0s" doc:"How long a server may take to answer, counted from the last that the client sent or was answered. Waiting for a server does not count. Then the client gets FATAL 57014, or 08007 where the outcome is unknown. 0s: no limit."`
	IdleTransaction  time.Duration `key:"idle_transaction_timeout" default:"0s" min:"0s" doc:"How long a client may be silent in an open transaction, in which it keeps a server connection. Then it gets FATAL 25P03, and the transaction is rolled back. 0s: no limit."`
	ClientIdle       time.Duration `key:"client_idle_timeout" default:"0s" min:"0s" doc:"How long a client may be silent otherwise. Then it gets FATAL 57P05. 0s: no limit, which is what clients need that keep quiet connections (Kamailio, FreeSWITCH, LISTEN)."`
	Replication      string        `key:"replication" default:"pass" oneof:"pass refuse" doc:"What becomes of replication connections (pg_basebackup, pg_receivewal, logical decoding). pass: each gets a server connection of its own, which no pool counts; the servers' pg_hba.conf and the user's REPLICATION attribute decide. refuse: FATAL 0A000. Physical replication is in no database; its settings are those of [database.replication]."`
	HoldMaxClients   int           `key:"hold_max_clients" default:"0" min:"0" unit:"clients per queue" doc:"How many clients may wait at once. The newest beyond it gets FATAL 53300. 0: no limit."`
	HoldMaxBytes     Size          `key:"hold_max_bytes" default:"256MB" min:"64kB" doc:"How much all waiting clients together may have sent. Beyond it the newest gets FATAL 53300."`
	IdleTimeout      time.Duration `key:"idle_timeout" default:"10m" min:"0s" doc:"When a server connection that nobody uses is closed. 0s: never, except where clients with start-up parameters of their own had it and none of them is there any more: 10m."`
	Lifetime         time.Duration `key:"lifetime" default:"1h" min:"0s" doc:"At what age, give or take a tenth, a server connection is closed when it is given back. 0s: never."`
	Replay           string        `key:"replay" default:"standby-reads" oneof:"standby-reads never" doc:"Whether a single read that was sent to a standby, and of whose answer nothing came, is sent once more to another node."`
	ResetQuery       string        `key:"reset_query" default:"DISCARD ALL" unit:"SQL" doc:"What is sent to a server connection that was somebody's own (a session, a pin) before anybody else gets it."`
	OnPin            string        `key:"on_pin" default:"pin" oneof:"pin error" doc:"What becomes of a statement that leaves on its server connection what cannot be moved (LISTEN, a temporary table, an advisory lock). pin: the client keeps that connection. error: ERROR 0A000, and nothing of it is run. Not in mode session."`
	Reset            string        `key:"reset" default:"dirty" oneof:"dirty always" doc:"Before whom reset_query is sent: whoever gets a server connection that was somebody's own, or always, after each unit of work. That is a round trip of the server's for each, and takes away what functions have left there behind the router's back."`
	ConnectTimeout   time.Duration `key:"connect_timeout" default:"5s" min:"1ms" doc:"How long opening a connection to a server may take."`
	ServerLogin      time.Duration `key:"server_login_timeout" default:"5s" min:"1ms" doc:"How long the login to a server may take after that."`
	CheckInterval    time.Duration `key:"client_connection_check_interval" default:"5s" min:"0s" doc:"How often a server of PostgreSQL 14 or later looks, while it works on a query, whether we have closed the connection. 0s: nothing is asked for, which servers on Windows and macOS need."`
	DialParallel     int           `key:"dial_parallel" default:"4" min:"1" max:"1000" unit:"connections per node" doc:"How many connections are opened to one node at once."`
	DialBackoffMin   time.Duration `key:"dial_backoff_min" default:"50ms" min:"1ms" doc:"The pause after the first failure to connect or to log in, or a server that ended before it had done anything. It doubles with each further one."`
	DialBackoffMax   time.Duration `key:"dial_backoff_max" default:"2s" min:"1ms" doc:"The longest such pause."`
}

// Log is [log].
type Log struct {
	Level  string `key:"level" default:"info" oneof:"debug info warn error" doc:"The least important lines that are written."`
	Format string `key:"format" default:"text" oneof:"text json" reload:"restart" doc:"How a line is written: key=value, or one JSON object."`
}

// Limits is [limits].
type Limits struct {
	MaxClients      int           `key:"max_clients" default:"10000" min:"1" max:"1000000" unit:"connections" doc:"How many clients may be connected, consoles and logins under way included."`
	MaxDBClients    int           `key:"max_db_client_connections" default:"0" min:"0" max:"1000000" unit:"connections" doc:"How many clients one database may have, under the name that they use. Beyond it they get FATAL 53300. 0: no limit but max_clients."`
	MaxUserClients  int           `key:"max_user_client_connections" default:"0" min:"0" max:"1000000" unit:"connections" doc:"How many clients one user may have. 0: no limit but max_clients."`
	MaxServers      int           `key:"max_server_connections" default:"0" min:"0" max:"1000000" unit:"connections" doc:"How many server connections there may be in all. Where a limit of server connections is reached, one that is idle elsewhere is closed for who waits; if there is none, he waits, up to wait_timeout. 0: no limit."`
	MaxNodeServers  int           `key:"max_node_connections" default:"0" min:"0" max:"1000000" unit:"connections" doc:"How many there may be to each node; less than its max_connections. 0: no limit."`
	MaxDBServers    int           `key:"max_db_connections" default:"0" min:"0" max:"1000000" unit:"connections" doc:"How many there may be to one database, on all nodes together. 0: no limit."`
	MaxUserServers  int           `key:"max_user_connections" default:"0" min:"0" max:"1000000" unit:"connections" doc:"How many one server user may have, on all nodes together. 0: no limit."`
	MaxLogins       int           `key:"max_logins" default:"1000" min:"1" max:"1000000" unit:"connections" doc:"How many of them may be in the middle of their login."`
	LoginTimeout    time.Duration `key:"login_timeout" default:"1m" min:"100ms" doc:"How long a login may take, without the time that it waits for a node."`
	MaxClientBuffer Size          `key:"max_client_buffer" default:"1MB" min:"16kB" max:"1GB" doc:"How much one waiting client may send ahead before its socket is not read any more."`
	CancelParallel  int           `key:"cancel_parallel" default:"100" min:"1" max:"100000" unit:"connections" doc:"How many cancel requests may be under way to servers at once."`
	CancelTimeout   time.Duration `key:"cancel_timeout" default:"10s" min:"1ms" doc:"How long one of them may take."`
	ShutdownTimeout time.Duration `key:"shutdown_timeout" default:"30s" min:"0s" doc:"How long clients in the middle of their work may go on after SIGTERM."`
	DrainDelay      time.Duration `key:"drain_delay" default:"0s" min:"0s" doc:"How long clients are still let in after SIGTERM, while /readyz, /primary and /replica say 503 already: the time that a load balancer or Kubernetes takes to see it. It comes before shutdown_timeout."`
	Databases       string        `key:"databases" default:"any" oneof:"any listed" doc:"Which databases clients may ask for: any, or only those that have a [database.NAME]. The others get FATAL 3D000."`
	Loops           int           `key:"loops" default:"0" min:"0" max:"256" unit:"event loops" reload:"restart" doc:"How many event loops move bytes. 0: one fewer than there are processors, at least one."`
}

// Database is one [database.NAME]. Nil and "" mean: as in [pool] and [limits].
type Database struct {
	Name       string // the name that clients use; AnyDatabase: every one that has no table of its own
	DBName     string `key:"dbname" unit:"database name" doc:"The database on the servers, when it has another name there."`
	User       string `key:"user" unit:"user name" doc:"As whom the router logs in to the servers, whoever the client is."`
	Password   Secret `key:"password" doc:"The password of that user. Without it: what the userlist has of him."`
	MaxClients *int   `key:"max_db_client_connections" min:"0" max:"1000000" unit:"connections" doc:"As in [limits]."`
	MaxServers *int   `key:"max_db_connections" min:"0" max:"1000000" unit:"connections" doc:"As in [limits]. Two names for one database on the servers have a limit each."`
	Override
}

// User is one [user.NAME]. Nil and "" mean: as for the database.
type User struct {
	Name       string
	MaxClients *int `key:"max_user_client_connections" min:"0" max:"1000000" unit:"connections" doc:"As in [limits]."`
	MaxServers *int `key:"max_user_connections" min:"0" max:"1000000" unit:"connections" doc:"As in [limits], of a user as whom the router logs in to servers."`
	Override
}

// Override is what databases and users may have of their own.
type Override struct {
	Mode             *string        `key:"mode" oneof:"session transaction statement" doc:"As in [pool]."`
	Size             *int           `key:"size" min:"1" max:"10000" unit:"connections per node" doc:"As in [pool]."`
	MinSize          *int           `key:"min_size" min:"0" max:"10000" unit:"connections per node" doc:"As in [pool]."`
	ReserveSize      *int           `key:"reserve_size" min:"0" max:"10000" unit:"connections per node" doc:"As in [pool]."`
	ReserveTimeout   *time.Duration `key:"reserve_timeout" min:"0s" doc:"As in [pool]."`
	HoldMaxClients   *int           `key:"hold_max_clients" min:"0" unit:"clients per queue" doc:"As in [pool]."`
	IdleTimeout      *time.Duration `key:"idle_timeout" min:"0s" doc:"As in [pool]."`
	Lifetime         *time.Duration `key:"lifetime" min:"0s" doc:"As in [pool]."`
	ResetQuery       *string        `key:"reset_query" unit:"SQL" doc:"As in [pool]."`
	OnPin            *string        `key:"on_pin" oneof:"pin error" doc:"As in [pool]."`
	Reset            *string        `key:"reset" oneof:"dirty always" doc:"As in [pool]."`
	HoldTimeout      *time.Duration `key:"hold_timeout" min:"0s" doc:"As in [pool]."`
	MaxPrepared      *int           `key:"max_prepared_statements" min:"1" max:"100000" unit:"statements per server connection" doc:"As in [pool]."`
	WaitTimeout      *time.Duration `key:"wait_timeout" min:"1ms" doc:"As in [pool]."`
	NoPrimary        *string        `key:"no_primary" oneof:"hold read-only" doc:"As in [pool]."`
	NoPrimaryAfter   *time.Duration `key:"no_primary_after" min:"0s" doc:"As in [pool]."`
	LoginHoldTimeout *time.Duration `key:"login_hold_timeout" min:"0s" doc:"As in [pool]."`
	QueryTimeout     *time.Duration `key:"query_timeout" min:"0s" doc:"As in [pool]."`
	IdleTransaction  *time.Duration `key:"idle_transaction_timeout" min:"0s" doc:"As in [pool]."`
	ClientIdle       *time.Duration `key:"client_idle_timeout" min:"0s" doc:"As in [pool]."`
	Replication      *string        `key:"replication" oneof:"pass refuse" doc:"As in [pool]."`
	Login            *string        `key:"login" oneof:"hold eager" doc:"As in [pool]."`
}

// Cluster is one [cluster.NAME].
type Cluster struct {
	Name               string
	Nodes              []string      `key:"nodes" unit:"host:port" doc:"The members. Without a port: 5432. /directory:port is a unix socket. A host name is followed to where it leads. Required, unless patroni.urls, etcd.endpoints or dns.names is given: then members are found, and these count in addition."`
	ProbeUser          string        `key:"probe_user" default:"pgrouter" unit:"user name" doc:"As whom the router watches the nodes. It needs REPLICATION, to read timeline histories (without it a promoted standby is not proven and writes are held), and pg_monitor."`
	ProbePassword      Secret        `key:"probe_password" doc:"Its password."`
	ProbeDatabase      string        `key:"probe_database" default:"postgres" unit:"database name" doc:"Where it logs in."`
	ProbePort          int           `key:"probe_port" default:"0" min:"0" max:"65535" unit:"port" doc:"PostgreSQL's own port on every node, where nodes lead to a connection pooler: PgBouncer on 6432, PostgreSQL on 5432. The router watches the nodes there and works through the pooler. 0: there is none."`
	ProbeInterval      time.Duration `key:"probe_interval" default:"1s" min:"100ms" max:"1m" doc:"How often each node is asked for its state. While work is held it is asked every 100 ms, and every 25 ms when the DCS names it and it is not proven yet."`
	ProbeTimeout       time.Duration `key:"probe_timeout" default:"1s" min:"50ms" max:"1m" doc:"After how long without an answer a node is suspect and gets no new work."`
	AddressMap         []string      `key:"address_map" unit:"host:port=host:port" doc:"Where the addresses that members announce to Patroni and etcd are reached from here, those of servers and of REST interfaces alike."`
	WhenDCSLost        string        `key:"when_dcs_lost" default:"keep" oneof:"keep hold" doc:"What becomes of the primary of a cluster with a DCS (Patroni, etcd) when the DCS is silent for longer than its lease. keep: it goes on while it answers as before, its own Patroni answers and says that it leads, and nothing speaks against it; another node is never opened. A primary that was replaced behind a broken network then takes writes that are lost. hold: writes are held until the DCS is heard again."`
	StateDir           string        `key:"state_dir" unit:"directory" reload:"restart" doc:"Where the router remembers the cluster's identity and its highest timeline, so that it refuses outdated nodes after a restart. Empty: in memory only, with a warning."`
	DemoteCommand      []string      `key:"demote_command" kind:"command" expand:"no" doc:"What a switchover runs to stop the old primary or make it a standby. Not used where Patroni can be asked (patroni.urls). Without both a switchover is refused. A list is run as it is, a string by /bin/sh -c. It finds PGROUTER_NODE (the node concerned), PGROUTER_OLD_PRIMARY, PGROUTER_NEW_PRIMARY and PGROUTER_CLUSTER in its environment."`
	PromoteCommand     []string      `key:"promote_command" kind:"command" expand:"no" doc:"What a switchover runs to promote the new primary, in the same way. Without it the router calls pg_promote() as switchover_user."`
	SwitchoverUser     string        `key:"switchover_user" default:"postgres" unit:"user name" doc:"Who may execute pg_promote()."`
	SwitchoverPassword Secret        `key:"switchover_password" doc:"Its password."`
	DrainTimeout       time.Duration `key:"drain_timeout" default:"4s" min:"1ms" doc:"How long a switchover waits for running work before it is given up. New work waits meanwhile, and then for the new primary, which takes Patroni some 2 s: together less than hold_timeout, or who waits gets 57P03."`
	SwitchTimeout      time.Duration `key:"switch_timeout" default:"30s" min:"1s" doc:"How long it then waits for the new primary."`
	Weights            []string      `key:"weights" unit:"host:port=number" doc:"How reads are shared out among the nodes of a route: a node of weight 3 gets three times as many as one of weight 1, which those have that are not named. 0: none."`
	SlowStart          time.Duration `key:"slow_start" default:"30s" min:"0s" max:"1h" doc:"In what time the share of a node grows from a tenth to the whole when it has been restarted, because its cache is cold. 0s: at once."`
	HoldMax            time.Duration `key:"hold_max" default:"5s" max:"5m" doc:"How long new work is held at most because somebody has asked Patroni to move the primary (patronictl switchover), counted from the moment at which the request is seen and due. It ends earlier when the new primary is proven, or when Patroni drops the request. The hold_timeout of clients counts beside it: longer than that, a request that Patroni does not get on with would cost errors. 0: only the end of the old primary holds."`
	Patroni            Patroni       `within:"patroni"`
	Etcd               Etcd          `within:"etcd"`
	DNS                DNS           `within:"dns"`
}

// Etcd is one [cluster.NAME.etcd].
type Etcd struct {
	Endpoints []string      `key:"endpoints" unit:"URLs" doc:"The members of the etcd v3 in which Patroni keeps its keys, such as http://10.0.0.1:2379. Empty: etcd is not read."`
	Namespace string        `key:"namespace" default:"/service" unit:"key" doc:"Patroni's namespace."`
	Scope     string        `key:"scope" unit:"key" doc:"Patroni's scope, with Citus scope/group. Empty: the cluster's name here."`
	Username  string        `key:"username" unit:"user name" doc:"As whom the router logs in to etcd. A role that may read the scope is enough."`
	Password  Secret        `key:"password" doc:"Its password."`
	CAFile    string        `key:"ca_file" unit:"file" doc:"Who has signed the certificates of https endpoints. Empty: the system's authorities count. A relative path begins where the configuration file lies."`
	CertFile  string        `key:"cert_file" unit:"file" doc:"The router's own certificate, where etcd wants one (client-cert-auth)."`
	KeyFile   string        `key:"key_file" unit:"file" doc:"Its key."`
	Timeout   time.Duration `key:"timeout" default:"1s" min:"50ms" max:"1m" doc:"How long a read may take before it is made anew on another connection."`
}

// Patroni is one [cluster.NAME.patroni].
type Patroni struct {
	URLs     []string      `key:"urls" unit:"URLs" doc:"REST interfaces of some members, such as http://10.0.0.11:8008; the others are found. Empty: Patroni is not asked."`
	Username string        `key:"username" unit:"user name" doc:"For basic authentication: restapi.authentication of Patroni, which it wants to see for a switchover or failover. What the router asks otherwise is open to everybody, unless something in front of Patroni says no."`
	Password Secret        `key:"password" doc:"Its password."`
	CAFile   string        `key:"ca_file" unit:"file" doc:"Who has signed the certificates of https URLs. Empty: the system's authorities count. A relative path begins where the configuration file lies."`
	CertFile string        `key:"cert_file" unit:"file" doc:"The router's own certificate, where Patroni wants one (verify_client = required)."`
	KeyFile  string        `key:"key_file" unit:"file" doc:"Its key."`
	Interval time.Duration `key:"interval" default:"1s" min:"100ms" max:"1m" doc:"How often each member is asked for itself, and one of them for the cluster, which makes it read the DCS; a fifth more or less."`
	Timeout  time.Duration `key:"timeout" default:"2s" min:"50ms" max:"1m" doc:"How long an answer may take before another member is asked."`
}

// Listener is one [[listener]].
type Listener struct {
	Address     string        `key:"address" required:"true" unit:"host:port" doc:"Where clients connect. /directory:port is a unix socket, /directory/.s.PGSQL.port."`
	Route       string        `key:"route" default:"primary" oneof:"primary replica prefer-replica any" doc:"Which nodes serve it: the primary, standbys, standbys or else the primary, or all."`
	Cluster     string        `key:"cluster" unit:"cluster name" doc:"Whose nodes. May be left out when there is only one cluster."`
	MaxLag      Size          `key:"max_lag" default:"0" doc:"How far a standby may be behind, in the primary's log, and still get reads. Shut out for that it comes back below three quarters. 0: no limit."`
	MaxLagTime  time.Duration `key:"max_lag_time" default:"0s" min:"0s" doc:"The same in time: how old the state may be that it shows. It is seen to probe_interval. 0s: no limit."`
	Fallback    string        `key:"fallback" default:"none" oneof:"none primary" doc:"What a replica listener does without a standby: hold, or use the primary, up to fallback_max."`
	FallbackMax int           `key:"fallback_max" default:"30" min:"1" max:"100" unit:"percent of size" doc:"How many connections reads may have to a primary that they go to for want of a standby (fallback, prefer-replica), so that they do not starve writes. The others wait, as in a pool that is in use."`
	Balance     string        `key:"balance" default:"least-connections" oneof:"least-connections round-robin" doc:"How a node is chosen among several."`
}
