package state

import "testing"

// TestRowsOfCursorsAndPreparedStatementsAreBorrowed, and no others.
func TestRowsOfCursorsAndPreparedStatementsAreBorrowed(t *testing.T) {
	for text, want := range map[string]bool{
		`fetch all in "c"`: true, " /* next */ FETCH c": true, "-- next\nexecute q(1)": true,
		"": false, "fetch": false, "fetched": false, `"fetch" c`: false, "select fetch from t": false, "explain execute q": false, "move c": false,
	} {
		if Borrows([]byte(text)) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}
