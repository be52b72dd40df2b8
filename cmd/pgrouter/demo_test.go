//go:build patroni

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/demo"
)

func TestTheDemoOnPatroniProvesThatNothingIsLost(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	path := filepath.Join(t.TempDir(), "report.json")
	var out bytes.Buffer
	if err := run(ctx, []string{"demo", "--patroni", "--report", path}, streams{in: nil, out: &out, err: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r demo.Report
	if err := json.Unmarshal(content, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Faults) > 0 || r.Lost != 0 || r.Doubled != 0 || r.Acknowledged == 0 || len(r.Events) != 2 {
		t.Fatalf("report %+v", r)
	}
	for _, e := range r.Events {
		if e.From == e.To || e.NewPrimaryProven == nil || e.FirstWriteServed == nil {
			t.Errorf("event %+v", e)
		}
	}
}
