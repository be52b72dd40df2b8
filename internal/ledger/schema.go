package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// schema has no unique constraint on the ledger: a statement that ran twice must leave two rows.
func schema() []string {
	return []string{
		`CREATE TABLE IF NOT EXISTS pgrouter_ledger (
			run text NOT NULL, client int NOT NULL, seq bigint NOT NULL, id text NOT NULL, kind text NOT NULL,
			at timestamptz NOT NULL DEFAULT clock_timestamp())`,
		`CREATE TABLE IF NOT EXISTS pgrouter_location (
			username text PRIMARY KEY, contact text NOT NULL, expires timestamptz NOT NULL, ledger_id text)`,
		`CREATE TABLE IF NOT EXISTS pgrouter_cdr (
			run text NOT NULL, id text NOT NULL, caller text NOT NULL, callee text NOT NULL, seconds int NOT NULL)`,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON pgrouter_ledger, pgrouter_location, pgrouter_cdr TO PUBLIC`,
	}
}

// The statements of the load. Of a write $1 is the run, $2 the client, $3 the number, $4 the id made of them. The last column of each
// answer is a mark that nobody else's bears: the id of a write, the id of a lookup together with what was found.
const (
	sqlLookup = `SELECT username, contact, $1::text || ' ' || username FROM pgrouter_location WHERE username = $2`

	sqlRegister = `WITH mark AS (INSERT INTO pgrouter_ledger (run, client, seq, id, kind) VALUES ($1, $2, $3, $4, 'register'))
INSERT INTO pgrouter_location (username, contact, expires, ledger_id) VALUES ($5, $6, now() + interval '1 hour', $4)
ON CONFLICT (username) DO UPDATE SET contact = EXCLUDED.contact, expires = EXCLUDED.expires, ledger_id = EXCLUDED.ledger_id
RETURNING ledger_id`

	sqlRecord = `WITH mark AS (INSERT INTO pgrouter_ledger (run, client, seq, id, kind) VALUES ($1, $2, $3, $4, 'record'))
INSERT INTO pgrouter_cdr (run, id, caller, callee, seconds) VALUES ($1, $4, $5, $6, $7) RETURNING id`

	sqlCallMark   = `INSERT INTO pgrouter_ledger (run, client, seq, id, kind) VALUES ($1, $2, $3, $4, 'call') RETURNING id`
	sqlCallUpdate = `UPDATE pgrouter_location SET ledger_id = $1 WHERE username = $2 RETURNING ledger_id`
	sqlCallRecord = `INSERT INTO pgrouter_cdr (run, id, caller, callee, seconds) VALUES ($1, $2, $3, $4, $5) RETURNING id`
)

// Prepare makes the tables, if they are not there, and the subscribers that lookups ask for. conn is a direct connection
// to the primary that may create tables.
func Prepare(ctx context.Context, conn *pgx.Conn, subscribers int) error {
	for _, s := range schema() {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("ledger tables: %w", err)
		}
	}
	_, err := conn.Exec(ctx, `INSERT INTO pgrouter_location (username, contact, expires)
		SELECT 'u' || i, 'sip:u' || i || '@192.0.2.1', now() FROM generate_series(0, $1::int - 1) AS i ON CONFLICT DO NOTHING`, subscribers)
	if err != nil {
		return fmt.Errorf("ledger subscribers: %w", err)
	}
	return nil
}
