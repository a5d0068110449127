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

// A cursor is the first bytes of a hash of the query that found a hit, followed
// by the hit's sequence number.
const (
	cursorHash = 6
	cursorLen  = cursorHash + 8
)

// identity returns the hash of what determines a query's results and their
// order. Bounds of time are not part of it: they may change from page to page.
func (q *Query) identity() cursors {
	same := *q
	same.Limit, same.Cursor = 0, ""
	same.Start, same.End = time.Time{}, time.Time{}
	b, err := json.Marshal(same)
	if err != nil {
		panic("query: " + err.Error()) // a query has only texts and numbers
	}
	sum := sha256.Sum256(b)
	return cursors(sum[:])
}

// cursors identifies a query, and makes the cursors of its hits.
type cursors [cursorHash]byte

func (c cursors) at(seq uint64) string {
	b := binary.BigEndian.AppendUint64(c[:], seq)
	return base64.RawURLEncoding.EncodeToString(b)
}

// span returns which of the log's records a query has yet to examine.
func (q *Query) span(size uint64) (from, to uint64, err error) {
	if q.Cursor == "" {
		return min(q.From, size), size, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(q.Cursor)
	if err != nil || len(b) != cursorLen {
		return 0, 0, problem("cursor", "not the cursor of a hit; give a cursor that this query returned")
	}
	if cursors(b[:cursorHash]) != q.identity() {
		return 0, 0, problem("cursor", "the cursor belongs to another query; give the query that returned it, or no cursor to start again")
	}
	seq := binary.BigEndian.Uint64(b[cursorHash:])
	switch {
	case seq > record.MaxSeq:
		return 0, 0, problem("cursor", "not the cursor of a hit; give a cursor that this query returned")
	case seq >= size:
		return 0, 0, fmt.Errorf("cursor: the cursor points to record %d, and the log has %d records; use a cursor of this log", seq, size)
	case q.OldestFirst:
		return max(seq+1, min(q.From, size)), size, nil
	}
	return min(q.From, seq), seq, nil
}
