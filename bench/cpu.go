package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what a process has used since it began.
type usage struct {
	clock    time.Duration // CPU time of all its threads by the scheduler, in nanoseconds
	ticks    time.Duration // utime and stime of /proc/PID/stat: the same time, in steps of 10 ms
	switches uint64        // context switches of its living threads, wanted or not
}

func (u usage) since(before usage) usage {
	return usage{clock: u.clock - before.clock, ticks: u.ticks - before.ticks, switches: u.switches - before.switches}
}

func (u usage) plus(more usage) usage {
	return usage{clock: u.clock + more.clock, ticks: u.ticks + more.ticks, switches: u.switches + more.switches}
}

// tick is the unit of /proc/PID/stat. It is the same for all programs on all machines that Go runs on.
const tick = 10 * time.Millisecond

// readUsage reads a process's meters.
func readUsage(pid int) (usage, error) {
	var u usage
	var err error
	if u.clock, err = readClock(pid); err != nil {
		return u, err
	}
	if u.ticks, err = readTicks(pid); err != nil {
		return u, err
	}
	u.switches, err = readSwitches(pid)
	return u, err
}

// readClock reads the CPU clock of a process. Unlike /proc/PID/schedstat, which tells of the main thread only, it counts all threads,
// those that ended too.
func readClock(pid int) (time.Duration, error) {
	// clock_getcpuclockid(3): the complement of the pid, and 2 for the scheduler's time.
	const scheduled = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|scheduled, &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

func readTicks(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseTicks(string(b))
}

// parseTicks takes utime and stime, the 14th and 15th field, out of /proc/PID/stat. The 2nd is the program's name in brackets, which may
// hold anything.
func parseTicks(stat string) (time.Duration, error) {
	const utime, stime = 14 - 3, 15 - 3 // after the name the 3rd field comes first
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= stime {
		return 0, fmt.Errorf("stat of a process: %d fields after the name", len(fields))
	}
	user, errUser := strconv.ParseInt(fields[utime], 10, 64)
	system, errSystem := strconv.ParseInt(fields[stime], 10, 64)
	if errUser != nil || errSystem != nil {
		return 0, fmt.Errorf("stat of a process: no times in %q", stat)
	}
	return time.Duration(user+system) * tick, nil
}

func readSwitches(pid int) (uint64, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	var sum uint64
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread ended in between
		}
		sum += parseSwitches(string(b))
	}
	return sum, nil
}

func parseSwitches(status string) uint64 {
	var sum uint64
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		if name != "voluntary_ctxt_switches" && name != "nonvoluntary_ctxt_switches" {
			continue
		}
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64); err == nil {
			sum += n
		}
	}
	return sum
}

// readSteal reads from /proc/stat how many ticks the machine's host gave to others, and how many there were in all.
func readSteal() (steal, total uint64, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return parseSteal(string(line))
}

// parseSteal reads "cpu user nice system idle iowait irq softirq steal guest guest_nice"; the guests are in user and nice already.
func parseSteal(line string) (steal, total uint64, err error) {
	const stolen = 8
	fields := strings.Fields(line)
	if len(fields) <= stolen || fields[0] != "cpu" {
		return 0, 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	for i, field := range fields[1 : stolen+1] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("/proc/stat: %w", err)
		}
		total += n
		if i+1 == stolen {
			steal = n
		}
	}
	return steal, total, nil
}

// meter returns the function that reads what a load and its proxy have had, and the machine's meters.
func (p *proxy) meter(load *stopwatch) func() (sample, error) {
	load.meter = func() (usage, error) { return readUsage(p.PID) }
	return func() (sample, error) {
		ran, used, err := load.read()
		if err != nil {
			return sample{}, fmt.Errorf("%s: %w", p.label, err)
		}
		steal, total, err := readSteal()
		return sample{ran: ran, proxy: used, steal: steal, total: total}, err
	}
}
