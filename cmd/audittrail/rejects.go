package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"unicode/utf8"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/cmd/audittrail/internal/ingest"
)

// rejects is the file of lines that import skipped.
type rejects struct {
	name string
	file *os.File
	out  *bufio.Writer
}

// A reject is a line that import skipped.
type reject struct {
	Line  int     `json:"line"`
	Error string  `json:"error"`
	Input *string `json:"input,omitempty"`
	// Base64 is the input if it is not UTF-8, which JSON strings cannot contain.
	Base64 string `json:"input_base64,omitempty"`
}

// openRejects creates or empties the file: an import that is run again refuses
// the same lines again. The file must not be one of the inputs.
func openRejects(name string, inputs []input) (*rejects, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600) // the file contains content
	if err != nil {
		return nil, err
	}
	r := &rejects{name: name, file: file, out: bufio.NewWriter(file)}
	info, err := file.Stat()
	for _, in := range inputs {
		if err == nil && in.info != nil && os.SameFile(in.info, info) {
			err = fmt.Errorf("--skip-invalid %s is the file to import; name another file for refused lines", name)
		}
	}
	if err == nil && info.Mode().IsRegular() {
		err = file.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

func (r *rejects) add(number int, reason error, line []byte) error {
	out := reject{Line: number, Error: reason.Error()}
	switch {
	case errors.Is(reason, ingest.ErrLineLength):
	case utf8.Valid(line):
		text := string(line)
		out.Input = &text
	default:
		out.Base64 = base64.StdEncoding.EncodeToString(line)
	}
	if err := display.JSON(r.out, out); err != nil {
		return fmt.Errorf("write %s: %w", r.name, err)
	}
	return nil
}

func (r *rejects) close() error {
	return errors.Join(r.out.Flush(), r.file.Close())
}
