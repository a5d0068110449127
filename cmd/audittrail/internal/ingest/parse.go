package ingest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"audittrail/cmd/audittrail/internal/foreign"
	"audittrail/event"
)

// idDomain separates the ids that are derived here from all other hashes. It
// reaches the disk: if it changed, lines would be recorded twice.
const idDomain = "audittrail/v1 import id"

// parseLines parses events, on all processors if there are many.
func parseLines(l *lines, in *Input) []parsed {
	out := make([]parsed, len(l.items))
	const few = 32
	workers := max(1, min(runtime.GOMAXPROCS(0), len(l.items)/few))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(out); i += workers {
				p := &out[i]
				if p.err = l.items[i].err; p.err == nil {
					p.event, p.err = in.parse(l.at(i), l.items[i])
				}
			}
		})
	}
	wg.Wait()
	return out
}

// parse parses the event of a line.
func (in *Input) parse(line []byte, at inputLine) (event.Event, error) {
	text, replaced := line, 0
	if in.ReplaceInvalid {
		text, replaced = Mend(line)
	}
	ev, err := in.event(text)
	switch {
	case err != nil && at.open && isHalf(text):
		return ev, ErrHalfLine
	case err != nil:
		err = nameLine(text, at.number, in.From, err)
		if !in.ReplaceInvalid {
			if _, n := Mend(line); n > 0 && !errors.As(err, new(*KindError)) {
				err = fmt.Errorf("%w; --replace-invalid records the event with a replacement character in such places, and counts them in the record", err)
			}
		}
		return ev, err
	}
	if replaced > 0 {
		if err := SayReplaced(&ev, replaced); err != nil {
			return ev, err
		}
	}
	if in.From != "" && !in.NoUser && ev.UserID == "" && hasContent(&ev) {
		return ev, ErrNoUser
	}
	if ev.ID == "" && in.Source != "" {
		ev.ID = lineID(in.Source, at.number, line)
	}
	return ev, nil
}

// event parses a line in the form of the input.
func (in *Input) event(line []byte) (event.Event, error) {
	if in.From != "" {
		return foreign.Parse(in.From, line)
	}
	ev, err := event.ParseFitting(line)
	if err != nil && !foreign.IsRecord(line) {
		// The line may have been exported, or be that of another logger. A
		// log's own line is excluded: it is chained by hashes, too, and taken
		// for a line of another logger, it would be an event without content.
		for _, parse := range []func([]byte) (event.Event, bool, error){event.ParseExported, event.ParsePlain} {
			if other, is, otherErr := parse(line); is {
				return other, otherErr
			}
		}
	}
	return ev, err
}

// hasContent reports whether an event of another program has encrypted fields
// besides the name of that program.
func hasContent(e *event.Event) bool {
	return e.Prompt != "" || e.Response != "" || e.SystemInstructions != "" || e.Error != "" || e.SessionID != "" ||
		len(e.InputMessages) > 0 || len(e.OutputMessages) > 0 || e.Tool != nil || len(e.Metadata) > 1
}

// lineID derives the id of an event without one from the place and bytes of its
// line, so that it is the same whenever the same line is imported. It is
// deliberately not a UUID: the log encrypts it, and derives the record's id with
// a key. A hash of the line in cleartext would let anybody confirm a guess of
// its content.
func lineID(source string, number int, line []byte) string {
	h := sha256.New()
	head := make([]byte, 0, 256)
	head = append(head, idDomain...)
	head = append(head, 0)
	head = binary.BigEndian.AppendUint32(head, uint32(len(source)))
	head = append(head, source...)
	head = binary.BigEndian.AppendUint64(head, uint64(number))
	h.Write(head)
	h.Write(line)
	return "import:" + hex.EncodeToString(h.Sum(head[:0])[:16])
}
