// Package verify compares the lines of a log with its signed heads, and names the
// differences.
//
// It reads the log once, on all processors, and compares every line with its
// own hash, every line with the line before it, and the Merkle tree over all
// lines with the signed roots. For an intact log that is all, and takes hardly
// more time than hashing its bytes.
//
// Only if something disagrees, it reads the log again to find out what
// happened. Up to the newest signed size the tree decides. Its leaves are read
// from the tree's files, or collected from the lines, but trusted only if they
// give the signed root. Each whole line then is, or is not, the leaf of the
// place that it claims; the longest sequence of such leaves in their order is
// the intact part of the log; and lines between them, or missing ones, are
// classified as findings. docs/design/0002-verify.md has the rules.
//
// The package reads, and never writes. It promises that a log without findings
// is the one that was signed; that a finding covers every place at which a log
// differs, and names the first of them exactly; and that a file that cannot be
// read is never reported as altered. If a difference has several explanations,
// it gives the one with the fewest changes, which need not be the true one.
package verify

import (
	"context"

	"audittrail/finding"
	"audittrail/internal/tombstone"
	"audittrail/internal/vfs"
	"audittrail/record"
	"audittrail/tlog"
)

// A File is a segment of the log to be checked.
type File struct {
	First uint64 // sequence number that its name gives
	Path  string
	Name  string // its name in findings
	Size  int64  // the length up to which it is read
	Err   error  // why it cannot be read, if that is known
	// Gone is the tombstone of a segment whose lines have left the log: the
	// file is then the tombstone's.
	Gone *tombstone.Tombstone
}

// A Head is a size and a root of the log that a checkpoint or the keyring
// attests.
type Head struct {
	Size uint64
	Root tlog.Hash
	Name string // its source, such as "the checkpoint"
}

// Keys are the keys to the contents: a keyring.
type Keys interface {
	// DecryptionKey returns the key to the content of the records about a subject in
	// a class. The error is a *keyring.StateError if it is absent.
	DecryptionKey(subject record.Subject, class string) (record.PRK, error)
}

// A Judge decides which lines beyond the signed ones count, in their order.
type Judge interface {
	// Reject returns the index of the first line that does not count, and why;
	// the number of lines if all count.
	Reject(ctx context.Context, lines [][]byte) (int, string, error)
	// Fresh returns a judge for another pass, which has seen no line yet.
	Fresh() Judge
}

// A Log names the files and heads that are compared with each other. Its fields
// are not changed while it is in use.
type Log struct {
	FS    vfs.FS
	Files []File // in the order of their names
	Tree  string // folder of the tree's files
	Heads []Head // whose signatures were verified

	From uint64 // records before it are not read
	Size uint64 // if not 0, findings about records from there on are not reported,
	// except for unauthenticated lines; IgnoreUnauthenticated leaves these out,
	// too.
	IgnoreUnauthenticated bool
	Live                  bool // a writer may have written more than is to be read
	Keys                  Keys // nil: contents are not checked
	// Judge decides about lines beyond the signed ones. It is set together with
	// Keys; without them, such lines cannot be distinguished from forgeries.
	Judge    Judge
	Workers  int // how many lines are hashed at once
	Progress func(done, total uint64)
	Sides    Sides // nil: side files and id tables are not compared

	part, block int64 // instead of partLen and readBlock, for tests
}

// Sides compare side files and id tables with the lines.
type Sides interface{ Comparer() Comparer }

// A Comparer takes lines in their order within a part, for one goroutine: that
// of a record in the segment that begins with the record first, which ends in
// it at end.
type Comparer interface {
	Line(first, seq uint64, line []byte, end int64)
	Close()
}

// A Result says how far the records of a log agree with its heads.
type Result struct {
	Records  uint64 // found in their place, from From on
	Unsigned uint64 // of these, after the newest head
	Left     uint64 // that have left the log, as its records say, from From on
	Newer    uint64 // of these, of a format that is not understood
	Bytes    uint64 // read, once

	// Of the records read, if Keys were given:
	Erased, Expired uint64 // whose keys were destroyed

	// Blind is true if the leaves of the tree could not be found, so that only
	// lines that break the chain could be named.
	Blind bool
}

// attempts is how often the log is checked again if a disagreement has
// disappeared when its cause is looked for: a writer may have recovered the end
// of the log meanwhile.
const attempts = 2

// Check checks the log and adds what it finds to found. It returns errors of
// the context, of the keyring, or of the file system as a whole: a single file
// that cannot be read is a finding.
func (l *Log) Check(ctx context.Context, found *Findings) (Result, error) {
	if own, stray := l.own(); len(stray) > 0 {
		short := *l
		short.Files = own
		result, err := short.Check(ctx, found)
		for _, f := range stray {
			if l.IgnoreUnauthenticated && l.Size > 0 {
				break
			}
			found.Add(finding.Finding{Seq: max(f.First, l.From), Kind: finding.Unauthenticated, File: f.Name, Detail: "a tombstone after all signed records, which is unauthenticated: only signed segments leave the log"})
		}
		return result, err
	}
	for attempt := 1; ; attempt++ {
		now := &Findings{Max: found.Max, from: l.From, size: l.Size, ignoreUnauthenticated: l.IgnoreUnauthenticated}
		result, doubt, err := l.scan(ctx, now)
		if err == nil && doubt != nil {
			now = &Findings{Max: found.Max, from: l.From, size: l.Size, ignoreUnauthenticated: l.IgnoreUnauthenticated}
			result, err = l.diagnose(ctx, now)
		}
		if err != nil {
			return Result{}, err
		}
		settled := doubt == nil || doubt.derived || now.explain()
		if !settled && attempt < attempts {
			continue
		}
		if !settled {
			now.Add(finding.Finding{
				Seq: max(doubt.seq, l.From), Kind: finding.Modified,
				File: doubt.file, Offset: doubt.offset, Detail: doubt.detail,
			})
		}
		found.merge(now)
		return result, nil
	}
}

// own returns the files that belong to the log, and the others: tombstones of
// records that were not signed, which never leave the log.
func (l *Log) own() (own, stray []File) {
	for _, f := range l.Files {
		if f.Gone != nil && f.First >= l.signed() {
			stray = append(stray, f)
		} else {
			own = append(own, f)
		}
	}
	return own, stray
}

// signed returns the largest size that a head has.
func (l *Log) signed() uint64 {
	var size uint64
	for _, h := range l.Heads {
		size = max(size, h.Size)
	}
	return size
}

// total returns the bytes of all files from the nth on.
func (l *Log) total(n int) uint64 {
	var sum uint64
	for _, f := range l.Files[n:] {
		sum += uint64(max(f.Size, 0))
	}
	return sum
}

// start returns the index of the file in which the first record to be read
// should be.
func (l *Log) start() int {
	n := 0
	for i, f := range l.Files {
		if f.First <= l.From {
			n = i
		}
	}
	return n
}

// A doubt is the first disagreement that the scan found.
type doubt struct {
	seq     uint64
	file    string
	offset  int64
	detail  string
	derived bool // it is about the tree's files, which are derived
}

// EmptyRoot is the root of a log without records.
var EmptyRoot = new(tlog.Range).Root()
