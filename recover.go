package audittrail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"audittrail/event"
	"audittrail/internal/segment"
	"audittrail/record"
	"audittrail/tlog"
)

// A repair is what recovery cut off the end of the log.
type repair struct {
	Reason string `json:"reason"`
	Seq    uint64 `json:"seq"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
	Aside  string `json:"file"`
}

// recover brings a log in order that is about to be written to.
//
// Up to the newest signed size, the tree is the judge. Behind it, every line
// must be whole, chained and authentic under the keyring, so that nobody who
// can write to the folder but has no keys gets a forgery signed. What an
// interrupted write leaves at the very end is cut off.
func (l *Log) recover(ctx context.Context) (*repair, error) {
	size, err := l.recoverSigned(ctx)
	if err != nil {
		return nil, err
	}
	pos, err := l.endOfSigned(ctx, size)
	if err != nil {
		return nil, err
	}
	tail, err := l.readTail(ctx, pos, size)
	if err != nil {
		return nil, err
	}
	var done *repair
	if tail.damage != nil {
		if done, err = l.cutTail(tail); err != nil {
			return nil, err
		}
	}
	if err := l.store.OpenTail(ctx, tail.end, tail.size); err != nil {
		return nil, err
	}
	if l.tree.Size() != size {
		if err := l.tree.Cut(size); err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
	}
	if err := l.tree.Append(tail.hashes); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return done, nil
}

// signedHead returns the newest size and root that were signed: the keyring
// and the published checkpoint may each be one behind the other.
func (l *Log) signedHead() (uint64, tlog.Hash, error) {
	size, root := l.ring.Signed()
	signed, err := l.tree.Checkpoint()
	if errors.Is(err, fs.ErrNotExist) {
		return size, root, nil
	}
	if err != nil {
		return 0, tlog.Hash{}, fmt.Errorf("open log: %w", err)
	}
	c, _, err := l.eras.OpenCheckpoint(signed, l.origin)
	if err != nil {
		return 0, tlog.Hash{}, fmt.Errorf("open log: the published checkpoint does not belong to this keyring: %w", err)
	}
	if c.Size > size {
		return c.Size, c.Root, nil
	}
	return size, root, nil
}

// recoverSigned makes the tree whole up to the newest signed size, which it
// returns.
func (l *Log) recoverSigned(ctx context.Context) (uint64, error) {
	size, root, err := l.signedHead()
	if err != nil {
		return 0, err
	}
	if size == 0 {
		return 0, nil
	}
	if l.tree.Size() >= size {
		if got, err := l.tree.Root(size); err == nil && got == root {
			return size, nil
		}
	}
	l.opts.Logger.Warn("tree files lag or are damaged; rebuilding them", slog.Uint64("have", l.tree.Size()), slog.Uint64("signed", size))
	if l.tree.Held() >= size {
		if err := l.tree.Rebuild(ctx, size); err == nil {
			if got, err := l.tree.Root(size); err == nil && got == root {
				return size, nil
			}
		}
	}
	if err := l.rebuildFromLog(ctx, size); err != nil {
		return 0, err
	}
	got, err := l.tree.Root(size)
	if err != nil {
		return 0, fmt.Errorf("open log: %w", err)
	}
	if got != root {
		return 0, &BehindError{Have: size, Signed: size, Detail: "the records give another root than the one that was signed"}
	}
	return size, nil
}

func (l *Log) rebuildFromLog(ctx context.Context, size uint64) error {
	if err := l.tree.Cut(0); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	// Without a writer every line may be read.
	if err := l.store.Refresh(ctx, false); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	have := l.store.Size()
	if have < size {
		return &BehindError{Have: have, Signed: size, Detail: fmt.Sprintf("only the first %d are whole", have)}
	}
	if err := l.growFromLog(ctx, 0, size); err != nil {
		var line *segment.LineError
		var damage *segmentDamage
		if errors.As(err, &line) || errors.As(err, &damage) {
			return &BehindError{Have: have, Signed: size, Detail: err.Error()}
		}
		return fmt.Errorf("open log: rebuild tree: %w", err)
	}
	return nil
}

// endOfSigned finds where the record behind the signed ones begins, and the
// end of the chain there.
func (l *Log) endOfSigned(ctx context.Context, size uint64) (segment.Pos, error) {
	if size == 0 {
		return segment.Pos{}, nil
	}
	line, err := l.store.Peek(size - 1)
	if err != nil {
		var bad *segment.LineError
		if errors.Is(err, segment.ErrBeyond) || errors.As(err, &bad) || errors.Is(err, fs.ErrNotExist) {
			return segment.Pos{}, &BehindError{Have: size - 1, Signed: size, Detail: fmt.Sprintf("record %d is not there", size-1)}
		}
		return segment.Pos{}, fmt.Errorf("open log: %w", err)
	}
	t, _ := record.ParseTail(line) // Peek has looked at it
	want, err := l.tree.Entry(size - 1)
	if err != nil {
		return segment.Pos{}, fmt.Errorf("open log: %w", err)
	}
	if t.Hash != want || !record.Intact(line, &t) {
		return segment.Pos{}, &BehindError{Have: size, Signed: size, Detail: fmt.Sprintf("record %d is not the one that was signed", size-1)}
	}
	l.last = lastRecord{hash: t.Hash, logged: t.Logged}
	return l.store.End(ctx, size-1)
}

// A logTail is what stands behind the signed records.
type logTail struct {
	end    segment.Pos // behind the last good line
	size   uint64
	hashes [][32]byte

	damage *damage // what stands at end, if anything
}

type damage struct {
	file   string
	reason string
	cause  error // why it is no interrupted write, if it is none
}

// readTail authenticates the lines from pos on.
func (l *Log) readTail(ctx context.Context, pos segment.Pos, size uint64) (*logTail, error) {
	tail := &logTail{end: pos, size: size}
	for raw, err := range l.store.Scan(ctx, pos) {
		if err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
		if tail.damage != nil {
			if !l.explains(tail, &raw) {
				break
			}
			continue
		}
		tail.end = raw.Pos
		if err := l.authenticate(&raw, tail); err != nil {
			var newer *record.VersionError
			if raw.Whole && intactLine(raw.Line) && errors.As(err, &newer) {
				return nil, fmt.Errorf("open log: record %d: %w: write to this log with the newer version that wrote it", tail.size, err)
			}
			tail.damage = &damage{file: raw.File, reason: err.Error()}
			if raw.Whole && intactLine(raw.Line) {
				// Whole, and yet not ours: no interruption writes that.
				tail.damage.cause = err
			}
			continue
		}
		tail.end.Offset += int64(len(raw.Line)) + 1
	}
	if last, ok := l.store.LastSegment(); ok && tail.damage == nil && last > tail.end.First {
		tail.end = segment.Pos{First: last} // begun, and still empty
	}
	return tail, nil
}

func intactLine(line []byte) bool {
	t, ok := record.ParseTail(line)
	return ok && record.Intact(line, &t)
}

// authenticate takes one line into the tail if it is the next record, as only
// a holder of the keyring can have written it.
func (l *Log) authenticate(raw *segment.Raw, tail *logTail) error {
	if !raw.Whole {
		return errors.New("the line has no end")
	}
	line := append([]byte(nil), raw.Line...) // the record keeps it
	r, err := record.Decode(line)
	if err != nil {
		return err
	}
	switch {
	case !record.Intact(line, &r.Tail):
		return record.ErrHash
	case r.Seq != tail.size:
		return fmt.Errorf("the line carries sequence number %d", r.Seq)
	case r.Prev != l.last.hash:
		return errors.New("the line does not continue the chain")
	case r.Logged.Before(l.last.logged):
		return errors.New("the line was logged before the one in front of it")
	}
	prk, err := l.ring.ForOpening(r.Subject, r.Class)
	if err == nil {
		err = r.Open(prk)
	}
	if err != nil {
		return fmt.Errorf("the record cannot be authenticated: %w", err)
	}
	l.last = lastRecord{hash: r.Hash, logged: r.Logged}
	tail.hashes = append(tail.hashes, r.Hash)
	tail.size++
	return nil
}

// explains looks at what follows a damaged line, and tells whether to go on.
// Whole records may follow in the batch that was being written, since a disk
// does not write in order: their nanoseconds tell their place in it, and so
// whether the damage is in it too. One of a later batch means that the damaged
// one had been durable.
func (l *Log) explains(tail *logTail, raw *segment.Raw) bool {
	if tail.damage.cause != nil {
		return false
	}
	t, ok := record.ParseTail(raw.Line)
	if !raw.Whole || !ok || !record.Intact(raw.Line, &t) {
		return true
	}
	place := uint64(t.Logged.Nanosecond() % 1000)
	if place < record.MaxPlace && t.Seq-place <= tail.size && t.Seq > tail.size {
		return true
	}
	tail.damage.cause = fmt.Errorf("record %d behind it is whole", t.Seq)
	return false
}

// cutTail removes what stands behind the last good line.
func (l *Log) cutTail(tail *logTail) (*repair, error) {
	d := tail.damage
	if d.cause != nil && !l.opts.Repair {
		return nil, &DamagedError{Seq: tail.size, File: d.file, Offset: tail.end.Offset, Detail: d.reason + "; " + d.cause.Error()}
	}
	if last, _ := l.store.LastSegment(); last != tail.end.First {
		return nil, &DamagedError{Seq: tail.size, File: d.file, Offset: tail.end.Offset, Detail: "whole segments follow, and are not cut off"}
	}
	aside := fmt.Sprintf("torn-%020d-%s", tail.size, l.opts.now().UTC().Format("20060102T150405.000000000"))
	cut, err := l.store.Cut(tail.end, aside)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	sum := sha256.Sum256(cut)
	l.opts.Logger.Warn("cut off an incomplete write", slog.Uint64("seq", tail.size), slog.Int("bytes", len(cut)), slog.String("kept as", aside))
	reason := "interrupted write"
	if d.cause != nil {
		reason = "repair on request: " + d.reason
	}
	return &repair{Reason: reason, Seq: tail.size, Bytes: len(cut), SHA256: hex.EncodeToString(sum[:]), Aside: aside}, nil
}

// recordRepair puts into the log what was cut off it.
func (l *Log) recordRepair(r *repair) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("record repair: %w", err)
	}
	_, err = l.commitOwn(event.Event{
		Type: event.LogRepaired, Time: l.opts.now().UTC().Truncate(time.Microsecond),
		Metadata: map[string]json.RawMessage{"repair": b},
	})
	return err
}
