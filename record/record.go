package record

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"audittrail/event"
	"audittrail/internal/canonical"
	"audittrail/internal/cjson"
)

// Version is the version of the line format that this package writes. It reads
// the versions before it, too.
const Version = 2

// MaxSeq is the largest sequence number: the largest integer that all JSON
// readers represent exactly (RFC 8259 section 6).
const MaxSeq = 1<<53 - 1

// VersionOf returns the version with which a line of any format begins, and
// whether it has one in canonical form: an integer from 1 to 2^53-1.
func VersionOf(line []byte) (int64, bool) {
	const start = `{"v":`
	if !bytes.HasPrefix(line, []byte(start)) {
		return 0, false
	}
	digits := line[len(start):]
	n := 0
	for n < len(digits) && n <= maxSeqLen && digits[n] >= '0' && digits[n] <= '9' {
		n++
	}
	if n == 0 || n > maxSeqLen || digits[0] == '0' || n == len(digits) || digits[n] != ',' {
		return 0, false
	}
	v, err := strconv.ParseInt(string(digits[:n]), 10, 64)
	return v, err == nil && v <= MaxSeq
}

// NewerVersion reports whether a line begins like one of a format that a later
// version of this package may write.
func NewerVersion(line []byte) bool {
	v, ok := VersionOf(line)
	return ok && v > Version
}

// A VersionError reports a line of a format that this package does not know.
// Its hash can be verified nevertheless, but its fields cannot be read.
type VersionError struct{ Version int64 }

func (e *VersionError) Error() string {
	return fmt.Sprintf("unknown record format version %d: this program reads versions 1 to %d", e.Version, Version)
}

// ErrFormat reports a line that is not a record in canonical form.
var ErrFormat = errors.New("not a record line")

// A Record is one decoded line. Event has the cleartext fields; Open decrypts
// the body and adds the content.
type Record struct {
	Version int // of the line's format, 1 or 2
	ID      ID
	Event   event.Event
	LogMetadata
	Session [16]byte // keyed hash of the session id; zero if there is none
	Size    int      // length of the content in bytes, rounded up by Padmé
	Class   string   // retention class and month of acceptance: "standard/2026-11"
	Subject Subject
	Key     Hash  // commitment to the record's key
	State   State // Readable if Event has the content; Decode leaves it Sealed

	ChainLink

	line []byte
	aad  int    // length of the part that the body's encryption authenticates
	body []byte // base64, as in the line
}

// Line returns the record's bytes as they are in the log, without the LF.
func (r *Record) Line() []byte { return r.line }

// KnownParts returns which encrypted fields the event has, and whether that is
// known: a record of version 1 does not list them, and its content may be out of
// reach.
func (r *Record) KnownParts() (p event.Parts, known bool) {
	if r.Version > 1 {
		return r.Parts, true
	}
	return event.PartsOf(&r.Event), r.State == Readable
}

// Decode reads one line, without its LF. The record keeps the slice. The hash
// is not checked: VerifyHash does.
func Decode(line []byte) (*Record, error) {
	r := &Record{State: Sealed, line: line}
	d := cjson.NewDecoder(line)
	err := d.Object(func(key string) error { return r.member(key, d) })
	if err == nil {
		err = d.End()
	}
	var version *VersionError
	if errors.As(err, &version) {
		if v, ok := VersionOf(line); ok && v == version.Version && NewerVersion(line) {
			return nil, version
		}
		return nil, fmt.Errorf("%w: the line does not begin with a version", ErrFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	// There is one encoding per record: encoding it again must give the same
	// bytes.
	again := appendPrefix(make([]byte, 0, len(line)+1), &head{
		version: r.Version, id: r.ID, own: r.LogMetadata, session: r.Session, size: r.Size, class: r.Class, subject: r.Subject, key: r.Key,
	}, &r.Event)
	r.aad = len(again)
	again = append(again, bodyStart...)
	again = append(again, r.body...)
	again = append(again, '"')
	again = appendTail(again, r.Seq, r.Logged, r.Prev)
	again = appendHash(again, r.Hash)
	if err := canonical.Check(line, again[:len(again)-1]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return r, nil
}

const bodyStart = `,"body":"`

// member reads the value of one field. The order is checked by Decode, which
// encodes the record again.
func (r *Record) member(key string, d *cjson.Decoder) error {
	if known, err := r.Event.ClearMember(key, d); known || err != nil {
		return err
	}
	var n int64
	var s string
	var err error
	switch key {
	case "v", "size", "seq":
		n, err = d.Int()
	case "body":
		return r.readBody(d)
	case "parts":
		return r.LogMetadata.readParts(d)
	default:
		s, err = d.String()
	}
	if err != nil {
		return fmt.Errorf("field %q: %w", key, err)
	}
	switch key {
	case "v":
		if n < 1 || n > Version {
			return &VersionError{Version: n}
		}
		r.Version = int(n)
	case "size":
		r.Size = int(n)
	case "seq":
		r.Seq = uint64(n)
		if n < 0 {
			err = errors.New("negative")
		}
	case "id":
		r.ID, err = ParseID(s)
	case "time":
		r.Event.Time, err = event.ParseTime(s)
	case "session":
		if len(s) != 32 || !decodeHex(r.Session[:], s) {
			err = errors.New("not 32 lower-case hexadecimal digits")
		}
	case "class":
		r.Class = s
	case "subject":
		r.Subject, err = ParseSubject(s)
	case "key":
		r.Key, err = ParseHash(s)
	case "logged":
		r.Logged, err = event.ParseTime(s)
	case "prev":
		r.Prev, err = ParseHash(s)
	case "hash":
		r.Hash, err = ParseHash(s)
	default:
		var known bool
		if known, err = r.LogMetadata.member(key, s); !known {
			return errors.New("unknown field")
		}
	}
	if err != nil {
		return fmt.Errorf("field %q: %w", key, err)
	}
	return nil
}

// readBody takes the body from the line as it is, since base64 needs no
// escapes.
func (r *Record) readBody(d *cjson.Decoder) error {
	raw, err := d.Raw()
	if err != nil {
		return fmt.Errorf("field \"body\": %w", err)
	}
	if raw[0] != '"' {
		return errors.New("field \"body\": not a string")
	}
	r.body = raw[1 : len(raw)-1]
	return nil
}

// check verifies what encoding the record again does not.
func (r *Record) check() error {
	if r.Size < 0 || padme(r.Size) != r.Size {
		return fmt.Errorf("size %d is not a padded length", r.Size)
	}
	name, _, err := SplitClass(r.Class)
	if err != nil {
		return err
	}
	if r.Version > 1 && r.Source == "" {
		return errors.New("field \"source\" is missing")
	}
	r.Event.RetentionClass = name
	// A line break, which the base64 decoder would ignore, is escaped in JSON,
	// and the escape is not base64.
	if n := base64.StdEncoding.DecodedLen(len(r.body)); n < minBody {
		return fmt.Errorf("body of %d characters is shorter than an empty one", len(r.body))
	}
	if _, err := base64.StdEncoding.Strict().Decode(make([]byte, base64.StdEncoding.DecodedLen(len(r.body))), r.body); err != nil {
		return fmt.Errorf("body is not strict base64: %w", err)
	}
	r.Event.ID = r.ID.String()
	return nil
}

// SplitClass splits a record's class into the name of the retention class and
// the first instant of its calendar month in UTC.
func SplitClass(class string) (name string, month time.Time, err error) {
	name, m, ok := strings.Cut(class, "/")
	if !ok || !event.ValidClass(name) {
		return "", time.Time{}, fmt.Errorf("class of %d characters is not NAME/YYYY-MM", len(class))
	}
	month, err = time.Parse("2006-01", m)
	if err != nil || len(m) != len("2006-01") || month.Year() < 1 {
		return "", time.Time{}, fmt.Errorf("class of %d characters is not NAME/YYYY-MM", len(class))
	}
	return name, month, nil
}

// ClassText returns a class and month in words for people. The class of
// governance records has no month; a month of the year 1 takes its place.
func ClassText(class string) string {
	if name, month, err := SplitClass(class); err == nil && month.IsZero() {
		return name + " records, kept without a month"
	}
	return class
}

// ClassOf names the class of a record accepted at t under a retention class.
func ClassOf(name string, t time.Time) string {
	year, month, _ := t.UTC().Date()
	b := make([]byte, 0, 48)
	b = append(b, name...)
	return string(append(b, '/', digit(year/1000), digit(year/100), digit(year/10), digit(year), '-', digit(int(month)/10), digit(int(month))))
}

func digit(n int) byte { return '0' + byte(n%10) }

// A head has the members before the body that are not the event's cleartext
// fields.
type head struct {
	version int
	id      ID
	own     LogMetadata // empty in version 1
	session [16]byte
	size    int
	class   string
	subject Subject
	key     Hash
}

// appendPrefix appends a line from its first byte to the end of "key": the part
// that the encryption of the body authenticates.
func appendPrefix(dst []byte, h *head, e *event.Event) []byte {
	dst = append(dst, `{"v":`...)
	dst = append(dst, digit(h.version))
	dst = append(dst, `,"id":"`...)
	dst = h.id.append(dst)
	dst = append(dst, `","time":"`...)
	dst = event.AppendTime(dst, e.Time)
	dst = append(dst, `",`...)
	dst = event.AppendClear(dst, e)
	if h.version > 1 {
		dst = h.own.append(dst)
	}
	if h.session != [16]byte{} {
		dst = append(dst, `,"session":"`...)
		dst = appendHex(dst, h.session[:])
		dst = append(dst, '"')
	}
	dst = append(dst, `,"size":`...)
	dst = strconv.AppendInt(dst, int64(h.size), 10)
	dst = append(dst, `,"class":"`...)
	dst = append(dst, h.class...)
	dst = append(dst, `","subject":"`...)
	dst = appendHex(dst, h.subject[:])
	dst = append(dst, `","key":"`...)
	dst = appendHex(dst, h.key[:])
	return append(dst, '"')
}
