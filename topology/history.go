package topology

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxHistoryBytes bounds the text of a timeline history. PostgreSQL writes one line of some 50 bytes for each promotion.
const MaxHistoryBytes = 1 << 20

// Branch is one line of a timeline history: the timeline that was left, and where.
type Branch struct {
	Parent uint32
	At     LSN
}

// History says from which timelines a timeline descends. The zero value means "not known". A history is never changed once
// it has been parsed; copies share the branches.
type History struct {
	Timeline uint32
	Branches []Branch // oldest first
}

// errHistoryTooLong says that a history exceeds MaxHistoryBytes.
var errHistoryTooLong = errors.New("history is longer than 1 MiB")

// Known reports whether there is a history at all.
func (h History) Known() bool { return h.Timeline != 0 }

// LeftAt reports whether the history's timeline descends from (or is) the given one, and where that one was left. The
// position is 0 for the history's own timeline.
func (h History) LeftAt(timeline uint32) (LSN, bool) {
	if !h.Known() {
		return 0, false
	}
	if timeline == h.Timeline {
		return 0, true
	}
	for _, b := range h.Branches {
		if b.Parent == timeline {
			return b.At, true
		}
	}
	return 0, false
}

// ParseHistory reads the text of a timeline's history file as TIMELINE_HISTORY returns it (PostgreSQL's format: parent,
// switch point, reason; empty lines and lines that begin with # do not count). Timeline 1 has no history and may be given "".
func ParseHistory(timeline uint32, text string) (History, error) {
	h := History{Timeline: timeline}
	if timeline == 0 {
		return History{}, errors.New("parse timeline history: timeline 0 does not exist")
	}
	if len(text) > MaxHistoryBytes {
		return History{}, fmt.Errorf("parse history of timeline %d: %w", timeline, errHistoryTooLong)
	}
	last := uint32(0)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		b, err := parseBranch(line)
		if err != nil {
			return History{}, fmt.Errorf("parse history of timeline %d: %w", timeline, err)
		}
		if b.Parent <= last || b.Parent >= timeline {
			return History{}, fmt.Errorf("parse history of timeline %d: parent %d out of order", timeline, b.Parent)
		}
		last = b.Parent
		h.Branches = append(h.Branches, b)
	}
	if timeline > 1 && len(h.Branches) == 0 {
		return History{}, fmt.Errorf("parse history of timeline %d: it names no parent", timeline)
	}
	return h, nil
}

func parseBranch(line string) (Branch, error) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return Branch{}, fmt.Errorf("line %.60q: expected a timeline and a position", line)
	}
	parent, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil {
		return Branch{}, fmt.Errorf("line %.60q: %w", line, err)
	}
	at, err := ParseLSN(fields[1])
	if err != nil {
		return Branch{}, err
	}
	return Branch{Parent: uint32(parent), At: at}, nil
}
