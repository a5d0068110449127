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

// A recovery prepares a log for writing: it decides which record is the log's
// last.
//
// It gives up no signed record, accepts no record that a holder of the keyring
// did not write, and cuts off only an interrupted write, of which it keeps a
// copy. It refuses a log about which it cannot decide.
// docs/design/0001-recovery.md has the reasons.
type recovery struct {
	store  *segment.Store
	tree   *tree.Tree
	ring   *keyring.Ring
	eras   tlog.KeyPeriods // of its signers
	origin string
	now    func() time.Time
	logger *slog.Logger
	repair bool // also cut off an end that no interrupted write explains
	newer  bool // also cut off lines of a newer format

	disbelieved *CheckpointError // the published checkpoint, if it is not believed
	aside       *repair          // the repair to record for it

	// last is the end of the chain, when run has returned.
	last chainEnd
	// checked is true if the files of the tree were checked in full.
	checked bool
}

// A chainEnd is the end of the chain that the next record continues.
type chainEnd struct {
	hash   record.Hash
	logged time.Time
}

// A repair describes what recovery cut off the end of the log, or a checkpoint
// that it put aside, where Seq is the number of records that the checkpoint
// claimed to cover.
type repair struct {
	Reason string `json:"reason"`
	Seq    uint64 `json:"seq"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
	Aside  string `json:"file,omitempty"`
	// Segments are whole files after the cut, which were put aside as they
	// were.
	Segments []string `json:"segments,omitempty"`
}

// run prepares a log for writing.
//
// Up to the newest signed size, records must agree with the tree. After it,
// every line must be whole, chained and authentic under the keyring, so that
// somebody who can write to the folder but has no keys cannot get a forgery
// signed. The rest of an interrupted write at the very end is cut off.
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

// refusal returns the error for a log that is refused because of the lines
// after its signed records. If signed records are missing too, the error also
// says so.
func (l *recovery) refusal(ctx context.Context, err error, size uint64) error {
	l.store.Show(size)
	if missing := l.store.AllNamed(ctx); missing != nil && segment.Altered(missing) {
		return fmt.Errorf("%w; and %w", err, missing)
	}
	return err
}

// signedHead returns the newest size and root that were signed: the published
// checkpoint may be newer than the keyring or older.
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
		// A damaged checkpoint claims nothing, like a missing one: the keyring
		// knows what was signed, and the next checkpoint replaces it.
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

// disbelieve decides about a published checkpoint whose signature is wrong,
// where the keyring knows that size records were signed. Such a checkpoint
// proves nothing: it is put aside and replaced once the lines turn out to be
// those that were signed. But if it covers more records than the keyring knows
// of, the operator has to confirm that this keyring is the newest one, and thus
// that the checkpoint was never signed.
func (l *recovery) disbelieve(signed []byte, why error, size uint64) error {
	said, _ := tlog.ReadCheckpoint(signed) // it was read before
	refused := &CheckpointError{Claimed: said.Size, Signed: size, Err: why}
	if notes, err := l.tree.Signers(); err == nil && len(notes) >= len(l.ring.Signers()) {
		if _, err := tlog.ResolveSigner(l.ring.Signers()[0].VKey, notes); err == nil {
			refused.Older = true // only the log's own signers can have signed these notes
			return refused
		}
	}
	if errors.Is(why, tlog.ErrOrigin) {
		_, root := l.ring.Signed()
		if got, err := l.tree.Root(size); size == 0 || err != nil || got != root {
			return refused // the keyring may belong to another log
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

// putCheckpointAside moves the disbelieved checkpoint to another name, once the
// log is recovered without it.
func (l *recovery) putCheckpointAside() (*repair, error) {
	done := l.aside
	if done == nil {
		return nil, nil
	}
	done.Aside = "torn-checkpoint-" + l.stamp()
	if err := l.tree.PutCheckpointAside(done.Aside); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l.logger.Warn("put aside a published checkpoint that the log's keys did not sign; a new one is signed",
		slog.Uint64("claims", done.Seq), slog.String("kept as", "tree/"+done.Aside))
	return done, nil
}

// checkedAtOnce is the number of leaves up to which a tree is checked in full
// whenever the log is opened for writing, which takes some tens of
// milliseconds. A larger tree is checked while the log is in use, see
// [Log.CheckTree].
const checkedAtOnce = 1 << 16

// recoverSigned makes the tree whole up to the newest signed size, which it
// returns. In a large tree that was not found damaged, it checks only the
// hashes from which the root is computed.
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

// checkTree reports whether the files of a tree give the root of the first size
// leaves. It computes the root from all leaves if full is true, and else from
// the largest subtrees.
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

// mend rebuilds the tree's files from the lines. If neither the lines nor the
// files give the signed root, the log is refused.
func (l *recovery) mend(ctx context.Context, size uint64, root tlog.Hash) error {
	// No process is writing, so that every line may be read.
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
	// Lines were altered, as verify will report. The files may still have their
	// hashes.
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
		detail = "the root of the records is not the one that was signed"
	}
	return &RollbackError{Have: have, Signed: size, Detail: detail}
}

// altered reports whether an error says that lines were altered.
func altered(err error) bool {
	var behind *RollbackError
	return errors.As(err, &behind) || errors.Is(err, tree.ErrRoot) || segment.Altered(err)
}

// mendTree rebuilds the files of a tree from its entries, and logs which were
// damaged.
func mendTree(ctx context.Context, t *tree.Tree, entries iter.Seq2[[32]byte, error], size uint64, root tlog.Hash, logger *slog.Logger) error {
	damage, err := t.Mend(ctx, size, root, entries)
	if err != nil {
		return err
	}
	for _, d := range damage {
		logger.Warn("rebuilt a damaged file of the tree from the log; nothing was altered",
			slog.String("file", "tree/"+d.File), slog.Int64("offset", d.Offset), slog.String("damage", d.Detail))
	}
	return nil
}

// endOfSigned finds the position after the signed records, and the end of the
// chain there.
func (l *recovery) endOfSigned(ctx context.Context, size uint64, root tlog.Hash) (segment.Pos, error) {
	if size == 0 {
		return segment.Pos{}, nil
	}
	line, err := l.store.Peek(size - 1)
	if err != nil {
		var bad *record.CorruptError
		if errors.Is(err, segment.ErrBeyond) || errors.As(err, &bad) || errors.Is(err, fs.ErrNotExist) {
			return segment.Pos{}, &RollbackError{Have: size - 1, Signed: size, Detail: fmt.Sprintf("record %d is missing", size-1)}
		}
		return segment.Pos{}, fmt.Errorf("open log: %w", err)
	}
	t, _ := record.ParseChainLink(line) // Peek has checked it
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

// proves reports whether the last record of the signed tree has a hash. Since a
// large tree was not checked in full, its files are rebuilt first if the proof
// fails.
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

// A logTail is the part of the log after the signed records.
type logTail struct {
	end    segment.Pos // after the last good line
	size   uint64
	hashes [][32]byte
	lines  []line // one for each hash

	damage *damage // at end, or in a later file; nil if there is none
}

// A line is a record after the signed ones: where it begins, and the end of the
// chain that it continues.
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
	cause  error // why an interrupted write does not explain it; nil if one does
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
			// A file is begun only for the next record.
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
				// The line is whole but not a record of ours: no interruption
				// leaves that.
				tail.damage.cause = err
			}
			continue
		}
		tail.lines = append(tail.lines, line{id, raw.File, raw.Pos, before})
		tail.end.Offset += int64(len(raw.Line)) + 1
	}
	if last, ok := l.store.LastSegment(); ok && tail.damage == nil && last > tail.end.First {
		tail.end = segment.Pos{First: last} // a file that was begun and is still empty
	}
	return tail, nil
}

func intactLine(line []byte) bool {
	t, ok := record.ParseChainLink(line)
	return ok && record.VerifyHash(line, &t)
}

// authenticate adds a line to the tail if it is the next record, and only a
// holder of the keyring can have written it.
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
		return r.ID, errors.New("the line was logged earlier than the line before it")
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

// refuseCopies ends a tail before the first record that has the id of an
// earlier one. A record's content does not authenticate its sequence number:
// anybody who can write to the folder can repeat an authentic record under
// another number, and only the id shows that, since no id is used twice.
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

// explainDamage examines a line that follows a damaged one, and returns an
// error if it shows that the damage is not an interrupted write. Whole records
// of the batch that was being written may follow the damage, since a disk does
// not write in order: their nanoseconds give their place in the batch, and thus
// whether the damaged line is in the same batch. A record of a later batch
// shows that the damaged one had been durable.
func explainDamage(tail *logTail, raw *segment.Raw) error {
	t, ok := record.ParseChainLink(raw.Line)
	if !raw.Whole || !ok || !record.VerifyHash(raw.Line, &t) {
		return nil
	}
	place := uint64(t.Logged.Nanosecond() % 1000)
	if place < record.MaxPlace && t.Seq-place <= tail.size && t.Seq > tail.size {
		return nil
	}
	return fmt.Errorf("record %d after it is whole", t.Seq)
}

// cutTail removes everything after the last good line.
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
		aside = "" // only whole files were removed
	}
	sum := sha256.Sum256(cut)
	reason, said := "interrupted write", "cut off an incomplete write"
	if d.cause != nil {
		reason, said = "repair on request: "+d.reason, "cut off lines that are unauthenticated"
	}
	l.logger.Warn(said, slog.Uint64("seq", tail.size), slog.Int("bytes", len(cut)), slog.String("kept as", aside))
	return &repair{Reason: reason, Seq: tail.size, Bytes: len(cut), SHA256: hex.EncodeToString(sum[:]), Aside: aside, Segments: segments}, nil
}

func (l *recovery) stamp() string { return l.now().UTC().Format("20060102T150405.000000000") }

// setAside puts aside the tombstones after the segment that is to be the last,
// which never leaves the log, and the segments after it if Options.Repair is
// set.
func (l *recovery) setAside(last uint64, stamp string) ([]string, error) {
	segments, err := l.store.SetAside(last, l.repair, func(first uint64) string { return fmt.Sprintf("torn-%020d-%s-segment", first, stamp) })
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	for _, name := range segments {
		l.logger.Warn("put aside a file that does not belong to the log", slog.String("kept as", name))
	}
	return segments, nil
}

// grow appends the hashes of records to the tree, from the lines of the log and
// from tombstones, until the tree has a size.
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
