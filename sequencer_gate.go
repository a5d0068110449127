package audittrail

import (
	"context"
	"sync"
)

// A gate keeps seals and destructions apart. Whoever seals is inside from before
// it asks for keys until its record has its place in the order of records; so
// when the gate has been shut to somebody, no record of theirs is under way, and
// none begins until it opens again.
type gate struct {
	sealing sync.RWMutex // held for reading by whoever is inside; guards shut
	shut    *gateShut
}

type gateShut struct {
	users   map[string]struct{}
	classes map[string]struct{}
	opened  chan struct{}
	failed  error // why it stays shut
}

// Enter waits until the gate is not shut to any of the users, and goes in.
// Unless it returns an error, Leave must follow.
func (g *gate) Enter(ctx context.Context, users func(yield func(string) bool)) error {
	for {
		g.sealing.RLock()
		s := g.shut
		if s == nil || !s.concerns(users) {
			return nil
		}
		g.sealing.RUnlock()
		if s.failed != nil {
			return s.failed
		}
		select {
		case <-s.opened:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *gateShut) concerns(users func(yield func(string) bool)) bool {
	for u := range users {
		if _, ok := s.users[u]; ok {
			return true
		}
	}
	return false
}

// Leave goes out.
func (g *gate) Leave() { g.sealing.RUnlock() }

// Expiring tells whether the gate is shut to a class. It is for who is inside.
func (g *gate) Expiring(class string) bool {
	if g.shut == nil {
		return false
	}
	_, ok := g.shut.classes[class]
	return ok
}

// Shut closes the gate to users and classes, and waits until nobody is inside
// who was there before.
func (g *gate) Shut(users, classes []string) {
	s := &gateShut{users: make(map[string]struct{}, len(users)), classes: map[string]struct{}{}, opened: make(chan struct{})}
	for _, u := range users {
		s.users[u] = struct{}{}
	}
	for _, c := range classes {
		s.classes[c] = struct{}{}
	}
	g.sealing.Lock()
	defer g.sealing.Unlock()
	g.shut = s
}

// Fail leaves the gate shut, and tells those who wait, and who come, why.
func (g *gate) Fail(err error) {
	g.sealing.Lock()
	defer g.sealing.Unlock()
	if g.shut == nil {
		return
	}
	s := *g.shut
	s.failed = err
	close(g.shut.opened)
	s.opened = make(chan struct{})
	g.shut = &s
}

// Open opens the gate.
func (g *gate) Open() {
	g.sealing.Lock()
	defer g.sealing.Unlock()
	if g.shut != nil {
		close(g.shut.opened)
		g.shut = nil
	}
}
