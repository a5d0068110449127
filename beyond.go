package audittrail

import (
	"context"
	"errors"
	"fmt"

	"audittrail/internal/admission"
)

// ErrUnauthenticated reports that a record lies beyond the newest checkpoint
// and does not authenticate under the log's keys.
var ErrUnauthenticated = errors.New("beyond the newest checkpoint and unauthenticated")

// A Beyond describes the lines that follow the records that count. A reader
// counts the records that a checkpoint with a valid signature covers, and the
// records after them that authenticate under the keyring: a record
// authenticates if it can be decrypted, no other record has its id, and its
// data subject was not erased before. The reader stops at the first record that
// does not authenticate: Size, Records, Find and everything derived from them
// end there, and no later record governs anything.
type Beyond struct {
	// Signed is the number of records that the newest checkpoint covers, and
	// Size the number of records that count.
	Signed, Size uint64
	// Records is the number of whole lines after these that continue the log.
	// They are unauthenticated; Get returns one with that state. Detail says
	// why the first of them does not count.
	Records uint64
	Detail  string
	// The number of signed records that are missing from the end: the log was
	// cut off, or replaced by an older copy.
	Behind uint64
	// Missing are the ranges of records, from the first (inclusive) to the
	// second number (exclusive), whose lines are missing although no record
	// that counts says that they were archived or dropped.
	Missing [][2]uint64
	// Unchecked says why the signature of the published checkpoint does not
	// count, or could not be checked; empty if it is right.
	Unchecked string
}

// Beyond reads how far the log goes, and describes the lines after the records
// that count. The writer never finds any: it signs only what it has
// authenticated.
func (l *Log) Beyond(ctx context.Context) (Beyond, error) {
	if l.lock != nil {
		size := l.store.Size()
		return Beyond{Signed: size, Size: size}, nil
	}
	if err := l.refresh(ctx); err != nil {
		return Beyond{}, fmt.Errorf("look beyond the newest checkpoint: %w", err)
	}
	b := beyondOf(l.admit.Beyond())
	var err error
	if b.Missing, err = l.missing(ctx); err != nil {
		return Beyond{}, fmt.Errorf("look beyond the newest checkpoint: %w", err)
	}
	return b, nil
}

// missing returns the ranges of records that have left the log although no
// record says so.
func (l *Log) missing(ctx context.Context) ([][2]uint64, error) {
	if len(l.store.Gone()) == 0 {
		return nil, nil
	}
	said, serr := l.left.statements(ctx)
	if serr != nil && !errors.Is(serr, ErrTombstone) {
		return nil, serr
	}
	infos, err := l.store.Segments()
	if err != nil {
		return nil, err
	}
	var all [][2]uint64
	for _, g := range infos {
		if g.Gone == nil {
			continue
		}
		_, ok := said[g.First]
		if serr != nil { // one of them keeps the records of the others from being read
			err := l.store.Named(ctx, g.First)
			if ok = err == nil; err != nil && !errors.Is(err, ErrTombstone) {
				return nil, err
			}
		}
		if !ok {
			all = append(all, [2]uint64{g.First, g.First + g.Records})
		}
	}
	return all, nil
}

func beyondOf(b admission.Beyond) Beyond {
	return Beyond{Signed: b.Signed, Size: b.Size, Records: b.Records, Detail: b.Detail, Behind: b.Behind, Unchecked: b.Unchecked}
}
