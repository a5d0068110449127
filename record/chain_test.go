package record_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"audittrail/event"
	"audittrail/record"
)

// chainLine is a line that is a record only at its end.
func chainLine(seq uint64, logged time.Time, prev record.Hash) []byte {
	covered := fmt.Appendf(nil, `{"v":1,"seq":%d,"logged":%q,"prev":%q`, seq, event.AppendTime(nil, logged), prev)
	return fmt.Appendf(covered, `,"hash":"%x"}`, sha256.Sum256(covered))
}

// slowly gives the same result as Chain.Next, by the functions that decode.
func slowly(last record.ChainLink, line []byte) bool {
	t, ok := record.ParseChainLink(line)
	return ok && record.VerifyHash(line, &t) && t.Seq == last.Seq+1 && t.Prev == last.Hash && !t.Logged.Before(last.Logged)
}

// start returns the chain link that the next line continues.
func start(seq uint64, logged time.Time) record.ChainLink {
	return record.ChainLink{Seq: seq, Logged: logged, Hash: record.Hash{1, 2, 3}}
}

var chainTime = time.Date(2026, 11, 30, 23, 59, 59, 999_999_990, time.UTC)

func TestChain(t *testing.T) {
	for _, seq := range []uint64{0, 8, 9, 98, 99, 12345, record.MaxSeq - 20} {
		var c record.Chain
		last := start(seq, chainTime)
		c.Start(last)
		for i := range 15 {
			line := chainLine(last.Seq+1, last.Logged.Add(time.Duration(i)), last.Hash)
			if !slowly(last, line) || !c.Next(line) {
				t.Fatalf("line %d behind %d is refused", i, seq)
			}
			last, _ = record.ParseChainLink(line)
			if got := c.Last(); got != last || c.Seq() != last.Seq || c.Hash() != last.Hash {
				t.Fatalf("Last() = %v, want %v", got, last)
			}
		}
	}
	// The largest number has no next.
	var c record.Chain
	last := start(record.MaxSeq-1, chainTime)
	c.Start(last)
	line := chainLine(record.MaxSeq, chainTime, last.Hash)
	if !c.Next(line) || c.Next(chainLine(record.MaxSeq+1, chainTime, c.Hash())) {
		t.Error("the chain does not end at MaxSeq")
	}
}

// FuzzChain compares the results of a Chain with those of the functions that
// decode.
func FuzzChain(f *testing.F) {
	last := start(41, chainTime)
	for _, line := range [][]byte{
		chainLine(42, chainTime, last.Hash),
		chainLine(42, chainTime.Add(5), last.Hash),
		chainLine(42, chainTime.Add(time.Hour), last.Hash),
		chainLine(42, chainTime.Add(-1), last.Hash),
		chainLine(43, chainTime, last.Hash),
		chainLine(142, chainTime, last.Hash),
		chainLine(42, chainTime, record.Hash{}),
		nil, []byte("{}"),
	} {
		f.Add(line, uint16(0), byte(0), false)
		f.Add(line, uint16(20), byte(1), true)
		f.Add(line, uint16(len(line)/2), byte(0x80), true)
	}
	f.Fuzz(func(t *testing.T, line []byte, at uint16, bits byte, rehash bool) {
		line = bytes.Clone(line)
		if len(line) > 0 {
			line[int(at)%len(line)] ^= bits
		}
		// With a right hash, so that the line is not always refused for its
		// hash.
		if covered, ok := record.HashedBytes(line); ok && rehash {
			line = fmt.Appendf(bytes.Clone(covered), `,"hash":"%x"}`, sha256.Sum256(covered))
		}
		var c record.Chain
		c.Start(last)
		want := slowly(last, line)
		if got := c.Next(line); got != want {
			t.Errorf("Next(%q) = %t, want %t", line, got, want)
		}
	})
}

// TestChainChanges tries every byte of a line.
func TestChainChanges(t *testing.T) {
	last := start(9, chainTime)
	line := chainLine(10, chainTime.Add(3), last.Hash)
	for at := range line {
		for bits := 1; bits < 256; bits++ {
			changed := bytes.Clone(line)
			changed[at] ^= byte(bits)
			for _, rehash := range []bool{false, true} {
				if covered, ok := record.HashedBytes(changed); ok && rehash {
					changed = fmt.Appendf(bytes.Clone(covered), `,"hash":"%x"}`, sha256.Sum256(covered))
				}
				var c record.Chain
				c.Start(last)
				if got, want := c.Next(changed), slowly(last, changed); got != want {
					t.Fatalf("Next(%q) = %t, want %t", changed, got, want)
				}
			}
		}
	}
}
