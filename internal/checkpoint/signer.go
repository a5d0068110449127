// Package checkpoint signs how far a log has come, behind whoever writes it.
package checkpoint

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"audittrail/internal/recovery"
	"audittrail/internal/segment"
	"audittrail/internal/tree"
	"audittrail/keyring"
	"audittrail/tlog"
)

// every is how long a record waits at most for a signed checkpoint.
const every = time.Second

// maxQueue bounds the hashes that wait for the tree; past it they are read
// back from the log.
const maxQueue = 1 << 20

// A Signer grows the tree behind the committer and signs its head. It is
// off the path of the acknowledgement: if it falls behind or fails, appends go
// on, and it catches up from the log.
type Signer struct {
	Store  *segment.Store
	Tree   *tree.Tree
	Ring   *keyring.Ring
	Origin string
	Logger *slog.Logger
	Closed error // what Run returns when it has stopped

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
	do   func(*Signer) error
	done chan<- error
}

// Run does f when every record that is durable now is in the tree.
func (c *Signer) Run(ctx context.Context, f func(*Signer) error) error {
	done := make(chan error, 1)
	select {
	case c.ask <- request{f, done}:
	case <-c.done:
		return c.Closed
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-done
}

// Start begins at the end of the log. The fields are not changed any more.
func (c *Signer) Start() {
	c.next = c.Store.Size()
	c.wake = make(chan struct{}, 1)
	c.ask = make(chan request)
	c.quit = make(chan struct{})
	c.done = make(chan struct{})
	go c.loop()
}

// Stop signs the last checkpoint and ends the loop.
func (c *Signer) Stop() error {
	close(c.quit)
	<-c.done
	return c.stopped
}

// Add takes the hashes of records that have become durable.
func (c *Signer) Add(first uint64, hashes [][32]byte, rolled bool) {
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

func (c *Signer) loop() {
	defer close(c.done)
	timer := time.NewTimer(every)
	timer.Stop()
	armed := false
	for {
		select {
		case <-c.wake:
			rolled, err := c.grow()
			c.report(err)
			if rolled && err == nil {
				_, err = c.Sign()
				c.report(err)
			}
			if (!rolled || err != nil) && !armed {
				timer.Reset(every)
				armed = true
			}
		case <-timer.C:
			armed = false
			_, err := c.grow()
			if err == nil {
				_, err = c.Sign()
			}
			c.report(err)
			if err != nil {
				timer.Reset(every)
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
				_, c.stopped = c.Sign()
			}
			return
		}
	}
}

// report says once that the tree lags, and once that it does no more.
func (c *Signer) report(err error) {
	switch {
	case err != nil && !c.failing:
		c.Logger.Error("checkpoint", slog.Any("error", err))
	case err == nil && c.failing:
		c.Logger.Info("checkpoint works again")
	}
	c.failing = err != nil
}

// grow brings the tree up to the durable records.
func (c *Signer) grow() (rolled bool, err error) {
	c.mu.Lock()
	queue, next := c.queue, c.next
	c.queue = nil
	rolled, c.rolled = c.rolled, false
	c.mu.Unlock()
	t := c.Tree
	if t.Size()+uint64(len(queue)) == next {
		err = t.Append(queue)
	} else {
		err = recovery.Grow(context.Background(), c.Store, t, next)
	}
	if err != nil {
		return false, fmt.Errorf("grow tree: %w", err)
	}
	return rolled, nil
}

// Sign makes the tree durable and publishes a checkpoint of it.
func (c *Signer) Sign() ([]byte, error) {
	size := c.Tree.Size()
	if c.signed != nil && size == c.size {
		return c.signed, nil
	}
	if err := c.Tree.Sync(); err != nil {
		return nil, fmt.Errorf("sync tree: %w", err)
	}
	root, err := c.Tree.Root(size)
	if err != nil {
		return nil, err
	}
	signed, err := tlog.Sign(tlog.Checkpoint{Origin: c.Origin, Size: size, Root: root}, c.Ring.Signer())
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	// First the keyring: what may have left the machine is never signed twice
	// in two ways, whatever happens in between.
	if err := c.Ring.SetSigned(size, root); err != nil {
		return nil, fmt.Errorf("remember checkpoint: %w", err)
	}
	if err := c.Tree.SetCheckpoint(signed); err != nil {
		return nil, err
	}
	c.signed, c.size = signed, size
	return signed, nil
}

// Rotate replaces the key that signs, and signs the same size once more. publish
// makes known the note by which the old key hands over to the new one, which
// both have signed; the old one is gone by then.
func (c *Signer) Rotate(publish func(note []byte) error) error {
	signed, err := c.Sign()
	if err != nil {
		return err
	}
	head, err := tlog.ReadCheckpoint(signed)
	if err != nil {
		return err
	}
	next, err := c.Ring.NewSigner()
	if err != nil {
		return err
	}
	signers := c.Ring.Signers()
	note, err := tlog.SignRotation(tlog.Rotation{
		Origin: c.Origin, Size: head.Size, Root: head.Root,
		Old: signers[len(signers)-1].VKey, New: next.VKey(),
	}, c.Ring.Signer(), next.Signer())
	if err != nil {
		return err
	}
	if err := c.Ring.CommitSigner(next, head.Size, note); err != nil {
		return err
	}
	if err := publish(note); err != nil {
		return err
	}
	c.signed = nil
	_, err = c.Sign()
	return err
}
