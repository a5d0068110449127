package ringfile

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"audittrail/internal/canonical"
)

const (
	backupLine  = "audittrail-keyring-backup/v1\n" // reaches the backup
	backupLimit = 4096                             // most bytes of a header; as many as a bufio.Reader buffers
)

// ErrBackup reports that the input is not a backup, or not a complete one.
var ErrBackup = errors.New("not a backup of a keyring, or not all of one")

// A BackupHead is the second line of a backup, as JSON.
type BackupHead struct {
	ID         string    `json:"id"`
	Created    time.Time `json:"created"`
	Expires    time.Time `json:"expires"`
	Origin     string    `json:"origin"`
	Generation uint64    `json:"generation"`
	Size       uint64    `json:"size"` // last signed
	Root       HexHash   `json:"root"`
}

// WriteBackup writes all keys, except those of derived files, which are derived
// again where the backup is restored. It writes a header of two lines, then
// parts, each its length followed by a frame's kind and payload, and a length
// of zero.
func (f *File) WriteBackup(w io.Writer, head *BackupHead) error {
	line, err := json.Marshal(head)
	if err != nil {
		return fmt.Errorf("encode header: %w", err)
	}
	state, err := f.meta.Encode()
	if err != nil {
		return err
	}
	defer clear(state)
	out := bufio.NewWriter(w)
	part := func(kind byte, payload []byte) error {
		_ = binary.Write(out, binary.BigEndian, uint32(1+len(payload)))
		_ = out.WriteByte(kind)
		_, err := out.Write(payload) // the writer keeps the first error
		return err
	}
	_, _ = fmt.Fprintf(out, "%s%s\n", backupLine, line)
	if _, err := f.Pages(func(kind byte, _ PageKey, payload []byte) error { return part(kind, payload) }); err != nil {
		return err
	}
	for _, payload := range f.entries(false) {
		_ = part(KindEntries, payload)
		clear(payload)
	}
	_ = part(KindMeta, state)
	_ = binary.Write(out, binary.BigEndian, uint32(0))
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// ReadBackup reads a backup's header. The returned base reads the rest when it
// is written.
func ReadBackup(r io.Reader) (*BackupHead, *Base, error) {
	in := bufio.NewReaderSize(r, backupLimit)
	first, err := in.ReadSlice('\n')
	if err != nil || string(first) != backupLine {
		return nil, nil, fmt.Errorf("%w: the input does not begin with %q", ErrBackup, backupLine[:len(backupLine)-1])
	}
	line, err := in.ReadSlice('\n')
	if err != nil {
		return nil, nil, fmt.Errorf("%w: the header has no end", ErrBackup)
	}
	line = line[:len(line)-1]
	var h BackupHead
	encode := func(h *BackupHead) ([]byte, error) { return json.Marshal(h) }
	if err := canonical.Decode(line, &h, encode); err != nil {
		return nil, nil, fmt.Errorf("%w: the header is %w", ErrBackup, err)
	}
	if h.Generation+1 < 2 || CheckOrigin(h.Origin) != nil {
		return nil, nil, fmt.Errorf("%w: the header has values out of bounds", ErrBackup)
	}
	b := &Base{Generation: h.Generation + 1, Origin: h.Origin}
	b.Pages = func(emit Emitter) (uint64, error) {
		p := parts{base: b}
		p.subjects.emit = func(first PageKey, page []byte) error { return emit(KindSubjects, first, page) }
		p.users.emit = func(first PageKey, page []byte) error { return emit(KindUsers, first, page) }
		if err := p.read(in); err != nil {
			return 0, err
		}
		return p.live, nil
	}
	return &h, b, nil
}

// parts reads the parts of a backup into a new base.
type parts struct {
	base     *Base
	kind     byte // of the last part: kinds come in a fixed order
	subjects pager
	users    pager
	live     uint64 // subjects with a key
	known    uint64 // users
}

func (p *parts) read(in io.Reader) error {
	for {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return readError(err)
		}
		n := binary.BigEndian.Uint32(head[:])
		if n == 0 {
			break
		}
		if n > MaxPayload+1 {
			return fmt.Errorf("%w: a part of %d bytes", ErrBackup, n)
		}
		part := make([]byte, n)
		if _, err := io.ReadFull(in, part); err != nil {
			return readError(err)
		}
		if err := p.take(part[0], part[1:]); err != nil {
			return err
		}
	}
	switch n, err := in.Read(make([]byte, 1)); {
	case n != 0:
		return fmt.Errorf("%w: more input follows the end", ErrBackup)
	case err != io.EOF:
		return readError(err)
	case p.base.Meta == nil || p.known+1 != p.live: // the system has a subject and no user
		return fmt.Errorf("%w: the backup is not complete", ErrBackup)
	}
	return nil
}

// readError distinguishes a backup that ends early from one that cannot be
// read.
func readError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: the input is cut off", ErrBackup)
	}
	return fmt.Errorf("read backup: %w", err)
}

// partOrder has the order in which the kinds of parts come. There is one Meta.
var partOrder = []byte{0, KindSubjects, KindUsers, KindEntries, KindMeta}

func (p *parts) take(kind byte, payload []byte) error {
	is, was := slices.Index(partOrder, kind), slices.Index(partOrder, p.kind)
	if is < 1 || is < was || p.kind == KindMeta {
		return fmt.Errorf("%w: a part of kind %d is out of order", ErrBackup, kind)
	}
	p.kind = kind
	var err error
	switch kind {
	case KindSubjects:
		return DecodeEntries(payload, p.subject)
	case KindUsers:
		return p.user(payload)
	case KindEntries:
		err = DecodeEntries(payload, func(e *Entry) error {
			if e.Kind != ClassLive && e.Kind != ClassExpired && e.Kind != EscrowLive {
				return fmt.Errorf("%w: an entry of another kind among the classes", ErrBackup)
			}
			return nil
		})
		p.base.Classes = append(p.base.Classes, payload)
	case KindMeta:
		if err = errors.Join(p.subjects.flush(), p.users.flush()); err == nil {
			p.base.Meta, err = parseMeta(payload)
		}
	}
	return err
}

func (p *parts) subject(e *Entry) error {
	switch e.Kind {
	case SubjectLive:
		p.live++
	case SubjectErased:
	default:
		return fmt.Errorf("%w: an entry of another kind among the subjects", ErrBackup)
	}
	return p.subjects.add(e.Subject, AppendEntry(nil, e))
}

func (p *parts) user(payload []byte) error {
	if len(payload)%userLen != 0 {
		return fmt.Errorf("%w: %w", ErrBackup, errOddUsers)
	}
	if err := p.subjects.flush(); err != nil {
		return err
	}
	for ; len(payload) > 0; payload = payload[userLen:] {
		p.known++
		if err := p.users.add(PageKey(payload), payload[:userLen]); err != nil {
			return err
		}
	}
	return nil
}
