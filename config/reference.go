package config

import (
	"fmt"
	"io"
	"strings"
)

// unitText says in what a value is counted, or how it is written.
func (f *field) unitText() string {
	switch {
	case len(f.oneof) > 0:
		return strings.Join(f.oneof, ", ")
	case f.kind == kindDuration:
		return "ms, s, m, h"
	case f.kind == kindSize:
		return "B, kB, MB, GB, TB"
	case f.kind == kindSecret:
		return "text"
	case f.kind == kindCommand:
		return "program and arguments"
	}
	return f.unit
}

func (f *field) kindText() string {
	switch {
	case len(f.oneof) > 0:
		return "word"
	case f.kind == kindNumber:
		return "number"
	case f.kind == kindDuration:
		return "duration"
	case f.kind == kindSize:
		return "size"
	case f.kind == kindList:
		return "list"
	case f.kind == kindCommand:
		return "command"
	case f.kind == kindSecret:
		return "secret"
	}
	return "string"
}

// defaultText is the default as one would write it.
func (f *field) defaultText(s *section) string {
	switch {
	case f.required:
		return "required"
	case s.group == groupTables && f.def == "" && s.name != "cluster":
		return "as in [pool]"
	case f.kind == kindList || f.kind == kindCommand:
		return "`[]`"
	case f.kind == kindNumber:
		return "`" + f.def + "`"
	case f.kind == kindSecret:
		return "none"
	}
	return "`" + quoteTOML(f.def) + "`"
}

// WriteReference writes the tables of docs/configuration.md, made from the tags of the structs.
func WriteReference(w io.Writer) error {
	var b strings.Builder
	for _, s := range sections() {
		fmt.Fprintf(&b, "## %s\n\n%s\n\n", s.title(), s.doc)
		b.WriteString("| Key | Type | Unit or values | Default | Meaning |\n| --- | --- | --- | --- | --- |\n")
		for i := range s.fields {
			f := &s.fields[i]
			key, limits := "`"+f.key+"`", ""
			if f.kind == kindSecret {
				key += ", `" + f.key + fileSuffix + "`"
			}
			if f.min != "" && f.min != "0" && f.min != "0s" {
				limits = " At least " + f.min + "."
			}
			if f.max != "" {
				limits += " At most " + f.max + "."
			}
			if f.restart {
				limits += " **Needs a restart.**"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s%s |\n", key, f.kindText(), f.unitText(), f.defaultText(&s), f.doc, limits)
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
