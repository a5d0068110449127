package audittrail

import (
	"context"
	"sync"
)

// A gate keeps encrypting records and destroying keys apart. An append is
// inside from before it asks for keys until its record has its place in the
// order of records. So when the gate has been shut to a user, no record about
// the user is being appended, and none begins until the gate opens again.
type gate struct {
	sealing sync.RWMutex // held for reading by appends that are inside; guards shut
	shut    *gateShut
}

type gateShut struct {
	users   map[string]struct{}
	classes map[string]struct{}
	opened  chan struct{}
	failed  error // why it stays shut
}

// Enter waits until the gate is not shut to any of the users, and enters it.
// Unless it returns an error, Leave must be called afterwards.
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

// Leave leaves the gate.
func (g *gate) Leave() { g.sealing.RUnlock() }

// Expiring reports whether the gate is shut to a class. Call it only inside the
// gate.
func (g *gate) Expiring(class string) bool {
	if g.shut == nil {
		return false
	}
	_, ok := g.shut.classes[class]
	return ok
}

// Shut shuts the gate to users and classes, and waits until all appends that
// were inside have left.
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

// Fail leaves the gate shut, and makes present and later calls of Enter return
// err.
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
