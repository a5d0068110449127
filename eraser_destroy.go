package audittrail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/index"
	"audittrail/keyring"
	"audittrail/record"
)

// maxErased is how many people one call forgets. Their ids stand in one record.
const maxErased = 250_000

// A doom is a destruction that a record has ordered.
type doom struct {
	subjects []record.Subject
	classes  []string // such as "standard/2026-11"
	seq      uint64   // the record that ordered it; no later one is concerned

	hash    record.Hash
	ordered map[string]uint64 // if late: which record ordered each class
	late    bool              // found at Open: derived files have nobody yet who makes them anew
}

// govern waits for its turn to destroy or to hold, and finishes what an earlier
// call could not. Unless it returns an error, Release must follow.
func (c *eraser) govern(ctx context.Context) error {
	if c.log.lock == nil {
		return ErrReadOnly
	}
	if err := c.governing.Acquire(ctx, 1); err != nil {
		return err
	}
	if c.unfinished != nil {
		if _, err := c.finish(ctx); err != nil {
			c.release()
			return err
		}
	}
	if c.unsettled.Load() {
		if err := c.settle(ctx); err != nil {
			c.release()
			return err
		}
	}
	return nil
}

// settle is settleEscrows, to which the next one's turn comes back if it fails.
func (c *eraser) settle(ctx context.Context) error {
	c.unsettled.Store(true)
	err := c.settleEscrows(context.WithoutCancel(ctx))
	if err == nil {
		c.unsettled.Store(false)
	}
	return err
}

// release lets the next one have its turn.
func (c *eraser) release() { c.governing.Release(1) }

// erase destroys the keys of users, as an order says whose subjects are still to
// be found.
func (c *eraser) erase(ctx context.Context, users []string, order governance.Erasure) (*ErasureResult, error) {
	if err := checkErasure(users, &order); err != nil {
		return nil, err
	}
	if err := c.govern(ctx); err != nil {
		return nil, err
	}
	defer c.release()
	living, err := c.living(users)
	if err != nil || len(living) == 0 {
		return &ErasureResult{}, err
	}
	held, err := c.newHeld(ctx, living)
	if err != nil {
		return nil, err
	}
	// The long look first, while appends about the users go on.
	if err := held.look(ctx); err != nil {
		return nil, err
	}
	c.log.gate.Shut(slices.Collect(maps.Keys(living)), nil)
	done, err := c.orderErasure(ctx, order, held)
	if err != nil {
		c.log.gate.Open()
		return nil, err
	}
	done.After, err = c.finish(ctx)
	return done, err
}

// checkErase returns the error with which Erase would refuse users because of
// a hold, and changes nothing. A reader may ask, too.
func (c *eraser) checkErase(ctx context.Context, users []string) error {
	living, err := c.living(users)
	if err != nil || len(living) == 0 {
		return err
	}
	held, err := c.newHeld(ctx, living)
	if err != nil {
		return err
	}
	return held.look(ctx)
}

// orderErasure records an erasure, with the gate shut. From then on it is
// c.unfinished.
func (c *eraser) orderErasure(ctx context.Context, order governance.Erasure, held *held) (*ErasureResult, error) {
	c.log.sequence.settle()
	if err := held.look(ctx); err != nil {
		return nil, err
	}
	before, err := c.log.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	order.Subjects = slices.SortedFunc(maps.Values(held.users), compareSubjects)
	m, err := order.Metadata()
	if err != nil {
		return nil, err
	}
	receipt, err := c.log.commitOwn(event.SubjectErased, m)
	if err != nil {
		return nil, err
	}
	c.unfinished = &doom{subjects: order.Subjects, seq: receipt.Seq, hash: receipt.Hash}
	return &ErasureResult{Receipt: receipt, Subjects: order.Subjects, Before: before}, nil
}

func checkErasure(users []string, e *governance.Erasure) error {
	if len(users) > maxErased {
		return fmt.Errorf("%d users in one call; the limit is %d", len(users), maxErased)
	}
	if slices.Contains(users, "") {
		return errors.New("a user is empty: what is about nobody cannot be erased")
	}
	if err := governance.CheckReason(e.Reason, true); err != nil {
		return err
	}
	for name, text := range map[string]string{"basis": e.Basis, "approval": e.Approval, "by": e.By} {
		if err := governance.CheckText(name, text, governance.MaxName); err != nil {
			return err
		}
	}
	return nil
}

func compareSubjects(a, b record.Subject) int { return slices.Compare(a[:], b[:]) }

// living returns the subjects of those users who have one.
func (c *eraser) living(users []string) (map[string]record.Subject, error) {
	found := make(map[string]record.Subject, len(users))
	for _, u := range users {
		s, ok, err := c.log.ring.LookupUser(u)
		if err != nil {
			return nil, err
		}
		if ok {
			found[u] = s
		}
	}
	return found, nil
}

// expire destroys the keys of classes, of which those without a key are passed
// over. Whether their months are over is for the caller to know.
func (c *eraser) expire(ctx context.Context, classes []string, reason string) (Receipt, error) {
	if err := c.govern(ctx); err != nil {
		return Receipt{}, err
	}
	defer c.release()
	living, err := c.log.ring.Classes()
	if err != nil {
		return Receipt{}, err
	}
	living = slices.DeleteFunc(living, func(class string) bool { return !slices.Contains(classes, class) })
	if len(living) == 0 {
		return Receipt{}, nil
	}
	c.log.gate.Shut(nil, living)
	receipt, err := c.orderExpiry(living, reason)
	if err != nil {
		c.log.gate.Open()
		return Receipt{}, err
	}
	_, err = c.finish(ctx)
	return receipt, err
}

// orderExpiry records an expiry, with the gate shut. From then on it is
// c.unfinished.
func (c *eraser) orderExpiry(classes []string, reason string) (Receipt, error) {
	order := governance.Expiry{Classes: classes, Reason: reason}
	m, err := order.Metadata()
	if err != nil {
		return Receipt{}, err
	}
	receipt, err := c.log.commitOwn(event.ClassExpired, m)
	if err != nil {
		return Receipt{}, err
	}
	c.unfinished = &doom{classes: classes, seq: receipt.Seq, hash: receipt.Hash}
	return receipt, nil
}

// finish carries out c.unfinished, and returns a checkpoint that covers its
// order. It is not for the caller to stop it: what was recorded happens.
func (c *eraser) finish(ctx context.Context) ([]byte, error) {
	d := c.unfinished
	after, err := c.destroy(context.WithoutCancel(ctx), d)
	if err != nil {
		err = fmt.Errorf("it was ordered by record %d, but is not complete: %w; it is finished when the log is next opened", d.seq, err)
		c.log.gate.Fail(err)
		return nil, err
	}
	c.unfinished = nil
	c.log.gate.Open()
	return after, nil
}

func (c *eraser) destroy(ctx context.Context, d *doom) ([]byte, error) {
	// Nobody can tell an unsigned record from a forgery once its key is gone:
	// everything up to the order must be signed before.
	after, err := c.log.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.escrow(ctx, d); err != nil {
		return nil, fmt.Errorf("keep what is held: %w", err)
	}
	gone := keyring.Destruction{Subjects: d.subjects, Classes: d.classes, Seq: d.seq, Hash: d.hash, AllFiles: true}
	if !c.log.opts.NoIndex && !d.late {
		files, err := index.Of(c.log).Purge(ctx, gone)
		if err == nil {
			gone.AllFiles, gone.Files = false, files
		} else {
			c.log.opts.Logger.Warn("derived files were not made anew, and are all let go", slog.Any("error", err))
		}
	}
	return after, c.log.ring.Destroy(gone)
}

// finishAll carries out what was ordered and is not done: a crash came
// in between, or an older keyring was brought back.
func (c *eraser) finishAll(ctx context.Context) error {
	var t toll
	from := c.unapplied()
	if err := c.ordered(ctx, from, &t); err != nil {
		return err
	}
	if t.last == nil {
		c.advanceApplied(ctx, from)
	} else {
		d := &doom{
			subjects: slices.SortedFunc(maps.Keys(t.subjects), compareSubjects),
			classes:  slices.Sorted(maps.Keys(t.classes)), seq: t.last.Seq,
			hash: t.last.Hash, late: true, ordered: t.classes,
		}
		if _, err := c.destroy(ctx, d); err != nil {
			return err
		}
	}
	return c.settleEscrows(ctx)
}

// manyRecords is how many administrative records are looked at again at every
// Open, rather than to write down that there is no order among them.
const manyRecords = 500

// advanceApplied tells the keyring that nothing up to the log's last
// administrative record is left to carry out.
func (c *eraser) advanceApplied(ctx context.Context, from uint64) {
	seqs, err := c.log.store.Administrative(from)
	if err != nil || len(seqs) < manyRecords {
		return
	}
	last := seqs[len(seqs)-1]
	line, err := c.log.store.Checked(ctx, last)
	if t, ok := record.ParseChainLink(line); err == nil && ok {
		err = c.log.ring.Destroy(keyring.Destruction{Seq: last, Hash: t.Hash})
	}
	if err != nil { // it is looked at again, then
		c.log.opts.Logger.Warn("write down what was carried out", slog.Any("error", err))
	}
}
