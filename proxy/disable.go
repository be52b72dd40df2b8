package proxy

import (
	"maps"
	"slices"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// Disable lets no client in to a database any more, by the name that clients use. Those that are in go on. It returns false when it
// was so before. Any goroutine.
func (p *Proxy) Disable(database string) bool {
	p.mu.Lock()
	_, was := p.mu.disabled[database]
	p.mu.disabled[database] = struct{}{}
	p.mu.Unlock()
	if !was {
		p.deps.Events.Emit(event.Event{Kind: event.DatabaseDisabled, Database: database})
	}
	return !was
}

// Enable ends Disable. It returns false when clients were let in before. Any goroutine.
func (p *Proxy) Enable(database string) bool {
	p.mu.Lock()
	_, was := p.mu.disabled[database]
	delete(p.mu.disabled, database)
	p.mu.Unlock()
	if was {
		p.deps.Events.Emit(event.Event{Kind: event.DatabaseEnabled, Database: database})
	}
	return was
}

// Disabled reports whether a database is disabled, by the name that clients use. Any goroutine.
func (p *Proxy) Disabled(database string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, is := p.mu.disabled[database]
	return is
}

// DisabledNames lists the databases that are disabled, in alphabetical order. Any goroutine.
func (p *Proxy) DisabledNames() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.mu.disabled))
}

// closedTo refuses who asks for a database that is disabled.
func (l *login) closedTo() *pgwire.Error {
	if l.proxy.Disabled(l.message.Database) {
		return pgwire.ErrDatabaseDisabled.New("", l.message.Database)
	}
	return nil
}
