package failover

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestASwitchoverGoesByWhatWasInForceWhenItBegan gives a conductor other commands while the old primary is demoted: they are for
// the next one.
func TestASwitchoverGoesByWhatWasInForceWhenItBegan(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "go on")
	demote := []string{"/bin/sh", "-c", "mkfifo '" + pipe + "' && cat '" + pipe + "'"}
	former, toldFormer := script(t, "0")
	later, toldLater := script(t, "0")
	w := &world{}
	w.publish("a:1", 1)
	cfg := Config{Cluster: "main", DemoteCommand: demote, PromoteCommand: former, DrainTimeout: time.Minute, SwitchTimeout: time.Minute}
	c := conduct(t, w, cfg)
	done := make(chan error, 1)
	go func() { done <- c.Switchover(context.Background(), "b:1", 0) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		if _, err := os.Stat(pipe); err == nil {
			break
		}
	}
	cfg.DemoteCommand, cfg.PromoteCommand = nil, later
	if err := c.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pipe, nil, 0o600); err != nil { // the demotion ends
		t.Fatal(err)
	}
	for toldFormer() == "" && toldLater() == "" {
		<-tick.C
	}
	w.publish("b:1", 2)
	if err := <-done; err != nil || toldLater() != "" {
		t.Errorf("%v; the new promote_command was told %q", err, toldLater())
	}
	if err := c.Switchover(context.Background(), "a:1", 0); !errors.Is(err, ErrNoDemotion) {
		t.Errorf("without demote_command: %v", err)
	}
}

func TestAFaultyConfigurationChangesNoConductor(t *testing.T) {
	w := &world{}
	w.publish("a:1", 1)
	c := conduct(t, w, Config{})
	if err := c.Reload(Config{Cluster: "main", DemoteCommand: []string{"/bin/true"}}); err == nil {
		t.Fatal("timeouts of 0 are accepted")
	}
	if err := c.Switchover(context.Background(), "b:1", 0); !errors.Is(err, ErrNoDemotion) {
		t.Error(err)
	}
}
