// Package drivers runs programs of our own that use PostgreSQL by the drivers that applications use: node-postgres, psycopg 3, asyncpg,
// JDBC, DBD::Pg and PDO. Each plays its scenarios on a direct connection and through the router in transaction mode, among strangers, and
// must print the same. The tests run only with the build tag drivers, because scripts/setup-drivers has to install the drivers first:
// make drivers.
//
// It owns nothing but tests and their programs.
package drivers
