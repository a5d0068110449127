package document

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"audittrail/internal/canonical"
	"audittrail/internal/cjson"
	"audittrail/tlog"
)

// MaxFile bounds a report file in bytes.
const MaxFile = 256 << 20

// Errors of report files. Those of signatures are in package tlog.
var (
	// ErrFormat says that the bytes are not the one encoding of any report.
	ErrFormat = errors.New("not a report")
	// ErrDigest says that the signature is of another report.
	ErrDigest = errors.New("the report is not the one that was signed")
	// ErrUnsigned says that the report has no signature.
	ErrUnsigned = errors.New("the report is not signed")
)

// Encode returns the report's one encoding: canonical JSON, all keys sorted.
func (r *Report) Encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("encode report: %w", err)
	}
	out, err := cjson.AppendCanonical(nil, b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("encode report: %w", err)
	}
	return out, nil
}

// Decode reads what Encode gives, and nothing else.
func Decode(in []byte) (*Report, error) {
	if len(in) > MaxFile {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrFormat, MaxFile)
	}
	sorted, err := cjson.AppendCanonical(nil, in)
	if err == nil {
		err = canonical.Check(in, sorted)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	r := new(Report)
	d := json.NewDecoder(bytes.NewReader(in))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		// The decoder's own words may quote the input.
		return nil, fmt.Errorf("%w: a member is unknown or of another kind", ErrFormat)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	encoded, err := r.Encode()
	if err == nil {
		err = canonical.Check(in, encoded)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return r, nil
}

// check holds what encoding again does not show.
func (r *Report) check() error {
	root, err := base64.StdEncoding.DecodeString(r.Root)
	switch {
	case r.Version != Version && r.Version != 1:
		return fmt.Errorf("version %d, which this program does not know", r.Version)
	case r.Version == 1 && (r.Attention != nil || r.Organisation != nil || r.Witness != nil):
		return errors.New("version 1 with members of version 2")
	case r.Version > 1 && r.Attention == nil:
		return errors.New("it has no list of what needs attention")
	case !tlog.ValidOrigin(r.Origin):
		return errors.New("the origin is not a valid log name")
	case r.Size > tlog.MaxSize:
		return errors.New("the size is larger than a log can be")
	case err != nil || len(root) != tlog.HashSize || base64.StdEncoding.EncodeToString(root) != r.Root:
		return errors.New("the root is not a hash")
	case !slices.Contains([]Status{Complete, Incomplete, Unchecked, Altered}, r.Status):
		return errors.New("unknown status")
	}
	known := make(map[string]bool)
	for _, s := range r.Sources {
		if known[s.ID] {
			return errors.New("two sources of one name")
		}
		known[s.ID] = true
	}
	ids := make(map[string]bool)
	for i := range r.Sections {
		if err := r.Sections[i].check(known, ids); err != nil {
			return fmt.Errorf("section %d: %w", i, err)
		}
	}
	for i, a := range r.Attention {
		switch {
		case !slices.Contains(Concerns(), a.Kind):
			return fmt.Errorf("attention %d: its kind is none", i)
		case r.Section(a.Section) == nil:
			return fmt.Errorf("attention %d: it leads to a section that is not there", i)
		}
	}
	return nil
}

// check looks whether everything has a name of its own and sources that are
// there, and whether tables and charts are rectangles.
func (s *Section) check(sources, ids map[string]bool) error {
	var errs []error
	item := func(id string, from []string) {
		if ids[id] {
			errs = append(errs, errors.New("two things of one name"))
		}
		ids[id] = true
		for _, q := range from {
			if !sources[q] {
				errs = append(errs, errors.New("a source that is not there"))
			}
		}
	}
	item(s.ID, nil)
	for _, f := range s.Figures {
		item(f.ID, f.Sources)
	}
	for _, c := range s.Charts {
		item(c.ID, c.Sources)
		for _, v := range c.Series {
			if len(v.Values) != len(c.Labels) {
				errs = append(errs, errors.New("a chart with more or fewer values than labels"))
			}
		}
	}
	for _, g := range s.Graphs {
		item(g.ID, g.Sources)
		for _, e := range g.Edges {
			if min(e[0], e[1]) < 0 || max(e[0], e[1]) >= len(g.Nodes) {
				errs = append(errs, errors.New("an edge to nothing"))
			}
		}
	}
	for _, t := range s.Tables {
		item(t.ID, t.Sources)
		for _, row := range t.Rows {
			if len(row) != len(t.Columns) {
				errs = append(errs, errors.New("a row with more or fewer cells than columns"))
			}
		}
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

// StatementKind is what the log's statement about a report begins with.
const StatementKind = "report"

// statement returns the lines that the log signs for an encoded report.
func (r *Report) statement(encoded []byte) []string {
	digest := sha256.Sum256(encoded)
	return []string{strconv.FormatUint(r.Size, 10), r.Root, hex.EncodeToString(digest[:])}
}

// Digest is the SHA-256 of the encoded report in hexadecimal, which is what the
// log signs.
func (f *File) Digest() string {
	digest := sha256.Sum256(f.Encoded)
	return hex.EncodeToString(digest[:])
}

// A File is a report as it is handed out: the report, its bytes, and the log's
// signed statement that it made it, which is empty if it has none.
type File struct {
	Report    *Report
	Encoded   []byte
	Signature []byte
}

// The pieces of a file. They are part of the format.
const (
	fileStart  = `{"report":`
	fileMiddle = `,"signature":`
	fileEnd    = "}\n"
)

// Sign encodes a report and has sign sign it, unless sign is nil.
func Sign(r *Report, sign func(kind string, lines ...string) ([]byte, error)) (*File, error) {
	encoded, err := r.Encode()
	if err != nil {
		return nil, err
	}
	f := &File{Report: r, Encoded: encoded}
	if sign == nil {
		return f, nil
	}
	if f.Signature, err = sign(StatementKind, r.statement(encoded)...); err != nil {
		return nil, fmt.Errorf("sign report: %w", err)
	}
	return f, nil
}

// Bytes returns the file.
func (f *File) Bytes() []byte {
	b := make([]byte, 0, len(f.Encoded)+len(f.Signature)+64)
	b = append(b, fileStart...)
	b = append(b, f.Encoded...)
	b = append(b, fileMiddle...)
	b = cjson.AppendString(b, string(f.Signature))
	return append(b, fileEnd...)
}

// ReadFile reads a file without verifying its signature. It accepts
// only the bytes that Bytes returns.
func ReadFile(in []byte) (*File, error) {
	if len(in) > MaxFile {
		return nil, fmt.Errorf("read report: %w: longer than %d bytes", ErrFormat, MaxFile)
	}
	body, ok := bytes.CutPrefix(in, []byte(fileStart))
	at := bytes.LastIndex(body, []byte(fileMiddle))
	if !ok || at < 0 || !bytes.HasSuffix(body, []byte(fileEnd)) {
		return nil, fmt.Errorf("read report: %w: it does not begin and end as one; only the JSON form can be verified", ErrFormat)
	}
	var signature string
	raw := body[at+len(fileMiddle) : len(body)-len(fileEnd)]
	if err := json.Unmarshal(raw, &signature); err != nil {
		return nil, fmt.Errorf("read report: %w: the signature is not a string", ErrFormat)
	}
	r, err := Decode(body[:at])
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	f := &File{Report: r, Encoded: body[:at], Signature: []byte(signature)}
	if err := canonical.Check(in, f.Bytes()); err != nil {
		return nil, fmt.Errorf("read report: %w: %w", ErrFormat, err)
	}
	return f, nil
}

// Verify checks that one of the verifier keys signed the report, and this one.
func (f *File) Verify(vkeys []string) error {
	if len(f.Signature) == 0 {
		return fmt.Errorf("verify report: %w", ErrUnsigned)
	}
	s, err := tlog.OpenStatement(StatementKind, f.Signature, vkeys, f.Report.Origin)
	if err != nil {
		return fmt.Errorf("verify report: %w", err)
	}
	if !slices.Equal(s.Lines, f.Report.statement(f.Encoded)) {
		return fmt.Errorf("verify report: %w: it says %s", ErrDigest, strings.Join(s.Lines, ", "))
	}
	return nil
}
