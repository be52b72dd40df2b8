package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/config"
)

// Where the tables begin in the document.
const (
	document    = "../docs/configuration.md"
	tablesBegin = "<!-- tables -->\n"
)

func TestConfigurationDocumentHasEveryKey(t *testing.T) {
	var tables strings.Builder
	if err := config.WriteReference(&tables); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	prose, rest, ok := strings.Cut(string(doc), tablesBegin)
	if !ok {
		t.Fatalf("%s has no line %q", document, tablesBegin)
	}
	if *update {
		if err := os.WriteFile(document, []byte(prose+tablesBegin+"\n"+tables.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff("\n"+tables.String(), rest); diff != "" {
		t.Errorf("the tables are stale; go test ./config -update prints them anew (-want +got):\n%s", diff)
	}
}

func TestConfigurationDocumentsExampleIsValid(t *testing.T) {
	doc, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```toml\n")
	example, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("no example")
	}
	if cfg, faults := config.Parse("x.toml", []byte(example), nil); cfg == nil || len(faults) > 0 {
		t.Error(lines(faults))
	}
}
