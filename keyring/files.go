package keyring

import (
	"fmt"
	"io"
	"log/slog"

	"audittrail/keyring/internal/ringfile"
)

// GovernanceClass is the retention class of the governance records. Its keys
// are derived from the ring's secret and are never destroyed.
const GovernanceClass = ringfile.GovernanceClass

// A FileID names an encrypted file that is derived from the log, such as a
// block of an index.
type FileID = [16]byte

// A FileKey encrypts such a file. It is redacted wherever it is printed.
type FileKey [32]byte

// String redacts the key.
func (FileKey) String() string { return redacted }

// Format redacts the key for every verb.
func (FileKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalJSON redacts the key.
func (FileKey) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue redacts the key.
func (FileKey) LogValue() slog.Value { return slog.StringValue(redacted) }

const domainDerived = "audittrail/v1 derived files\x00"

// DerivedKey returns the key under which the log authenticates the files that
// it derives from its lines. It never changes, neither by rotations nor by
// backups, and decrypts no content.
func (r *Ring) DerivedKey() FileKey { return r.hash.Sum(domainDerived, "") }

// NewFileKey creates the key of a derived file. The key is durable when it
// returns.
func (r *Ring) NewFileKey() (FileID, FileKey, error) {
	e, err := r.newFile()
	if err == nil {
		err = r.Flush()
	}
	if err != nil {
		return FileID{}, FileKey{}, fmt.Errorf("make a file's key: %w", err)
	}
	return e.File, e.Key, nil
}

func (r *Ring) newFile() (ringfile.Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := ringfile.Entry{Kind: ringfile.FileLive}
	if err := r.usable(); err != nil {
		return e, err
	}
	if _, err := io.ReadFull(r.o.Rand, e.File[:]); err != nil {
		return e, fmt.Errorf("make id: %w", err)
	}
	return e, r.add(&e)
}

// FileKey returns the key of a derived file. The error is ErrLost if there is
// none: it was dropped, destroyed in an erasure, or not in the backup from
// which the ring was restored. The file then has to be derived again.
func (r *Ring) FileKey(id FileID) (FileKey, error) {
	var key FileKey
	err := r.follow()
	if err == nil {
		err = r.read(func(st *ringfile.File) error {
			k, ok := st.FileKey(id)
			if !ok {
				return fmt.Errorf("file %x: %w", id, ErrLost)
			}
			key = k
			return nil
		})
	}
	if err != nil {
		return FileKey{}, fmt.Errorf("find a file's key: %w", err)
	}
	return key, nil
}

// FileKeys returns the ids of all derived files that have a key, so that the
// keys of files which a crash left over can be dropped.
func (r *Ring) FileKeys() ([]FileID, error) {
	var ids []FileID
	err := r.follow()
	if err == nil {
		_, err = r.look(func(st *ringfile.File) error {
			ids = st.Files()
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list files' keys: %w", err)
	}
	return ids, nil
}

// DropFileKeys drops the keys of derived files that are no longer needed. They
// are not used from then on, and are removed from the disk with the next
// destruction at the latest. Unknown ids are ignored.
func (r *Ring) DropFileKeys(ids ...FileID) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.dropFileKeys(ids); err != nil {
		return fmt.Errorf("drop files' keys: %w", err)
	}
	return nil
}

func (r *Ring) dropFileKeys(ids []FileID) error {
	if err := r.flush(); err != nil {
		return err
	}
	r.mu.RLock()
	err := r.usable()
	var gone [][]byte
	if err == nil {
		gone = ringfile.Chunk(r.doomedFiles(&Destruction{Files: ids}))
	}
	r.mu.RUnlock()
	for _, payload := range gone {
		if err == nil {
			err = r.mark(payload)
		}
	}
	if err != nil {
		return err
	}
	return r.merge()
}

// Classes returns the classes that have a key, in order.
func (r *Ring) Classes() ([]string, error) {
	var names []string
	err := r.follow()
	if err == nil {
		_, err = r.look(func(st *ringfile.File) error {
			names = st.Classes()
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list classes: %w", err)
	}
	return names, nil
}

// An Escrow says where the keys to those records of an expired class are that a
// legal hold keeps: in an encrypted file, given by its id and its key.
type Escrow struct {
	Class string
	File  FileID // zero if the escrow has ended
	Key   FileKey
	Seq   uint64 // the record up to which holds were taken into account
}

// Escrow returns the escrow of a class, if it has one.
func (r *Ring) Escrow(class string) (Escrow, bool, error) {
	var e Escrow
	var ok bool
	err := r.follow()
	if err == nil {
		_, err = r.look(func(st *ringfile.File) error {
			e, ok = escrowOf(st, class)
			return nil
		})
	}
	if err != nil {
		return Escrow{}, false, fmt.Errorf("find escrow of class %s: %w", class, err)
	}
	return e, ok, nil
}

func escrowOf(st *ringfile.File, class string) (Escrow, bool) {
	e, ok := st.Escrow(class)
	return Escrow{Class: class, File: e.File, Key: e.Key, Seq: e.Seq}, ok
}

// Escrows returns all escrows, by class.
func (r *Ring) Escrows() ([]Escrow, error) {
	var all []Escrow
	err := r.follow()
	if err == nil {
		_, err = r.look(func(st *ringfile.File) error {
			for _, class := range st.Escrows() {
				e, _ := escrowOf(st, class)
				all = append(all, e)
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list escrows: %w", err)
	}
	return all, nil
}

// SetEscrows puts escrows in force, durably. The keys of those that they
// replace are destroyed as by Destroy.
func (r *Ring) SetEscrows(escrows ...Escrow) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.setEscrows(escrows); err != nil {
		return fmt.Errorf("set escrow: %w", err)
	}
	return nil
}

func (r *Ring) setEscrows(escrows []Escrow) error {
	if err := r.flush(); err != nil {
		return err
	}
	var entries [][]byte
	for _, e := range escrows {
		if err := ringfile.CheckClass(e.Class); err != nil {
			return err
		}
		kind := byte(ringfile.EscrowLive)
		if e.File == (FileID{}) {
			kind = ringfile.EscrowGone
		}
		entries = append(entries, ringfile.AppendEntry(nil, &ringfile.Entry{
			Kind: kind, Class: []byte(e.Class), File: e.File, Key: e.Key, Seq: e.Seq,
		}))
	}
	for _, payload := range ringfile.Chunk(entries) {
		if err := r.mark(payload); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usable(); err != nil || !r.st.Dying() {
		return err
	}
	return r.advance(r.st.Meta(), r.master, true)
}
