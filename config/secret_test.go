package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/pgrouter/pgrouter/config"
)

func TestSecretIsNotInAnythingThatPrints(t *testing.T) {
	s := config.NewSecret(canary)
	holder := struct {
		S config.Secret
		P *config.Secret
	}{s, &s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb, s, &s, holder)
	}
	if err := json.NewEncoder(&out).Encode(holder); err != nil {
		t.Error(err)
	}
	if err := toml.NewEncoder(&out).Encode(holder); err != nil {
		t.Error(err)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "p", &s, "h", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "p", &s, "h", holder)
	if strings.Contains(out.String(), canary) || strings.Contains(out.String(), fmt.Sprintf("%x", canary)) {
		t.Errorf("it is in %s", out.String())
	}
	if s.Reveal() != canary || s.IsZero() || (config.Secret{}).String() != "" {
		t.Error("Reveal or String is wrong")
	}
}
