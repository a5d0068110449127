package keyring

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"filippo.io/age"

	"audittrail/record"
)

const (
	backupLine  = "audittrail-keyring-backup/v1\n" // reaches the backup
	backupLimit = 4096                             // bytes of its header
)

// ErrBackupExpired means that a backup is older than it was meant to become.
var ErrBackupExpired = errors.New("backup has expired")

// A BackupInfo is a copy of the keys outside the keyring. As long as it can be
// restored, it may hold what was destroyed here since.
type BackupInfo struct {
	ID      record.ID
	Created time.Time
	Expires time.Time
}

// A backupHead is the second line of a backup, as JSON.
type backupHead struct {
	ID         string    `json:"id"`
	Created    time.Time `json:"created"`
	Expires    time.Time `json:"expires"`
	Origin     string    `json:"origin"`
	Generation uint64    `json:"generation"`
	Size       uint64    `json:"size"` // last signed
	Root       hexHash   `json:"root"`
}

// Backups returns the backups that have not expired yet, as far as the keyring
// knows: those that a restored backup was followed by are not among them.
func (r *Ring) Backups() []BackupInfo {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var infos []BackupInfo
	if r.st == nil {
		return nil
	}
	for _, b := range r.st.meta.Backups {
		if id, err := record.ParseID(b.ID); err == nil && r.o.Now().Before(b.Expires) {
			infos = append(infos, BackupInfo{ID: id, Created: b.Created, Expires: b.Expires})
		}
	}
	return infos
}

// Backup writes all keys to w, encrypted to the recipient (age-encryption.org/v1).
// The keyring remembers it until it expires, even if writing fails: part of it
// may be somewhere.
//
// Restore refuses a backup that has expired. That is no cryptography: whoever
// holds the recipient's identity can read it still, until one of them is gone.
func (r *Ring) Backup(w io.Writer, recipient age.Recipient, expires time.Time) (BackupInfo, error) {
	info, snap, head, err := r.beginBackup(expires)
	if err == nil {
		err = snap.backup(w, recipient, head)
		if cerr := snap.file.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		return info, fmt.Errorf("back up keyring: %w", err)
	}
	return info, nil
}

// beginBackup writes down that there is a backup, and returns the ring as it is
// now with a file of its own, so that nobody waits for w. A destruction
// meanwhile wipes that file, and fails the backup.
func (r *Ring) beginBackup(expires time.Time) (BackupInfo, *state, *backupHead, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.flush(); err != nil {
		return BackupInfo{}, nil, nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if !expires.After(now) {
		return BackupInfo{}, nil, nil, errors.New("it would have expired already")
	}
	var random [16]byte
	if _, err := io.ReadFull(r.o.Rand, random[:]); err != nil {
		return BackupInfo{}, nil, nil, fmt.Errorf("make id: %w", err)
	}
	info := BackupInfo{ID: record.NewID(now.UnixMilli(), random), Created: now, Expires: expires.UTC().Round(0)}
	m := r.st.meta.clone()
	m.Backups = slices.DeleteFunc(m.Backups, func(b backup) bool { return !now.Before(b.Expires) })
	m.Backups = append(m.Backups, backup{ID: info.ID.String(), Created: info.Created, Expires: info.Expires})
	if err := r.setMeta(m); err != nil {
		return BackupInfo{}, nil, nil, err
	}
	file, err := r.o.FS.Open(r.st.name)
	if err != nil {
		return info, nil, nil, fmt.Errorf("open ring: %w", err)
	}
	snap := *r.st
	snap.file, snap.meta = file, m
	snap.subjects, snap.users, snap.classes = maps.Clone(snap.subjects), maps.Clone(snap.users), maps.Clone(snap.classes)
	return info, &snap, &backupHead{
		ID: info.ID.String(), Created: info.Created, Expires: info.Expires, Origin: r.origin,
		Generation: r.st.head.Generation, Size: r.signed.size, Root: r.signed.root,
	}, nil
}

// backup writes the encrypted stream: the header's two lines, then parts, each
// a frame's kind and payload behind its length, and a length of zero.
func (s *state) backup(w io.Writer, recipient age.Recipient, head *backupHead) error {
	enc, err := age.Encrypt(w, recipient)
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	line, err := json.Marshal(head)
	if err != nil {
		return fmt.Errorf("encode header: %w", err)
	}
	out := bufio.NewWriter(enc)
	fmt.Fprintf(out, "%s%s\n", backupLine, line) // a bufio.Writer reports at Flush
	part := func(kind byte, payload []byte) error {
		_ = binary.Write(out, binary.BigEndian, uint32(1+len(payload)))
		_ = out.WriteByte(kind)
		_, err := out.Write(payload)
		return err
	}
	if _, err := s.pages(func(kind byte, _ pageKey, payload []byte) error { return part(kind, payload) }); err != nil {
		return err
	}
	for _, payload := range s.classEntries() {
		_ = part(kindEntries, payload)
		clear(payload)
	}
	state, err := s.meta.encode()
	if err != nil {
		return fmt.Errorf("encode the ring's own state: %w", err)
	}
	defer clear(state)
	_ = part(kindMeta, state)
	_ = binary.Write(out, binary.BigEndian, uint32(0))
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := enc.Close(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// Restore makes a keyring in a folder that has none from a backup, under the
// master key of the options. What was destroyed since the backup comes back
// with it, until the log's destructions are applied again, from Applied on.
func Restore(ctx context.Context, dir string, src io.Reader, identity age.Identity, o Options) error {
	r, err := create(ctx, dir, o, func(r *Ring) (*base, signed, error) {
		plain, err := age.Decrypt(src, identity)
		if err != nil {
			return nil, signed{}, fmt.Errorf("decrypt: %w", err)
		}
		return beginRestore(bufio.NewReader(plain), r.o.Now())
	})
	if err == nil {
		err = r.Close()
	}
	if err != nil {
		return fmt.Errorf("restore keyring to %s: %w", dir, err)
	}
	return nil
}

func beginRestore(in *bufio.Reader, now time.Time) (*base, signed, error) {
	head, err := parseBackupHead(in)
	if err != nil {
		return nil, signed{}, err
	}
	if !now.Before(head.Expires) {
		return nil, signed{}, fmt.Errorf("%w on %s", ErrBackupExpired, head.Expires.Format(time.DateOnly))
	}
	b := &base{generation: head.Generation + 1, origin: head.Origin}
	b.pages = func(emit emitter) (uint64, error) {
		p := parts{base: b, emit: emit}
		err := p.read(in)
		return p.live, err
	}
	return b, signed{size: head.Size, root: head.Root}, nil
}

var errBackup = errors.New("not a backup of a keyring, or not all of one")

func parseBackupHead(in *bufio.Reader) (*backupHead, error) {
	first, err := in.ReadSlice('\n')
	if err != nil || string(first) != backupLine {
		return nil, fmt.Errorf("%w: it does not begin with %q", errBackup, backupLine[:len(backupLine)-1])
	}
	line, err := in.ReadSlice('\n') // no longer than the reader's buffer
	if err != nil || len(line) > backupLimit {
		return nil, fmt.Errorf("%w: its header has no end", errBackup)
	}
	line = line[:len(line)-1]
	var h backupHead
	if err := json.Unmarshal(line, &h); err != nil {
		return nil, fmt.Errorf("%w: its header is not of the right form", errBackup)
	}
	again, err := json.Marshal(&h)
	if err != nil || !bytes.Equal(again, line) || h.Generation == 0 || checkOrigin(h.Origin) != nil {
		return nil, fmt.Errorf("%w: its header is not of the right form", errBackup)
	}
	return &h, nil
}

// parts reads the parts of a backup into a new base.
type parts struct {
	base  *base
	emit  emitter
	kind  byte    // of the last part: they come in one order
	last  pageKey // of the last entry of that kind
	users uint64
	live  uint64
}

func (p *parts) read(in io.Reader) error {
	for {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return fmt.Errorf("%w: %w", errBackup, err)
		}
		n := binary.BigEndian.Uint32(head[:])
		if n == 0 {
			break
		}
		if n > maxPayload+1 {
			return fmt.Errorf("%w: a part of %d bytes", errBackup, n)
		}
		part := make([]byte, n)
		if _, err := io.ReadFull(in, part); err != nil {
			return fmt.Errorf("%w: %w", errBackup, err)
		}
		if err := p.take(part[0], part[1:]); err != nil {
			return fmt.Errorf("%w: %w", errBackup, err)
		}
	}
	if n, err := in.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return fmt.Errorf("%w: more follows its end", errBackup)
	}
	if p.base.meta == nil || p.users+1 != p.live {
		return fmt.Errorf("%w: it is not complete", errBackup)
	}
	return nil
}

// partOrder is in which order the kinds of parts come.
var partOrder = []byte{0, kindSubjects, kindUsers, kindEntries, kindMeta}

func (p *parts) take(kind byte, payload []byte) error {
	if slices.Index(partOrder, kind) < slices.Index(partOrder, p.kind) {
		return fmt.Errorf("a part of kind %d where none belongs", kind)
	}
	if kind != p.kind {
		p.kind, p.last = kind, pageKey{}
	}
	switch kind {
	case kindSubjects, kindUsers:
		return p.page(kind, payload)
	case kindEntries:
		p.base.classes = append(p.base.classes, payload)
		return nil // they are decoded when the new ring is opened
	}
	m, err := parseMeta(payload)
	p.base.meta = m
	return err
}

func (p *parts) page(kind byte, payload []byte) error {
	if len(payload) == 0 || len(payload) > pageSize {
		return fmt.Errorf("a page of %d bytes", len(payload))
	}
	first := true
	var begin pageKey
	next := func(k pageKey) error {
		if first {
			begin, first = k, false
		}
		if bytes.Compare(k[:], p.last[:]) <= 0 {
			return errors.New("entries are not in ascending order")
		}
		p.last = k
		return nil
	}
	var err error
	if kind == kindUsers {
		if len(payload)%userLen != 0 {
			return errors.New("page of users is of an odd length")
		}
		for b := payload; len(b) > 0 && err == nil; b = b[userLen:] {
			p.users++
			err = next(pageKey(b))
		}
	} else {
		err = decodeEntries(payload, func(e *entry) error {
			switch e.kind {
			case subjectLive:
				p.live++
			case subjectErased:
			default:
				return errors.New("page of subjects holds something else")
			}
			return next(e.subject)
		})
	}
	if err != nil {
		return err
	}
	return p.emit(kind, begin, payload)
}
