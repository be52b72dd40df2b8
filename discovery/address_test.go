package discovery

import "testing"

func TestAddressesAreMappedOrNamedAsFaulty(t *testing.T) {
	m, err := ParseAddressMap([]string{"DB1:5432=127.0.0.1:15432", " [::1]:8008=db1:8008"})
	if err != nil || m.Through("db1:5432") != "127.0.0.1:15432" || m.Through("[::1]:8008") != "db1:8008" || m.Through("db2:5432") != "db2:5432" {
		t.Errorf("%v, %v", m, err)
	}
	for _, pairs := range [][]string{{"a=b"}, {"a:1=b:2=c:3"}, {"=b:1"}, {"a:1=b:2", "A:1=c:2"}} {
		if m, err := ParseAddressMap(pairs); err == nil {
			t.Errorf("%v: %v", pairs, m)
		}
	}
}
