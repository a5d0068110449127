package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/internal/vfs"
	"audittrail/keyring"
)

func (e *env) keysCmd() *cobra.Command {
	keys := &cobra.Command{
		Use:   "keys",
		Short: "Show, replace and back up the log's keys",
		Long: `Keys has the commands for the keyring: the key that signs checkpoints, the
master key that opens the keyring, and backups of the keyring.` + exits(ends0, ends1),
		GroupID: groupKeep,
	}
	keys.AddCommand(e.keysShowCmd(), e.rotateSignerCmd(), e.rotateMasterCmd(), e.backupCmd(), e.restoreCmd())
	return keys
}

func (e *env) keysShowCmd() *cobra.Command {
	var vkey bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the verifier keys of the log",
		Long: `Show prints the log's verifier key, with which anybody can check its checkpoints
and proofs, and the replaced keys with the tree sizes for which they count. None
of them is secret. Keep the first one outside this machine. With --vkey, only
the current key is printed; a file with this output can be given wherever a
verifier key is needed.` + exits(ends0, ends1),
		Example: "  audittrail keys show --vkey > log.vkey\n  audittrail verify --key log.vkey",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			return e.with(e.openToRead, func(log *audittrail.Log) error {
				if !vkey {
					return e.showKeys(log)
				}
				infos, err := log.Keys()
				if err != nil {
					return fmt.Errorf("keys show: %w", err)
				}
				_, err = fmt.Fprintln(e.stdout, infos[len(infos)-1].VKey)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&vkey, "vkey", false, "print only the current verifier key")
	return cmd
}

// A signerKey is one of the log's signers in JSON.
type signerKey struct {
	VKey    string    `json:"vkey"`
	Created time.Time `json:"created"`
	From    uint64    `json:"from"`
	Until   *uint64   `json:"until"`
	Note    string    `json:"note,omitempty"`
}

func (e *env) showKeys(log *audittrail.Log) error {
	infos, err := log.Keys()
	if err != nil {
		return fmt.Errorf("keys show: %w", err)
	}
	out := struct {
		Origin  string      `json:"origin"`
		VKey    string      `json:"vkey"`
		Signers []signerKey `json:"signers"`
	}{Origin: log.Origin()}
	var old sheetBuilder
	for i, s := range infos {
		out.Signers = append(out.Signers, signerKey{s.VKey, s.Created, s.From, s.Until, string(s.Note)})
		if i < len(infos)-1 && s.Until != nil {
			old.add("replaced key", fmt.Sprintf("%s\ncounts for checkpoints of %d to %d records", s.VKey, s.From, *s.Until))
		}
	}
	now := infos[len(infos)-1]
	out.VKey = now.VKey
	since := ""
	if now.From > 0 {
		since = fmt.Sprintf(", counts for checkpoints from %s on", display.Count(now.From, "record", "records"))
	}
	return e.sheet(out, append([]field{
		{"log", out.Origin}, {"verifier key", out.VKey}, {"made", display.Time(now.Created) + since},
	}, old.fields...))
}

func (e *env) rotateSignerCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate-signer",
		Short: "Replace the key that signs checkpoints",
		Long: `Rotate-signer creates a new key that signs checkpoints from now on, and destroys
the old key. A statement signed by both keys is recorded in the log and
published with the tree, so that verifiers that trust the old key can trust the
new one, and old checkpoints can still be verified. Later signatures by a copy
of the old key do not count.` + exits(ends0, ends1, ends2),
		Example: "  audittrail keys rotate-signer",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			return e.with(e.openToWrite, func(log *audittrail.Log) error {
				if err := log.RotateSigner(e.ctx); err != nil {
					return err
				}
				return e.receipt("and a new key signs", e.showKeys(log))
			})
		},
	}
	e.writerFlags(cmd)
	return cmd
}

func (e *env) rotateMasterCmd() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "rotate-master",
		Short: "Replace the master key",
		Long: `Rotate-master wraps the keyring under a new master key. Without --to, it creates
one and writes it to the file of the old one. The log gets a record of the
rotation, and does not change otherwise.

Earlier copies of the keyring can still be opened with the old master key.` + exits(ends0, ends1, ends2),
		Example: `  audittrail keys rotate-master
  audittrail keys rotate-master --to file:/mnt/safe/master.key`,
		Args: takes(),
		RunE: func(*cobra.Command, []string) error {
			var next keyring.Master
			if to != "" {
				var err error
				if next, err = e.masterFrom("--to", to); err != nil {
					return err
				}
			}
			return e.with(e.openToWrite, func(log *audittrail.Log) error {
				if err := log.RotateMaster(e.ctx, next); err != nil {
					return err
				}
				if to != "" {
					e.note("the keyring opens with the new master key alone: name it with --master or $AUDITTRAIL_MASTER from now on")
				}
				return e.receipt("and the master key is replaced", e.sheet(struct {
					Rotated bool `json:"rotated"`
				}{true}, []field{{"master key", "replaced"}}))
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "where the new master key is: file:PATH (created if missing), env:NAME, exec:COMMAND, passphrase:env:NAME or passphrase:file:PATH")
	e.writerFlags(cmd)
	return cmd
}

type backupOptions struct {
	out, recipient, identityOut, expires string
}

func (e *env) backupCmd() *cobra.Command {
	var o backupOptions
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Back up the keyring",
		Long: `Backup writes all keys to a file, encrypted (age-encryption.org) to a recipient:
an existing one, or a new one whose identity is written to --identity-out. With
both files, everything in the log can be read, including contents that are
erased later. So keep the two files apart from each other and from the log, and
no longer than needed: the backup expires, and the log records that it exists.

Do not include the keys in backups of the log itself.` + exits(ends0, ends1, ends2),
		Example: `  audittrail keys backup --out keys.age --recipient age1… --expires 30d
  audittrail keys backup --out a/keys.age --identity-out b/keys.identity`,
		Args: takes(),
		RunE: func(*cobra.Command, []string) error {
			if err := e.backup(o); err != nil {
				return fmt.Errorf("keys backup: %w", err)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "`file` of the backup")
	cmd.PreRunE = oneForm(&o.out, "age")
	f.StringVar(&o.recipient, "recipient", "", "age `recipient` who can read it")
	f.StringVar(&o.identityOut, "identity-out", "", "create a recipient, and write its identity to this `file`")
	f.StringVar(&o.expires, "expires", "30d", "how `long` it can be restored: 12h, 30d")
	e.writerFlags(cmd)
	return cmd
}

func (e *env) backup(o backupOptions) error {
	if o.out == "" || (o.recipient == "") == (o.identityOut == "") {
		return errors.New("give --out, and either --recipient or --identity-out")
	}
	life, err := lifeOf(o.expires)
	if err != nil {
		return err
	}
	var to age.Recipient
	if o.recipient != "" {
		all, err := age.ParseRecipients(strings.NewReader(o.recipient))
		if err != nil || len(all) != 1 {
			return fmt.Errorf("read --recipient: the value is not an age recipient (age1…)")
		}
		to = all[0]
	}
	return e.with(e.openToWrite, func(log *audittrail.Log) error {
		if o.identityOut != "" {
			identity, err := age.GenerateX25519Identity()
			if err != nil {
				return err
			}
			to = identity.Recipient()
			text := fmt.Sprintf("# public key: %s\n%s\n", to, identity)
			if err := writeSecret(o.identityOut, func(f *os.File) error { _, err := f.WriteString(text); return err }); err != nil {
				return err
			}
		}
		var info keyring.BackupInfo
		err := writeSecret(o.out, func(f *os.File) (err error) {
			info, err = log.BackupKeys(e.ctx, f, to, e.now().Add(life))
			return err
		})
		if err != nil {
			return err
		}
		made := struct {
			ID      string    `json:"id"`
			File    string    `json:"file"`
			Created time.Time `json:"created"`
			Expires time.Time `json:"expires"`
		}{info.ID.String(), o.out, info.Created, info.Expires}
		return e.receipt("and the backup is in "+o.out, e.sheet(made, []field{
			{"backup", made.ID}, {"file", made.File}, {"expires", display.Time(made.Expires)},
		}))
	})
}

// lifeOf parses a duration, which may be in days.
func lifeOf(s string) (time.Duration, error) {
	var life time.Duration
	var err error
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		const most = 36500 // a time.Duration overflows soon after that
		if n > most {
			n = most
		}
		life = time.Duration(n) * 24 * time.Hour
	} else {
		life, err = time.ParseDuration(s)
	}
	if err != nil || life <= 0 {
		return 0, fmt.Errorf("read --expires: invalid duration %q: use 12h or 30d", s)
	}
	return life, nil
}

// writeSecret writes a new file, durably, that only its owner can read. After an
// error there is no file.
func writeSecret(name string, write func(*os.File) error) error {
	file, err := createSecret(name)
	if err != nil {
		return err
	}
	return fillSecret(file, write)
}

// createSecret creates a file as writeSecret does, and leaves it empty.
func createSecret(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("write %s: the file exists already; name a new one", name)
	}
	if err != nil {
		return nil, notCreated(name, err)
	}
	return file, nil
}

// fillSecret writes a file that createSecret has created, durably, and closes
// it. After an error there is no file.
func fillSecret(file *os.File, write func(*os.File) error) error {
	name := file.Name()
	err := write(file)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = vfs.OS.SyncDir(filepath.Dir(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// A lateSecret is a file as writeSecret writes it, which is created when the first
// byte comes: a request that is refused leaves none.
type lateSecret struct {
	name string
	file *os.File
}

// Write writes to the file.
func (s *lateSecret) Write(p []byte) (int, error) {
	if s.file == nil {
		file, err := createSecret(s.name)
		if err != nil {
			return 0, err
		}
		s.file = file
	}
	return s.file.Write(p)
}

// end makes the file durable, or removes it if what was to write it failed.
func (s *lateSecret) end(err error) error {
	if s.file == nil {
		return err
	}
	return fillSecret(s.file, func(*os.File) error { return err })
}

func (e *env) restoreCmd() *cobra.Command {
	var from, identity string
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Restore the keyring from a backup",
		Long: `Restore restores the keyring from a backup into a folder without a keyring. It
creates a new master key in master.key, unless --master names one. Erasures
since the backup are carried out again when the log is next opened for writing.` + exits(ends0, ends1),
		Example: "  audittrail keys restore --from keys.age --identity keys.identity",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			if err := e.restore(from, identity); err != nil {
				return fmt.Errorf("keys restore: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "`file` of the backup")
	cmd.Flags().StringVar(&identity, "identity", "", "`file` of the age identity that can read it")
	return cmd
}

func (e *env) restore(from, identityFile string) error {
	if from == "" || identityFile == "" {
		return errors.New("give --from and --identity")
	}
	text, err := e.readInput(identityFile, maxSmallFile)
	if err != nil {
		return err
	}
	identities, err := age.ParseIdentities(strings.NewReader(string(text)))
	if err != nil || len(identities) != 1 {
		return fmt.Errorf("read %s: the file does not contain exactly one age identity", inputName(identityFile)) // its text is secret
	}
	o := keyring.Options{FS: vfs.Below(e.logDir(), e.keysDir()), Now: e.now}
	if spec := e.masterSpec(); spec != "" {
		if o.Master, err = e.masterFrom("--master", spec); err != nil {
			return err
		}
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // nothing was written
	if err := keyring.Restore(e.ctx, e.keysDir(), src, identities[0], o); err != nil {
		return err
	}
	e.noteMaster()
	return e.sheet(struct {
		Keys string `json:"keys"`
	}{e.keysDir()}, []field{{"keys", "restored in " + e.keysDir()}})
}
