package demo

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"
)

const (
	redrawEvery = 500 * time.Millisecond
	historySize = 500 // more columns than a terminal has
)

// The keys.
const (
	keyFail       = 'f'
	keySwitchover = 's'
	keyQuit       = 'q'
	keyInterrupt  = 3 // Ctrl-C in raw mode
)

// player is somebody at the keyboard.
type player struct {
	stage   *stage
	screen  *terminal
	history []float64
	last    int64 // operations acknowledged at the last redraw
	running string
	over    chan struct{} // the running event is over; nil when none runs
	group   sync.WaitGroup
}

// interact shows the screen and obeys the keys until q.
func (s *stage) interact(ctx context.Context, in, out *os.File) (err error) {
	screen, err := openTerminal(in, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, screen.restore()) }()
	p := &player{stage: s, screen: screen}
	ctx, cancel := context.WithCancel(ctx)
	defer p.group.Wait()
	defer cancel()
	pressed := make(chan byte)
	p.group.Go(func() { screen.keys(ctx, pressed) })
	return p.loop(ctx, pressed)
}

func (p *player) loop(ctx context.Context, pressed <-chan byte) error {
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		if err := p.redraw(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			p.count()
		case <-p.over:
			p.over, p.running = nil, ""
		case key := <-pressed:
			if key == keyQuit || key == keyInterrupt {
				return nil
			}
			p.obey(ctx, key)
		}
	}
}

// obey starts an event unless one is under way.
func (p *player) obey(ctx context.Context, key byte) {
	acts := map[byte]func(context.Context) *episode{keyFail: p.stage.fail, keySwitchover: p.stage.switchOver}
	act, known := acts[key]
	if !known || p.over != nil {
		return
	}
	over := make(chan struct{})
	p.over = over
	p.running = map[byte]string{keyFail: failover, keySwitchover: switchover}[key]
	p.group.Go(func() {
		defer close(over)
		act(ctx)
	})
}

// count adds a column to the graph.
func (p *player) count() {
	done := p.stage.load.Total().Acknowledged
	p.history = append(p.history, float64(done-p.last)/redrawEvery.Seconds())
	p.history = p.history[max(0, len(p.history)-historySize):]
	p.last = done
}

func (p *player) redraw() error {
	s := p.stage
	now := time.Now()
	const entries = 50
	return p.screen.show(&scene{
		elapsed: now.Sub(s.begun), begun: s.begun, now: now,
		writeDSN: s.router.WriteDSN(), readDSN: s.router.ReadDSN(), adminURL: s.router.AdminURL(),
		nodes: s.watch.states(s.ground.nodes()), live: s.load.Live(), cluster: s.ground.String(), clients: s.options.Clients, history: p.history,
		entries: s.journal.last(entries), busy: p.running,
	})
}
