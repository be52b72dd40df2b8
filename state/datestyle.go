package state

import "strings"

// MergeDateStyle returns the DateStyle that PostgreSQL comes to when it is given one and then another: each may say only half of it,
// the style or the order of day and month. What it would not understand it is to see itself.
func MergeDateStyle(before, then string) string {
	style, order, ok := readDateStyle("", "", before)
	if ok {
		style, order, ok = readDateStyle(style, order, then)
	}
	switch {
	case !ok:
		return then
	case style == "" || order == "":
		return style + order
	}
	return style + ", " + order
}

// readDateStyle takes in one value. German goes with days in front, unless something else was said.
func readDateStyle(style, order, value string) (newStyle, newOrder string, ok bool) {
	said := false
	for word := range strings.SplitSeq(value, ",") {
		word = strings.ToUpper(strings.TrimSpace(word))
		switch {
		case strings.HasPrefix(word, "ISO"), strings.HasPrefix(word, "SQL"), strings.HasPrefix(word, "POSTGRES"):
			style = word
		case strings.HasPrefix(word, "GERMAN"):
			style = word
			if !said {
				order = "DMY"
			}
		case word == "YMD", word == "DMY", word == "MDY", word == "US", strings.HasPrefix(word, "EURO"), strings.HasPrefix(word, "NONEURO"):
			order, said = word, true
		default:
			return "", "", false
		}
	}
	return style, order, true
}
