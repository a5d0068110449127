package ingest

import (
	"bytes"
	"errors"

	"audittrail/cmd/audittrail/internal/foreign"
	"audittrail/internal/cjson"
	"audittrail/internal/filekind"
)

// ErrHalfLine reports that the last line of an input has no end: it is cut off,
// or another process is still writing it.
var ErrHalfLine = errors.New("the last line has no end: it was cut off, or is still being written")

// A KindError reports that an input is not one JSON object per line, but of
// another kind.
type KindError = foreign.Error

// unpacked says what to do with compressed files, archives and other encodings of
// text.
var unpacked = map[string]string{
	filekind.Gzip:  "import what it contains: gunzip -c FILE | audittrail import --source NAME -",
	filekind.Zstd:  "import what it contains: zstd -dc FILE | audittrail import --source NAME -",
	filekind.Bzip2: "import what it contains: bunzip2 -c FILE | audittrail import --source NAME -",
	filekind.XZ:    "import what it contains: xz -dc FILE | audittrail import --source NAME -",
	filekind.Zip:   "import what it contains: unzip -p FILE | audittrail import --source NAME -",
	filekind.Tar:   "import what it contains: tar -xOf FILE | audittrail import --source NAME -",
	filekind.UTF16: "convert it: iconv -f UTF-16 -t UTF-8 FILE | audittrail import --source NAME -",
	filekind.UTF32: "convert it: iconv -f UTF-32 -t UTF-8 FILE | audittrail import --source NAME -",
}

var (
	array = KindError{What: "a JSON array", Do: "write its elements as lines: jq -c '.[]' FILE | audittrail import --source NAME -"}
	piece = KindError{What: "a line of a JSON array, with a comma after its object", Do: "write each object as one line: jq -c '.[]' FILE | audittrail import --source NAME -"}
	cut   = KindError{What: "JSON over several lines", Do: "write each object as one line: jq -c . FILE | audittrail import --source NAME -"}
	csv   = KindError{What: "CSV", Do: "write each row as one JSON object per line, with the names of the columns as those of the fields"}
	text  = KindError{What: "text that is not JSON", Do: "write each event as one JSON object per line"}
)

// nameLine returns an error with the kind of a line that was refused for err:
// another kind of file, a line of another program, or else err. If the line was
// read as one of the program from, err already names the program.
func nameLine(line []byte, number int, from string, err error) error {
	if number == 1 {
		if what := filekind.Name(line); what != "" {
			do, ok := unpacked[what]
			if !ok {
				do = "convert its contents to JSON, one object per line"
			}
			return &KindError{What: what, Do: do}
		}
	}
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return err
	}
	d := cjson.NewDecoder(line)
	wrong := d.Skip()
	after := bytes.TrimSpace(line[min(d.Offset(), len(line)):])
	if wrong == nil {
		wrong = d.End()
	}
	first := line[0]
	switch {
	case first == '[' && (wrong == nil || number == 1 && atEnd(wrong, line)):
		return &array
	case first == '{' && number == 1 && betweenTokens(wrong, line):
		return &cut
	case first == '{' && wrong != nil && string(after) == ",":
		return &piece
	case number == 1 && isHeader(line):
		return &csv
	case number == 1 && wrong != nil && first != '{' && first != '[' && first != '"':
		return &text
	case first == '{' && wrong == nil && from == "":
		if kind := foreign.Name(line); kind != nil {
			return kind
		}
	}
	return err
}

// NameEvent returns an error with the kind of a file that was refused for err as
// the file of one event: other text, several events, or else err.
func NameEvent(data []byte, err error) error {
	line := bytes.TrimSpace(data)
	if len(line) == 0 {
		return &KindError{What: "an empty file", Do: "one event in JSON is read here"}
	}
	d := cjson.NewDecoder(line)
	wrong := d.Skip()
	many := wrong == nil && bytes.HasPrefix(bytes.TrimSpace(line[d.Offset():]), []byte("{"))
	switch first := line[0]; {
	case first == '[':
		return &array
	case first == '{' && many:
		return &KindError{What: "more than one event", Do: "audittrail import reads a file of them, one per line"}
	case first == '{' && wrong == nil && d.End() == nil:
		if kind := foreign.Name(line); kind != nil {
			return kind
		}
	case first != '{' && first != '"' && (wrong != nil || d.End() != nil):
		return &KindError{What: text.What, Do: "one event in JSON is read here"}
	}
	return err
}

// atEnd reports whether err is that line ends too early.
func atEnd(err error, line []byte) bool {
	var at *cjson.Error
	return errors.As(err, &at) && at.Offset == len(line)
}

// betweenTokens reports whether line ends where a pretty-printed object has line
// ends.
func betweenTokens(err error, line []byte) bool {
	return atEnd(err, line) && bytes.ContainsRune([]byte("{[,"), rune(line[len(line)-1]))
}

// isHeader reports whether line looks like the column names of a table.
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

// isHalf reports whether line, which has no line end, is not all of an object,
// and may become one.
func isHalf(line []byte) bool {
	line = bytes.TrimSpace(line)
	return (len(line) == 0 || line[0] == '{') && cjson.NewDecoder(line).Skip() != nil
}
