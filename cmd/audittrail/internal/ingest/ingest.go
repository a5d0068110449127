// Package ingest records lines of JSON in a log: it reads, parses and appends
// batches of them in a pipeline, and keeps their order.
//
// A batch is recorded as a whole or not at all. If the input has a name, an event
// without an id gets one that is derived from the place of its line, so that
// reading the same input again records nothing twice.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"audittrail"
	"audittrail/event"
)

// MaxLine bounds a line, in bytes.
const MaxLine = 64 << 20

// ErrLineLength reports that a line is longer than MaxLine. Its text is not kept.
var ErrLineLength = fmt.Errorf("the line is longer than %d MiB", MaxLine>>20)

// ErrNoUser reports that a line of another program has content and names no user,
// so that no erasure could reach it.
var ErrNoUser = errors.New("the line names no user, and so no erasure of a person could reach its content: --no-user records it anyway, under the log's own key")

// A LineError reports that a line was refused.
type LineError struct {
	Line int // in its input, from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the reason.
func (e *LineError) Unwrap() error { return e.Err }

// An Input is a source of lines.
type Input struct {
	io.Reader
	// Source is the permanent name of the input: the same line at the same
	// place of the same source is the same event. Without a name, lines without
	// an id are new events whenever they are read.
	Source string
	// Eager records lines that have arrived, rather than wait for more.
	Eager bool
	// From names the program that wrote the lines; without it, the lines are
	// events, or records that a plain logger or an export wrote.
	From string
	// NoUser accepts content without a user in lines of other programs.
	NoUser bool
	// ReplaceInvalid accepts lines with bytes or escapes that text cannot
	// contain. They are replaced, and the record counts them.
	ReplaceInvalid bool
}

// An Ingester records the lines of inputs.
type Ingester struct {
	Log *audittrail.Log
	// Recorded gets the receipt of every line, in order, once it is durable.
	Recorded func(audittrail.Receipt) error
	// Refused gets the lines that are not events, in order with the receipts,
	// and the ingester continues. If it is nil, the first such line ends Read.
	Refused func(line int, text []byte, reason error) error
	// Done gets the number of bytes processed, after each batch.
	Done func(bytes int64) error

	bytes int64
	lines int
}

// Lines returns the number of the last line of the last input that was processed
// permanently: recorded, refused, or blank before such a line.
func (in *Ingester) Lines() int { return in.lines }

// A parsed is the event of a line, or the reason why it has none.
type parsed struct {
	event   event.Event
	err     error
	receipt audittrail.Receipt
}

// A load is a batch that is being recorded.
type load struct {
	*lines
	parsed []parsed
	err    error // why there is no further batch
}

// Read records the lines of an input. While one batch is being recorded, the
// next one is parsed, and the one after it is read. If ctx ends, the lines that
// were read so far are still recorded.
//
// If a line is refused, the error is a *LineError.
func (in *Ingester) Read(ctx context.Context, from Input) error {
	in.lines = 0
	f := startFeed(from.Reader, from.Eager)
	defer context.AfterFunc(ctx, func() { f.stop(ctx.Err()) })()
	loads := make(chan load)
	var parser sync.WaitGroup
	parser.Go(func() {
		defer close(loads)
		for {
			l, err := f.next()
			next := load{lines: l, err: err}
			if l != nil {
				next.parsed = parseLines(l, &from)
			}
			loads <- next
			if err != nil {
				return
			}
		}
	})
	defer parser.Wait()
	var failed error
	for l := range loads {
		switch {
		case failed != nil: // drain the batches, so that the parser ends
		case l.err != nil:
			failed = l.err
		default:
			// An interruption does not cancel the batch: otherwise it would be
			// unknown whether the batch was recorded.
			if failed = in.record(context.WithoutCancel(ctx), &l); failed != nil {
				f.stop(failed)
			}
			f.free(l.lines)
		}
	}
	if errors.Is(failed, io.EOF) {
		return nil
	}
	return failed
}

// record appends one batch to the log, and reports the result of each line. The
// lines before an incomplete last line are recorded.
func (in *Ingester) record(ctx context.Context, l *load) error {
	good := make([]int, 0, len(l.parsed))
	var half error
	for i := range l.parsed {
		switch err := l.parsed[i].err; {
		case err == nil:
			good = append(good, i)
		case in.Refused != nil:
		case errors.Is(err, ErrHalfLine):
			half = &LineError{l.items[i].number, err}
			l.parsed = l.parsed[:i] // the incomplete line is the last one
		default:
			return &LineError{l.items[i].number, err}
		}
	}
	if err := in.append(ctx, l, good); err != nil {
		return err
	}
	for i := range l.parsed {
		var err error
		if p := &l.parsed[i]; p.err != nil {
			err = in.Refused(l.items[i].number, l.at(i), p.err)
		} else {
			err = in.Recorded(p.receipt)
		}
		if err != nil {
			return err
		}
	}
	if n := len(l.parsed); n > 0 {
		in.lines = l.items[n-1].number
	}
	in.bytes += int64(len(l.text) + len(l.items))
	return errors.Join(in.Done(in.bytes), half)
}

// append records the events of the valid lines. If lines that the log refuses are
// to be skipped, it finds them by bisection.
func (in *Ingester) append(ctx context.Context, l *load, good []int) error {
	if len(good) == 0 {
		return nil
	}
	events := make([]event.Event, len(good))
	for k, i := range good {
		events[k] = l.parsed[i].event
	}
	receipts, err := in.Log.AppendBatch(ctx, events)
	if err == nil {
		for k, i := range good {
			l.parsed[i].receipt = receipts[k]
		}
		return nil
	}
	var batch *audittrail.BatchError
	if !errors.As(err, &batch) || !refused(batch.Err) {
		return err
	}
	at := good[batch.Index]
	if in.Refused == nil {
		return &LineError{l.items[at].number, batch.Err}
	}
	if len(good) == 1 {
		l.parsed[at].err = batch.Err
		return nil
	}
	half := len(good) / 2
	if err := in.append(ctx, l, good[:half]); err != nil {
		return err
	}
	return in.append(ctx, l, good[half:])
}

// refused reports whether the log refused an event as invalid, rather than failed
// to append it.
func refused(err error) bool {
	var field *event.FieldError
	var conflict *audittrail.IDConflictError
	return errors.As(err, &field) || errors.As(err, &conflict) || errors.Is(err, audittrail.ErrTooLarge)
}
