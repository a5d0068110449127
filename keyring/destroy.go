package keyring

import (
	"errors"
	"fmt"

	"audittrail/keyring/internal/ringfile"
	"audittrail/record"
)

// LastDestruction returns the last record whose destructions are complete.
// Before the first one, the hash is zero.
func (r *Ring) LastDestruction() (seq uint64, hash record.Hash) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.st == nil {
		return 0, record.Hash{}
	}
	a := r.st.Meta().Applied
	return a.Seq, record.Hash(a.Hash)
}

// A Destruction says which keys to destroy.
type Destruction struct {
	Subjects []record.Subject
	Classes  []string
	Files    []FileID // of derived files
	AllFiles bool     // the keys of all derived files
	// Seq and Hash are those of the record that ordered the destruction.
	Seq  uint64
	Hash record.Hash
}

// Destroy destroys keys, as ordered by a record. After it has returned, no
// process decrypts a record or a file with them, and they are in no byte of the
// ring's files.
//
// Keys that are destroyed already remain so, and Destroy may be called again
// after an error, a crash or the restoring of a backup. For a subject or class
// without a key it is recorded as well that the key is destroyed.
func (r *Ring) Destroy(d Destruction) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.destroy(&d); err != nil {
		return fmt.Errorf("destroy keys: %w", err)
	}
	return nil
}

func (r *Ring) destroy(d *Destruction) error {
	// Keys to be destroyed may still be pending.
	if err := r.flush(); err != nil {
		return err
	}
	doomed, err := r.doomed(d)
	if err != nil {
		return err
	}
	for _, payload := range doomed {
		if err := r.mark(payload); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.st.Meta().Clone()
	if d.Seq >= m.Applied.Seq {
		m.Applied = ringfile.Applied{Seq: d.Seq, Hash: ringfile.HexHash(d.Hash)}
	}
	if r.st.Dying() {
		return r.advance(m, r.master, true)
	}
	if r.unswept {
		if err := r.settle(r.sweep(false, true)); err != nil {
			return err
		}
	}
	if m.Applied == r.st.Meta().Applied {
		return nil
	}
	return r.settle(r.st.WriteMeta(m))
}

// doomed returns the entries for the keys that are not destroyed yet, as
// payloads. Files come first: once the subjects count as destroyed, no file
// that is derived from their records can be read either.
func (r *Ring) doomed(d *Destruction) ([][]byte, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	entries := r.doomedFiles(d)
	seen := map[record.Subject]bool{}
	for _, id := range d.Subjects {
		if id == r.system {
			return nil, errors.New("the subject of the system cannot be erased")
		}
		sub, _, err := r.st.Subject(id)
		if err != nil {
			return nil, err
		}
		if !sub.Erased && !seen[id] {
			seen[id] = true
			entries = append(entries, ringfile.AppendEntry(nil, &ringfile.Entry{Kind: ringfile.SubjectErased, Subject: id, Seq: d.Seq}))
		}
	}
	gone := map[string]bool{}
	for _, name := range d.Classes {
		if err := ringfile.CheckClass(name); err != nil {
			return nil, err
		}
		if ringfile.Governance(name) {
			return nil, fmt.Errorf("class %s does not expire: its records govern the log", name)
		}
		if c, _ := r.st.Class(name); !c.Expired && !gone[name] {
			gone[name] = true
			entries = append(entries, ringfile.AppendEntry(nil, &ringfile.Entry{Kind: ringfile.ClassExpired, Class: []byte(name), Seq: d.Seq}))
		}
	}
	return ringfile.Chunk(entries), nil
}

func (r *Ring) doomedFiles(d *Destruction) [][]byte {
	files := d.Files
	if d.AllFiles {
		files = r.st.Files()
	}
	var entries [][]byte
	for _, id := range files {
		if _, ok := r.st.FileKey(id); ok {
			entries = append(entries, ringfile.AppendEntry(nil, &ringfile.Entry{Kind: ringfile.FileGone, File: id}))
		}
	}
	return entries
}

// mark records that keys are destroyed, and drops them from memory. From then
// on they count as destroyed, though they are still in the file.
func (r *Ring) mark(payload []byte) error {
	if err := r.append(ringfile.KindEntries, payload); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ringfile.DecodeEntries(payload, r.st.Note); err != nil {
		return r.settle(&ringfile.FatalError{Err: err}) // the file and the memory differ
	}
	r.opening.empty()
	r.sealing.empty()
	return nil
}
