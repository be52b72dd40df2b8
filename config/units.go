package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes. In the file it is a string with a unit, as in postgresql.conf: 1 kB is 1024 bytes.
type Size int64

// Units of Size, in bytes.
const (
	kilobyte Size = 1 << (10 * (iota + 1))
	megabyte
	gigabyte
	terabyte
)

// sizeUnits are the names of the units, largest first.
var sizeUnits = [...]struct {
	name  string
	bytes Size
}{{"TB", terabyte}, {"GB", gigabyte}, {"MB", megabyte}, {"kB", kilobyte}, {"B", 1}}

// String returns the size in the largest unit that it is a whole number of.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return "0"
}

// parseSize reads "16MB". A number without a unit is bytes.
func parseSize(text string) (Size, error) {
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit := Size(1)
	if name := strings.TrimSpace(text[len(number):]); name != "" {
		unit = unitNamed(name)
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil || unit == 0:
		return 0, fmt.Errorf(`must be a size such as "16MB" (units: B, kB, MB, GB, TB)`)
	case n < 0 || n > math.MaxInt64/int64(unit):
		return 0, fmt.Errorf("is out of range")
	}
	return Size(n) * unit, nil
}

// unitNamed accepts kb, KB, kB and KiB alike: nobody means a thousand bytes here.
func unitNamed(name string) Size {
	plain := strings.ToUpper(name)
	if len(plain) == 3 {
		plain = strings.Replace(plain, "IB", "B", 1)
	}
	for _, u := range sizeUnits {
		if strings.ToUpper(u.name) == plain {
			return u.bytes
		}
	}
	return 0
}

// parseDuration reads what time.ParseDuration reads.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf(`must be a duration such as "8s" (units: ms, s, m, h)`)
	}
	return d, nil
}

// formatDuration writes a duration without the zero units that time.Duration.String appends: 2m, not 2m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
