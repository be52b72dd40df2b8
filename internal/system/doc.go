// Package system holds the tests of the whole product: the binary in front of real PostgreSQL servers, used through psql and
// drivers as its users do.
//
// It owns nothing but tests.
package system
