package audittrail_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"audittrail"
)

// TestGateWaits shuts the gate while somebody is inside.
func TestGateWaits(t *testing.T) {
	for range 200 {
		var g audittrail.Gate
		if err := g.Enter(t.Context(), slices.Values([]string{"ann"})); err != nil {
			t.Fatal(err)
		}
		var left atomic.Bool
		done := make(chan bool)
		go func() {
			g.Shut([]string{"ann"}, nil)
			done <- left.Load()
		}()
		runtime.Gosched()
		left.Store(true)
		g.Leave()
		if !<-done {
			t.Fatal("the gate is shut while somebody is inside")
		}
	}
}

// TestGate has others come while the gate is shut.
func TestGate(t *testing.T) {
	var g audittrail.Gate
	ctx := t.Context()
	enter := func(ctx context.Context, users ...string) error { return g.Enter(ctx, slices.Values(users)) }
	g.Shut([]string{"ann"}, []string{"standard/2026-11"})
	if err := enter(ctx, "bob", ""); err != nil {
		t.Fatal(err)
	}
	if !g.Expiring("standard/2026-11") || g.Expiring("standard/2026-12") {
		t.Error("the wrong classes are expiring")
	}
	g.Leave()
	impatient, cancel := context.WithCancel(ctx)
	cancel()
	if err := enter(impatient, "ann"); !errors.Is(err, context.Canceled) {
		t.Errorf("Enter at a gate that is shut = %v, want Canceled", err)
	}
	broken := errors.New("broken")
	failed, entered := make(chan error), make(chan error)
	var opened atomic.Bool
	go func() { failed <- enter(ctx, "ann") }()
	g.Fail(broken)
	if err := <-failed; !errors.Is(err, broken) {
		t.Errorf("Enter at a broken gate = %v, want why it is shut", err)
	}
	if err := enter(ctx, "ann"); !errors.Is(err, broken) {
		t.Errorf("Enter = %v, want why it is shut", err)
	}
	g.Open()
	g.Shut([]string{"ann"}, nil)
	go func() {
		err := enter(ctx, "bob", "ann")
		if err == nil && !opened.Load() {
			err = errors.New("came in before the gate was opened")
		}
		g.Leave()
		entered <- err
	}()
	runtime.Gosched()
	opened.Store(true)
	g.Open()
	if err := <-entered; err != nil {
		t.Error(err)
	}
}
