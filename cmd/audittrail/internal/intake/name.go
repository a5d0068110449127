package intake

import (
	"bytes"
	"errors"

	"audittrail/cmd/audittrail/internal/foreign"
	"audittrail/internal/cjson"
)

// ErrHalfLine means that the last line of an input has no end: it is cut off,
// or another process is still writing it.
var ErrHalfLine = errors.New("the last line has no end: it was cut off, or is still being written")

// A KindError says what an input is instead of one JSON object a line.
type KindError = foreign.Error

// forms are files that begin with certain bytes.
var forms = []struct {
	magic string
	is    KindError
}{
	{"\x1f\x8b", KindError{What: "a gzip file", Do: "import what it contains: gunzip -c FILE | audittrail import --source NAME -"}},
	{"\x28\xb5\x2f\xfd", KindError{What: "a zstd file", Do: "import what it contains: zstd -dc FILE | audittrail import --source NAME -"}},
	{"BZh", KindError{What: "a bzip2 file", Do: "import what it contains: bunzip2 -c FILE | audittrail import --source NAME -"}},
	{"\xfd7zXZ", KindError{What: "an xz file", Do: "import what it contains: xz -dc FILE | audittrail import --source NAME -"}},
	{"PK\x03\x04", KindError{What: "a zip file", Do: "import what it contains: unzip -p FILE | audittrail import --source NAME -"}},
	{"PAR1", KindError{What: "a Parquet file", Do: "write its rows as JSON, one object a line"}},
	{"SQLite format 3\x00", KindError{What: "an SQLite database", Do: "write its rows as JSON, one object a line"}},
	{"\xff\xfe", wide},
	{"\xfe\xff", wide},
	{"{\x00", wide},
	{"\x00{", wide},
	{"<?xml", KindError{What: "an XML file", Do: "write its events as JSON, one object a line"}},
	{"<!DOCTYPE", KindError{What: "a web page", Do: "name the file that was meant to be downloaded"}},
}

var (
	wide  = KindError{What: "UTF-16 text", Do: "convert it: iconv -f UTF-16 -t UTF-8 FILE | audittrail import --source NAME -"}
	array = KindError{What: "a JSON array", Do: "write its elements as lines: jq -c '.[]' FILE | audittrail import --source NAME -"}
	cut   = KindError{What: "JSON over several lines", Do: "write each object as one line: jq -c . FILE | audittrail import --source NAME -"}
	csv   = KindError{What: "CSV", Do: "write each row as one JSON object a line, with the names of the columns as those of the fields"}
)

// nameLine returns what the line is that was refused for err: another kind of
// file, a line of another program, or err.
func nameLine(line []byte, number int, err error) error {
	if number == 1 {
		for i := range forms {
			if bytes.HasPrefix(line, []byte(forms[i].magic)) {
				return &forms[i].is
			}
		}
	}
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return err
	}
	d := cjson.NewDecoder(line)
	wrong := d.Skip()
	if wrong == nil {
		wrong = d.End()
	}
	first := line[0]
	switch {
	case first == '[' && (wrong == nil || number == 1 && atEnd(wrong, line)):
		return &array
	case first == '{' && number == 1 && betweenTokens(wrong, line):
		return &cut
	case number == 1 && isHeader(line):
		return &csv
	case first == '{' && wrong == nil:
		if kind := foreign.Name(line); kind != nil {
			return kind
		}
	}
	return err
}

// atEnd reports whether err is that line ends too early.
func atEnd(err error, line []byte) bool {
	var at *cjson.Error
	return errors.As(err, &at) && at.Offset == len(line)
}

// betweenTokens reports whether line breaks off where a pretty-printed object
// has line ends.
func betweenTokens(err error, line []byte) bool {
	return atEnd(err, line) && bytes.ContainsRune([]byte("{[,"), rune(line[len(line)-1]))
}

// isHeader reports whether line looks like the names of a table's columns.
func isHeader(line []byte) bool {
	for _, comma := range []string{",", ";", "\t"} {
		names := bytes.Split(line, []byte(comma))
		if len(names) < 2 {
			continue
		}
		for _, name := range names {
			name = bytes.Trim(name, `" `)
			if len(name) == 0 || len(name) > 64 || bytes.ContainsAny(name, `{}[]"':`) {
				return false
			}
		}
		return true
	}
	return false
}

// isHalf reports whether line, which has no line end, is not all of a value.
func isHalf(line []byte) bool {
	return cjson.NewDecoder(line).Skip() != nil
}
