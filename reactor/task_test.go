//go:build linux

package reactor

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
)

func TestTasksRunInTheOrderOfEachPoster(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	const posters, tasks = 4, 2000
	var got [posters][]int // written on the loop only
	var wg sync.WaitGroup
	for p := range posters {
		wg.Go(func() {
			for i := range tasks {
				l.Post(TaskFunc(func(*Loop) { got[p] = append(got[p], i) }))
			}
		})
	}
	wg.Wait()
	on(t, l, func() {
		for p := range got {
			if len(got[p]) != tasks {
				t.Errorf("poster %d: %d tasks ran, want %d", p, len(got[p]), tasks)
			}
			for i, n := range got[p] {
				if i != n {
					t.Fatalf("poster %d: task %d ran as number %d", p, n, i)
				}
			}
		}
	})
}

func TestATaskPostedFromTheLoopRunsInTheSameTurn(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	turns := make(chan [3]uint64, 1)
	l.Post(TaskFunc(func(l *Loop) {
		first := l.count.Turns
		l.Post(TaskFunc(func(l *Loop) {
			second := l.count.Turns
			l.Post(TaskFunc(func(l *Loop) { turns <- [3]uint64{first, second, l.count.Turns} }))
		}))
	}))
	if got := await(t, turns, "the tasks"); got[0] != got[1] || got[1] != got[2] {
		t.Errorf("the tasks ran in the turns %v", got)
	}
}

// again posts itself until it is stopped.
type again struct{ stop atomic.Bool }

func (a *again) Run(l *Loop) {
	if !a.stop.Load() {
		l.Post(a)
	}
}

func TestATaskThatPostsItselfStarvesNobody(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	attach(t, l, server, &echo{})
	a := &again{}
	l.Post(a)
	defer a.stop.Store(true)
	for range 10 {
		write(t, client, "ping")
		wantRead(t, client, "ping")
	}
	ticks(t, l, 1)
}

func TestPostAfterCloseIsRefusedAndAcceptedTasksRan(t *testing.T) {
	r := newReactor(t, 2)
	var accepted, ran atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		l := r.Loops()[i%2]
		wg.Go(func() {
			for l.Post(TaskFunc(func(*Loop) { ran.Add(1) })) {
				accepted.Add(1)
			}
		})
	}
	for accepted.Load() < 1000 {
		on(t, r.Loops()[0], func() {})
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if accepted.Load() != ran.Load() {
		t.Errorf("%d tasks were accepted, %d ran", accepted.Load(), ran.Load())
	}
	if r.Loops()[0].Post(TaskFunc(func(*Loop) { t.Error("a refused task ran") })) {
		t.Error("a task was accepted after Close")
	}
}

func TestAConnAttachedByTheLastTaskIsClosed(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	release := make(chan struct{})
	l.Post(TaskFunc(func(*Loop) { <-release }))
	h := newRecorder()
	l.Post(TaskFunc(func(l *Loop) { l.Attach(server, h) }))
	closed := make(chan error, 1)
	go func() { closed <- r.Close() }()
	close(release)
	if err := await(t, closed, "Close"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the peer reads %v, want EOF", err)
	}
}

func TestAPostToAnAwakeLoopCostsNoWakeUp(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	before := exactStats(t, l).Wakes
	busy, release := make(chan struct{}), make(chan struct{})
	l.Post(TaskFunc(func(*Loop) { close(busy); <-release }))
	await(t, busy, "the loop to be busy")
	for range 1000 {
		l.Post(TaskFunc(func(*Loop) {}))
	}
	close(release)
	if n := exactStats(t, l).Wakes - before; n > 3 {
		t.Errorf("%d wake-ups for a thousand posts to an awake loop", n)
	}
}
