// Package lines reads the lines of a file with few and large reads, into one
// buffer, so that a log can be checked at the speed of hashing it.
package lines

import (
	"bytes"
	"cmp"
	"errors"
	"io"

	"audittrail/internal/vfs"
)

const (
	// ReadBlock is how much of a file is read at once: it should stay in a
	// processor's own cache until it is hashed.
	ReadBlock = 128 << 10
	// readRest is how much is read to find the end of a part's last line.
	readRest = 4 << 10
	// maxLine bounds the memory for one line. No writer writes longer lines.
	maxLine = 512 << 20
)

// A Reader reads the lines of a file from a place on, with few and large
// reads, into one buffer.
type Reader struct {
	block int64 // bytes that are read at once
	file  vfs.File
	at    int64 // where the next line begins
	part  int64 // end of the lines to be read; bytes after it are read sparingly
	end   int64 // where the file ends

	buf  []byte
	off  int // offset in buf of the byte at at
	skip bool
}

// New returns a reader that reads block bytes at once; 0 stands for the fastest
// size.
func New(block int64) Reader { return Reader{block: cmp.Or(block, ReadBlock)} }

// At returns where the next line begins.
func (r *Reader) At() int64 { return r.at }

// Reset makes the reader read another place, or file, into the same buffer.
func (r *Reader) Reset(file vfs.File, at, part, end int64) {
	r.file, r.at, r.part, r.end = file, at, part, end
	r.buf, r.off = r.buf[:0], 0
}

// Next returns the next line without its LF, valid until the call after, and
// whether it has one; io.EOF after the last. For a line that is longer than
// maxLine it returns nil.
func (r *Reader) Next() (line []byte, whole bool, err error) {
	searched := r.off
	for {
		if i := bytes.IndexByte(r.buf[searched:], '\n'); i >= 0 {
			line = r.buf[r.off : searched+i]
			r.off = searched + i + 1
			r.at += int64(len(line)) + 1
			return r.long(line), true, nil
		}
		left := len(r.buf) - r.off
		if r.at+int64(left) >= r.end {
			break
		}
		if left > maxLine {
			r.skip = true
			r.at += int64(left)
			r.off, left = len(r.buf), 0
		}
		if err := r.fill(); err != nil {
			return nil, false, err
		}
		searched = r.off + left
	}
	if r.off == len(r.buf) && !r.skip {
		return nil, false, io.EOF
	}
	line = r.buf[r.off:]
	r.at += int64(len(line))
	r.off = len(r.buf)
	return r.long(line), false, nil
}

func (r *Reader) long(line []byte) []byte {
	if r.skip {
		r.skip = false
		return nil
	}
	return line
}

// fill moves the unread bytes to the front of the buffer and reads more after
// them.
func (r *Reader) fill() error {
	left := len(r.buf) - r.off
	pos := r.at + int64(left)
	want := int64(max(readRest, left))
	if pos < r.part {
		want = max(min(r.block, r.part-pos), int64(left))
	}
	want = min(want, r.end-pos)
	if need := left + int(want); cap(r.buf) < need {
		grown := make([]byte, left, need+need/4)
		copy(grown, r.buf[r.off:])
		r.buf = grown
	} else {
		copy(r.buf[:left], r.buf[r.off:])
	}
	r.buf, r.off = r.buf[:left+int(want)], 0
	n, err := r.file.ReadAt(r.buf[left:], pos)
	r.buf = r.buf[:left+n]
	if errors.Is(err, io.EOF) || err == nil && int64(n) < want {
		r.end = pos + int64(n) // it became shorter meanwhile
		return nil
	}
	return err
}
