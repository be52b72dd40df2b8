package config_test

import (
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/routing"
)

// words returns the words that a field of a struct may have.
func words(t *testing.T, of any, field string) []string {
	t.Helper()
	f, ok := reflect.TypeOf(of).FieldByName(field)
	list := strings.Fields(f.Tag.Get("oneof"))
	if !ok || len(list) == 0 {
		t.Fatalf("%T has no words for %s", of, field)
	}
	return list
}

func TestEveryWordMeansSomethingToThePackageThatItIsFor(t *testing.T) {
	for _, c := range []struct {
		of    any
		field string
		parse func(string) error
	}{
		{config.Pool{}, "Mode", func(s string) error { _, err := proxy.ParseMode(s); return err }},
		{config.Override{}, "Mode", func(s string) error { _, err := proxy.ParseMode(s); return err }},
		{config.Auth{}, "Method", func(s string) error { _, err := auth.ParseMethod(s); return err }},
		{config.Listener{}, "Route", func(s string) error { _, err := routing.ParseRoute(s); return err }},
		{config.Listener{}, "Balance", func(s string) error { _, err := routing.ParseBalance(s); return err }},
		{config.Log{}, "Level", func(s string) error { var l slog.Level; return l.UnmarshalText([]byte(s)) }},
	} {
		for _, word := range words(t, c.of, c.field) {
			if err := c.parse(word); err != nil {
				t.Errorf("%T.%s: %v", c.of, c.field, err)
			}
		}
	}
}

func TestDefaultsAreThoseOfThePackagesThatTheyAreFor(t *testing.T) {
	cfg := load(t, least)
	p, d := cfg.Pool, pool.Defaults()
	got := []any{p.Size, p.IdleTimeout, p.Lifetime, p.HoldMaxClients, p.DialParallel, p.DialBackoffMin, p.DialBackoffMax, p.ResetQuery}
	want := []any{d.Size, d.IdleTimeout, d.Lifetime, d.MaxWaiters, d.DialParallel, d.DialBackoffMin, d.DialBackoffMax, d.ResetQuery}
	l, x := cfg.Limits, proxy.Defaults()
	got = append(got, l.MaxClients, l.MaxLogins, l.LoginTimeout, l.CancelParallel, l.CancelTimeout, int64(p.HoldMaxBytes), int64(l.MaxClientBuffer))
	want = append(want, x.MaxClients, x.MaxLogins, x.LoginTimeout, x.CancelParallel, x.CancelTimeout, x.HoldMaxBytes, int64(x.MaxClientBuffer))
	b, c := backend.Defaults(), cfg.Clusters[0]
	got = append(got, p.ConnectTimeout, p.ServerLogin, c.DrainTimeout, c.SwitchTimeout, c.HoldMax)
	want = append(want, b.ConnectTimeout, b.LoginTimeout, failover.DefaultDrainTimeout, failover.DefaultSwitchTimeout, failover.DefaultHoldMax)
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("default %d is %v, the package's is %v", i, got[i], want[i])
		}
	}
}
