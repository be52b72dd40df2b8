package admin

import (
	"slices"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/pgwire"
)

// maxPause is the longest FOR of a pause: nothing is paused for ever.
const maxPause = 24 * time.Hour

// grammar is what may stand behind a command: names, and behind them keywords with a duration each.
type grammar struct {
	names    int    // how many at most
	of       string // whose names they are, for errors
	keywords []string
	most     time.Duration // the longest that may stand there
	mostText string
}

// clauses is what stands there.
type clauses struct {
	names []string
	times map[string]time.Duration // by keyword
}

// name is the first name, "" when there is none.
func (c *clauses) name() string { return first(c.names) }

// read reads the words behind a command from their end: keywords and durations come in pairs, so that a database may have any name.
func (g *grammar) read(words []string) (clauses, error) {
	c := clauses{times: make(map[string]time.Duration)}
	for len(words) >= 2 {
		pair := words[len(words)-2:]
		keyword := strings.ToUpper(pair[0])
		if !slices.Contains(g.keywords, keyword) {
			break
		}
		if _, twice := c.times[keyword]; twice {
			return c, pgwire.ErrConsoleSyntax.New(g.usage(), pair[0])
		}
		d, err := time.ParseDuration(pair[1])
		if err != nil || d <= 0 || d > g.most {
			return c, pgwire.ErrConsoleValue.New("It is a duration such as 500ms, 30s or 5m, above 0 and up to "+g.mostText+".", keyword, pair[1])
		}
		c.times[keyword] = d
		words = words[:len(words)-2]
	}
	if len(words) > g.names {
		return c, pgwire.ErrConsoleSyntax.New(g.usage(), words[g.names])
	}
	c.names = words
	return c, nil
}

func (g *grammar) usage() string {
	return "Behind the name of a " + g.of + " may stand " + strings.Join(g.keywords, " and ") + " with a duration."
}

// ofDatabase is the grammar of PAUSE and KILL.
func ofDatabase(keywords ...string) *grammar {
	return &grammar{names: 1, of: "database", keywords: keywords, most: maxPause, mostText: "24h"}
}

// ofHold is the grammar of what holds or moves a primary.
func ofHold(names int, of string, keywords ...string) *grammar {
	return &grammar{names: names, of: of, keywords: keywords, most: failover.MostLease, mostText: "5m"}
}
