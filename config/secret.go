package config

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what stands for a secret wherever it would be shown.
const redacted = "[redacted]"

// Secret is a password. Whatever prints, logs or encodes it gets a placeholder; only Reveal gives the text. The zero value is
// no secret.
type Secret struct {
	text string
}

// NewSecret returns a secret of that text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the secret's text. It must not be shown to anybody.
func (s Secret) Reveal() string { return s.text }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.text == "" }

// String returns a placeholder, "" for no secret.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return redacted
}

// Format makes every verb of fmt print the placeholder.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText makes encoders (JSON, TOML) write the placeholder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue makes slog write the placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
