package discovery

import (
	"context"
	"fmt"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// acceptance is an operator's accept-cluster on its way.
type acceptance struct {
	topology.Acceptance
	refused chan error // answered at once, with nil when it is done
	saved   chan error // then answered once more, when the floor is written or could not be
}

// Accept carries out an operator's accept-cluster (topology.Accept) and returns when it is written. The error is
// topology.ErrNothingToAccept while there is a primary, ErrNotRunning when nobody is there to do it, or says why nothing was accepted,
// or that it was but could not be written.
func (m *Manager) Accept(ctx context.Context, a topology.Acceptance) error {
	if !m.started.Load() {
		return ErrNotRunning
	}
	order := &acceptance{Acceptance: a, refused: make(chan error, 1), saved: make(chan error, 1)}
	m.send(ctx.Done(), message{accept: order})
	if err := m.answered(ctx, order.refused); err != nil {
		return fmt.Errorf("cluster %s: %w", m.cluster, err)
	}
	if err := m.answered(ctx, order.saved); err != nil {
		return fmt.Errorf("cluster %s is accepted, but a restart forgets it: %w", m.cluster, err)
	}
	return nil
}

// answered waits for an answer of Run's goroutine, or of its keeper.
func (m *Manager) answered(ctx context.Context, answer <-chan error) error {
	select {
	case err := <-answer:
		return err
	case <-m.ended:
		return ErrNotRunning
	case <-ctx.Done():
		return ctx.Err()
	}
}

// accept works off an acceptance.
func (m *Manager) accept(order *acceptance, keeper *keeper) {
	state, changes, err := topology.Accept(m.state, order.Acceptance, time.Now())
	order.refused <- err
	if err != nil {
		return
	}
	keeper.offer(state.Floor(), order.saved)
	m.adopt(state, changes).publish(m, keeper)
}
