package admin

import (
	"slices"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/pgwire"
)

// maxPause is the longest FOR: nothing is paused for ever.
const maxPause = 24 * time.Hour

// clauses is what stands behind PAUSE and KILL.
type clauses struct {
	database string        // "" = all
	within   time.Duration // bounds the wait for running work; 0 = the pause's own limit does
	limit    time.Duration // of the pause; 0 = as configured
}

// readClauses reads [db] [WITHIN duration] [FOR duration]; known are the keywords that the command has. Keywords and durations come
// in pairs, so that a database may have any name.
func readClauses(words []string, known ...string) (clauses, error) {
	var c clauses
	usage := "Behind the name of a database may stand " + strings.Join(known, " and ") + " with a duration."
	if len(words)%2 == 1 {
		c.database, words = words[0], words[1:]
	} else if len(words) > 0 && !slices.Contains(known, strings.ToUpper(words[0])) {
		return c, pgwire.ErrConsoleSyntax.New(usage, words[1])
	}
	for ; len(words) > 0; words = words[2:] {
		keyword := strings.ToUpper(words[0])
		at := slices.Index(known, keyword)
		if at < 0 {
			return c, pgwire.ErrConsoleSyntax.New(usage, words[0])
		}
		known = append(known[:at:at], known[at+1:]...) // each once
		d, err := time.ParseDuration(words[1])
		if err != nil || d <= 0 || d > maxPause {
			return c, pgwire.ErrConsoleValue.New("It is a duration such as 500ms, 30s or 5m, above 0 and up to 24h.", keyword, words[1])
		}
		if keyword == "WITHIN" {
			c.within = d
		} else {
			c.limit = d
		}
	}
	return c, nil
}
