package main

import (
	"testing"

	"github.com/pgrouter/pgrouter/config"
)

func TestWhatBecomesOfThePrimaryWithoutTheDCSReachesDiscovery(t *testing.T) {
	for text, hold := range map[string]bool{"keep": false, "hold": true} {
		if got := discoveryConfig(&config.Cluster{WhenDCSLost: text}).HoldWithoutDCS; got != hold {
			t.Errorf("%s: %v", text, got)
		}
	}
}
