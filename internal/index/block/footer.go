package block

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"audittrail/internal/canonical"
	"audittrail/internal/index/text"
	"audittrail/record"
)

// The first and last bytes of a file.
const (
	magic     = "audittrail-index/v1\n"
	endMagic  = "\nend\n"
	tailLen   = tagLen + 4 + len(endMagic)
	maxFooter = 1 << 16
)

// A footer has the places of everything in the file. It is JSON with its
// members in this order.
type footer struct {
	V       int         `json:"v"`
	Origin  string      `json:"origin"`
	Text    int         `json:"text"` // the version of the rules for terms
	First   uint64      `json:"first"`
	Rows    int         `json:"rows"`
	Last    string      `json:"last"` // the hash of the last record, or zeros
	Texts   []textPart  `json:"texts"`
	Numbers []numPart   `json:"numbers"`
	Pages   pagePart    `json:"pages"`
	Places  sectionPart `json:"directory"`
}

// A sectionPart is the place of a section in the file.
type sectionPart struct {
	At  int64 `json:"at"`
	Len int   `json:"len"`
}

type textPart struct {
	Name   string      `json:"name"`
	Values int         `json:"values"` // number of values, including the absent one
	Where  sectionPart `json:"where"`
	Bytes  int         `json:"bytes"` // length of the values, which are before the codes
	Tag    []byte      `json:"tag"`
}

type numPart struct {
	Name  string      `json:"name"`
	Known int         `json:"known"`
	Min   int64       `json:"min"`
	Max   int64       `json:"max"`
	Scale int64       `json:"scale"`
	Where sectionPart `json:"where"`
	Tag   []byte      `json:"tag"`
}

type pagePart struct {
	Count int   `json:"count"`
	At    int64 `json:"at"`
}

func (f *footer) encode() ([]byte, error) {
	b, err := json.Marshal(f)
	if err == nil && len(b) > maxFooter {
		err = fmt.Errorf("footer of %d bytes", len(b))
	}
	return b, err
}

// parseFooter decodes the one encoding that encode returns, and refuses others.
func parseFooter(b []byte) (*footer, error) {
	f := new(footer)
	if err := canonical.Decode(b, f, (*footer).encode); err != nil {
		return nil, fmt.Errorf("%w: the footer is %w", ErrDamaged, err)
	}
	return f, f.check()
}

// A VersionError reports that a block is of another version of the format.
type VersionError struct{ Block, Text int }

func (e *VersionError) Error() string {
	return fmt.Sprintf("index block is of version %d.%d; this program reads %d.%d", e.Block, e.Text, version, text.Version)
}

const version = 2

// check verifies what encoding the footer again does not.
func (f *footer) check() error {
	if f.V != version || f.Text != text.Version {
		return &VersionError{f.V, f.Text}
	}
	_, err := record.ParseHash(f.Last)
	bad := err != nil || f.Rows <= 0 || f.Rows > MaxRows || len(f.Texts) != int(textColumns) || len(f.Numbers) != int(numberColumns)
	at := int64(len(magic))
	for i := 0; !bad && i < len(f.Texts); i++ {
		p := &f.Texts[i]
		bad = p.Name != textTraits[i].name || p.Values < 1 || p.Values > f.Rows+1 || p.Bytes < 0 || len(p.Tag) != tagLen ||
			p.Where != (sectionPart{at, p.length(f.Rows, p.inverted(TextColumn(i)))})
		at += int64(p.Where.Len)
	}
	for i := 0; !bad && i < len(f.Numbers); i++ {
		p := &f.Numbers[i]
		bad = p.Name != numberNames[i] || p.Known < 0 || p.Known > f.Rows || p.Min > p.Max || p.Scale < 1 || len(p.Tag) != tagLen ||
			p.Known == 0 && (p.Min != 0 || p.Max != 0 || p.Scale != 1) ||
			p.span()%uint64(p.Scale) != 0 || p.Where != (sectionPart{at, p.length(f.Rows)})
		at += int64(p.Where.Len)
	}
	if bad || f.Pages.At != at || f.Pages.Count < 0 || f.Places.At < at || f.Places.Len < tagLen || f.Places.Len > maxDirectory {
		return fmt.Errorf("%w: the footer contradicts itself", ErrDamaged)
	}
	return nil
}

// inverted reports whether the rows of a column are stored by its values, which
// is so only if it has more than the absent one.
func (p *textPart) inverted(c TextColumn) bool { return textTraits[c].inverted && p.Values > 1 }

// length returns the length of a column of text: values, codes and, if it is
// inverted, the rows by their codes.
func (p *textPart) length(rows int, inverted bool) int {
	n := p.Bytes + rows*widthOf(uint64(p.Values-1))
	if inverted {
		n += (p.Values+1)*widthOf(uint64(rows)) + rows*widthOf(uint64(rows-1))
	}
	return n
}

// length returns the length of a column of numbers: a bitmap of the rows that
// have one, unless all or none have, and the numbers, unless none has.
func (p *numPart) length(rows int) int {
	n := 0
	if p.Known > 0 && p.Known < rows {
		n = (rows + 63) / 64 * 8
	}
	if p.Known > 0 {
		n += rows * p.width()
	}
	return n
}

func (p *numPart) span() uint64 { return uint64(p.Max) - uint64(p.Min) }

func (p *numPart) width() int { return widthOf(p.span() / uint64(p.Scale)) }

// appendTail appends the footer and the tail of the file after it.
func appendTail(dst, foot []byte, s *sealer) []byte {
	dst = append(dst, foot...)
	dst = append(dst, s.tag(foot, partFooter, 0)...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(foot)))
	return append(dst, endMagic...)
}
