package keyring

import (
	"io"

	"audittrail/internal/vfs"
	"audittrail/keyring/internal/master"
)

// A Secret is a master key. It hides itself from whatever prints it.
type Secret = master.Secret

// A Master yields the key that wraps a ring. A key management service is one
// method away.
type Master = master.Master

// A MasterFunc is a function as a Master.
type MasterFunc = master.Func

// NewMaster makes a master key of 32 random bytes.
func NewMaster(random io.Reader) (Secret, error) { return master.New(random) }

// FormatMaster returns the text form of a master key, one line:
//
//	audittrail-master/v1 <base64 of the key> <its fingerprint>
//
// Unlike everything else that can be asked of a Secret, it holds the key.
func FormatMaster(s Secret) []byte { return master.Format(s) }

// ParseMaster reads what FormatMaster returns, and nothing else.
func ParseMaster(text []byte) (Secret, error) { return master.Parse(text) }

// MasterText yields the key of a text, such as an environment variable's. The
// line end may be missing. An empty text is ErrNoMaster.
func MasterText(text string) Master { return master.Text(text) }

// MasterFile yields the key of a file in a file system; nil is the system's
// own. Create makes the file if there is none, and RotateMaster can replace it.
func MasterFile(fsys vfs.FS, path string) Master { return master.NewFile(fsys, path) }

// MasterPassphrase yields the key in a file that is sealed under a passphrase, as
// an age file for a scrypt recipient. Create makes the file if there is none.
// RotateMaster makes a new key in its place, also under another passphrase: to
// that end it is given the same file with that one. Opening it takes about a
// second, on purpose.
func MasterPassphrase(fsys vfs.FS, path, passphrase string) Master {
	return master.NewPassphrase(fsys, path, passphrase)
}

// MasterCommand yields the key that a command prints, in the form of the file.
// The command is run without a shell, for at most 30 seconds.
func MasterCommand(argv []string) Master { return master.Command(argv) }
