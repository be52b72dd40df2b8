package auth

import "fmt"

// Method is how clients prove who they are.
type Method uint8

// The methods. The zero value is no method: nobody gets in.
const (
	MethodNone     Method = iota
	MethodTrust           // no proof; with a userlist the name must be in it, as in PgBouncer
	MethodPassword        // the password in clear text
	MethodMD5             // md5 challenge; users with a SCRAM verifier get SCRAM-SHA-256, as in PostgreSQL
	MethodSCRAM           // SCRAM-SHA-256
)

// String returns the name that the configuration uses.
func (m Method) String() string {
	switch m {
	case MethodTrust:
		return "trust"
	case MethodPassword:
		return "password"
	case MethodMD5:
		return "md5"
	case MethodSCRAM:
		return "scram-sha-256"
	case MethodNone:
	}
	return "none"
}

// ParseMethod returns the method of a configuration's auth.method.
func ParseMethod(name string) (Method, error) {
	for _, m := range []Method{MethodTrust, MethodPassword, MethodMD5, MethodSCRAM} {
		if m.String() == name {
			return m, nil
		}
	}
	return MethodNone, fmt.Errorf("unknown authentication method %q: use trust, password, md5 or scram-sha-256", name)
}
