//go:build linux

package reactor

import (
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

const (
	// DefaultScratchBytes is the size of a loop's receive buffer: big enough that a stream of large rows costs two system
	// calls per 128 KiB, small enough to stay in a second-level cache.
	DefaultScratchBytes = 128 << 10

	// DefaultPeerTimeout is enough for five retransmissions.
	DefaultPeerTimeout = 10 * time.Second

	minScratchBytes = 1 << 10
	maxScratchBytes = 16 << 20
	maxLoops        = 1024
)

// Config says how many loops there are and how they read. Zero fields take the values of [Defaults].
type Config struct {
	Loops        int          // event loops, each with one goroutine; default: the number of CPUs
	ScratchBytes int          // receive buffer of a loop, in bytes: the largest piece a Received gets from the kernel
	Logger       *slog.Logger // told about panics in handlers and about failures of the loop itself; default: slog.Default

	// PeerTimeout is how long the kernel of a TCP peer may leave what was sent to it without any answer, before the connection
	// fails with ETIMEDOUT; it may take twice as long. A peer that lives and does not read is not meant. Below zero: the system's
	// own patience.
	PeerTimeout time.Duration
}

// Defaults returns the configuration that New uses for what is left zero.
func Defaults() Config {
	return Config{Loops: runtime.NumCPU(), ScratchBytes: DefaultScratchBytes, Logger: slog.Default(), PeerTimeout: DefaultPeerTimeout}
}

// Validate says what New would refuse. Zero fields are valid.
func (c Config) Validate() error {
	if c.Loops < 0 || c.Loops > maxLoops {
		return fmt.Errorf("loops: %d is not between 1 and %d", c.Loops, maxLoops)
	}
	if c.ScratchBytes != 0 && (c.ScratchBytes < minScratchBytes || c.ScratchBytes > maxScratchBytes) {
		return fmt.Errorf("scratch bytes: %d is not between %d and %d", c.ScratchBytes, minScratchBytes, maxScratchBytes)
	}
	return nil
}

func (c Config) withDefaults() Config {
	d := Defaults()
	if c.Loops == 0 {
		c.Loops = d.Loops
	}
	if c.ScratchBytes == 0 {
		c.ScratchBytes = d.ScratchBytes
	}
	if c.Logger == nil {
		c.Logger = d.Logger
	}
	if c.PeerTimeout == 0 {
		c.PeerTimeout = d.PeerTimeout
	}
	return c
}

// Apply returns what of a new configuration needs a restart: loops and their buffers are made once.
func Apply(before, after Config) []string {
	var restart []string
	if before.Loops != after.Loops {
		restart = append(restart, "loops")
	}
	if before.ScratchBytes != after.ScratchBytes {
		restart = append(restart, "scratch bytes")
	}
	if before.PeerTimeout != after.PeerTimeout {
		restart = append(restart, "peer timeout")
	}
	return restart
}
