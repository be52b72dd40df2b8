package testrouter

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// Place returns where the router lives; nil is loopback.
func (p *Process) Place() *testcluster.Place { return p.place }

// Unsent counts the router's connections to an address on which bytes are under way that the other kernel has not acknowledged. Those that
// the router has closed count too, as long as the kernel goes on sending.
func (p *Process) Unsent(to string) int {
	p.t.Helper()
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	const remote, queues, fields = 2, 4, 5 // of a line: its number, both addresses, the state, what is queued out and in
	wanted, count := kernelAddress(netip.MustParseAddrPort(to)), 0
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) < fields || f[remote] != wanted {
			continue
		}
		if out, _, _ := strings.Cut(f[queues], ":"); strings.Trim(out, "0") != "" {
			count++
		}
	}
	return count
}

// kernelAddress writes an address as /proc/net/tcp does.
func kernelAddress(a netip.AddrPort) string {
	ip := a.Addr().As4()
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), a.Port())
}
