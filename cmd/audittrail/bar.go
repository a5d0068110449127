package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// A bar shows progress, if stderr is a terminal.
type bar struct {
	done int64
	bar  *progressbar.ProgressBar
}

// newBar returns a new bar; a negative total means an unknown one.
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

// set sets the progress. A failure to draw the bar is ignored.
func (b *bar) set(done int64) {
	b.done = done
	if b.bar != nil {
		_ = b.bar.Set64(done)
	}
}

// finish removes the bar.
func (b *bar) finish() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}

// leave removes the bar before its end is reached, so that the next message
// begins on a new line.
func (b *bar) leave() {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
}

// ticks returns a progress callback for the library, which passes the total,
// too; the total may grow.
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
