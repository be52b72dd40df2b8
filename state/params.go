package state

import "strings"

// tracked is the number of parameters in a Vector.
const tracked = 6

// trackedNames are the parameters that a Vector holds: those that PostgreSQL reports (GUC_REPORT), that a client may SET, and
// that change nothing but the form of what is exchanged. PgBouncer tracks the same set by default
// (track_extra_parameters = IntervalStyle). The spelling is PostgreSQL's own in ParameterStatus.
//
// Constant table.
var trackedNames = [tracked]string{
	"application_name",
	"client_encoding",
	"DateStyle",
	"IntervalStyle",
	"TimeZone",
	"standard_conforming_strings",
}

// applicationName is the place of application_name, the only one of them that may be empty.
const applicationName = 0

// Tracked reports whether a parameter is part of the vector. Names are compared without regard to case, as PostgreSQL does.
func Tracked(name string) bool { return index(name) >= 0 }

func index(name string) int {
	for i, n := range trackedNames {
		if len(n) == len(name) && strings.EqualFold(n, name) {
			return i
		}
	}
	return -1
}
