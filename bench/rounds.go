package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
)

// pair is the two proxies, subject first.
type pair [2]*proxy

// series is all rounds with one protocol and one number of clients.
type series struct {
	protocol string
	clients  int
	rounds   []round
	spoilt   int // rounds that were measured again, see options.steal
}

// round is one run through each proxy, in turn.
type round struct{ subject, peer window }

// cpuRatio is how much CPU the subject needs for what costs the peer 1.
func (r round) cpuRatio() float64 { return r.subject.cpu() / r.peer.cpu() }

// tpsRatio is how many transactions go through the subject while one goes through the peer.
func (r round) tpsRatio() float64 { return r.subject.tps() / r.peer.tps() }

// steal is the greater share of the machine's time that its host gave to others during one of the runs, 0 to 1.
func (r round) steal() float64 { return max(r.subject.steal, r.peer.steal) }

// each applies f to every round.
func (s series) each(f func(round) float64) []float64 {
	values := make([]float64, len(s.rounds))
	for i, r := range s.rounds {
		values[i] = f(r)
	}
	return values
}

// measureAll runs all series and prints each round as it ends.
func measureAll(ctx context.Context, db *database, proxies pair, to *report, out io.Writer) error {
	o := to.options
	for _, protocol := range o.protocols {
		for _, clients := range o.clients {
			s := series{protocol: protocol, clients: clients}
			l := load{program: db.pgbench(), protocol: protocol, clients: clients, seconds: len(proxies) * o.seconds}
			for len(s.rounds) < o.rounds {
				r, err := measure(ctx, l, proxies, o.turn)
				if err != nil {
					return fmt.Errorf("%s protocol, %d clients, round %d: %w", protocol, clients, len(s.rounds)+1, err)
				}
				number, again := len(s.rounds)+1, ""
				if !s.take(r, o) {
					again = ", measured again"
				}
				fmt.Fprintln(out, to.roundLine(s, number, r)+again)
			}
			to.series = append(to.series, s)
		}
	}
	return nil
}

// take counts a round, unless the machine was not there for it: then it is to be measured again. Where most rounds are like that,
// such a machine is all there is, and they count.
func (s *series) take(r round, o options) (counts bool) {
	if 100*r.steal() > o.steal && s.spoilt < 2*o.rounds {
		s.spoilt++
		return false
	}
	s.rounds = append(s.rounds, r)
	return true
}

// measure runs one round: a load for each proxy, in turns of the given length.
func measure(ctx context.Context, l load, proxies pair, turn time.Duration) (round, error) {
	var turns turns
	var windows [len(proxies)]window
	running, ctx := errgroup.WithContext(ctx)
	for i, p := range proxies {
		own := l
		own.address = p.address
		read := p.meter(&turns[i])
		running.Go(func() (err error) {
			if windows[i], err = own.run(ctx, &turns[i], read); err != nil {
				return fmt.Errorf("%s: %w", p.label, err)
			}
			return nil
		})
	}
	end := turns.begin(turn)
	err := running.Wait()
	end()
	return round{subject: windows[0], peer: windows[1]}, err
}
