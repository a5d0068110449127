package keyring

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"audittrail/internal/vfs"
	"audittrail/keyring/internal/ringfile"
)

const (
	// redacted is printed instead of a secret.
	redacted = "[redacted]"

	masterPrefix = "audittrail-master/v1 " // reaches the disk
	masterLimit  = 4096                    // most bytes that a command may print
	masterTime   = 30 * time.Second        // longest time that a command may take
	masterPerm   = 0o600
)

var (
	// ErrNoMaster reports that a file, command or text has no master key.
	ErrNoMaster = errors.New("no master key")
	// ErrMasterFormat reports that the bytes found are not a master key, or not
	// a complete one.
	ErrMasterFormat = errors.New("not a master key")
	// ErrWrongMaster reports that the ring was wrapped by another master key.
	ErrWrongMaster = errors.New("wrong master key")
)

// A Secret is a master key. It is redacted wherever it is printed.
type Secret [32]byte

// String redacts the key.
func (Secret) String() string { return redacted }

// GoString redacts the key.
func (Secret) GoString() string { return redacted }

// Format redacts the key for every verb.
func (Secret) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalJSON redacts the key.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText redacts the key.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue redacts the key.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Fingerprint returns the first eight hexadecimal digits of the key's SHA-256,
// which identify a master key without revealing it.
func (s Secret) Fingerprint() string {
	return ringfile.Fingerprint((*ringfile.Key)(&s))
}

// NewMaster creates a master key of 32 random bytes.
func NewMaster(random io.Reader) (Secret, error) {
	var s Secret
	if _, err := io.ReadFull(random, s[:]); err != nil {
		return Secret{}, fmt.Errorf("make master key: %w", err)
	}
	return s, nil
}

// FormatMaster returns the text form of a master key, one line:
//
//	audittrail-master/v1 <base64 of the key> <its fingerprint>
//
// Unlike the results of Secret's methods, the text contains the key.
func FormatMaster(s Secret) []byte {
	out := []byte(masterPrefix)
	out = base64.StdEncoding.AppendEncode(out, s[:])
	out = append(out, ' ')
	out = append(out, s.Fingerprint()...)
	return append(out, '\n')
}

// ParseMaster reads the one form that FormatMaster returns, and refuses others.
func ParseMaster(text []byte) (Secret, error) {
	rest, ok := bytes.CutPrefix(text, []byte(masterPrefix))
	if !ok {
		return Secret{}, fmt.Errorf("%w: the text does not begin with %q", ErrMasterFormat, strings.TrimSpace(masterPrefix))
	}
	const encoded = 44 // base64 of 32 bytes
	if len(rest) != encoded+len(" 01234567\n") {
		return Secret{}, fmt.Errorf("%w: %d bytes instead of %d: truncated, or more than one line",
			ErrMasterFormat, len(text), len(masterPrefix)+encoded+len(" 01234567\n"))
	}
	var s Secret
	var raw [33]byte // as many as 44 characters may encode
	if n, err := base64.StdEncoding.Strict().Decode(raw[:], rest[:encoded]); err != nil || n != len(s) {
		return Secret{}, fmt.Errorf("%w: the key is not base64 of 32 bytes", ErrMasterFormat)
	}
	copy(s[:], raw[:])
	if subtle.ConstantTimeCompare(FormatMaster(s), text) != 1 {
		return Secret{}, fmt.Errorf("%w: the fingerprint does not match the key", ErrMasterFormat)
	}
	return s, nil
}

// A Master provides the key that wraps a ring. A key management service can be
// one, too.
type Master interface {
	MasterKey(ctx context.Context) (Secret, error)
}

// A MasterFunc is a function as a Master.
type MasterFunc func(ctx context.Context) (Secret, error)

// MasterKey calls the function.
func (f MasterFunc) MasterKey(ctx context.Context) (Secret, error) { return f(ctx) }

// MasterText returns a Master with the key in a text, such as an environment
// variable. The line end may be missing. For an empty text the error is
// ErrNoMaster.
func MasterText(text string) Master {
	return MasterFunc(func(context.Context) (Secret, error) {
		if text == "" {
			return Secret{}, fmt.Errorf("%w: the text is empty", ErrNoMaster)
		}
		return parseLine([]byte(text))
	})
}

// parseLine reads a master key whose line end may be missing or be another
// system's.
func parseLine(text []byte) (Secret, error) {
	line := bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	return ParseMaster(append(bytes.Clone(line), '\n'))
}

// newMasterFile returns the Master with the key in a file of a file system; nil
// is that of the operating system.
func newMasterFile(fsys vfs.FS, path string) *masterFile {
	if fsys == nil {
		fsys = vfs.OS
	}
	return &masterFile{fs: fsys, path: path}
}

// A masterFile is a file with a master key.
type masterFile struct {
	fs         vfs.FS
	path       string
	sealed     bool // encrypted under the passphrase
	passphrase string
}

// MasterKey reads the file.
func (m *masterFile) MasterKey(context.Context) (Secret, error) { return m.read(m.path) }

func (m *masterFile) read(path string) (Secret, error) {
	text, err := vfs.ReadFile(m.fs, path, masterLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Secret{}, fmt.Errorf("%w: %w", ErrNoMaster, err)
	case errors.Is(err, vfs.ErrTooLarge):
		return Secret{}, fmt.Errorf("%w: %w", ErrMasterFormat, err)
	case err != nil:
		return Secret{}, fmt.Errorf("read master key: %w", err)
	}
	var s Secret
	if text, err = m.open(text); err == nil {
		s, err = ParseMaster(text)
	}
	if err != nil {
		return Secret{}, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

// Write creates the file.
func (m *masterFile) Write(s Secret) error {
	text, err := m.seal(FormatMaster(s))
	if err != nil {
		return err
	}
	return vfs.WriteFile(m.fs, m.path, text, masterPerm)
}

// GuardedAs returns the file guarded by the same locks as a file system; see
// vfs.GuardAs.
func (m *masterFile) GuardedAs(guarded vfs.FS) *masterFile {
	return &masterFile{vfs.GuardAs(guarded, m.fs), m.path, m.sealed, m.passphrase}
}

// Next returns the file of a new master key until the ring is wrapped by it.
func (m *masterFile) Next() *masterFile {
	return &masterFile{m.fs, m.path + ".next", m.sealed, m.passphrase}
}

// MasterCommand returns a Master with the key that a command prints, in the
// form of the file. The command is run without a shell, for at most 30 seconds.
func MasterCommand(argv []string) Master {
	return MasterFunc(func(ctx context.Context) (Secret, error) { return runMaster(ctx, argv) })
}

func runMaster(ctx context.Context, argv []string) (Secret, error) {
	if len(argv) == 0 {
		return Secret{}, fmt.Errorf("%w: the command is empty", ErrNoMaster)
	}
	ctx, cancel := context.WithTimeout(ctx, masterTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second // a child that outlives the command may keep the pipe open
	var out, diag capped
	cmd.Stdout, cmd.Stderr = &out, &diag
	err := cmd.Run()
	if cause := ctx.Err(); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		said, _, _ := strings.Cut(strings.TrimSpace(string(diag.kept)), "\n")
		return Secret{}, fmt.Errorf("%w: run %s: %w: %.200q", ErrNoMaster, argv[0], err, said)
	}
	if out.over {
		return Secret{}, fmt.Errorf("%w: %s printed more than %d bytes", ErrMasterFormat, argv[0], masterLimit)
	}
	s, err := parseLine(out.kept)
	if err != nil {
		return Secret{}, fmt.Errorf("read the output of %s: %w", argv[0], err)
	}
	return s, nil
}

// A capped buffer keeps the first masterLimit bytes and drops the rest, so that
// a command that prints without end takes no memory.
type capped struct {
	kept []byte
	over bool
}

func (c *capped) Write(p []byte) (int, error) {
	room := masterLimit - len(c.kept)
	c.over = c.over || len(p) > room
	c.kept = append(c.kept, p[:min(len(p), room)]...)
	return len(p), nil
}

// masterFor returns the master key that wrapped a ring, by the fingerprint in
// its header. An interrupted rotation leaves the file of the new key next to
// the old one, and either may be the one that wrapped the ring.
func masterFor(ctx context.Context, m Master, fingerprint string) (Secret, error) {
	key, err := m.MasterKey(ctx)
	if err == nil && key.Fingerprint() == fingerprint {
		return key, nil
	}
	if file, ok := m.(*masterFile); ok {
		if next, nerr := file.Next().MasterKey(ctx); nerr == nil && next.Fingerprint() == fingerprint {
			return next, nil
		}
	}
	if err != nil {
		return Secret{}, err
	}
	return Secret{}, fmt.Errorf("%w: the ring is wrapped by master key %s, this one is %s",
		ErrWrongMaster, fingerprint, key.Fingerprint())
}

// Promote replaces the master key by the next one. The old file is overwritten.
func (m *masterFile) Promote() error {
	if err := ringfile.Wipe(m.fs, m.path, true); err != nil {
		return err
	}
	if err := m.fs.Rename(m.Next().path, m.path); err != nil {
		return fmt.Errorf("put master key in place: %w", err)
	}
	if err := m.fs.SyncDir(filepath.Dir(m.path)); err != nil {
		return fmt.Errorf("sync %s: %w", filepath.Dir(m.path), err)
	}
	return nil
}

// Drop overwrites and removes the file.
func (m *masterFile) Drop() error { return ringfile.Wipe(m.fs, m.path, true) }

// MasterFile returns a Master with the key in a file of a file system; nil is
// that of the operating system. Create creates the file if it is missing, and
// RotateMaster can replace it.
func MasterFile(fsys vfs.FS, path string) Master { return newMasterFile(fsys, path) }

// MasterPassphrase returns a Master with the key in a file that is encrypted
// under a passphrase, as an age file for a scrypt recipient. Create creates the
// file if it is missing. RotateMaster replaces it by a new key; to change the
// passphrase, give it the same file with another one. Opening the file takes
// about a second, on purpose.
func MasterPassphrase(fsys vfs.FS, path, passphrase string) Master {
	return newMasterPassphrase(fsys, path, passphrase)
}
