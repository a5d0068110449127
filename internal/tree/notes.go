package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"audittrail/internal/vfs"
	"audittrail/tlog"
)

const (
	checkpointName = "checkpoint"
	signersName    = "signers"

	maxSigners = 1 << 20 // bytes in the signers file
)

// ErrMalformed says that the signers file is not what AppendSigner writes.
var ErrMalformed = errors.New("malformed signers file")

// Checkpoint returns the signed checkpoint that was set last. If none was set,
// the error is fs.ErrNotExist.
func (t *Tree) Checkpoint() ([]byte, error) {
	b, err := vfs.ReadFile(t.fs, filepath.Join(t.dir, checkpointName), tlog.MaxCheckpoint)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return b, nil
}

// PutCheckpointAside renames the checkpoint, durably, so that it is no longer
// taken for the log's checkpoint.
func (t *Tree) PutCheckpointAside(name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.writable()
	if err == nil {
		err = t.fs.Rename(filepath.Join(t.dir, checkpointName), filepath.Join(t.dir, name))
	}
	if err == nil {
		err = t.fs.SyncDir(t.dir)
	}
	if err != nil {
		return fmt.Errorf("put checkpoint aside: %w", err)
	}
	return nil
}

// SetCheckpoint makes signed the tree's checkpoint, durably. It syncs the
// leaves that the checkpoint covers first, and refuses a checkpoint that is not
// of this tree.
func (t *Tree) SetCheckpoint(signed []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.writable(); err != nil {
		return fmt.Errorf("set checkpoint: %w", err)
	}
	c, err := tlog.ReadCheckpoint(signed)
	if err != nil {
		return fmt.Errorf("set checkpoint: %w", err)
	}
	if err := t.covers(c); err != nil {
		return fmt.Errorf("set checkpoint: %w", err)
	}
	if c.Size > t.synced || t.newName {
		if err := t.sync(); err != nil {
			return fmt.Errorf("set checkpoint: %w", err)
		}
	}
	if err := vfs.WriteFile(t.fs, filepath.Join(t.dir, checkpointName), signed, filePerm); err != nil {
		return fmt.Errorf("set checkpoint: %w", err)
	}
	return nil
}

// covers returns an error if c is not a checkpoint of this tree.
func (t *Tree) covers(c tlog.Checkpoint) error {
	root, err := t.Root(c.Size)
	if err != nil {
		return err
	}
	if root != c.Root {
		return fmt.Errorf("checkpoint of size %d has root %v, the tree %v", c.Size, c.Root, root)
	}
	return nil
}

// Signers returns the notes by which keys replaced keys, oldest first.
func (t *Tree) Signers() ([][]byte, error) {
	b, err := vfs.ReadFile(t.fs, filepath.Join(t.dir, signersName), maxSigners)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read signers: %w", err)
	}
	notes, err := parseSigners(b)
	if err != nil {
		return nil, fmt.Errorf("read signers: %w", err)
	}
	return notes, nil
}

// AppendSigner adds the note by which a key replaces the last, durably. The note
// that is already the last one is not added again.
func (t *Tree) AppendSigner(note []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.writable(); err != nil {
		return fmt.Errorf("append signer: %w", err)
	}
	if len(note) == 0 || len(note) > tlog.MaxRotation {
		return fmt.Errorf("append signer: a note of %d bytes", len(note))
	}
	notes, err := t.Signers()
	if err != nil {
		return fmt.Errorf("append signer: %w", err)
	}
	if len(notes) > 0 && bytes.Equal(notes[len(notes)-1], note) {
		return nil
	}
	if err := t.writeSigners(append(notes, note)); err != nil {
		return fmt.Errorf("append signer: %w", err)
	}
	return nil
}

// SetSigners replaces the notes in the signers file, which may be damaged,
// durably.
func (t *Tree) SetSigners(notes [][]byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.writable()
	if err == nil {
		err = t.writeSigners(notes)
	}
	if err != nil {
		return fmt.Errorf("set signers: %w", err)
	}
	return nil
}

func (t *Tree) writeSigners(notes [][]byte) error {
	b := formatSigners(notes)
	if len(b) > maxSigners {
		return fmt.Errorf("more than %d bytes of them", maxSigners)
	}
	return vfs.WriteFile(t.fs, filepath.Join(t.dir, signersName), b, filePerm)
}

// formatSigners writes each note after a line with its length in decimal.
func formatSigners(notes [][]byte) []byte {
	var b []byte
	for _, n := range notes {
		b = strconv.AppendInt(b, int64(len(n)), 10)
		b = append(b, '\n')
		b = append(b, n...)
	}
	return b
}

// parseSigners reads what formatSigners writes, and nothing else.
func parseSigners(b []byte) ([][]byte, error) {
	var notes [][]byte
	for len(b) > 0 {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		n, err := strconv.Atoi(string(line))
		if !ok || err != nil || n < 1 || n > tlog.MaxRotation || strconv.Itoa(n) != string(line) {
			return nil, fmt.Errorf("%w: the length of note %d", ErrMalformed, len(notes))
		}
		if n > len(rest) {
			return nil, fmt.Errorf("%w: note %d is cut short", ErrMalformed, len(notes))
		}
		notes = append(notes, rest[:n:n])
		b = rest[n:]
	}
	return notes, nil
}
