package audittrail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"audittrail/event"
	"audittrail/internal/barrier"
	"audittrail/keyring"
	"audittrail/record"
)

// maxErased is how many people one call forgets. Their ids stand in one record.
const maxErased = 250_000

// An Erasure says who is to be forgotten, and why.
type Erasure struct {
	Users    []string
	Reason   string
	Basis    string // what it stands on, such as "GDPR 17(1)(b)"
	Approval string // the id of who approved, if that is asked for
	By       string // who asked for it
}

// A Forgotten says what an erasure did.
type Forgotten struct {
	// Receipt is of the record that ordered it.
	Receipt Receipt
	// Subjects are those whose keys were destroyed. If there are none, nothing
	// was held on the users, and nothing was recorded.
	Subjects []record.Subject
	// Before and After are signed checkpoints of the log without the record
	// that ordered it, and with it.
	Before, After []byte
}

// Doomed is what is about to be destroyed.
type Doomed struct {
	Subjects []record.Subject
	Classes  []string // such as "standard/2026-11"
	Seq      uint64   // the record that ordered it; no later one is concerned
}

// A doom is a destruction that a record has ordered.
type doom struct {
	Doomed
	hash record.Hash
	late bool // found at Open: derived files have nobody yet who makes them anew
}

// Erase forgets users: it destroys the keys under which everything about them
// is sealed, and records that it did. The records stay as they are, and the log
// verifies; what they say of the users, and who the users are, can be read
// nowhere any more, neither here nor in copies. Who comes back is somebody new.
//
// If a hold is on any of them, or keeps a record of theirs, nobody is forgotten,
// and the error is a *HeldError. Users on whom nothing is held are passed over. Appends about the
// users wait meanwhile: a record of theirs stands in front of the erasure under
// the subject that is forgotten, or behind it under a new one.
//
// Once the erasure is recorded it happens: after an error it is finished by the
// next call, and after a crash by the next Open.
func (l *Log) Erase(ctx context.Context, e Erasure) (*Forgotten, error) {
	done, err := l.erase(ctx, &e)
	if err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	return done, nil
}

func (l *Log) erase(ctx context.Context, e *Erasure) (*Forgotten, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	if err := l.govern(ctx); err != nil {
		return nil, err
	}
	defer l.governing.Release(1)
	users, err := l.living(e.Users)
	if err != nil || len(users) == 0 {
		return &Forgotten{}, err
	}
	held, err := l.newHeld(ctx, users)
	if err != nil {
		return nil, err
	}
	// The long look first, while appends about the users go on.
	if err := held.look(ctx); err != nil {
		return nil, err
	}
	l.gate.Shut(slices.Collect(maps.Keys(users)), nil)
	order, err := l.orderErasure(ctx, e, held)
	if err != nil {
		l.gate.Open()
		return nil, err
	}
	order.After, err = l.finish(ctx)
	return order, err
}

// orderErasure records an erasure, with the gate shut. From then on it is
// l.unfinished.
func (l *Log) orderErasure(ctx context.Context, e *Erasure, held *held) (*Forgotten, error) {
	l.settle()
	if err := held.look(ctx); err != nil {
		return nil, err
	}
	before, err := l.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	subjects := slices.SortedFunc(maps.Values(held.users), compareSubjects)
	order := barrier.Erasure{Subjects: subjects, Reason: e.Reason, Basis: e.Basis, Approval: e.Approval, By: e.By}
	m, err := order.Metadata()
	if err != nil {
		return nil, err
	}
	receipt, err := l.commitOwn(l.ownEvent(event.SubjectErased, m))
	if err != nil {
		return nil, err
	}
	l.unfinished = &doom{Doomed: Doomed{Subjects: subjects, Seq: receipt.Seq}, hash: receipt.Hash}
	return &Forgotten{Receipt: receipt, Subjects: subjects, Before: before}, nil
}

func (e *Erasure) check() error {
	if len(e.Users) > maxErased {
		return fmt.Errorf("%d users in one call; the limit is %d", len(e.Users), maxErased)
	}
	if slices.Contains(e.Users, "") {
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
func (l *Log) living(users []string) (map[string]record.Subject, error) {
	found := make(map[string]record.Subject, len(users))
	for _, u := range users {
		s, ok, err := l.ring.LookupUser(u)
		if err != nil {
			return nil, err
		}
		if ok {
			found[u] = s
		}
	}
	return found, nil
}

// Expire destroys the keys of retention classes' months, such as
// "standard/2026-11", so that the contents of all records of these months are
// gone. Records that a hold keeps stay readable until it is released. Classes
// that have no key, for nothing was recorded in them or they have expired, are
// passed over; if nothing is left, nothing is recorded, and the receipt is
// empty.
//
// A month that is not over is refused as long as the log has that class.
func (l *Log) Expire(ctx context.Context, classes []string, reason string) (Receipt, error) {
	receipt, err := l.expire(ctx, classes, reason)
	if err != nil {
		return receipt, fmt.Errorf("expire: %w", err)
	}
	return receipt, nil
}

func (l *Log) expire(ctx context.Context, classes []string, reason string) (Receipt, error) {
	if err := barrier.CheckReason(reason, true); err != nil {
		return Receipt{}, err
	}
	for _, c := range classes {
		if err := l.checkOver(c); err != nil {
			return Receipt{}, err
		}
	}
	if err := l.govern(ctx); err != nil {
		return Receipt{}, err
	}
	defer l.governing.Release(1)
	living, err := l.ring.Classes()
	if err != nil {
		return Receipt{}, err
	}
	living = slices.DeleteFunc(living, func(c string) bool { return !slices.Contains(classes, c) })
	if len(living) == 0 {
		return Receipt{}, nil
	}
	l.gate.Shut(nil, living)
	receipt, err := l.orderExpiry(living, reason)
	if err != nil {
		l.gate.Open()
		return Receipt{}, err
	}
	_, err = l.finish(ctx)
	return receipt, err
}

// orderExpiry records an expiry, with the gate shut. From then on it is
// l.unfinished.
func (l *Log) orderExpiry(classes []string, reason string) (Receipt, error) {
	order := barrier.Expiry{Classes: classes, Reason: reason}
	m, err := order.Metadata()
	if err != nil {
		return Receipt{}, err
	}
	receipt, err := l.commitOwn(l.ownEvent(event.ClassExpired, m))
	if err != nil {
		return Receipt{}, err
	}
	l.unfinished = &doom{Doomed: Doomed{Classes: classes, Seq: receipt.Seq}, hash: receipt.Hash}
	return receipt, nil
}

// checkOver refuses a class in which something may still be sealed.
func (l *Log) checkOver(class string) error {
	name, month, err := record.SplitClass(class)
	if err != nil {
		return fmt.Errorf("class %.80q: it is not a retention class and a month, such as standard/2026-11", class)
	}
	if name == GovernanceClass {
		return fmt.Errorf("class %s: what governs the log does not expire", class)
	}
	if over := month.AddDate(0, 1, 0); l.opts.now().Before(over) && slices.Contains(l.classes.Load().names, name) {
		return fmt.Errorf("class %s: its month ends on %s, and until then records get its key", class, over.Format("2006-01-02"))
	}
	return nil
}

// Classes returns the months of retention classes that have a key, such as
// "standard/2026-11": those in which something was recorded, and which have not
// expired.
func (l *Log) Classes() ([]string, error) {
	if l.ring == nil {
		return nil, ErrNoKeys
	}
	return l.ring.Classes()
}

// govern waits for its turn to destroy or to hold, and finishes what an earlier
// call could not. Unless it returns an error, governing is held.
func (l *Log) govern(ctx context.Context) error {
	if l.lock == nil {
		return ErrReadOnly
	}
	if err := l.governing.Acquire(ctx, 1); err != nil {
		return err
	}
	if l.unfinished != nil {
		if _, err := l.finish(ctx); err != nil {
			l.governing.Release(1)
			return err
		}
	}
	return nil
}

// settle waits until what was handed to the committer is durable, or refused.
func (l *Log) settle() {
	l.mu.Lock()
	batches := [...]*batch{l.writing, l.filling}
	l.mu.Unlock()
	for _, b := range batches {
		if b != nil {
			<-b.done
		}
	}
}

// finish carries out l.unfinished, and returns a checkpoint that covers its
// order. It is not for the caller to stop it: what was recorded happens.
func (l *Log) finish(ctx context.Context) ([]byte, error) {
	d := l.unfinished
	after, err := l.destroy(context.WithoutCancel(ctx), d)
	if err != nil {
		err = fmt.Errorf("it was ordered by record %d, but is not complete: %w; it is finished when the log is next opened", d.Seq, err)
		l.gate.Fail(err)
		return nil, err
	}
	l.unfinished = nil
	l.gate.Open()
	return after, nil
}

func (l *Log) destroy(ctx context.Context, d *doom) ([]byte, error) {
	// Nobody can tell an unsigned record from a forgery once its key is gone:
	// everything up to the order must be signed before.
	after, err := l.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.escrow(ctx, d); err != nil {
		return nil, fmt.Errorf("keep what is held: %w", err)
	}
	gone := keyring.Destruction{Subjects: d.Subjects, Classes: d.Classes, Seq: d.Seq, Hash: d.hash, AllFiles: true}
	if l.opts.Purge != nil && !d.late {
		files, err := l.opts.Purge(ctx, d.Doomed)
		if err == nil {
			gone.AllFiles, gone.Files = false, files
		} else {
			l.opts.Logger.Warn("derived files were not made anew, and are all let go", slog.Any("error", err))
		}
	}
	return after, l.ring.Destroy(gone)
}
