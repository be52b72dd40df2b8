package relay

// AtOwnQuery reports whether what the server answers next is a query of the router's own, a prelude or a postlude. It may be what the
// server does at this moment: a cancel request would end that. A replay is none of them: it may wait for a lock, and when it is ended the
// client's EXECUTE is told so.
func (l *Link) AtOwnQuery() bool {
	next := l.fifo.first()
	return next&Injected != 0 && next.Kind() == EntryQuery
}
