package audittrail

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/record"
	"audittrail/tlog"
)

// An Erasure names the users whose data is to be erased, and the reason.
type Erasure struct {
	Users    []string
	Reason   string
	Basis    string // the legal basis, such as "GDPR 17(1)(b)"
	Approval string // the id of the approval, if one is required
	By       string // who requested it
}

// An ErasureResult says what an erasure did.
type ErasureResult struct {
	// Receipt is that of the record that ordered the erasure.
	Receipt Receipt
	// Subjects are the data subjects whose keys were destroyed. If there are
	// none, the log stored nothing about the users, and the erasure was not
	// recorded.
	Subjects []record.Subject
	// Before and After are signed checkpoints of the log without and with the
	// record that ordered the erasure.
	Before, After []byte
}

// Erase destroys the keys with which everything about some users is encrypted,
// and records that it did. The records stay as they are, and the log still
// verifies; but their contents, and the identities of the users, can no longer
// be read, neither here nor in copies of the log. A user who is recorded again
// later is a new data subject.
//
// If a legal hold is on any of the users, or keeps a record about one of them,
// nobody is erased, and the error is a *governance.LegalHoldError. Users about
// whom nothing is stored are skipped. Appends about the users wait meanwhile: a
// record about one of them is either before the erasure, under the subject that
// is erased, or after it, under a new one.
//
// Once the erasure is recorded it will be carried out: after an error the next
// call finishes it, and after a crash the next Open.
//
// The result contains the order, without its users, and everything else that a
// certificate of the erasure needs.
func (l *Log) Erase(ctx context.Context, e Erasure) (*ErasureOrder, error) {
	done, err := l.erase(ctx, &e)
	if err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	e.Users = nil
	return &ErasureOrder{Erasure: e, ErasureResult: *done}, nil
}

func (l *Log) erase(ctx context.Context, e *Erasure) (*ErasureResult, error) {
	if l.closed.Load() {
		return nil, ErrClosed
	}
	return l.eraser.erase(ctx, e.Users, governance.Erasure{Reason: e.Reason, Basis: e.Basis, Approval: e.Approval, By: e.By})
}

// An ErasureOrder is an erasure as the log has recorded it.
type ErasureOrder struct {
	Erasure                 // without Users, whose names are destroyed
	ErasureResult           // without the checkpoints, if from Erasures
	Logged        time.Time // zero, if from Erase
}

// Erasures yields the erasures that are recorded in the log, oldest first.
// After an error it yields no more.
func (l *Log) Erasures(ctx context.Context) iter.Seq2[*ErasureOrder, error] {
	return func(yield func(*ErasureOrder, error) bool) {
		for r, err := range l.GovernanceRecords(ctx, 0, event.SubjectErased) {
			var o *ErasureOrder
			if err == nil {
				o, err = orderOf(r)
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// ErasureAt returns the erasure that a record has ordered, with signed
// checkpoints as Erase returns them: Before covers all records before the
// order. Before is signed during the call, with the present key.
func (l *Log) ErasureAt(ctx context.Context, seq uint64) (*ErasureOrder, error) {
	o, err := l.erasureAt(ctx, seq)
	if err != nil {
		return nil, fmt.Errorf("find the erasure that record %d ordered: %w", seq, err)
	}
	return o, nil
}

func (l *Log) erasureAt(ctx context.Context, seq uint64) (*ErasureOrder, error) {
	if l.ring == nil {
		return nil, ErrNoKeys
	}
	r, err := l.Get(ctx, seq)
	if err != nil {
		return nil, err
	}
	if r.Event.Type != event.SubjectErased {
		return nil, fmt.Errorf("the record is of type %s, not %s", r.Event.Type, event.SubjectErased)
	}
	o, err := orderOf(r)
	if err != nil {
		return nil, err
	}
	if o.After, err = l.Checkpoint(ctx); err != nil {
		return nil, err
	}
	root, err := l.Root(seq)
	if err != nil {
		return nil, err
	}
	signer := l.ring.Signer()
	if signer == nil {
		return nil, ErrClosed
	}
	o.Before, err = tlog.Sign(tlog.Checkpoint{Origin: l.origin, Size: seq, Root: root}, signer)
	return o, err
}

func orderOf(r *record.Record) (*ErasureOrder, error) {
	if r.State != record.Readable {
		return nil, fmt.Errorf("record %d orders an erasure, and is %s", r.Seq, r.State)
	}
	e, err := governance.ReadErasure(r.Event.Metadata)
	if err != nil {
		return nil, fmt.Errorf("record %d: %w", r.Seq, err)
	}
	return &ErasureOrder{
		Erasure:       Erasure{Reason: e.Reason, Basis: e.Basis, Approval: e.Approval, By: e.By},
		ErasureResult: ErasureResult{Receipt: Receipt{Seq: r.Seq, ID: r.ID, Hash: r.Hash}, Subjects: e.Subjects},
		Logged:        r.Logged,
	}, nil
}

// CheckErase returns a *governance.LegalHoldError if a legal hold prevents the
// erasure of users. It changes nothing, and also works on a log that is open
// for reading.
func (l *Log) CheckErase(ctx context.Context, users []string) error {
	if l.ring == nil {
		return fmt.Errorf("check erasure: %w", ErrNoKeys)
	}
	if err := l.eraser.checkErase(ctx, users); err != nil {
		return fmt.Errorf("check erasure: %w", err)
	}
	return nil
}

// Expire destroys the keys of months of retention classes, such as
// "standard/2026-11", so that the contents of all records of these months can
// no longer be read. Records under a legal hold stay readable until it is
// released. Classes that have no key, because nothing was recorded in them or
// they have expired, are skipped; if no class is left, nothing is recorded, and
// the receipt is empty.
//
// A month that has not ended is refused as long as the log has that class.
func (l *Log) Expire(ctx context.Context, classes []string, reason string) (Receipt, error) {
	receipt, err := l.expire(ctx, classes, reason)
	if err != nil {
		return receipt, fmt.Errorf("expire: %w", err)
	}
	return receipt, nil
}

func (l *Log) expire(ctx context.Context, classes []string, reason string) (Receipt, error) {
	if err := governance.CheckReason(reason, true); err != nil {
		return Receipt{}, err
	}
	for _, c := range classes {
		if err := l.checkOver(c); err != nil {
			return Receipt{}, err
		}
	}
	if l.closed.Load() {
		return Receipt{}, ErrClosed
	}
	return l.eraser.expire(ctx, classes, reason)
}

// checkOver refuses a class whose month has not ended, since records may still
// be encrypted under its key.
func (l *Log) checkOver(class string) error {
	name, month, err := record.SplitClass(class)
	if err != nil {
		return fmt.Errorf("invalid class %.80q: use a retention class and a month, such as standard/2026-11", class)
	}
	if name == GovernanceClass {
		return fmt.Errorf("class %s: governance records do not expire", class)
	}
	if over := month.AddDate(0, 1, 0); l.opts.now().Before(over) && slices.Contains(l.classes.Load().names, name) {
		return fmt.Errorf("class %s: expire it after its month has ended, on %s", class, over.Format("2006-01-02"))
	}
	return nil
}

// Classes returns the months of retention classes that have a key, such as
// "standard/2026-11": the months in which something was recorded, and which
// have not expired.
func (l *Log) Classes() ([]string, error) {
	if l.ring == nil {
		return nil, ErrNoKeys
	}
	return l.ring.Classes()
}
