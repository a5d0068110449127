package admission

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/segment"
	"audittrail/internal/verify"
	"audittrail/keyring"
	"audittrail/record"
)

// A Judge decides which of the lines beyond the signed ones count, in their
// order. It is for one goroutine, and for one pass.
//
// A line counts if it is a record that this program knows, its content opens
// with the log's keys, no record before it has its id, and its data subject was
// not erased before. The caller checks its place in the chain.
type Judge struct {
	Ring   *keyring.Ring
	Store  *segment.Store // of the earlier records, which may have the same id
	Orders Orders         // it may be nil
	// Lenient accepts a line although ids cannot be looked up because the log
	// is damaged.
	Lenient bool

	ids    map[record.ID]uint64
	erased map[record.Subject]struct{} // by one of the lines that were judged
}

// Orders are the orders to destroy keys among the records that readers see.
type Orders interface {
	// Refused returns the state that an order gave to the records about a
	// subject in a class, even if the keyring still has their key.
	Refused(s record.Subject, class string) (record.State, error)
}

// Together is the number of lines that are best judged at once.
const Together = 256

// Fresh returns a judge that has seen no line yet.
func (j *Judge) Fresh() verify.Judge {
	return &Judge{Ring: j.Ring, Store: j.Store, Orders: j.Orders, Lenient: j.Lenient}
}

// Reject returns the index of the first line that does not count, and why; the
// number of lines if all do. The Judge keeps the lines.
func (j *Judge) Reject(ctx context.Context, lines [][]byte) (int, string, error) {
	if j.ids == nil {
		j.ids, j.erased = map[record.ID]uint64{}, map[record.Subject]struct{}{}
	}
	records, reasons := make([]*record.Record, len(lines)), make([]string, len(lines))
	errs := make([]error, len(lines))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(lines)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(lines); i = int(next.Add(1)) - 1 {
				records[i], reasons[i], errs[i] = j.open(lines[i])
			}
		})
	}
	wg.Wait()
	for i, r := range records {
		why, err := reasons[i], errs[i]
		if err == nil && why == "" {
			why, err = j.place(ctx, r)
		}
		if err != nil || why != "" {
			return i, why, err
		}
	}
	return len(lines), "", nil
}

// open decrypts a line, or returns why that is not possible.
func (j *Judge) open(line []byte) (*record.Record, string, error) {
	r, err := record.Decode(line)
	var version *record.VersionError
	switch {
	case errors.As(err, &version):
		return nil, version.Error(), nil
	case err != nil:
		return nil, "it is not in canonical form", nil
	case r.Event.Type.Internal() && r.Event.Type != event.HoldPlaced && r.Subject != j.Ring.System():
		// A hold is encrypted with the key of the user whom it names.
		return nil, "it claims to be one of the log's own records, but is not encrypted like one", nil
	}
	prk, err := j.Ring.DecryptionKey(r.Subject, r.Class)
	state, absent := keyring.StateOf(err)
	switch {
	case absent && state == record.Erased:
		return nil, "it is about a data subject who was erased before", nil
	case absent && state == record.Expired:
		return nil, "it is of a month that had expired before", nil
	case absent:
		return nil, "the key to its content is absent", nil
	case err != nil:
		return nil, "", fmt.Errorf("look for the keys of records: %w", err)
	case r.Open(prk) != nil:
		return nil, "its content does not open with the log's keys", nil
	}
	return r, "", nil
}

// place checks that a record that can be decrypted is not a copy of an earlier
// one, or about somebody who was erased.
func (j *Judge) place(ctx context.Context, r *record.Record) (why string, err error) {
	seqs, err := j.Store.FindID(ctx, r.ID)
	for _, seq := range seqs {
		if seq >= r.Seq || err != nil {
			break
		}
		var same bool
		if same, err = j.Store.HasID(ctx, seq, r.ID); same {
			return fmt.Sprintf("it is a copy of record %d", seq), nil
		}
	}
	if err != nil && (!j.Lenient || ctx.Err() != nil) {
		return "", err
	}
	if seq, ok := j.ids[r.ID]; ok && seq != r.Seq {
		return fmt.Sprintf("it is a copy of record %d", seq), nil
	}
	j.ids[r.ID] = r.Seq
	if _, ok := j.erased[r.Subject]; ok {
		return "it is about a data subject who was erased before", nil
	}
	if j.Orders != nil {
		switch state, err := j.Orders.Refused(r.Subject, r.Class); {
		case err != nil && (!j.Lenient || ctx.Err() != nil):
			return "", err
		case err == nil && state == record.Erased:
			return "it is about a data subject who was erased before", nil
		}
	}
	if r.Event.Type == event.SubjectErased {
		if e, err := governance.ReadErasure(r.Event.Metadata); err == nil {
			for _, s := range e.Subjects {
				j.erased[s] = struct{}{}
			}
		}
	}
	return "", nil
}
