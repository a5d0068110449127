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
	// minPassphrase is the shortest passphrase for a new key, in bytes.
	minPassphrase = 12
	// maxWork bounds the cost of opening a file that somebody else may have
	// written: some four seconds and 1 GiB. age itself writes 18.
	maxWork = 20
)

// ErrPassphrase reports that a file does not open with the given passphrase. It
// is an ErrMasterFormat, too.
var ErrPassphrase = fmt.Errorf("%w that this passphrase opens", ErrMasterFormat)

// newMasterPassphrase returns the Master with the key in a file that is
// encrypted under a passphrase: an age file (age-encryption.org/v1) for a
// scrypt recipient, with the line of a plain master key file.
func newMasterPassphrase(fsys vfs.FS, path, passphrase string) *masterFile {
	f := newMasterFile(fsys, path)
	f.sealed, f.passphrase = true, passphrase
	return f
}

// Follows reports whether m is an encrypted file with the path of old, which it
// can then only replace.
func (m *masterFile) Follows(old *masterFile) bool {
	return m.sealed && old.sealed && m.path == old.path
}

// seal returns the content of the file.
func (m *masterFile) seal(line []byte) ([]byte, error) {
	if !m.sealed {
		return line, nil
	}
	if len(m.passphrase) < minPassphrase {
		return nil, fmt.Errorf("encrypt master key: the passphrase has %d bytes; use at least %d for a new one", len(m.passphrase), minPassphrase)
	}
	to, err := age.NewScryptRecipient(m.passphrase)
	if err != nil {
		return nil, fmt.Errorf("encrypt master key: %w", err)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err == nil {
		if _, err = w.Write(line); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt master key: %w", err)
	}
	return out.Bytes(), nil
}

// open returns the line in a file.
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
