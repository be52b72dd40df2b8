package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/pgrouter/pgrouter/config"
)

// TestConfigurationsInTheMigrationGuideAreGood loads each of them, beside the files that it names.
func TestConfigurationsInTheMigrationGuideAreGood(t *testing.T) {
	text, err := os.ReadFile("../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllSubmatch(text, -1)
	const least = 3
	if len(blocks) < least {
		t.Fatalf("only %d configurations were found", len(blocks))
	}
	dir := t.TempDir()
	for _, name := range []string{"userlist.txt", "probe-password.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("\"app\" \"secret\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, block := range blocks {
		if cfg, faults := config.Parse(filepath.Join(dir, "pgrouter.toml"), block[1], nil); cfg == nil || len(faults) > 0 {
			t.Errorf("%s\n%s", block[1], lines(faults))
		}
	}
}
