package etcd

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnAnswerFromThePastIsNotTaken(t *testing.T) {
	asked := time.Now()
	known := past{header: header{cluster: 1, member: 1, term: 4, revision: 100}, at: asked, lease: 20 * time.Second}
	for name, row := range map[string]struct {
		past past
		h    header
		late time.Duration
		why  string // "" = it is taken
	}{
		"the first":        {past{}, header{cluster: 9, revision: 1, term: 1}, 0, ""},
		"the same":         {known, known.header, time.Second, ""},
		"a later one":      {known, header{cluster: 1, member: 2, term: 5, revision: 101}, time.Second, ""},
		"a lower revision": {known, header{cluster: 1, member: 2, term: 4, revision: 99}, time.Second, "member 2 is behind"},
		"a lower term":     {known, header{cluster: 1, member: 2, term: 3, revision: 200}, time.Second, "member 2 is behind"},
		"a lower revision, the last word counting": {known, header{cluster: 1, term: 2, revision: 9}, 20 * time.Second, "behind"},
		"a restored etcd, the last word too old":   {known, header{cluster: 1, term: 2, revision: 9}, 20*time.Second + 1, ""},
		"another cluster":                          {known, header{cluster: 2, term: 5, revision: 200}, 0, "cluster 2, not of 1"},
		"another cluster, however late":            {known, header{cluster: 2, term: 5, revision: 200}, time.Hour, "cluster 2, not of 1"},
	} {
		err := row.past.check(row.h, asked.Add(row.late))
		if (err == nil) != (row.why == "") || err != nil && !strings.Contains(err.Error(), row.why) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPausesGrowAndAreNeverEqualForAll(t *testing.T) {
	var b backoff
	for _, ms := range []int{100, 200, 400, 800, 1600, 2000, 2000} {
		most := time.Duration(ms) * time.Millisecond
		if got := b.next(); got < most/2 || got > most {
			t.Errorf("%s, at most %s", got, most)
		}
	}
}
