package state

import (
	"slices"
	"strings"
)

// trackedCount is the number of tracked parameters in a Vector.
const trackedCount = 6

// trackedNames are the parameters that a Vector holds as they are reported: those that PostgreSQL reports (GUC_REPORT), that a client may SET, and
// that change nothing but the form of what is exchanged. PgBouncer tracks the same set by default
// (track_extra_parameters = IntervalStyle). The spelling is PostgreSQL's own in ParameterStatus.
//
// Constant table.
var trackedNames = [trackedCount]string{
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

// fromStartOnly are settings that take effect only when a connection begins, in lower case. Constant table.
var fromStartOnly = [...]string{
	"ignore_system_indexes", "jit_debugging_support", "jit_profiling_support", "local_preload_libraries", "log_connections",
	"log_disconnections", "post_auth_delay", SessionAuthorization, "session_preload_libraries",
}

// FromStartOnly reports whether a setting, by its name in lower case, is of no use to a connection that has begun, or cannot be given
// to it as at its start.
func FromStartOnly(name string) bool {
	return slices.Contains(fromStartOnly[:], name) || !plainName(name)
}

func index(name string) int {
	for i, n := range trackedNames {
		if len(n) == len(name) && strings.EqualFold(n, name) {
			return i
		}
	}
	return -1
}
