package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"
)

// A batch is recorded as a whole or not at all. It is full at either limit.
const (
	batchLines = 1000
	batchBytes = 1 << 20
)

// byteOrderMark is written by Windows editors at the start of a file, and is not
// JSON.
const byteOrderMark = "\xef\xbb\xbf"

// lines are lines of one input that go into the log together.
type lines struct {
	text  []byte // of all lines, concatenated
	items []inputLine
}

type inputLine struct {
	number int  // in its input, from 1
	open   bool // the line has no line end
	end    int  // in text
	err    error
}

// at returns the bytes of the i'th line, without its line end.
func (l *lines) at(i int) []byte {
	from := 0
	if i > 0 {
		from = l.items[i-1].end
	}
	return l.text[from:l.items[i].end]
}

func (l *lines) full() bool { return len(l.items) >= batchLines || len(l.text) >= batchBytes }

// A feed reads an input in the background and hands its lines over in batches.
type feed struct {
	// eager hands over a batch before it is full, since more lines may take
	// long: while one batch is being recorded, the next one fills.
	eager bool

	mu      sync.Mutex
	changed sync.Cond // one of the fields below
	filling *lines
	spare   *lines // memory of a batch that was recorded
	err     error  // why there are no more lines; io.EOF at the end
}

// startFeed reads r until its end. A read that blocks cannot be interrupted:
// after stop, the reader ends with it, or with the process.
func startFeed(r io.Reader, eager bool) *feed {
	f := &feed{eager: eager, filling: new(lines)}
	f.changed.L = &f.mu
	go f.read(bufio.NewReaderSize(r, 256<<10))
	return f
}

func (f *feed) read(r *bufio.Reader) {
	var long []byte // a line that is longer than the reader's buffer
	if mark, err := r.Peek(3); err == nil && string(mark) == byteOrderMark {
		_, _ = r.Discard(3) // these bytes were just peeked at
	}
	for number := 1; ; number++ {
		line, err := r.ReadSlice('\n')
		var tooLong error
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long[:0], line...)
			for errors.Is(err, bufio.ErrBufferFull) {
				line, err = r.ReadSlice('\n')
				if len(long)+len(line) > MaxLine+2 {
					tooLong, long = ErrLineLength, long[:0]
				}
				if tooLong == nil {
					long = append(long, line...)
				}
			}
			line = long
		}
		if err != nil && !errors.Is(err, io.EOF) {
			f.stop(err) // the line may be incomplete
			return
		}
		line, ended := bytes.CutSuffix(line, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) > MaxLine {
			line, tooLong = nil, ErrLineLength
		}
		if !f.put(line, inputLine{number: number, open: !ended, err: tooLong}) {
			return
		}
		if err != nil {
			f.stop(err)
			return
		}
	}
}

// put adds a line, and waits for room first. It reports whether to continue.
func (f *feed) put(line []byte, item inputLine) bool {
	if item.err == nil && len(bytes.TrimLeft(line, " \t")) == 0 {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.filling.full() && f.err == nil {
		f.changed.Wait()
	}
	if f.err != nil {
		return false
	}
	l := f.filling
	l.text = append(l.text, line...)
	item.end = len(l.text)
	l.items = append(l.items, item)
	if l.full() || f.eager {
		f.changed.Broadcast()
	}
	return true
}

// next waits for lines and returns them. After the last ones it returns why
// there are no more.
func (f *feed) next() (*lines, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.filling.full() && f.err == nil && (!f.eager || len(f.filling.items) == 0) {
		f.changed.Wait()
	}
	out := f.filling
	if len(out.items) == 0 {
		return nil, f.err
	}
	f.filling, f.spare = f.spare, nil
	if f.filling == nil {
		f.filling = new(lines)
	}
	f.changed.Broadcast()
	return out, nil
}

// free takes the memory of lines that were recorded, for the next batch.
func (f *feed) free(l *lines) {
	if cap(l.text) > 4*batchBytes {
		return
	}
	l.text, l.items = l.text[:0], l.items[:0]
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spare = l
}

// stop ends the feed: next returns the lines that have been read, and then err.
func (f *feed) stop(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
	f.changed.Broadcast()
}
