package audittrail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"time"

	"audittrail/internal/segment"
	"audittrail/internal/signed"
	"audittrail/internal/tree"
	"audittrail/keyring"
	"audittrail/record"
	"audittrail/tlog"
)

// A recovery brings a log in order that is about to be written to: it decides what
// the end of the log is.
//
// Nothing signed is given up, nothing is taken for a record that no holder of the
// keyring wrote, and only an interrupted write is cut off, and that not without a
// copy. A recovery refuses what it cannot tell. docs/design/0001-recovery.md has the
// reasons.
type recovery struct {
	store  *segment.Store
	tree   *tree.Tree
	ring   *keyring.Ring
	eras   tlog.KeyPeriods // of its signers
	origin string
	now    func() time.Time
	logger *slog.Logger
	repair bool // cut off what no interrupted write leaves, too
	newer  bool // and lines of a newer format

	disbelieved *CheckpointError // the published checkpoint, if it is not believed
	aside       *repair          // what is to be recorded of it

	// Last is the end of the chain, when Run has returned.
	last chainEnd
	// Checked is whether the files of the tree were looked at in full.
	checked bool
}

// A chainEnd is what the next record continues.
type chainEnd struct {
	hash   record.Hash
	logged time.Time
}

// A repair is what recovery cut off the end of the log, or put aside: a checkpoint,
// where Seq is how many records it claimed to cover.
type repair struct {
	Reason string `json:"reason"`
	Seq    uint64 `json:"seq"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
	Aside  string `json:"file,omitempty"`
	// Segments are whole files behind that, which were put aside as they were.
	Segments []string `json:"segments,omitempty"`
}

// run brings a log in order that is about to be written to.
//
// Up to the newest signed size, the tree is the judge. Behind it, every line
// must be whole, chained and authentic under the keyring, so that nobody who
// can write to the folder but has no keys gets a forgery signed. What an
// interrupted write leaves at the very end is cut off.
func (l *recovery) run(ctx context.Context) ([]*repair, error) {
	l.store.Claim()
	size, root, err := l.recoverSigned(ctx)
	if err != nil {
		return nil, err
	}
	l.store.Hold(&signed.Tree{Store: l.store, Files: l.tree, Ring: l.ring, Origin: l.origin, Writer: true, Logger: l.logger})
	pos, err := l.endOfSigned(ctx, size, root)
	if err != nil {
		return nil, err
	}
	tail, err := l.readTail(ctx, pos, size)
	if err == nil {
		err = l.refuseCopies(ctx, tail)
	}
	if err != nil {
		return nil, err
	}
	var done []*repair
	if tail.damage == nil {
		if _, err := l.setAside(tail.end.First, l.stamp()); err != nil {
			return nil, err
		}
	} else {
		if d := l.disbelieved; d != nil && tail.damage.cause != nil && d.Claimed > tail.size {
			d.Unopened = tail.size + 1
			return nil, d
		}
		cut, err := l.cutTail(tail)
		if err != nil {
			return nil, l.refusal(ctx, err, size)
		}
		done = append(done, cut)
	}
	if err := l.store.OpenTail(ctx, tail.end, tail.size); err != nil {
		return nil, err
	}
	l.store.PutAside(l.logger)
	if l.tree.Size() != size {
		if err := l.tree.Cut(size); err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
	}
	if got, err := l.tree.Root(size); err != nil || size > 0 && got != root {
		return nil, errors.Join(err, errors.New("open log: the tree's files have changed meanwhile: open it again"))
	}
	if err := l.tree.Append(tail.hashes); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	aside, err := l.putCheckpointAside()
	if err != nil {
		return nil, err
	}
	if aside != nil {
		done = append(done, aside)
	}
	return done, nil
}

// refusal is the error of a log that is not written to for what lies behind the
// signed records. If some of these are not there either, that is said as well.
func (l *recovery) refusal(ctx context.Context, err error, size uint64) error {
	l.store.Show(size)
	if missing := l.store.AllNamed(ctx); missing != nil && segment.Altered(missing) {
		return fmt.Errorf("%w; and %w", err, missing)
	}
	return err
}

// signedHead returns the newest size and root that were signed: the keyring
// and the published checkpoint may each be one behind the other.
func (l *recovery) signedHead() (uint64, tlog.Hash, error) {
	size, root := l.ring.Signed()
	signed, err := l.tree.Checkpoint()
	if errors.Is(err, fs.ErrNotExist) {
		return size, root, nil
	}
	if err != nil {
		return 0, tlog.Hash{}, fmt.Errorf("open log: %w", err)
	}
	c, _, err := l.eras.OpenCheckpoint(signed, l.origin)
	if errors.Is(err, tlog.ErrMalformed) {
		// It claims nothing, as one that is missing: the keyring knows what was
		// signed, and the next checkpoint takes its place.
		l.logger.Warn("the published checkpoint is damaged, and is made again", "damage", err)
		return size, root, nil
	}
	if err != nil {
		return size, root, l.disbelieve(signed, err, size)
	}
	if c.Size > size {
		return c.Size, c.Root, nil
	}
	return size, root, nil
}

// disbelieve decides about a published checkpoint whose signature does not hold,
// where the keyring knows that size records were signed. It vouches for nothing, and
// so is put aside, and made again, when the lines turn out to be what was signed.
// Only where it covers more than the keyring knows, somebody has to say that this
// keyring is the newest one: then it was never signed.
func (l *recovery) disbelieve(signed []byte, why error, size uint64) error {
	said, _ := tlog.ReadCheckpoint(signed) // it was read before
	refused := &CheckpointError{Claimed: said.Size, Signed: size, Err: why}
	if notes, err := l.tree.Signers(); err == nil && len(notes) >= len(l.ring.Signers()) {
		if _, err := tlog.ResolveSigner(l.ring.Signers()[0].VKey, notes); err == nil {
			refused.Older = true // only the log's own signers can have signed these
			return refused
		}
	}
	if errors.Is(why, tlog.ErrOrigin) {
		_, root := l.ring.Signed()
		if got, err := l.tree.Root(size); size == 0 || err != nil || got != root {
			return refused // it may be the keyring that is of another log
		}
	}
	if (said.Size > size || errors.Is(why, tlog.ErrRetiredKey)) && !l.repair {
		return refused
	}
	l.disbelieved = refused
	sum := sha256.Sum256(signed)
	l.aside = &repair{Seq: said.Size, Bytes: len(signed), SHA256: hex.EncodeToString(sum[:]), Reason: "the published checkpoint is not what the log's keys signed: " + why.Error()}
	return nil
}

// putCheckpointAside puts a checkpoint aside that is not believed, once the log is
// in order without it.
func (l *recovery) putCheckpointAside() (*repair, error) {
	done := l.aside
	if done == nil {
		return nil, nil
	}
	done.Aside = "torn-checkpoint-" + l.stamp()
	if err := l.tree.PutCheckpointAside(done.Aside); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l.logger.Warn("put a published checkpoint aside that the log's keys did not sign, and make it again",
		slog.Uint64("claims", done.Seq), slog.String("kept as", "tree/"+done.Aside))
	return done, nil
}

// checkedAtOnce is how many leaves a tree may have to be checked in full whenever
// the log is opened for writing, which takes some tens of milliseconds. A larger one
// is checked beside the writer, see [CheckTree].
const checkedAtOnce = 1 << 16

// recoverSigned makes the tree whole up to the newest signed size, which it
// returns. Of a large tree that nobody has found damaged, only what the root
// follows from is looked at.
func (l *recovery) recoverSigned(ctx context.Context) (uint64, tlog.Hash, error) {
	size, root, err := l.signedHead()
	if err != nil || size == 0 {
		l.checked = true
		return 0, root, err
	}
	l.checked = l.repair || size <= checkedAtOnce
	good, err := checkTree(ctx, l.tree, size, root, l.checked)
	if err == nil && !good {
		l.checked = true
		err = l.mend(ctx, size, root)
	}
	return size, root, err
}

// checkTree tells whether the files of a tree give a root of the first size
// leaves, in full or by the hashes of its largest subtrees alone.
func checkTree(ctx context.Context, t *tree.Tree, size uint64, root tlog.Hash, full bool) (bool, error) {
	if t.Size() < size || t.Bad() != nil {
		return false, nil
	}
	if got, err := t.Root(size); err != nil || got != root {
		return false, nil
	}
	if !full {
		return true, nil
	}
	got, err := t.Check(ctx, size)
	return err == nil && got == root, ctx.Err()
}

// mend makes the tree's files again from the lines, which decide: if these do not
// give the root that was signed, the log is not written to, unless the files do.
func (l *recovery) mend(ctx context.Context, size uint64, root tlog.Hash) error {
	// Without a writer every line may be read.
	if err := l.store.Refresh(ctx, false, 0); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	have := l.store.Size()
	err := error(nil)
	if have < size {
		err = &RollbackError{Have: have, Signed: size, Detail: fmt.Sprintf("only the first %d are whole", have)}
	} else {
		err = mendTree(ctx, l.tree, l.store.Hashes(ctx, 0, size), size, root, l.logger)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil || !altered(err):
		return fmt.Errorf("open log: %w", err)
	}
	// Lines were altered, as verify says. The files may still have what these lack.
	known := &signed.Tree{Store: l.store, Files: l.tree, Ring: l.ring, Origin: l.origin, Writer: true, Logger: l.logger}
	entries := known.Entries(ctx, signed.Head{Size: size, Root: root}, 0)
	if mendTree(ctx, l.tree, entries, size, root, l.logger) == nil {
		return nil
	}
	good, cerr := checkTree(ctx, l.tree, size, root, false)
	if !good && l.tree.Held() >= size && l.tree.Rebuild(ctx, size) == nil {
		good, cerr = checkTree(ctx, l.tree, size, root, false)
	}
	if cerr != nil || good {
		return cerr
	}
	var behind *RollbackError
	if errors.As(err, &behind) {
		return err
	}
	detail := err.Error()
	if errors.Is(err, tree.ErrRoot) {
		detail = "the records give another root than the one that was signed"
	}
	return &RollbackError{Have: have, Signed: size, Detail: detail}
}

// altered tells whether an error says that lines are not what they were.
func altered(err error) bool {
	var behind *RollbackError
	return errors.As(err, &behind) || errors.Is(err, tree.ErrRoot) || segment.Altered(err)
}

// mendTree makes the files of a tree again from its entries, and writes down
// which were damaged.
func mendTree(ctx context.Context, t *tree.Tree, entries iter.Seq2[[32]byte, error], size uint64, root tlog.Hash, logger *slog.Logger) error {
	damage, err := t.Mend(ctx, size, root, entries)
	if err != nil {
		return err
	}
	for _, d := range damage {
		logger.Warn("made a damaged file of the tree again from the log; nothing was altered",
			slog.String("file", "tree/"+d.File), slog.Int64("offset", d.Offset), slog.String("damage", d.Detail))
	}
	return nil
}

// endOfSigned finds where the record behind the signed ones begins, and the
// end of the chain there.
func (l *recovery) endOfSigned(ctx context.Context, size uint64, root tlog.Hash) (segment.Pos, error) {
	if size == 0 {
		return segment.Pos{}, nil
	}
	line, err := l.store.Peek(size - 1)
	if err != nil {
		var bad *record.CorruptError
		if errors.Is(err, segment.ErrBeyond) || errors.As(err, &bad) || errors.Is(err, fs.ErrNotExist) {
			return segment.Pos{}, &RollbackError{Have: size - 1, Signed: size, Detail: fmt.Sprintf("record %d is not there", size-1)}
		}
		return segment.Pos{}, fmt.Errorf("open log: %w", err)
	}
	t, _ := record.ParseChainLink(line) // Peek has looked at it
	good := record.VerifyHash(line, &t)
	if good {
		if good, err = l.proves(ctx, size, root, t.Hash); err != nil {
			return segment.Pos{}, fmt.Errorf("open log: %w", err)
		}
	}
	if !good {
		return segment.Pos{}, &RollbackError{Have: size, Signed: size, Detail: fmt.Sprintf("record %d is not the one that was signed", size-1)}
	}
	l.last = chainEnd{hash: t.Hash, logged: t.Logged}
	return l.store.End(ctx, size-1)
}

// proves tells whether the last record of the signed tree has a hash. Of a large
// tree, not all was checked: what does not hold is made again first.
func (l *recovery) proves(ctx context.Context, size uint64, root tlog.Hash, hash record.Hash) (bool, error) {
	check := func() error {
		proof, err := tlog.ProveInclusion(size, size-1, l.tree.HashReader())
		if err != nil {
			return err
		}
		return tlog.CheckInclusion(proof, size, root, size-1, tlog.LeafHash(hash))
	}
	err := check()
	if err != nil {
		if err := l.mend(ctx, size, root); err != nil {
			return false, err
		}
		err = check()
	}
	if errors.Is(err, tlog.ErrProof) {
		return false, nil
	}
	return err == nil, err
}

// A logTail is what stands behind the signed records.
type logTail struct {
	end    segment.Pos // behind the last good line
	size   uint64
	hashes [][32]byte
	lines  []line // one for each hash

	damage *damage // what stands at end, or in a file behind it, if anything
}

// A line is a record behind the signed ones: where it begins, and what it
// continues.
type line struct {
	id     record.ID
	file   string
	pos    segment.Pos
	before chainEnd
}

type damage struct {
	file   string
	offset int64
	reason string
	cause  error // why it is no interrupted write, if it is none
}

// readTail authenticates the lines from pos on.
func (l *recovery) readTail(ctx context.Context, pos segment.Pos, size uint64) (*logTail, error) {
	tail := &logTail{end: pos, size: size}
	for raw, err := range l.store.Scan(ctx, pos) {
		if err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
		if tail.damage != nil {
			if tail.damage.cause != nil {
				break
			}
			tail.damage.cause = explainDamage(tail, &raw)
			continue
		}
		if raw.Pos.Offset == 0 && raw.Pos.First != tail.size {
			// No file is begun for another record than the next.
			err := fmt.Errorf("the file's name says that record %d is next", raw.Pos.First)
			tail.damage = &damage{file: raw.File, reason: err.Error(), cause: err}
			break
		}
		tail.end = raw.Pos
		before := l.last
		id, err := l.authenticate(&raw, tail)
		if err != nil {
			var newer *record.VersionError
			if raw.Whole && intactLine(raw.Line) && errors.As(err, &newer) && !(l.repair && l.newer) {
				return nil, &NewerFormatError{Seq: tail.size, File: raw.File, Offset: raw.Pos.Offset, Version: newer.Version}
			}
			tail.damage = &damage{file: raw.File, offset: raw.Pos.Offset, reason: err.Error()}
			if raw.Whole && intactLine(raw.Line) {
				// Whole, and yet not ours: no interruption writes that.
				tail.damage.cause = err
			}
			continue
		}
		tail.lines = append(tail.lines, line{id, raw.File, raw.Pos, before})
		tail.end.Offset += int64(len(raw.Line)) + 1
	}
	if last, ok := l.store.LastSegment(); ok && tail.damage == nil && last > tail.end.First {
		tail.end = segment.Pos{First: last} // begun, and still empty
	}
	return tail, nil
}

func intactLine(line []byte) bool {
	t, ok := record.ParseChainLink(line)
	return ok && record.VerifyHash(line, &t)
}

// authenticate takes one line into the tail if it is the next record, as only
// a holder of the keyring can have written it.
func (l *recovery) authenticate(raw *segment.Raw, tail *logTail) (record.ID, error) {
	if !raw.Whole {
		return record.ID{}, errors.New("the line has no end")
	}
	line := append([]byte(nil), raw.Line...) // the record keeps it
	r, err := record.Decode(line)
	if err != nil {
		return record.ID{}, err
	}
	switch {
	case !record.VerifyHash(line, &r.ChainLink):
		return r.ID, record.ErrHash
	case r.Seq != tail.size:
		return r.ID, fmt.Errorf("the line carries sequence number %d", r.Seq)
	case r.Prev != l.last.hash:
		return r.ID, errors.New("the line does not continue the chain")
	case r.Logged.Before(l.last.logged):
		return r.ID, errors.New("the line was logged before the one in front of it")
	}
	prk, err := l.ring.DecryptionKey(r.Subject, r.Class)
	if err == nil {
		err = r.Open(prk)
	}
	if err != nil {
		return r.ID, fmt.Errorf("the record cannot be authenticated: %w", err)
	}
	l.last = chainEnd{hash: r.Hash, logged: r.Logged}
	tail.hashes = append(tail.hashes, r.Hash)
	tail.size++
	return r.ID, nil
}

// refuseCopies cuts a tail short at the first record whose id an earlier one
// has. A body says nothing of its place: whoever can write to the folder can
// give an authentic record a second one, and only the id tells, since none is
// ever used twice.
func (l *recovery) refuseCopies(ctx context.Context, tail *logTail) error {
	if len(tail.lines) == 0 {
		return nil
	}
	l.store.Show(tail.size) // every line of it was read
	first := tail.size - uint64(len(tail.lines))
	for i, n := range tail.lines {
		seqs, err := l.store.FindID(ctx, n.id)
		if err != nil {
			return fmt.Errorf("open log: %w", err)
		}
		for _, seq := range seqs {
			if seq >= first+uint64(i) {
				break
			}
			same, err := l.store.HasID(ctx, seq, n.id)
			if err != nil {
				return fmt.Errorf("open log: %w", err)
			}
			if !same {
				continue
			}
			err = fmt.Errorf("the record is a copy of record %d", seq)
			l.last = n.before
			tail.end, tail.size, tail.hashes = n.pos, first+uint64(i), tail.hashes[:i]
			tail.damage = &damage{file: n.file, offset: n.pos.Offset, reason: err.Error(), cause: err}
			return nil
		}
	}
	return nil
}

// explainDamage looks at a line that follows a damaged one, and returns why that was no
// interrupted write if the line tells. Whole records may follow in the batch that
// was being written, since a disk does not write in order: their nanoseconds tell
// their place in it, and so whether the damage is in it too. One of a later batch
// means that the damaged one had been durable.
func explainDamage(tail *logTail, raw *segment.Raw) error {
	t, ok := record.ParseChainLink(raw.Line)
	if !raw.Whole || !ok || !record.VerifyHash(raw.Line, &t) {
		return nil
	}
	place := uint64(t.Logged.Nanosecond() % 1000)
	if place < record.MaxPlace && t.Seq-place <= tail.size && t.Seq > tail.size {
		return nil
	}
	return fmt.Errorf("record %d behind it is whole", t.Seq)
}

// cutTail removes what stands behind the last good line.
func (l *recovery) cutTail(tail *logTail) (*repair, error) {
	d := tail.damage
	if d.cause != nil && !l.repair {
		detail := d.reason
		if cause := d.cause.Error(); cause != detail {
			detail += "; " + cause
		}
		return nil, &DamagedError{Seq: tail.size, File: d.file, Offset: d.offset, Detail: detail}
	}
	l.store.DropEmpty()
	stamp := l.stamp()
	segments, err := l.setAside(tail.end.First, stamp)
	if err != nil {
		return nil, err
	}
	last, any := l.store.LastSegment()
	if last != tail.end.First {
		return nil, &DamagedError{Seq: tail.size, File: d.file, Offset: d.offset, Detail: "whole segments follow, and are not cut off"}
	}
	aside := fmt.Sprintf("torn-%020d-%s", tail.size, stamp)
	var cut []byte
	if any {
		if cut, err = l.store.Cut(tail.end, aside); err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
	}
	if len(cut) == 0 {
		aside = "" // whole files were all that there was
	}
	sum := sha256.Sum256(cut)
	reason, said := "interrupted write", "cut off an incomplete write"
	if d.cause != nil {
		reason, said = "repair on request: "+d.reason, "cut off what nobody vouches for"
	}
	l.logger.Warn(said, slog.Uint64("seq", tail.size), slog.Int("bytes", len(cut)), slog.String("kept as", aside))
	return &repair{Reason: reason, Seq: tail.size, Bytes: len(cut), SHA256: hex.EncodeToString(sum[:]), Aside: aside, Segments: segments}, nil
}

func (l *recovery) stamp() string { return l.now().UTC().Format("20060102T150405.000000000") }

// setAside puts remnants aside that follow on what is to be the last segment, which
// never leaves, and segments if that was asked for.
func (l *recovery) setAside(last uint64, stamp string) ([]string, error) {
	segments, err := l.store.SetAside(last, l.repair, func(first uint64) string { return fmt.Sprintf("torn-%020d-%s-segment", first, stamp) })
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	for _, name := range segments {
		l.logger.Warn("put a file aside that is not the log's", slog.String("kept as", name))
	}
	return segments, nil
}

// grow appends to the tree what the lines of the log say, and what stays of
// those that have left, until it has a size.
func grow(ctx context.Context, store *segment.Store, t *tree.Tree, size uint64) error {
	from, to := t.Size(), size
	const chunk = 1 << 14
	hashes := make([][32]byte, 0, min(chunk, to-from))
	for hash, err := range store.Hashes(ctx, from, to) {
		if err != nil {
			return err
		}
		hashes = append(hashes, hash)
		if len(hashes) == cap(hashes) {
			if err := t.Append(hashes); err != nil {
				return err
			}
			hashes = hashes[:0]
		}
	}
	return t.Append(hashes)
}
