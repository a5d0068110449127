package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"audittrail"
)

// How much of an input is read to find out whether it was imported before, and
// how many different lines distinguish one file from another.
const (
	lookLines = 1000
	telling   = 10
)

// Known reports whether an input begins with the lines that were imported before
// from a file with the same Source; lines is their number. This is so if most of
// its first lines are on record, and one of two conditions holds: these lines are
// distinctive, since they contain times or ids or differ among themselves; or
// replaced is false and the input is not shorter than the earlier one.
//
// It reads from.Reader, which must not be imported afterwards.
func (in *Ingester) Known(ctx context.Context, from Input, lines int, replaced bool) (bool, error) {
	r := bufio.NewReaderSize(from.Reader, 256<<10)
	different := make(map[[32]byte]bool)
	looked, found, tells := 0, 0, false
	number := 0
	for number < min(lines, lookLines) {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			number++
		}
		text := bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if number == 1 {
			text = bytes.TrimPrefix(text, []byte(byteOrderMark))
		}
		if ev, refused := from.parse(text, inputLine{number: number}); len(text) > 0 && refused == nil {
			looked++
			_, missing := in.Log.Find(ctx, ev.ID)
			if missing != nil && ctx.Err() != nil {
				return false, ctx.Err()
			}
			if !errors.Is(missing, audittrail.ErrNoRecord) {
				found++
			}
			different[sha256.Sum256(text)] = true
			tells = tells || !ev.Time.IsZero() || ev.ID != lineID(from.Source, number, text)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false, err
		}
	}
	switch {
	case 2*found < looked || looked == 0 && number < lines:
		return false, nil
	case tells || len(different) >= telling:
		return true, nil
	case replaced:
		return false, nil
	}
	for number < lines {
		_, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, err
		default:
			number++
		}
	}
	return true, nil
}
