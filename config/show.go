package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Show returns the effective configuration in the form of the file, defaults included and secrets redacted.
func (c *Config) Show() string {
	var b strings.Builder
	b.WriteString("# effective configuration, from " + strconv.Quote(c.Source) + "\n")
	from := reflect.ValueOf(c).Elem()
	for _, s := range sections() {
		v := from.FieldByIndex(s.index)
		switch s.group {
		case groupTable:
			s.show(&b, s.title(), v)
		case groupTables:
			for i := range v.Len() {
				s.show(&b, "["+join(s.name, v.Index(i).FieldByName("Name").String())+"]", v.Index(i))
			}
		case groupArray:
			for i := range v.Len() {
				s.show(&b, s.title(), v.Index(i))
			}
		}
	}
	return b.String()
}

// show writes one table.
func (s *section) show(b *strings.Builder, title string, row reflect.Value) {
	b.WriteString("\n" + title + "\n")
	for i := range s.fields {
		v := row.FieldByIndex(s.fields[i].index)
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				continue
			}
			v = v.Elem()
		}
		fmt.Fprintf(b, "%s = %s\n", s.fields[i].key, formatTOML(v.Interface()))
	}
}

// formatTOML writes a value of any kind of field.
func formatTOML(v any) string {
	switch v := v.(type) {
	case int:
		return strconv.Itoa(v)
	case time.Duration:
		return quoteTOML(formatDuration(v))
	case Size:
		return quoteTOML(v.String())
	case []string:
		quoted := make([]string, len(v))
		for i := range v {
			quoted[i] = quoteTOML(v[i])
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return quoteTOML(fmt.Sprint(v))
}

// quoteTOML writes a basic string: JSON's escapes are TOML's, but that TOML wants DEL escaped too.
func quoteTOML(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""`
	}
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}
