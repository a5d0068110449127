package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"audittrail/internal/vfs"
)

const (
	// minPassphrase is the shortest passphrase that a new key is sealed under.
	minPassphrase = 12
	// maxWork bounds what opening a file may cost that somebody put there:
	// some four seconds and 1 GiB. age itself writes 18.
	maxWork = 20
)

// ErrPassphrase means that a file does not open with the passphrase given. It is
// an ErrFormat, too.
var ErrPassphrase = fmt.Errorf("%w that this passphrase opens", ErrMasterFormat)

// newMasterPassphrase returns the Master that yields the key in a file that is sealed
// under a passphrase: an age file (age-encryption.org/v1) for a scrypt
// recipient, holding the line of a plain one.
func newMasterPassphrase(fsys vfs.FS, path, passphrase string) *masterFile {
	f := newMasterFile(fsys, path)
	f.sealed, f.passphrase = true, passphrase
	return f
}

// Follows tells whether m is a sealed file in the place of another, so that it
// can only take its place.
func (m *masterFile) Follows(old *masterFile) bool {
	return m.sealed && old.sealed && m.path == old.path
}

// seal returns what the file is to hold.
func (m *masterFile) seal(line []byte) ([]byte, error) {
	if !m.sealed {
		return line, nil
	}
	if len(m.passphrase) < minPassphrase {
		return nil, fmt.Errorf("seal master key: the passphrase has %d bytes; a new one needs at least %d", len(m.passphrase), minPassphrase)
	}
	to, err := age.NewScryptRecipient(m.passphrase)
	if err != nil {
		return nil, fmt.Errorf("seal master key: %w", err)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err == nil {
		if _, err = w.Write(line); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("seal master key: %w", err)
	}
	return out.Bytes(), nil
}

// open returns the line that a file holds.
func (m *masterFile) open(text []byte) ([]byte, error) {
	if !m.sealed {
		return text, nil
	}
	if m.passphrase == "" {
		return nil, fmt.Errorf("%w: the passphrase is empty", ErrNoMaster)
	}
	id, err := age.NewScryptIdentity(m.passphrase)
	if err != nil {
		return nil, fmt.Errorf("open master key: %w", err)
	}
	id.SetMaxWorkFactor(maxWork)
	r, err := age.Decrypt(bytes.NewReader(text), id)
	if none := (*age.NoIdentityMatchError)(nil); errors.As(err, &none) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMasterFormat, err)
	}
	line, err := io.ReadAll(io.LimitReader(r, masterLimit))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMasterFormat, err)
	}
	return line, nil
}
