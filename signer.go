package audittrail

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"audittrail/tlog"
)

// signEvery bounds how long a record waits for a signed checkpoint.
const signEvery = time.Second

// maxSignQueue bounds the hashes that wait to be appended to the tree; hashes
// past it are read from the log.
const maxSignQueue = 1 << 20

// A signer appends committed records to the tree and signs the tree's head.
// Appends do not wait for it: if it lags or fails, they continue, and it
// catches up from the log.
type signer struct {
	log *Log

	mu     sync.Mutex // guards the three below
	queue  [][32]byte // hashes of the newest records, without a gap
	next   uint64     // sequence number after the last of them
	rolled bool       // a segment ended: sign without delay

	wake chan struct{}
	ask  chan signRequest
	quit chan struct{}
	done chan struct{}

	// Used by the loop alone.
	signed  []byte // the newest checkpoint
	size    uint64 // its size
	failing bool   // the last try failed, and was reported
	stopped error  // the result of the last checkpoint, at Close
}

// A signRequest is a function to be run between two checkpoints.
type signRequest struct {
	do   func(*signer) error
	done chan<- error
}

// run runs f when every record that is durable now is in the tree.
func (c *signer) run(ctx context.Context, f func(*signer) error) error {
	done := make(chan error, 1)
	select {
	case c.ask <- signRequest{f, done}:
	case <-c.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-done
}

// start starts the loop at the end of the log. The exported settings are not
// changed afterwards.
func (c *signer) start() {
	c.next = c.log.store.Size()
	c.wake = make(chan struct{}, 1)
	c.ask = make(chan signRequest)
	c.quit = make(chan struct{})
	c.done = make(chan struct{})
	go c.loop()
}

// stop signs the last checkpoint and ends the loop.
func (c *signer) stop() error {
	close(c.quit)
	<-c.done
	return c.stopped
}

// add takes the hashes of records that have become durable.
func (c *signer) add(first uint64, hashes [][32]byte, rolled bool) {
	c.mu.Lock()
	c.next = first + uint64(len(hashes))
	c.queue = append(c.queue, hashes...)
	if len(c.queue) > maxSignQueue {
		c.queue = nil
	}
	c.rolled = c.rolled || rolled
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *signer) loop() {
	defer close(c.done)
	timer := time.NewTimer(signEvery)
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
				timer.Reset(signEvery)
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
				timer.Reset(signEvery)
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

// report logs once that the tree lags, and once that it has caught up.
func (c *signer) report(err error) {
	switch {
	case err != nil && !c.failing:
		c.log.opts.Logger.Error("checkpoint", slog.Any("error", err))
	case err == nil && c.failing:
		c.log.opts.Logger.Info("checkpoint works again")
	}
	c.failing = err != nil
}

// grow appends the durable records to the tree.
func (c *signer) grow() (rolled bool, err error) {
	c.mu.Lock()
	queue, next := c.queue, c.next
	c.queue = nil
	rolled, c.rolled = c.rolled, false
	c.mu.Unlock()
	t := c.log.tree
	if t.Size()+uint64(len(queue)) == next {
		err = t.Append(queue)
	} else {
		err = grow(context.Background(), c.log.store, t, next)
	}
	if err != nil {
		return false, fmt.Errorf("grow tree: %w", err)
	}
	return rolled, nil
}

// sign makes the tree durable and publishes a checkpoint of it.
func (c *signer) sign() ([]byte, error) {
	size := c.log.tree.Size()
	if c.signed != nil && size == c.size {
		return c.signed, nil
	}
	if err := c.log.tree.Sync(); err != nil {
		return nil, fmt.Errorf("sync tree: %w", err)
	}
	root, err := c.log.tree.Root(size)
	if err != nil {
		return nil, err
	}
	signed, err := tlog.Sign(tlog.Checkpoint{Origin: c.log.origin, Size: size, Root: root}, c.log.ring.Signer())
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	// The keyring is written first: whatever happens in between, two different
	// trees of the same size are never signed.
	if err := c.log.ring.SetSigned(size, root); err != nil {
		return nil, fmt.Errorf("remember checkpoint: %w", err)
	}
	if err := c.log.tree.SetCheckpoint(signed); err != nil {
		return nil, err
	}
	c.signed, c.size = signed, size
	return signed, nil
}

// rotate replaces the key that signs, and signs the same size once more.
// publish publishes the note by which the old key hands over to the new one,
// and which both have signed; the old key is destroyed before.
func (c *signer) rotate(publish func(note []byte) error) error {
	signed, err := c.sign()
	if err != nil {
		return err
	}
	head, err := tlog.ReadCheckpoint(signed)
	if err != nil {
		return err
	}
	next, err := c.log.ring.NewSigner()
	if err != nil {
		return err
	}
	signers := c.log.ring.Signers()
	note, err := tlog.SignRotation(tlog.Rotation{
		Origin: c.log.origin, Size: head.Size, Root: head.Root,
		Old: signers[len(signers)-1].VKey, New: next.VKey(),
	}, c.log.ring.Signer(), next.Signer())
	if err != nil {
		return err
	}
	if err := c.log.ring.CommitSigner(next, head.Size, note); err != nil {
		return err
	}
	if err := publish(note); err != nil {
		return err
	}
	c.signed = nil
	_, err = c.sign()
	return err
}
