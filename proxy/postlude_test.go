package proxy

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/pgrouter/pgrouter/pgwire"
)

// row makes a DataRow; "null" is none.
func row(values ...string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{pgwire.KindDataRow, 0, 0, 0, 0}, uint16(len(values)))
	for _, v := range values {
		if v == "null" {
			b = binary.BigEndian.AppendUint32(b, 0xffffffff)
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-1))
	return b
}

func TestAPostludeIsOneQueryAndOneRow(t *testing.T) {
	var heard []string
	var q postlude
	if q.text() != "" {
		t.Fatalf("nothing is asked, yet the text is %q", q.text())
	}
	hear := func(value []byte) {
		if value == nil {
			heard = append(heard, "nothing")
			return
		}
		heard = append(heard, string(value))
	}
	q.ask("1", hear)
	q.ask("null", hear)
	q.ask("''", hear)
	if want := "SELECT 1,null,''"; q.text() != want {
		t.Errorf("the text is %q, want %q", q.text(), want)
	}
	q.row = row("1", "null", "")
	if !q.hear() || !slices.Equal(heard, []string{"1", "nothing", ""}) {
		t.Errorf("heard %q", heard)
	}
}

func TestAPostludeKnowsItsRow(t *testing.T) {
	hears := func(row []byte) bool {
		q := postlude{row: row}
		q.ask("1", func([]byte) {})
		return q.hear()
	}
	whole := row("1")
	if !hears(whole) {
		t.Error("its row is not known")
	}
	for size := range whole {
		if hears(whole[:size]) {
			t.Errorf("%d bytes of it are taken for the whole", size)
		}
	}
	if hears(row("1", "2")) || hears(row()) || hears(append(row("1"), 0)) || hears(append(row("1"), row("1")...)) {
		t.Error("another row is taken for it")
	}
}
