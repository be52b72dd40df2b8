package admin

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestTheDocumentationNamesEveryCommand keeps docs/console.md true.
func TestTheDocumentationNamesEveryCommand(t *testing.T) {
	text, err := os.ReadFile("../docs/console.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands() {
		if name := "`" + strings.TrimSpace(c.name+" "+c.args) + "`"; !strings.Contains(string(text), name) {
			t.Errorf("docs/console.md does not name %s", name)
		}
	}
}

// TestTheDocumentationNamesEveryMetricOfThisPackage keeps docs/metrics.md true.
func TestTheDocumentationNamesEveryMetricOfThisPackage(t *testing.T) {
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	descriptions := make(chan *prometheus.Desc, 100)
	NewJournal(slog.New(slog.DiscardHandler)).Describe(descriptions)
	close(descriptions)
	found := 0
	for d := range descriptions {
		_, rest, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, ok := strings.Cut(rest, `"`)
		if !ok || !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("docs/metrics.md does not name %s", d)
		}
		found++
	}
	if found == 0 {
		t.Error("there is no metric to look for")
	}
}
