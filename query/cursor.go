package query

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"audittrail/record"
)

// A cursor is the sequence number of a hit behind the first bytes of a hash of
// the query that found it.
const (
	cursorHash = 6
	cursorLen  = cursorHash + 8
)

// identity tells queries apart whose results are not the same, or not in the
// same order. Bounds of time may move from page to page.
func (q *Query) identity() cursors {
	same := *q
	same.Limit, same.Cursor = 0, ""
	same.Start, same.End = time.Time{}, time.Time{}
	b, err := json.Marshal(same)
	if err != nil {
		panic("query: " + err.Error()) // it is made of texts and numbers
	}
	sum := sha256.Sum256(b)
	return cursors(sum[:])
}

// cursors makes the cursors of a query's hits: it is what the query is told by.
type cursors [cursorHash]byte

func (c cursors) at(seq uint64) string {
	b := binary.BigEndian.AppendUint64(c[:], seq)
	return base64.RawURLEncoding.EncodeToString(b)
}

// span returns which records a query has still to go through, of those that
// there are.
func (q *Query) span(size uint64) (from, to uint64, err error) {
	if q.Cursor == "" {
		return min(q.From, size), size, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(q.Cursor)
	if err != nil || len(b) != cursorLen {
		return 0, 0, problem("cursor", "it is not the cursor of a hit")
	}
	if cursors(b[:cursorHash]) != q.identity() {
		return 0, 0, problem("cursor", "it belongs to another query; give the query it came from, or none to begin anew")
	}
	seq := binary.BigEndian.Uint64(b[cursorHash:])
	switch {
	case seq > record.MaxSeq:
		return 0, 0, problem("cursor", "it is not the cursor of a hit")
	case seq >= size:
		return 0, 0, fmt.Errorf("cursor: it is of record %d, and the log has %d; is it another log?", seq, size)
	case q.OldestFirst:
		return max(seq+1, min(q.From, size)), size, nil
	}
	return min(q.From, seq), seq, nil
}
