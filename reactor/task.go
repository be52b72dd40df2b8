//go:build linux

package reactor

import (
	"sync"
	"sync/atomic"
)

// maxTaskRounds bounds how often one turn looks for tasks that its own tasks have posted: a task that posts itself again
// must not starve the sockets.
const maxTaskRounds = 8

// Task is something to be done on a loop. The poster allocates it beforehand if it must not allocate when posting.
type Task interface{ Run(l *Loop) }

// TaskFunc is a function as a Task.
type TaskFunc func(l *Loop)

// Run calls f.
func (f TaskFunc) Run(l *Loop) { f(l) }

// inbox is a loop's queue of tasks, first in, first out.
type inbox struct {
	mu struct {
		sync.Mutex
		queue []Task
		shut  bool
	}
	waiting atomic.Int32 // length of the queue, plus one for ever when shut; read without the lock
	spare   []Task       // the other queue's array; loop only
}

// put appends t and says whether the inbox still accepts tasks.
func (in *inbox) put(t Task) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.mu.shut {
		return false
	}
	in.mu.queue = append(in.mu.queue, t)
	in.waiting.Add(1)
	return true
}

// take returns all that waits, and whether the inbox is shut. give returns the array.
func (in *inbox) take() (batch []Task, shut bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	batch, in.mu.queue = in.mu.queue, in.spare[:0]
	in.spare = nil
	in.waiting.Add(-int32(len(batch)))
	return batch, in.mu.shut
}

func (in *inbox) give(batch []Task) {
	clear(batch)
	in.spare = batch[:0]
}

// shut lets put refuse everything from now on.
func (in *inbox) shut() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.mu.shut {
		in.mu.shut = true
		in.waiting.Add(1)
	}
}

// Post queues t to run on the loop, after everything posted before it. It returns false once the reactor is closing: t will
// not run then, and what it carries is still the caller's. Posting to a loop that is awake costs no system call. A task
// posted from the loop itself runs at the end of this turn. Any goroutine.
func (l *Loop) Post(t Task) bool {
	if !l.inbox.put(t) {
		return false
	}
	l.wake()
	return true
}

// wake ends the loop's wait if it waits, once for many posts.
func (l *Loop) wake() {
	if !l.asleep.Load() {
		return
	}
	l.wakers.Add(1) // keeps the engine open, see Reactor.discard
	if l.asleep.CompareAndSwap(true, false) {
		l.engine.wake()
	}
	l.wakers.Add(-1)
}

// runTasks runs what was posted and says whether the loop shall go on.
func (l *Loop) runTasks() (goOn bool) {
	for range maxTaskRounds {
		if l.inbox.waiting.Load() == 0 {
			return true
		}
		batch, shut := l.inbox.take()
		for _, t := range batch {
			l.count.Tasks++
			l.callTask(t)
			l.settle()
		}
		empty := len(batch) == 0
		l.inbox.give(batch)
		if shut && empty {
			return false
		}
	}
	return true
}

func (l *Loop) callTask(t Task) {
	defer l.recovered(nil)
	t.Run(l)
}
