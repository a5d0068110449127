package audittrail

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"audittrail/event"
	"audittrail/internal/segment"
	"audittrail/internal/signed"
	"audittrail/keyring"
	"audittrail/record"
)

// A reader turns a log's lines into records: it checks each line against its
// own hash and against the tree, and decrypts it if its key is available.
//
// A record that it returns without an error is the one that was signed for its
// sequence number, if a checkpoint covers it, and records come in order. Where
// a line and the tree's files differ, the signed root decides which of them is
// right.
type reader struct {
	store *segment.Store
	tree  *signed.Tree  // nil if lines are not compared with the tree
	ring  *keyring.Ring // for the log's own records
	keys  *eraser       // says which keys may be used
}

// get returns a record that has not left the log.
func (l *reader) get(ctx context.Context, seq uint64) (*record.Record, error) {
	line, entry, err := l.line(seq)
	if err != nil {
		return nil, err
	}
	return l.view(ctx, line, seq, entry)
}

// line returns the line of a record, and its entry in the tree's file, if there
// is one.
func (l *reader) line(seq uint64) (line, entry []byte, err error) {
	if line, err = l.store.Line(seq); err != nil || l.tree == nil {
		return line, nil, err
	}
	var one [1][32]byte
	if l.tree.Files.ReadEntries(seq, one[:]) != nil {
		return line, nil, nil // the entry is derived
	}
	return line, one[0][:], nil
}

// beyond returns a record beyond those that count, with the cleartext of its
// line, which is unauthenticated. Its content is not decrypted.
func (l *reader) beyond(ctx context.Context, seq uint64) (*record.Record, error) {
	line, err := l.store.Peek(seq)
	if err != nil {
		return nil, err
	}
	r, err := new(reader).checked(ctx, line, seq, nil) // the tree does not cover it
	if err != nil {
		return nil, err
	}
	r.State = record.Unauthenticated
	return r, nil
}

// view decodes, checks and decrypts a line, which the record keeps. entry is
// the line's entry in the tree's file, if there is one.
func (l *reader) view(ctx context.Context, line []byte, seq uint64, entry []byte) (*record.Record, error) {
	out, err := l.checked(ctx, line, seq, entry)
	if err != nil {
		return nil, err
	}
	return l.open(out)
}

// open decrypts a record that was checked.
func (l *reader) open(r *record.Record) (*record.Record, error) {
	key, state, err := l.keys.keyOf(r)
	if err == nil && state == record.Readable {
		err = r.OpenWith(key)
	}
	if err != nil {
		return nil, fmt.Errorf("open record %d: %w", r.Seq, err)
	}
	r.State = state
	if state == record.Readable && r.Actor != (record.Subject{}) {
		if r.Event.Actor, _, err = l.keys.user(r.Actor); err != nil {
			return nil, fmt.Errorf("open record %d: find its actor: %w", r.Seq, err)
		}
	}
	return r, nil
}

// checked decodes a line and checks its hash.
func (l *reader) checked(ctx context.Context, line []byte, seq uint64, entry []byte) (*record.Record, error) {
	r, err := record.Decode(line)
	if err != nil {
		return nil, fmt.Errorf("read record %d: %w", seq, err)
	}
	covered, _ := record.HashedBytes(line) // Decode has checked the end
	got := record.HashOf(covered)
	if got != r.Hash {
		return nil, &record.TamperError{Seq: seq, Want: r.Hash, Got: got}
	}
	if l.tree != nil && !bytes.Equal(got[:], entry) {
		ok, want, err := l.tree.Check(ctx, seq, got, entry)
		if err != nil {
			return nil, fmt.Errorf("compare record %d with the signed root: %w", seq, err)
		}
		if !ok {
			return nil, &record.TamperError{Seq: seq, Want: want, Got: got}
		}
	}
	return r, nil
}

// own returns a governance record from its line, which was checked. It decrypts
// the record with the keyring's key, without asking the eraser.
func (l *reader) own(ctx context.Context, seq uint64, line []byte) (*record.Record, error) {
	r, err := new(reader).checked(ctx, line, seq, nil) // the store has compared it with the tree
	if err != nil {
		return nil, err
	}
	prk, err := l.ring.DecryptionKey(r.Subject, r.Class)
	if state, ok := keyring.StateOf(err); ok {
		r.State = state
		return r, nil
	}
	if err == nil {
		err = r.Open(prk)
	}
	if err != nil {
		return nil, fmt.Errorf("open record %d: %w", seq, err)
	}
	r.State = record.Readable
	return r, nil
}

// eachOwn calls f with the governance records of some types, from a sequence
// number on, decrypted as own does.
func (l *reader) eachOwn(ctx context.Context, from uint64, types []event.Type, f func(*record.Record) error) error {
	seqs, err := l.store.Administrative(from)
	if err != nil {
		return fmt.Errorf("list governance records: %w", err)
	}
	for _, seq := range seqs {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := l.store.Checked(ctx, seq)
		if err != nil {
			return err
		}
		if _, kind, ok := record.Peek(line); !ok || !slices.Contains(types, event.Type(kind)) {
			continue
		}
		r, err := l.own(ctx, seq, line)
		if err == nil {
			err = f(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
