// Package verify compares the lines of a log with its signed heads, and names the
// differences.
//
// It goes over the log once, on all processors: every line against its own
// hash, every line against the one in front of it, and the Merkle tree over
// all of them against the signed roots. That is all there is to do for a log
// that nobody touched, and takes hardly more than hashing its bytes.
//
// Only if something disagrees does it go over the log again and ask what
// happened. Up to the newest signed size the tree decides. Its leaves are taken
// from the tree's files, or put together from the lines, but believed only if
// they give the signed root. Then every whole line either is the leaf of the
// place that it claims or is not; the longest run of these in their order is
// what is left of the log; and what stands between them, or does not, is given
// a name. docs/design/0002-verify.md has the rules.
//
// The package reads, and never writes. It promises that a log about which it
// reports nothing is the one that was signed; that every place at which a log
// differs is covered by a report, with the first of them named exactly; and
// that a file which cannot be read is never reported as altered. Which of
// several explanations for a difference is the true one it cannot know: it
// gives the one with the fewest changes.
package verify

import (
	"context"

	"audittrail/finding"
	"audittrail/internal/tombstone"
	"audittrail/internal/vfs"
	"audittrail/record"
	"audittrail/tlog"
)

// A File is a segment of the log as it is to be read.
type File struct {
	First uint64 // sequence number that its name gives
	Path  string
	Name  string // what reports call it
	Size  int64  // how far it is to be read
	Err   error  // why it cannot be read, if that is known
	// Gone says of a segment whose lines have left what stays of it: then the
	// file is its remnant.
	Gone *tombstone.Tombstone
}

// A Head is a size and a root of the log that somebody vouches for.
type Head struct {
	Size uint64
	Root tlog.Hash
	Name string // who does, as in "the checkpoint"
}

// Keys are those to the contents: a keyring.
type Keys interface {
	// DecryptionKey returns the key to the content of the records about a subject in
	// a class. The error is a *keyring.StateError if it is absent.
	DecryptionKey(subject record.Subject, class string) (record.PRK, error)
}

// A Judge decides which lines beyond the signed ones count, in their order.
type Judge interface {
	// Reject returns the index of the first line that does not, and why; the
	// number of lines if all do.
	Reject(ctx context.Context, lines [][]byte) (int, string, error)
	// Fresh returns a judge for another pass, which has seen no line yet.
	Fresh() Judge
}

// A Log is what there is to hold against each other. Its fields are not changed
// while it is in use.
type Log struct {
	FS    vfs.FS
	Files []File // in the order of their names
	Tree  string // folder of the tree's files
	Heads []Head // whose signatures were verified

	From uint64 // records in front of it are not read
	Size uint64 // if not 0, problems of records from there on are not reported,
	// but for lines that nobody vouches for; IgnoreUnauthenticated leaves these out, too.
	IgnoreUnauthenticated bool
	Live                  bool // a writer may be ahead of the files as they are to be read
	Keys                  Keys // nil: contents are not looked at
	// Judge decides about lines beyond the signed ones. It is given with Keys;
	// without, they cannot be told from forgeries.
	Judge    Judge
	Workers  int // how many lines are hashed at once
	Progress func(done, total uint64)
	Sides    Sides // nil: what is derived from the lines is not looked at

	part, block int64 // instead of partLen and readBlock, for tests
}

// Sides compare what is derived from the lines with them.
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
	Records  uint64 // in their place, from From on
	Unsigned uint64 // of these, behind the newest head
	Left     uint64 // that have left the log, as it says, from From on
	Newer    uint64 // of these, of a format that is not understood
	Bytes    uint64 // read, once

	// Of the records read, if Keys were given:
	Erased, Expired uint64 // whose keys were destroyed

	// Blind is true if the leaves of the tree could not be found, so that only
	// what breaks the chain could be named.
	Blind bool
}

// attempts is how often a disagreement is looked at that is gone when its cause
// is looked for: a writer may have put the end of the log in order.
const attempts = 2

// Check checks the log and reports what it finds. The error is one of the
// context, of the keyring, or of the file system as a whole: what keeps a
// single file from being read is a report.
func (l *Log) Check(ctx context.Context, found *Findings) (Result, error) {
	if own, stray := l.own(); len(stray) > 0 {
		short := *l
		short.Files = own
		result, err := short.Check(ctx, found)
		for _, f := range stray {
			if l.IgnoreUnauthenticated && l.Size > 0 {
				break
			}
			found.Add(finding.Finding{Seq: max(f.First, l.From), Kind: finding.Unauthenticated, File: f.Name, Detail: "it calls itself what stays of a segment, behind all that was signed: nobody vouches for it, and the newest segment never leaves"})
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

// own returns the files that are the log's, and the others: remnants behind all
// that was signed, since what was not signed never leaves.
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

// start returns the file in which the first record to be read should be.
func (l *Log) start() int {
	n := 0
	for i, f := range l.Files {
		if f.First <= l.From {
			n = i
		}
	}
	return n
}

// A doubt is the first thing that the scan came upon.
type doubt struct {
	seq     uint64
	file    string
	offset  int64
	detail  string
	derived bool // it is about the tree's files, which decide nothing by themselves
}

// EmptyRoot is the root of a log without records.
var EmptyRoot = new(tlog.Range).Root()
