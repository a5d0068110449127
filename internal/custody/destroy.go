package custody

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"audittrail/event"
	"audittrail/internal/barrier"
	"audittrail/internal/sequence"
	"audittrail/keyring"
	"audittrail/record"
)

// maxErased is how many people one call forgets. Their ids stand in one record.
const maxErased = 250_000

// A Doom is a destruction that a record has ordered.
type Doom struct {
	Subjects []record.Subject
	Classes  []string
	Seq      uint64 // the record that ordered it

	hash    record.Hash
	ordered map[string]uint64 // if late: which record ordered each class
	late    bool              // found at Open: derived files have nobody yet who makes them anew
}

// An Erased says what an erasure did.
type Erased struct {
	Receipt  sequence.Receipt
	Subjects []record.Subject
	// Before and After are signed checkpoints of the log without the record
	// that ordered it, and with it.
	Before, After []byte
}

// Govern waits for its turn to destroy or to hold, and finishes what an earlier
// call could not. Unless it returns an error, Release must follow.
func (c *Custody) Govern(ctx context.Context) error {
	if c.Writer == nil {
		return ErrReadOnly
	}
	if err := c.governing.Acquire(ctx, 1); err != nil {
		return err
	}
	if c.unfinished != nil {
		if _, err := c.finish(ctx); err != nil {
			c.Release()
			return err
		}
	}
	if c.unsettled.Load() {
		if err := c.settle(ctx); err != nil {
			c.Release()
			return err
		}
	}
	return nil
}

// settle is settleEscrows, to which the next one's turn comes back if it fails.
func (c *Custody) settle(ctx context.Context) error {
	c.unsettled.Store(true)
	err := c.settleEscrows(context.WithoutCancel(ctx))
	if err == nil {
		c.unsettled.Store(false)
	}
	return err
}

// Release lets the next one have its turn.
func (c *Custody) Release() { c.governing.Release(1) }

// Erase destroys the keys of users, as an order says whose subjects are still to
// be found.
func (c *Custody) Erase(ctx context.Context, users []string, order barrier.Erasure) (*Erased, error) {
	if err := checkErasure(users, &order); err != nil {
		return nil, err
	}
	if err := c.Govern(ctx); err != nil {
		return nil, err
	}
	defer c.Release()
	living, err := c.living(users)
	if err != nil || len(living) == 0 {
		return &Erased{}, err
	}
	held, err := c.newHeld(ctx, living)
	if err != nil {
		return nil, err
	}
	// The long look first, while appends about the users go on.
	if err := held.look(ctx); err != nil {
		return nil, err
	}
	c.Writer.Gate.Shut(slices.Collect(maps.Keys(living)), nil)
	done, err := c.orderErasure(ctx, order, held)
	if err != nil {
		c.Writer.Gate.Open()
		return nil, err
	}
	done.After, err = c.finish(ctx)
	return done, err
}

// CheckErase returns the error with which Erase would refuse users because of
// a hold, and changes nothing. A reader may ask, too.
func (c *Custody) CheckErase(ctx context.Context, users []string) error {
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
func (c *Custody) orderErasure(ctx context.Context, order barrier.Erasure, held *held) (*Erased, error) {
	c.Writer.Settle()
	if err := held.look(ctx); err != nil {
		return nil, err
	}
	before, err := c.Writer.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	order.Subjects = slices.SortedFunc(maps.Values(held.users), compareSubjects)
	m, err := order.Metadata()
	if err != nil {
		return nil, err
	}
	receipt, err := c.Writer.Commit(event.SubjectErased, m)
	if err != nil {
		return nil, err
	}
	c.unfinished = &Doom{Subjects: order.Subjects, Seq: receipt.Seq, hash: receipt.Hash}
	return &Erased{Receipt: receipt, Subjects: order.Subjects, Before: before}, nil
}

func checkErasure(users []string, e *barrier.Erasure) error {
	if len(users) > maxErased {
		return fmt.Errorf("%d users in one call; the limit is %d", len(users), maxErased)
	}
	if slices.Contains(users, "") {
		return errors.New("a user is empty: what is about nobody cannot be erased")
	}
	if err := barrier.CheckReason(e.Reason, true); err != nil {
		return err
	}
	for name, text := range map[string]string{"basis": e.Basis, "approval": e.Approval, "by": e.By} {
		if err := barrier.CheckText(name, text, barrier.MaxName); err != nil {
			return err
		}
	}
	return nil
}

func compareSubjects(a, b record.Subject) int { return slices.Compare(a[:], b[:]) }

// living returns the subjects of those users who have one.
func (c *Custody) living(users []string) (map[string]record.Subject, error) {
	found := make(map[string]record.Subject, len(users))
	for _, u := range users {
		s, ok, err := c.Ring.LookupUser(u)
		if err != nil {
			return nil, err
		}
		if ok {
			found[u] = s
		}
	}
	return found, nil
}

// Expire destroys the keys of classes, of which those without a key are passed
// over. Whether their months are over is for the caller to know.
func (c *Custody) Expire(ctx context.Context, classes []string, reason string) (sequence.Receipt, error) {
	if err := c.Govern(ctx); err != nil {
		return sequence.Receipt{}, err
	}
	defer c.Release()
	living, err := c.Ring.Classes()
	if err != nil {
		return sequence.Receipt{}, err
	}
	living = slices.DeleteFunc(living, func(class string) bool { return !slices.Contains(classes, class) })
	if len(living) == 0 {
		return sequence.Receipt{}, nil
	}
	c.Writer.Gate.Shut(nil, living)
	receipt, err := c.orderExpiry(living, reason)
	if err != nil {
		c.Writer.Gate.Open()
		return sequence.Receipt{}, err
	}
	_, err = c.finish(ctx)
	return receipt, err
}

// orderExpiry records an expiry, with the gate shut. From then on it is
// c.unfinished.
func (c *Custody) orderExpiry(classes []string, reason string) (sequence.Receipt, error) {
	order := barrier.Expiry{Classes: classes, Reason: reason}
	m, err := order.Metadata()
	if err != nil {
		return sequence.Receipt{}, err
	}
	receipt, err := c.Writer.Commit(event.ClassExpired, m)
	if err != nil {
		return sequence.Receipt{}, err
	}
	c.unfinished = &Doom{Classes: classes, Seq: receipt.Seq, hash: receipt.Hash}
	return receipt, nil
}

// finish carries out c.unfinished, and returns a checkpoint that covers its
// order. It is not for the caller to stop it: what was recorded happens.
func (c *Custody) finish(ctx context.Context) ([]byte, error) {
	d := c.unfinished
	after, err := c.destroy(context.WithoutCancel(ctx), d)
	if err != nil {
		err = fmt.Errorf("it was ordered by record %d, but is not complete: %w; it is finished when the log is next opened", d.Seq, err)
		c.Writer.Gate.Fail(err)
		return nil, err
	}
	c.unfinished = nil
	c.Writer.Gate.Open()
	return after, nil
}

func (c *Custody) destroy(ctx context.Context, d *Doom) ([]byte, error) {
	// Nobody can tell an unsigned record from a forgery once its key is gone:
	// everything up to the order must be signed before.
	after, err := c.Writer.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.escrow(ctx, d); err != nil {
		return nil, fmt.Errorf("keep what is held: %w", err)
	}
	gone := keyring.Destruction{Subjects: d.Subjects, Classes: d.Classes, Seq: d.Seq, Hash: d.hash, AllFiles: true}
	if c.Writer.Purge != nil && !d.late {
		files, err := c.Writer.Purge(ctx, d)
		if err == nil {
			gone.AllFiles, gone.Files = false, files
		} else {
			c.Logger.Warn("derived files were not made anew, and are all let go", slog.Any("error", err))
		}
	}
	return after, c.Ring.Destroy(gone)
}

// FinishAll carries out what was ordered and is not done: a crash came
// in between, or an older keyring was brought back.
func (c *Custody) FinishAll(ctx context.Context) error {
	var t toll
	from := c.unapplied()
	if err := c.ordered(ctx, from, &t); err != nil {
		return err
	}
	if t.last == nil {
		c.advanceApplied(ctx, from)
	} else {
		d := &Doom{
			Subjects: slices.SortedFunc(maps.Keys(t.subjects), compareSubjects),
			Classes:  slices.Sorted(maps.Keys(t.classes)), Seq: t.last.Seq,
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
func (c *Custody) advanceApplied(ctx context.Context, from uint64) {
	seqs, err := c.Store.Administrative(from)
	if err != nil || len(seqs) < manyRecords {
		return
	}
	last := seqs[len(seqs)-1]
	line, err := c.Store.Checked(ctx, last)
	if t, ok := record.ParseTail(line); err == nil && ok {
		err = c.Ring.Destroy(keyring.Destruction{Seq: last, Hash: t.Hash})
	}
	if err != nil { // it is looked at again, then
		c.Logger.Warn("write down what was carried out", slog.Any("error", err))
	}
}
