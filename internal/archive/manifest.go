// Package archive moves whole segments of a log to another place, compressed
// and with a signed manifest, proves that they are there, and brings them back.
//
//	00000000000000000000.jsonl.zst   the segment's lines, compressed (RFC 8878)
//	00000000000000000000.archive     the manifest: a statement, signed
//
// docs/format/archive.md draws both. Any program that reads zstd turns the
// first into the file that stood in log/.
//
// The package promises that nothing leaves the log before it was read back from
// where it went and found to be what the tree says, and before the log says
// where it is; that a crash at any point leaves the lines in at least one of
// the two places; and that doing it again finishes what was begun.
package archive

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"audittrail/event"
	"audittrail/internal/canonical"
	"audittrail/record"
	"audittrail/tlog"
)

// kind is what the manifest's statement is called. It reaches the disk.
const kind = "archive"

// Names of the files, behind the sequence number of the first record.
const (
	packedExt   = ".jsonl.zst"
	manifestExt = ".archive"
)

// maxSegment bounds the segments that are archived and unpacked.
const maxSegment = 4 << 30

// A Manifest says what an archive holds. Its lines, as a statement's:
//
//	<first record> <records>
//	<bytes of the lines> <SHA-256 of them>
//	<bytes compressed> <SHA-256 of these>
//	<when the first record was logged> <when the last was>
//	<prev of the first record> <hash of the last>
type Manifest struct {
	Origin       string
	First        uint64
	Records      uint64
	Bytes        int64
	Sum          [32]byte
	Packed       int64
	PackedSum    [32]byte
	FirstLogged  time.Time
	LastLogged   time.Time
	Before, Last record.Hash
}

// ErrManifest means that something is no manifest of an archive.
var ErrManifest = errors.New("not a manifest of an archive")

func (m *Manifest) lines() []string {
	pair := func(a, b any) string { return fmt.Sprintf("%v %v", a, b) }
	return []string{
		pair(m.First, m.Records),
		pair(m.Bytes, hex.EncodeToString(m.Sum[:])),
		pair(m.Packed, hex.EncodeToString(m.PackedSum[:])),
		pair(string(event.AppendTime(nil, m.FirstLogged)), string(event.AppendTime(nil, m.LastLogged))),
		pair(m.Before, m.Last),
	}
}

// ReadManifest reads a manifest, and not who signed it. It accepts one spelling
// of each.
func ReadManifest(signed []byte) (*Manifest, error) {
	s, err := tlog.ReadStatement(kind, signed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	m := &Manifest{Origin: s.Origin}
	var words []string
	for _, l := range s.Lines {
		words = append(words, strings.Split(l, " ")...)
	}
	if len(s.Lines) != 5 || len(words) != 10 {
		return nil, fmt.Errorf("%w: it has not five lines of two words", ErrManifest)
	}
	var errs [10]error
	m.First, errs[0] = strconv.ParseUint(words[0], 10, 53)
	m.Records, errs[1] = strconv.ParseUint(words[1], 10, 31)
	m.Bytes, errs[2] = strconv.ParseInt(words[2], 10, 64)
	errs[3] = hash(&m.Sum, words[3])
	m.Packed, errs[4] = strconv.ParseInt(words[4], 10, 64)
	errs[5] = hash(&m.PackedSum, words[5])
	m.FirstLogged, errs[6] = event.ParseTime(words[6])
	m.LastLogged, errs[7] = event.ParseTime(words[7])
	m.Before, errs[8] = record.ParseHash(words[8])
	m.Last, errs[9] = record.ParseHash(words[9])
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	ok := m.Records > 0 && m.First <= record.MaxSeq-m.Records && m.Bytes > 0 && m.Bytes <= maxSegment &&
		m.Packed > 0 && m.Packed <= 2*maxSegment && !m.LastLogged.Before(m.FirstLogged)
	if !ok {
		return nil, fmt.Errorf("%w: its numbers", ErrManifest)
	}
	read, encoded := strings.Join(s.Lines, "\n"), strings.Join(m.lines(), "\n")
	if err := canonical.Check([]byte(read), []byte(encoded)); err != nil {
		return nil, fmt.Errorf("%w: its lines are %w", ErrManifest, err)
	}
	return m, nil
}

func hash(dst *[32]byte, text string) error {
	h, err := record.ParseHash(text)
	*dst = h
	return err
}
