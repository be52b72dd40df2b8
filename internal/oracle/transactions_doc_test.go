package oracle

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	godiff "github.com/google/go-cmp/cmp"
)

const (
	transactionsDoc = "../../docs/transactions.md"
	tableBegins     = "<!-- table -->\n"
)

// finding is what a probe has shown.
type finding struct {
	probe probe
	pin   string // why the owner keeps its server; "" where it does not
}

// document holds the table of docs/transactions.md against what the probes have shown.
func document(t *testing.T, all []finding) {
	t.Helper()
	doc, err := os.ReadFile(transactionsDoc)
	if err != nil {
		t.Fatal(err)
	}
	prose, rest, ok := strings.Cut(string(doc), tableBegins)
	if !ok {
		t.Fatalf("%s has no line %q", transactionsDoc, tableBegins)
	}
	table := "\n" + tableOf(all)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(transactionsDoc, []byte(prose+tableBegins+table), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := godiff.Diff(table, rest); diff != "" {
		t.Errorf("the table is stale; go test ./internal/oracle -run LeavesIsItsOwn -update writes it anew (-want +got):\n%s", diff)
	}
}

func tableOf(all []finding) string {
	var b strings.Builder
	b.WriteString("| what | pgrouter | strangers see | PgBouncer |\n| --- | --- | --- | --- |\n")
	for _, f := range all {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.probe.name, f.keeping(), cmp.Or(f.probe.seen, "nothing"), f.probe.bouncer)
	}
	return b.String()
}

// keeping says how the owner has it on its next server.
func (f finding) keeping() string {
	var how string
	switch {
	case f.probe.lost != "":
		return f.probe.lost
	case slices.Contains(nothingStays, f.probe.name):
		how = "ends as it ought to"
	case f.pin == "":
		return "goes with the client"
	}
	if f.pin != "" {
		how = strings.TrimPrefix(how+", pins: `", ", ") + f.pin + "`"
	}
	return how
}
