package pool

import (
	"strings"
	"testing"
	"time"
)

func TestDefaultsAreValidAndEveryFaultIsNamed(t *testing.T) {
	if err := Defaults().Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	bad := Config{
		Size: 0, IdleTimeout: -1, Lifetime: -1, MaxWaiters: -1, DialParallel: 0, DialBackoffMin: 0, DialBackoffMax: -time.Second,
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{
		"size", "idle_timeout", "lifetime", "hold_max_clients", "dial_parallel", "dial_backoff_min", "dial_backoff_max", "reset_query",
		"answer_timeout",
	} {
		if !strings.Contains(err.Error(), "pool: "+name+" must be ") {
			t.Errorf("%s is not named in %q", name, err)
		}
	}
	if got := Apply(Defaults(), bad); len(got) != 0 {
		t.Errorf("a restart is said to be needed for %v", got)
	}
}

func TestALargerSizeServesWhoWaitsAtOnce(t *testing.T) {
	w, c := opened(t, 1, 1, 2)
	c[0].acquire()
	c[1].acquire()
	if len(w.dials) != 1 {
		t.Fatalf("%d dials", len(w.dials))
	}
	cfg := Defaults()
	cfg.Size = 2
	if w.pool.Queue(w.queue.key, w.queue.rules, cfg) != w.queue {
		t.Fatal("another queue for the same key")
	}
	if len(w.dials) != 2 {
		t.Errorf("%d dials", len(w.dials))
	}
}
