package program

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine says in a line what a number depends on besides the programs' merit: kernel, Go, processors.
func Machine() string {
	kernel, model := "", ""
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		kernel = unix.ByteSliceToString(name.Release[:])
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		model = processor(string(b))
	}
	return fmt.Sprintf("Linux %s; %s; %d × %s", kernel, runtime.Version(), runtime.NumCPU(), model)
}

// VersionOf returns the first line that a program prints; "" when it does not run.
func VersionOf(ctx context.Context, command ...string) string {
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).Output()
	if err != nil {
		return ""
	}
	return firstLine(string(out))
}

// processor returns the first model name in /proc/cpuinfo.
func processor(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
