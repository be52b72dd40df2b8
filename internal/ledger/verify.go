package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const maxExamples = 10

// Verdict is the comparison of what clients were told with what is there. Writes are counted by their numbers.
type Verdict struct {
	Acknowledged   int64    // writes that were acknowledged
	Failed         int64    // writes that certainly failed
	Unknown        int64    // writes in doubt
	UnknownPresent int64    // those of them that are there
	Lost           int64    // acknowledged but absent
	Doubled        int64    // present more than once
	Ghosts         int64    // certainly failed but present
	Alien          int64    // present but never sent
	Torn           int64    // half of a write is there: a call without its record, or the reverse
	Mixed          int64    // statements whose answer is not their own, or lacks its row
	Missing        []Write  // the lost ones, by client and number
	Examples       []string // some of the faults
}

// Write is one write of a load.
type Write struct {
	Client int
	Number int64
	ID     string    // the column "id" of its row
	At     time.Time // when the client knew what had become of it
}

// Clean reports whether no fault was found. Writes in doubt are none.
func (v Verdict) Clean() bool {
	return v.Lost == 0 && v.Doubled == 0 && v.Ghosts == 0 && v.Alien == 0 && v.Torn == 0 && v.Mixed == 0
}

func (v *Verdict) fault(counter *int64, format string, args ...any) {
	*counter++
	if len(v.Examples) < maxExamples {
		v.Examples = append(v.Examples, fmt.Sprintf(format, args...))
	}
}

// Verify compares the clients' logs with the tables. Run must have ended; conn is a direct connection to the primary.
func (l *Load) Verify(ctx context.Context, conn *pgx.Conn) (Verdict, error) {
	var v Verdict
	total := l.Total()
	v.Mixed = total.Mixed
	v.Examples = append(v.Examples, total.Answers...)
	present := make([][]bool, len(l.clients))
	for i, c := range l.clients {
		c.mu.Lock()
		present[i] = make([]bool, len(c.mu.log))
		c.mu.Unlock()
	}
	if err := l.readRows(ctx, conn, &v, present); err != nil {
		return v, fmt.Errorf("verify the ledger: %w", err)
	}
	for i, c := range l.clients {
		c.compare(&v, present[i])
	}
	if err := l.countTorn(ctx, conn, &v); err != nil {
		return v, fmt.Errorf("verify the ledger: %w", err)
	}
	return v, nil
}

func (l *Load) readRows(ctx context.Context, conn *pgx.Conn, v *Verdict, present [][]bool) error {
	rows, err := conn.Query(ctx, `SELECT client, seq, count(*), min(id), max(id) FROM pgrouter_ledger WHERE run = $1 GROUP BY client, seq`, l.run)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var client int
		var seq, times int64
		var first, last string
		if err := rows.Scan(&client, &seq, &times, &first, &last); err != nil {
			return err
		}
		id := writeID(l.run, client, seq)
		if client < 0 || client >= len(present) || seq < 0 || seq >= int64(len(present[client])) || first != id || last != id {
			v.fault(&v.Alien, "%s: never sent (%s, %s)", id, first, last)
			continue
		}
		present[client][seq] = true
		if times > 1 {
			v.fault(&v.Doubled, "%s: there %d times", id, times)
		}
	}
	return rows.Err()
}

func (c *client) compare(v *Verdict, present []bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for seq, known := range c.mu.log {
		id := writeID(c.load.run, c.n, int64(seq))
		there := seq < len(present) && present[seq]
		switch known.outcome {
		case Acknowledged:
			v.Acknowledged++
			if !there {
				v.Missing = append(v.Missing, Write{Client: c.n, Number: int64(seq), ID: id, At: known.at})
				v.fault(&v.Lost, "%s: acknowledged but absent", id)
			}
		case Failed:
			v.Failed++
			if there {
				v.fault(&v.Ghosts, "%s: failed but present", id)
			}
		case Unknown:
			v.Unknown++
			if there {
				v.UnknownPresent++
			}
		}
	}
}

// countTorn looks for transactions of which only a part is there: calls and records have a row in both tables.
func (l *Load) countTorn(ctx context.Context, conn *pgx.Conn, v *Verdict) error {
	rows, err := conn.Query(ctx, `SELECT coalesce(l.id, c.id) FROM
  (SELECT id FROM pgrouter_ledger WHERE run = $1 AND kind IN ('record', 'call')) AS l
  FULL JOIN (SELECT id FROM pgrouter_cdr WHERE run = $1) AS c USING (id) WHERE l.id IS NULL OR c.id IS NULL`, l.run)
	if err != nil {
		return err
	}
	torn, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, id := range torn {
		v.fault(&v.Torn, "%s: only a part is there", id)
	}
	return nil
}

// ErrFaulty says that a verdict is not clean.
var ErrFaulty = errors.New("the ledger does not agree with what clients were told")

// Err returns nil for a clean verdict, else an error that says what was found.
func (v Verdict) Err() error {
	if v.Clean() {
		return nil
	}
	return fmt.Errorf("%w: lost %d, doubled %d, ghosts %d, alien %d, torn %d, mixed %d; %q",
		ErrFaulty, v.Lost, v.Doubled, v.Ghosts, v.Alien, v.Torn, v.Mixed, v.Examples)
}

// Acknowledged returns the writes that were acknowledged so far, by client and number.
func (l *Load) Acknowledged() []Write {
	var writes []Write
	for _, c := range l.clients {
		writes = c.appendAcknowledged(writes)
	}
	return writes
}

func (c *client) appendAcknowledged(to []Write) []Write {
	c.mu.Lock()
	defer c.mu.Unlock()
	for seq, known := range c.mu.log {
		if known.outcome == Acknowledged {
			to = append(to, Write{Client: c.n, Number: int64(seq), ID: writeID(c.load.run, c.n, int64(seq)), At: known.at})
		}
	}
	return to
}
