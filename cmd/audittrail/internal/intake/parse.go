package intake

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"runtime"
	"sync"

	"audittrail/event"
)

// idDomain separates the ids that are derived here from all other hashes.
// It reaches the disk: with another one, lines would be recorded twice.
const idDomain = "audittrail/v1 import id"

// parseLines reads events, on all processors where there are many.
func parseLines(l *lines, source string) []parsed {
	out := make([]parsed, len(l.items))
	const few = 32
	workers := max(1, min(runtime.GOMAXPROCS(0), len(l.items)/few))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(out); i += workers {
				p := &out[i]
				if p.err = l.items[i].err; p.err == nil {
					p.event, p.err = parseLine(l.at(i), l.items[i].number, source)
				}
			}
		})
	}
	wg.Wait()
	return out
}

func parseLine(line []byte, number int, source string) (event.Event, error) {
	ev, err := event.ParseJSON(line)
	if err != nil {
		// What is wrong with it may be that it was exported, or is of another
		// logger.
		for _, parse := range []func([]byte) (event.Event, bool, error){event.ParseExported, event.ParsePlain} {
			if other, is, otherErr := parse(line); is {
				ev, err = other, otherErr
				break
			}
		}
	}
	if err != nil {
		return ev, err
	}
	if ev.ID == "" && source != "" {
		ev.ID = lineID(source, number, line)
	}
	return ev, nil
}

// lineID derives the id of an event that has none from where it stands, so
// that it is the same one whenever the same line is imported. It is no UUID on
// purpose: the log seals it, and derives the record's id with a key. In the
// clear, a hash of the line would confirm what somebody guesses of its content.
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
