//go:build linux

package reactor

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(starvedEnv) != "" {
		os.Exit(runStarved())
	}
	goleak.VerifyTestMain(m)
}
