package state

import "testing"

func TestDateStylesAddUp(t *testing.T) {
	for _, tc := range []struct{ before, then, want string }{
		{"german", "sql", "SQL, DMY"},
		{"sql", "dmy", "SQL, DMY"},
		{"dmy", "iso", "ISO, DMY"},
		{"ISO, MDY", "dmy", "ISO, DMY"},
		{"iso, ymd", "German, MDY", "GERMAN, MDY"},
		{"mdy, german", "iso", "ISO, MDY"},
		{"sql", "iso", "ISO"},
		{"us", "european", "EUROPEAN"},
		{"iso", "klingon", "klingon"},
		{"klingon", "iso", "iso"},
		{"iso", "default", "default"},
	} {
		if got := MergeDateStyle(tc.before, tc.then); got != tc.want {
			t.Errorf("%s, then %s: %s, want %s", tc.before, tc.then, got, tc.want)
		}
	}
}
