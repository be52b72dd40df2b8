package admin

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/pgwire"
)

// reloadHint says how a setting comes back.
const reloadHint = "RELOAD brings back what the configuration says."

// setSetting is the SET of a setting of pgrouter's: it counts until the next RELOAD.
func setSetting(ctx context.Context, a *Admin, by string, args []string) ([]*pgwire.Error, error) {
	name := args[0]
	value, err := settingValue(name, args[1])
	if err != nil {
		return nil, err
	}
	order := SettingOrder{Key: name, Value: value, By: by}
	counterparts := counterparts()
	if at := slices.IndexFunc(counterparts, func(c counterpart) bool { return c.key == name }); at >= 0 {
		c := &counterparts[at]
		if c.fixed != "" {
			return nil, cannotBeChanged(name)
		}
		order.Key, order.Value = c.ours, a.fromSeconds(c.ours, value)
	}
	applied, err := a.actions.Set(ctx, order)
	return changeNotices(applied), err
}

// settingValue reads the text of a value: one word, or any text in quotes.
func settingValue(name, text string) (string, error) {
	words, err := splitWords(text)
	switch {
	case err != nil:
		return "", err
	case len(words) == 0:
		return "", pgwire.ErrConsoleSyntax.New("a value is missing", name)
	case len(words) > 1:
		return "", pgwire.ErrConsoleSyntax.New("a value of several words stands in quotes", words[1])
	case strings.EqualFold(text, "default"):
		return "", pgwire.ErrConsoleValue.New(reloadHint, name, text)
	}
	return words[0], nil
}

// fromSeconds reads a value of PgBouncer's: a time without a unit is in seconds, as SHOW CONFIG shows it.
func (a *Admin) fromSeconds(key, value string) string {
	_, notNumber := strconv.ParseFloat(value, 64)
	isTime := func(s Setting) bool { return s.Key == key && inSeconds(s.Value) != s.Value }
	if notNumber == nil && slices.ContainsFunc(a.world.Setup().Settings, isTime) {
		return value + "s"
	}
	return value
}

// inSeconds writes a duration as PgBouncer does; what is none stays as it is.
func inSeconds(value string) string {
	d, err := time.ParseDuration(value)
	if err != nil {
		return value
	}
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}
