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

// maxErased bounds the people that one call erases. Their ids are stored in one
// record.
const maxErased = 250_000

// A doom is a destruction that a record has ordered.
type doom struct {
	subjects []record.Subject
	classes  []string // such as "standard/2026-11"
	seq      uint64   // the record that ordered it; later records are not affected

	hash    record.Hash
	ordered map[string]uint64 // if late: the record that ordered the expiry of each class
	late    bool              // found at Open: there is no index yet that could rewrite derived files
}

// govern waits for its turn to destroy keys or to place or release a hold, and
// finishes what an earlier call left unfinished. Unless it returns an error,
// release must be called afterwards.
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

// settle calls settleEscrows; if that fails, the next call of govern tries
// again.
func (c *eraser) settle(ctx context.Context) error {
	c.unsettled.Store(true)
	err := c.settleEscrows(context.WithoutCancel(ctx))
	if err == nil {
		c.unsettled.Store(false)
	}
	return err
}

// release ends the turn that govern began.
func (c *eraser) release() { c.governing.Release(1) }

// erase destroys the keys of users, as an order says. It finds the subjects of
// the order itself.
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
	// Most records are checked now, while appends about the users continue.
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

// checkErase returns the error with which Erase would refuse users because of a
// hold, and changes nothing. A reader may call it, too.
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

// orderErasure records an erasure, with the gate shut. From then on the erasure
// is c.unfinished.
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
		return errors.New("a user is empty: records that are about nobody cannot be erased")
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

// living returns the subjects of the users who have one.
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

// expire destroys the keys of classes, and skips classes without a key. The
// caller makes sure that their months have ended.
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

// orderExpiry records an expiry, with the gate shut. From then on the expiry is
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
// order. A caller cannot cancel it: an order that is recorded is carried out.
func (c *eraser) finish(ctx context.Context) ([]byte, error) {
	d := c.unfinished
	after, err := c.destroy(context.WithoutCancel(ctx), d)
	if err != nil {
		err = fmt.Errorf("the destruction that record %d ordered is not complete: %w; the next opening of the log completes it", d.seq, err)
		c.log.gate.Fail(err)
		return nil, err
	}
	c.unfinished = nil
	c.log.gate.Open()
	return after, nil
}

func (c *eraser) destroy(ctx context.Context, d *doom) ([]byte, error) {
	// Once its key is destroyed, an unsigned record can no longer be
	// distinguished from a forgery: everything up to the order must be signed
	// before.
	after, err := c.log.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.escrow(ctx, d); err != nil {
		return nil, fmt.Errorf("keep the keys of records under a legal hold: %w", err)
	}
	gone := keyring.Destruction{Subjects: d.subjects, Classes: d.classes, Seq: d.seq, Hash: d.hash, AllFiles: true}
	if !c.log.opts.NoIndex && !d.late {
		files, err := index.Of(c.log).Purge(ctx, gone)
		if err == nil {
			gone.AllFiles, gone.Files = false, files
		} else {
			c.log.opts.Logger.Warn("derived files could not be rewritten, and are all dropped", slog.Any("error", err))
		}
	}
	return after, c.log.ring.Destroy(gone)
}

// finishAll carries out the orders that are not carried out yet: a crash came
// in between, or an older keyring was restored.
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

// manyRecords is the number of governance records that every Open may read
// again. If there are more, the keyring stores that no order is among them.
const manyRecords = 500

// advanceApplied stores in the keyring that no order up to the log's last
// governance record is left to carry out.
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
	if err != nil { // the next Open reads these records again
		c.log.opts.Logger.Warn("store in the keyring which orders were carried out", slog.Any("error", err))
	}
}
