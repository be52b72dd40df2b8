package relay

// EntryKind is what a message asks of the server.
type EntryKind uint8

// The kinds of entries. Query, Sync and FunctionCall end with a ReadyForQuery of their own.
const (
	EntryNone         EntryKind = iota
	EntryQuery                  // … Z
	EntryParse                  // 1
	EntryBind                   // 2
	EntryDescribe               // t? then T or n
	EntryExecute                // D* then C, I or s; or a COPY
	EntryClose                  // 3
	EntrySync                   // Z
	EntryFunctionCall           // V Z
	EntryCopyEnd                // CopyDone or CopyFail sent ahead of the server's CopyInResponse: no answer
)

// Entry is one outstanding request: its kind and how its answer is to be treated.
type Entry uint16

const (
	kindMask Entry = 0x0f
	// Swallow marks an answer that is ours and is not shown to the client.
	Swallow Entry = 0x10
	// Injected marks a request of the router's own.
	Injected Entry = 0x20
	// Unnamed marks a Parse of the unnamed statement.
	Unnamed Entry = 0x40
	// Answered marks a Query or FunctionCall whose answer has come to a point at which it may be over: ReadyForQuery ends it only
	// then. One that comes sooner belongs to nobody.
	Answered Entry = 0x80
	// Named marks a request that changes a named statement, of the client's or on the server: the oldest of statements.changes.
	Named Entry = 0x100
	// Parsed marks a Close that was sent in the place of a Parse, because the server has the statement: the client is told that it
	// has parsed.
	Parsed Entry = 0x200
	// Reworded marks a request that was sent in the place of another and must fail. The client gets the error in the words that
	// wait in Link.words.
	Reworded Entry = 0x400
	// Quiet marks a request of the router's own whose error is not shown either.
	Quiet Entry = 0x800
	// Shaped marks a Describe that tells the shape of a named statement: the oldest of statements.asking.
	Shaped Entry = 0x1000
	// Replayed marks a part of what prepares anew what SQL has prepared: the oldest of preparations.replays.
	Replayed Entry = 0x2000
	// Restores marks a Query of the client's with a statement of the router's behind it, see Library.Restore.
	Restores Entry = 0x4000
)

// Kind returns what the entry asks.
func (e Entry) Kind() EntryKind { return EntryKind(e & kindMask) }

// EndsUnit reports whether a ReadyForQuery answers the entry, so that the unit of work may end with it.
func (e Entry) EndsUnit() bool { return unitEnds>>e.Kind()&1 != 0 }

// unitEnds are the kinds that a ReadyForQuery answers, as a set.
const unitEnds uint = 1<<EntryQuery | 1<<EntrySync | 1<<EntryFunctionCall

// moves reports whether the entry may change what the client's texts mean: it runs something, or ends a batch in which something
// failed.
func (e Entry) moves() bool {
	return e&Injected == 0 && movers>>e.Kind()&1 != 0
}

// movers are the kinds of requests that move, as a set.
const movers = unitEnds | 1<<EntryExecute

const (
	fifoInline = 16      // entries kept without allocation: enough for one extended query
	fifoLimit  = 1 << 16 // outstanding requests of one client; past it the client is not read (PostgreSQL has no such limit, its socket buffers have)
)

// fifo is the ring of what is outstanding, oldest first; its empty places are EntryNone. The zero value is ready and does not allocate
// until more than fifoInline entries are outstanding at once.
type fifo struct {
	spill  []Entry // used instead of inline once it exists; its length is a power of two
	head   uint32
	count  uint32
	moving uint32 // how many of them move, see Entry.moves
	inline [fifoInline]Entry
}

// at returns the entry at place i, counted from the oldest.
func (q *fifo) at(i uint32) *Entry {
	if q.spill == nil {
		return &q.inline[(q.head+i)%fifoInline]
	}
	return &q.spill[(q.head+i)&uint32(len(q.spill)-1)]
}

// room returns how many entries there is a place for.
func (q *fifo) room() int { return max(fifoInline, len(q.spill)) }

func (q *fifo) full() bool { return q.count >= fifoLimit }

func (q *fifo) push(e Entry) {
	if int(q.count) == q.room() {
		q.grow()
	}
	q.count++
	*q.at(q.count - 1) = e
	if e.moves() {
		q.moving++
	}
}

func (q *fifo) grow() {
	bigger := make([]Entry, 2*q.room())
	for i := range q.count {
		bigger[i] = *q.at(i)
	}
	q.spill, q.head = bigger, 0
}

// first returns the oldest entry, EntryNone when there is none.
func (q *fifo) first() Entry { return *q.at(0) }

// answered marks the oldest entry, which there is.
func (q *fifo) answered() { *q.at(0) |= Answered }

func (q *fifo) pop() {
	q.passes(0)
	*q.at(0) = 0
	q.head++
	q.count--
}

// passes counts the entry at place i as gone.
func (q *fifo) passes(i uint32) {
	if q.at(i).moves() {
		q.moving--
	}
}

// removeAt takes out the entry at place i.
func (q *fifo) removeAt(i uint32) {
	q.passes(i)
	for ; i+1 < q.count; i++ {
		*q.at(i) = *q.at(i + 1)
	}
	*q.at(i) = 0
	q.count--
}

// reset forgets everything; a spill is given back so that an idle client holds none.
func (q *fifo) reset() { *q = fifo{} }
