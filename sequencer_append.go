package audittrail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"audittrail/event"
	"audittrail/keyring"
	"audittrail/record"
)

// append records one event and returns when the record is durable.
func (q *sequencer) append(ctx context.Context, e event.Event) (Receipt, error) {
	it := items.Get().(*item)
	it.event, it.alone[0] = e, it
	err := q.prepare(it)
	if err == nil {
		err = q.run(ctx, it.alone[:])
	}
	receipt := it.receipt
	if err != nil {
		// The committer may still use the item: leave it to the garbage
		// collector.
		return Receipt{}, fmt.Errorf("append: %w", err)
	}
	*it = item{}
	items.Put(it)
	return receipt, nil
}

// items are the items of single appends, for reuse.
var items = sync.Pool{New: func() any { return new(item) }}

// appendBatch records events in their order, all of them or none.
func (q *sequencer) appendBatch(ctx context.Context, events []event.Event) ([]Receipt, error) {
	receipts, err := q.together(ctx, events, false)
	if err != nil {
		return nil, fmt.Errorf("append: %w", err)
	}
	return receipts, nil
}

// together records events in their order, all of them or none.
func (q *sequencer) together(ctx context.Context, events []event.Event, reserved bool) ([]Receipt, error) {
	all := make([]*item, len(events))
	first := make(map[record.ID]*item)
	for i := range events {
		all[i] = &item{event: events[i], index: i, reserved: reserved}
	}
	if err := eachItem(all, q.prepare); err != nil {
		return nil, err
	}
	// An id that occurs twice in the batch must be that of the same event.
	own := make([]*item, 0, len(all))
	for _, it := range all {
		if other := first[it.id]; it.given && other != nil {
			if !it.tells(other.digest, other.event.Actor) {
				return nil, &BatchError{it.index, &event.FieldError{Field: "id", Problem: fmt.Sprintf("event %d of the batch has the same id and is another event", other.index)}}
			}
			it.same = other
			continue
		}
		first[it.id] = it
		own = append(own, it)
	}
	if err := q.run(ctx, own); err != nil {
		return nil, err
	}
	receipts := make([]Receipt, len(all))
	for i, it := range all {
		if it.same != nil {
			it.receipt = it.same.receipt
			it.receipt.Duplicate = true
		}
		receipts[i] = it.receipt
	}
	return receipts, nil
}

// govern is append for an event that governs the log or belongs to the access
// log.
func (q *sequencer) govern(ctx context.Context, e event.Event) (Receipt, error) {
	it := &item{event: e, reserved: true}
	it.alone[0] = it
	err := q.prepare(it)
	if err == nil {
		err = q.run(ctx, it.alone[:])
	}
	return it.receipt, err
}

// governBatch is appendBatch for such events.
func (q *sequencer) governBatch(ctx context.Context, events []event.Event) ([]Receipt, error) {
	return q.together(ctx, events, true)
}

// An adopted is a record to be copied from another log.
type adopted struct {
	event event.Event
	own   record.LogMetadata
	class string // with its month
}

// adopt appends records of another log, with their classes and months there.
func (q *sequencer) adopt(ctx context.Context, adopted []adopted) error {
	all := make([]*item, len(adopted))
	for i := range adopted {
		a := &adopted[i]
		all[i] = &item{event: a.event, own: a.own, index: i, reserved: a.event.Type.Reserved(), class: a.class}
	}
	if err := eachItem(all, q.prepare); err != nil {
		return err
	}
	return q.run(ctx, all)
}

// An item is an event that is being appended.
type item struct {
	event event.Event
	index int  // in its batch
	given bool // the client gave the id
	// reserved events govern the log or belong to the access log
	reserved bool
	own      record.LogMetadata // copied from another log
	class    string             // with its month, if copied from another log
	id       record.ID
	digest   [32]byte
	same     *item // the earlier item of the batch with the same id

	claim   *claim
	draft   *record.Pending
	seen    *record.Record // for the index, if there is one
	receipt Receipt

	random [32]byte // the salt, and the random part of an id
	alone  [1]*item // the item itself, as the list of a single append
}

// eachItem runs f on all items, on all processors if there are many items, and
// returns the error of the first item that fails.
func eachItem(items []*item, f func(*item) error) error {
	if len(items) == 1 {
		if err := f(items[0]); err != nil {
			return &BatchError{items[0].index, err}
		}
		return nil
	}
	const few = 16
	workers := min(runtime.GOMAXPROCS(0), len(items)/few)
	errs := make([]error, len(items))
	if workers < 2 {
		for i, it := range items {
			if errs[i] = f(it); errs[i] != nil {
				break
			}
		}
	} else {
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < len(items); i += workers {
					if errs[i] = f(items[i]); errs[i] != nil {
						return
					}
				}
			})
		}
		wg.Wait()
	}
	for i, err := range errs {
		if err != nil {
			return &BatchError{items[i].index, err}
		}
	}
	return nil
}

// prepare checks an event and finds its id, before it is encrypted.
func (q *sequencer) prepare(it *item) error {
	e := &it.event
	if e.Type.Reserved() && !it.reserved {
		return &event.FieldError{Field: "type", Problem: fmt.Sprintf("%q: only the log itself records such events", e.Type)}
	}
	if n := contentBytes(e); n > q.log.opts.MaxEventBytes {
		return fmt.Errorf("%w: its content has %d bytes, the limit is %d", ErrTooLarge, n, q.log.opts.MaxEventBytes)
	}
	if err := event.Canonicalize(e); err != nil {
		return err
	}
	if e.ID != "" {
		it.given = true
		it.digest = event.Digest(e) // of the event as given: the retention policy may change
		id, err := record.ParseID(e.ID)
		if err != nil {
			id = q.log.ring.DeriveRecordID(e.ID)
		}
		it.id = id
	}
	if it.class != "" {
		return nil
	}
	return q.log.classes.Load().place(e, it.reserved)
}

// contentBytes returns the length of those fields of an event that have no
// limit of their own.
func contentBytes(e *event.Event) int {
	n := len(e.Prompt) + len(e.Response) + len(e.SystemInstructions) + len(e.Error) +
		len(e.InputMessages) + len(e.OutputMessages)
	if e.Tool != nil {
		n += len(e.Tool.Arguments) + len(e.Tool.Result)
	}
	for k, v := range e.Metadata {
		n += len(k) + len(v)
	}
	return n
}

// run claims the ids of the items, encrypts the new items, and waits until they
// are durable.
func (q *sequencer) run(ctx context.Context, items []*item) error {
	if len(items) == 0 {
		return nil
	}
	fresh := items
	if slices.ContainsFunc(items, func(it *item) bool { return it.given }) {
		var err error
		fresh, err = q.claimAll(ctx, items)
		if err != nil {
			return err
		}
	}
	b, err := q.commitAll(ctx, fresh)
	if b != nil && err != nil && ctx.Err() != nil {
		// The items may be written or not, and have no receipts: the next
		// append of their ids waits until the batch is durable or refused, and
		// then looks into the log.
		q.settling.Go(func() {
			<-b.done
			q.settleAll(items, err)
		})
		return err
	}
	q.settleAll(items, err)
	return err
}

func (q *sequencer) settleAll(items []*item, err error) {
	for _, it := range items {
		if it.claim != nil {
			q.claims.settle(it, err)
		}
	}
}

// commitAll encrypts the items and waits until they are durable. It returns
// their batch, if there is one.
func (q *sequencer) commitAll(ctx context.Context, items []*item) (*batch, error) {
	if len(items) == 0 {
		return nil, nil
	}
	b, at, room, err := q.sealAll(ctx, items)
	if err != nil {
		return nil, err
	}
	if ctx.Done() == nil {
		<-b.done // cheaper than a select
	} else if !finished(ctx, b) {
		q.settling.Go(func() { // the batch's bytes are in flight until it is done
			<-b.done
			q.room.Release(room)
		})
		return b, fmt.Errorf("%w; whether the record was written is not known", ctx.Err())
	}
	q.room.Release(room)
	if b.err != nil {
		return b, b.err
	}
	for i, it := range items {
		it.receipt = Receipt{Seq: b.first + uint64(at+i), ID: it.id, Hash: record.Hash(b.hashes[at+i])}
	}
	return b, nil
}

// sealAll encrypts the items and hands them to the committer. It returns their
// batch, the place of the first item in it, and their size in bytes.
func (q *sequencer) sealAll(ctx context.Context, items []*item) (b *batch, at int, room int64, err error) {
	err = q.log.gate.Enter(ctx, func(yield func(string) bool) {
		for _, it := range items {
			if !yield(it.event.UserID) || it.event.Actor != "" && !yield(it.event.Actor) {
				return
			}
		}
	})
	if err != nil {
		return nil, 0, 0, err
	}
	defer q.log.gate.Leave()
	if err := eachItem(items, q.seal); err != nil {
		if len(items) == 1 {
			return nil, 0, 0, errors.Unwrap(err)
		}
		return nil, 0, 0, err
	}
	bytes := int64(0)
	for _, it := range items {
		bytes += int64(it.draft.MaxLen())
	}
	if bytes > maxBatchBytes {
		return nil, 0, 0, fmt.Errorf("a batch of %d bytes: the limit is %d; append it in parts", bytes, maxBatchBytes)
	}
	room = min(bytes, roomBytes)
	if err := q.room.Acquire(ctx, room); err != nil {
		return nil, 0, 0, err
	}
	if b, at, err = q.enqueue(items); err != nil {
		q.room.Release(room)
		return nil, 0, 0, err
	}
	return b, at, room, nil
}

// finished waits for a batch, and reports whether it was done before ctx ended.
func finished(ctx context.Context, b *batch) bool {
	select {
	case <-b.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// seal creates the pending record of an item.
func (q *sequencer) seal(it *item) error {
	e := &it.event
	now := q.log.opts.now()
	if e.Time.IsZero() {
		e.Time = now
	}
	if _, err := io.ReadFull(q.log.opts.rand, it.random[:]); err != nil {
		return fmt.Errorf("read random bytes: %w", err)
	}
	s := record.SealParams{Event: e, Salt: [16]byte(it.random[:16])}
	if it.given {
		s.Digest = &it.digest
	} else {
		it.id = record.NewID(now.UnixMilli(), [16]byte(it.random[16:]))
	}
	s.ID = it.id
	s.Class = cmp.Or(it.class, ofRecord(e, now))
	if q.log.gate.Expiring(s.Class) {
		return fmt.Errorf("class %s is about to expire, but the clock says that its month has not ended: set the clock", s.Class)
	}
	var err error
	s.Subject, s.PRK, err = q.log.ring.EncryptionKey(e.UserID, s.Class)
	if err != nil {
		return err
	}
	s.LogMetadata = it.own
	if e.Actor != "" {
		if s.Actor, _, err = q.log.ring.EncryptionKey(e.Actor, s.Class); err != nil {
			return err
		}
	}
	if s.Source == "" {
		s.Source = q.sourceOf(it)
	}
	if e.SessionID != "" {
		s.Session = q.log.ring.Session(e.SessionID)
	}
	if it.draft, err = record.Seal(&s); err == nil && !q.log.opts.NoIndex {
		it.seen = observed(&s, it.draft.Size)
	}
	return err
}

// sourceOf returns how the log learned of an item's event.
func (q *sequencer) sourceOf(it *item) record.Source {
	if it.reserved {
		return record.SourceLog
	}
	return cmp.Or(q.log.opts.Source, record.SourceApp)
}

// observed returns a new record for the index, without the fields that depend
// on its sequence number. It copies data that the event points to, since the
// caller of Append may change it.
func observed(s *record.SealParams, size int) *record.Record {
	r := &record.Record{State: record.Readable}
	r.Version, r.LogMetadata = record.Version, s.LogMetadata
	r.ID, r.Session, r.Size, r.Class, r.Subject = s.ID, s.Session, size, s.Class, s.Subject
	r.Event = event.Clone(s.Event)
	r.Event.Time = r.Event.Time.UTC()
	if r.Event.ID == "" {
		r.Event.ID = s.ID.String()
	}
	return r
}

// governanceMonth is the class of governance records. Its key is permanent in
// the keyring, so that a keyring that was restored from a backup can decrypt
// the orders that were recorded since, above all the erasures.
const governanceMonth = keyring.GovernanceClass + "/0001-01"

// ofRecord returns the class, with its month, of a record that is accepted at a
// time.
func ofRecord(e *event.Event, now time.Time) string {
	if e.RetentionClass == keyring.GovernanceClass {
		return governanceMonth
	}
	return record.ClassOf(e.RetentionClass, now)
}
