package audittrail

import (
	"context"
	"errors"
	"fmt"

	"audittrail/internal/admission"
)

// ErrUnauthenticated means that a record lies beyond the newest checkpoint, and
// that nobody vouches for it.
var ErrUnauthenticated = errors.New("it lies beyond the newest checkpoint, and nobody vouches for it")

// A Beyond says what there is beyond the records that count. A reader counts
// the records that a checkpoint covers whose signature is right, and those
// behind them that authenticate under the keyring: that open, whose id no other
// record has, and whose data subject was not erased before. At the first that
// does not it stops: Size, Records, Find and all that is derived from these end
// there, and no record beyond governs anything.
type Beyond struct {
	// Signed is how many records the newest checkpoint covers, and Size how
	// many count.
	Signed, Size uint64
	// Records is how many whole lines beyond these continue the log. Nobody
	// vouches for them; Get shows one, marked as such. Detail says why the
	// first of them does not count.
	Records uint64
	Detail  string
	// Behind is how many records were signed and are not there: the log was
	// cut off, or replaced by an older copy.
	Behind uint64
	// Missing are ranges of records, each by its first and the one behind its
	// last, whose lines are not there, and of which no record that counts says
	// that they were archived or dropped.
	Missing [][2]uint64
	// Unchecked says why the signature of the published checkpoint does not
	// count, or could not be checked; empty if it is right.
	Unchecked string
}

// Beyond looks how far the log goes, and what there is beyond the records that
// count. The log's writer has none: it signs nothing that it did not
// authenticate.
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

// missing returns the ranges of records that have left the log without its
// saying so.
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
