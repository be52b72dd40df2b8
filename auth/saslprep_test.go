package auth

import "testing"

func TestSASLprepAsPostgreSQLDoesIt(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"ASCII stays", "pass word\t\x01", "pass word\t\x01"},
		{"empty", "", ""},
		{"no-break space becomes a space", "a\u00a0b", "a b"},
		{"zero width space becomes a space", "a\u200bb", "a b"},
		{"soft hyphen vanishes", "I\u00adX", "IX"},
		{"compatibility forms are normalised", "\u00aa\u2168", "aIX"},
		{"composed", "e\u0301", "\u00e9"},
		{"only soft hyphens stay raw", "\u00ad\u00ad", "\u00ad\u00ad"},
		{"control character stays raw", "\u00e9\u0007\u00a0", "\u00e9\u0007\u00a0"},
		{"unassigned stays raw", "\u0221\u00a0", "\u0221\u00a0"},
		{"invalid UTF-8 stays raw", "\xff\u00a0", "\xff\u00a0"},
		{"mixed directions stay raw", "\u0627\u00a0a", "\u0627\u00a0a"},
		{"right to left must end so", "\u06271", "\u06271"},
		{"right to left", "\u0627\u00ad1\u0628", "\u06271\u0628"},
	}
	for _, tt := range tests {
		if got := saslPrep(tt.in); got != tt.want {
			t.Errorf("%s: %q becomes %q, want %q", tt.name, tt.in, got, tt.want)
		}
	}
}
