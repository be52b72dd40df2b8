package testcluster_test

import (
	"testing"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// TestAFreeAddressIsGivenOnce: nobody listens on any of them, as on that of a server that is being built, or is down.
func TestAFreeAddressIsGivenOnce(t *testing.T) {
	const many = 500 // of some ten thousand ports: by chance alone a few would be given twice
	given := make(map[string]bool)
	for range many {
		address, err := testcluster.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		if given[address] {
			t.Errorf("%s is given twice", address)
		}
		given[address] = true
	}
}
