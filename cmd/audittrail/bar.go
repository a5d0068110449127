package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// A bar shows how far something has come, where stderr is a terminal.
type bar struct {
	done int64
	bar  *progressbar.ProgressBar
}

// newBar begins a bar; a negative total is unknown.
func (e *env) newBar(what string, total int64, bytes bool) *bar {
	if !e.errTerminal {
		return &bar{}
	}
	return &bar{bar: progressbar.NewOptions64(total,
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWriter(e.stderr),
		progressbar.OptionShowBytes(bytes),
		progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(24),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

// set says how far it is. A bar that cannot be drawn is no reason to stop.
func (b *bar) set(done int64) {
	b.done = done
	if b.bar != nil {
		_ = b.bar.Set64(done)
	}
}

// finish takes the bar away.
func (b *bar) finish() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}

// leave takes the bar away although its end was not reached, so that what is
// said next stands on a line of its own.
func (b *bar) leave() {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
}

// ticks is a progress callback of the library, for a total that it tells, and
// that may grow.
func (e *env) ticks(what string, bytes bool) (progress func(done, total uint64), finish func()) {
	var b *bar
	progress = func(done, total uint64) {
		switch {
		case b == nil:
			b = e.newBar(what, int64(total), bytes)
		case b.bar != nil && b.bar.GetMax64() != int64(total):
			b.bar.ChangeMax64(int64(total))
		}
		b.set(int64(done))
	}
	return progress, func() {
		if b != nil {
			b.leave()
		}
	}
}
