// Package archive moves whole segments of a log to another folder, compressed
// and with a signed manifest, verifies archives, and restores segments from
// them.
//
//	00000000000000000000.jsonl.zst   the segment's lines, compressed (RFC 8878)
//	00000000000000000000.archive     the manifest: a statement, signed
//
// docs/format/archive.md describes both. Any program that reads zstd can turn
// the first into the file that was in log/.
//
// The package promises that a segment's lines do not leave the log before the
// archive was read back and compared with the tree, and before the log has
// recorded where the archive is; that a crash at any point leaves the lines in
// the log or in the archive; and that archiving the segment again then finishes
// the move.
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

// kind is the kind of the manifest's statement. It reaches the disk.
const kind = "archive"

// Extensions of the files' names, after the sequence number of the first
// record.
const (
	packedExt   = ".jsonl.zst"
	manifestExt = ".archive"
)

// maxSegment bounds the segments that are archived and unpacked.
const maxSegment = 4 << 30

// A Manifest describes the contents of an archive. The lines of its statement
// are:
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

// ErrManifest reports that a file is not the manifest of an archive.
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

// ReadManifest reads a manifest without verifying its signature. It accepts
// only the canonical form.
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
		return nil, fmt.Errorf("%w: it does not have five lines of two words", ErrManifest)
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
		return nil, fmt.Errorf("%w: a number in it is out of range", ErrManifest)
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
