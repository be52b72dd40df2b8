package relay

// AtOwnQuery reports whether what the server answers next is a query of the router's own, a prelude, a replay or a postlude. It may be what the
// server does at this moment: a cancel request would end that.
func (l *Link) AtOwnQuery() bool {
	next := l.fifo.first()
	return next&Injected != 0 && next.Kind() == EntryQuery || next&Replayed != 0
}
