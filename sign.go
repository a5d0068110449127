package audittrail

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"audittrail/internal/recovery"
	"audittrail/tlog"
)

// checkpointEvery is how long a record waits at most for a signed checkpoint.
const checkpointEvery = time.Second

// maxQueue bounds the hashes that wait for the tree; past it they are read
// back from the log.
const maxQueue = 1 << 20

// A checkpointer grows the tree behind the committer and signs its head. It is
// off the path of the acknowledgement: if it falls behind or fails, appends go
// on, and it catches up from the log.
type checkpointer struct {
	log *Log

	mu     sync.Mutex // guards the three below
	queue  [][32]byte // hashes of the newest records, without a gap
	next   uint64     // sequence number behind the last of them
	rolled bool       // a segment ended: sign without delay

	wake chan struct{}
	ask  chan request
	quit chan struct{}
	done chan struct{}

	// Of the loop alone.
	signed  []byte // the newest checkpoint
	size    uint64 // its size
	failing bool   // the last try failed, and was reported
	stopped error  // what the last one at Close gave
}

// A request is something to be done between two checkpoints.
type request struct {
	do   func(*checkpointer) error
	done chan<- error
}

// run does f when every record that is durable now is in the tree.
func (c *checkpointer) run(ctx context.Context, f func(*checkpointer) error) error {
	done := make(chan error, 1)
	select {
	case c.ask <- request{f, done}:
	case <-c.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-done
}

func (c *checkpointer) start(l *Log) {
	c.log, c.next = l, l.store.Size()
	c.wake = make(chan struct{}, 1)
	c.ask = make(chan request)
	c.quit = make(chan struct{})
	c.done = make(chan struct{})
	go c.loop()
}

// stop signs the last checkpoint and ends the loop.
func (c *checkpointer) stop() error {
	close(c.quit)
	<-c.done
	return c.stopped
}

// add takes the hashes of records that have become durable.
func (c *checkpointer) add(first uint64, hashes [][32]byte, rolled bool) {
	c.mu.Lock()
	c.next = first + uint64(len(hashes))
	c.queue = append(c.queue, hashes...)
	if len(c.queue) > maxQueue {
		c.queue = nil
	}
	c.rolled = c.rolled || rolled
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *checkpointer) loop() {
	defer close(c.done)
	timer := time.NewTimer(checkpointEvery)
	timer.Stop()
	armed := false
	for {
		select {
		case <-c.wake:
			rolled, err := c.grow()
			c.report(err)
			if rolled && err == nil {
				_, err = c.sign()
				c.report(err)
			}
			if (!rolled || err != nil) && !armed {
				timer.Reset(checkpointEvery)
				armed = true
			}
		case <-timer.C:
			armed = false
			_, err := c.grow()
			if err == nil {
				_, err = c.sign()
			}
			c.report(err)
			if err != nil {
				timer.Reset(checkpointEvery)
				armed = true
			}
		case r := <-c.ask:
			_, err := c.grow()
			if err == nil {
				err = r.do(c)
			}
			r.done <- err
		case <-c.quit:
			_, c.stopped = c.grow()
			if c.stopped == nil {
				_, c.stopped = c.sign()
			}
			return
		}
	}
}

// report says once that the tree lags, and once that it does no more.
func (c *checkpointer) report(err error) {
	switch {
	case err != nil && !c.failing:
		c.log.opts.Logger.Error("checkpoint", slog.Any("error", err))
	case err == nil && c.failing:
		c.log.opts.Logger.Info("checkpoint works again")
	}
	c.failing = err != nil
}

// grow brings the tree up to the durable records.
func (c *checkpointer) grow() (rolled bool, err error) {
	c.mu.Lock()
	queue, next := c.queue, c.next
	c.queue = nil
	rolled, c.rolled = c.rolled, false
	c.mu.Unlock()
	t := c.log.tree
	if t.Size()+uint64(len(queue)) == next {
		err = t.Append(queue)
	} else {
		err = recovery.Grow(context.Background(), c.log.store, t, next)
	}
	if err != nil {
		return false, fmt.Errorf("grow tree: %w", err)
	}
	return rolled, nil
}

// sign makes the tree durable and publishes a checkpoint of it.
func (c *checkpointer) sign() ([]byte, error) {
	l := c.log
	size := l.tree.Size()
	if c.signed != nil && size == c.size {
		return c.signed, nil
	}
	if err := l.tree.Sync(); err != nil {
		return nil, fmt.Errorf("sync tree: %w", err)
	}
	root, err := l.tree.Root(size)
	if err != nil {
		return nil, err
	}
	signed, err := tlog.Sign(tlog.Checkpoint{Origin: l.origin, Size: size, Root: root}, l.ring.Signer())
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	// First the keyring: what may have left the machine is never signed twice
	// in two ways, whatever happens in between.
	if err := l.ring.SetSigned(size, root); err != nil {
		return nil, fmt.Errorf("remember checkpoint: %w", err)
	}
	if err := l.tree.SetCheckpoint(signed); err != nil {
		return nil, err
	}
	c.signed, c.size = signed, size
	return signed, nil
}

// Checkpoint returns a signed checkpoint (C2SP tlog-checkpoint) that covers
// every record whose Append has returned. On a log that is open for reading it
// is the newest that its writer has published.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) {
	if l.lock == nil {
		return l.tree.Checkpoint()
	}
	var signed []byte
	err := l.signer.run(ctx, func(c *checkpointer) (err error) {
		signed, err = c.sign()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return signed, nil
}
