package admin

import (
	"os"
	"strings"
	"testing"
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
