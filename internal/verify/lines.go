package verify

import (
	"context"
	"io"

	"audittrail/internal/verify/lines"
)

func (l *Log) reader() lines.Reader { return lines.New(l.block) }

// A rawLine is the bytes between two LFs, whatever they are.
type rawLine struct {
	text     []byte // without its LF; nil if it is too long
	from, to int64  // its offsets in its file, with its LF
	whole    bool   // it has an LF
}

// eachLine calls f for every line of a file from a place on. The text of a line
// is valid until f returns.
func (l *Log) eachLine(ctx context.Context, n int, from int64, f func(rawLine) error) error {
	file := &l.Files[n]
	if file.Err != nil || file.Gone != nil {
		return file.Err
	}
	in, err := l.FS.Open(file.Path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read from: nothing to lose
	r := l.reader()
	r.Reset(in, from, file.Size, file.Size)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := r.At()
		line, whole, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = f(rawLine{line, at, r.At(), whole})
		}
		if err != nil {
			return err
		}
	}
}
