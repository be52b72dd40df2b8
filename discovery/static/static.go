package static

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/topology"
)

// Source tells the nodes that it was given.
type Source struct {
	changed chan struct{} // has a token when Run has not told the newest list yet
	mu      struct {
		sync.Mutex
		members []topology.Member
	}
}

var _ discovery.Source = (*Source)(nil)

// New makes a source of these nodes, which may be none; see ParseAddress for their form. All faults are named at once.
func New(nodes []string) (*Source, error) {
	s := &Source{changed: make(chan struct{}, 1)}
	if err := s.SetNodes(nodes); err != nil {
		return nil, err
	}
	return s, nil
}

// Name is "static".
func (s *Source) Name() string { return "static" }

// SetNodes replaces the list, also while Run runs. A faulty list changes nothing.
func (s *Source) SetNodes(nodes []string) error {
	members, err := parse(nodes)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.mu.members = members
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return nil
}

// Members returns the nodes in the form in which they are told.
func (s *Source) Members() []topology.Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mu.members)
}

// Run tells the list, and tells it again when it was changed, until ctx ends.
func (s *Source) Run(ctx context.Context, feed *discovery.Feed) error {
	for {
		select {
		case <-s.changed:
			feed.Members(s.Members())
		case <-ctx.Done():
			return nil
		}
	}
}

func parse(nodes []string) ([]topology.Member, error) {
	var faults []error
	var members []topology.Member
	for _, node := range nodes {
		address, err := ParseAddress(node)
		if err != nil {
			faults = append(faults, fmt.Errorf("nodes: %w", err))
			continue
		}
		member := topology.Member{ID: topology.NodeID(address), Address: address}
		if slices.Contains(members, member) {
			faults = append(faults, fmt.Errorf("nodes: %s stands there twice", address))
		}
		members = append(members, member)
	}
	return members, errors.Join(faults...)
}
