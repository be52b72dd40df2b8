package main

import (
	"context"
	"fmt"
	"io"
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

// round is one run through each proxy, one right after the other.
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
			l := load{program: db.pgbench(), protocol: protocol, clients: clients, seconds: o.seconds}
			for i := 0; len(s.rounds) < o.rounds; i++ {
				r, err := measure(ctx, l, proxies, i)
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

// measure runs one round. Who comes first changes from round to round (ABBA), so that a machine that grows faster or slower favours
// nobody.
func measure(ctx context.Context, l load, proxies pair, index int) (round, error) {
	var windows [2]window
	for turn := range proxies {
		who := (turn + index) % len(proxies)
		l.address = proxies[who].address
		w, err := l.run(ctx, proxies[who].meter())
		if err != nil {
			return round{}, fmt.Errorf("%s: %w", proxies[who].label, err)
		}
		windows[who] = w
	}
	return round{subject: windows[0], peer: windows[1]}, nil
}
