package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

// An env is everything that a command knows of the process that runs it, so
// that tests can take the place of the process.
type env struct {
	ctx       context.Context // ends when the user interrupts
	args      []string        // without the program's name
	stdin     io.Reader
	stdout    io.Writer
	stderr    io.Writer
	getenv    func(string) string
	lookupEnv func(string) (string, bool) // nil: empty variables count as unset
	now       func() time.Time

	inTerminal  bool // stdin is one
	outTerminal bool // stdout is one
	errTerminal bool // stderr is one
	width       int  // columns of stdout; 0 if it is not a terminal
	height      int  // lines of stdout; 0 if it is not a terminal

	source record.Source // of the records that the command makes
	stays  bool          // the command keeps the log open for long
	skip   skipped       // altered records that were skipped
	left   leftOut       // records that the result lacks
	// recording are the logs that are open for what a command records in them.
	recording map[*audittrail.Log]bool

	flags
}

// flags are the values of the flags that all commands share.
type flags struct {
	dir         string
	keys        string
	output      string
	master      string
	noColor     bool
	acceptClock bool
	lockWait    time.Duration
}

// logDir is the folder of the log.
func (e *env) logDir() string {
	if e.dir != "" {
		return e.dir
	}
	if dir := e.getenv(dirVar); dir != "" {
		return dir
	}
	return "audit"
}

// keysDir is the folder of the keyring.
func (e *env) keysDir() string {
	if e.keys != "" {
		return e.keys
	}
	return filepath.Join(e.logDir(), "keys")
}

// The variables that name the folder of the log, and where its master key is.
const (
	dirVar    = "AUDITTRAIL_DIR"
	masterVar = "AUDITTRAIL_MASTER"
)

// vkeyVar names the variable with the verifier keys that are trusted, for a log
// that is read without its keyring.
const vkeyVar = "AUDITTRAIL_VKEY"

// masterSpec says where the master key comes from; empty is its file.
func (e *env) masterSpec() string {
	if e.master != "" {
		return e.master
	}
	return e.getenv(masterVar)
}

// masterFrom reads the SPEC of a master key, which a flag gave.
func (e *env) masterFrom(flag, spec string) (keyring.Master, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	if rest != "" {
		switch kind {
		case "file":
			return keyring.MasterFile(vfs.Named, rest), nil
		case "env":
			return keyring.MasterText(e.getenv(rest)), nil
		case "exec":
			return keyring.MasterCommand(strings.Fields(rest)), nil
		case "passphrase":
			return e.passphrase(flag, rest)
		}
	}
	// The value may be the key itself, by mistake: never print it.
	return nil, fmt.Errorf("read %s: invalid form: use file:PATH, env:NAME, exec:COMMAND, passphrase:env:NAME or passphrase:file:PATH; never write the key itself on the command line", flag)
}

// maxPassphrase bounds a file with a passphrase.
const maxPassphrase = 4096

// passphrase reads a passphrase, which opens master.age in the keyring's folder,
// from where spec says.
func (e *env) passphrase(flag, spec string) (keyring.Master, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	var text string
	switch {
	case kind == "env" && rest != "":
		text = e.getenv(rest)
	case kind == "file" && rest != "":
		b, err := vfs.ReadFile(vfs.Named, rest, maxPassphrase)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", flag, err)
		}
		text = strings.TrimRight(string(b), "\r\n")
	default:
		return nil, fmt.Errorf("read %s: invalid form: use passphrase:env:NAME or passphrase:file:PATH; never write the passphrase itself on the command line", flag)
	}
	if text == "" {
		return nil, fmt.Errorf("read %s: the passphrase is empty", flag)
	}
	return keyring.MasterPassphrase(vfs.Below(e.logDir(), e.keysDir()), filepath.Join(e.keysDir(), "master.age"), text), nil
}

func (e *env) logger() *slog.Logger { return slog.New(&diagnostics{w: e.stderr}) }

// options returns how to open the log that the flags and the environment name.
func (e *env) options() (audittrail.Options, error) {
	o := audittrail.Options{
		KeysDir:     e.keysDir(),
		AcceptClock: e.acceptClock,
		Logger:      e.logger(),
	}
	o.VKeys = strings.Fields(e.getenv(vkeyVar))
	spec := e.masterSpec()
	if spec == "" {
		return o, nil
	}
	var err error
	o.Master, err = e.masterFrom("--master", spec)
	return o, err
}

// writerOptions returns how to open a log for writing, which the configuration
// file affects.
func (e *env) writerOptions() (audittrail.Options, error) {
	o, err := e.options()
	if err != nil {
		return o, err
	}
	c, err := e.config()
	if err != nil {
		return o, err
	}
	o.SegmentBytes, o.Source = c.SegmentBytes, e.source
	o.LockWait, o.ShortLived = cmp.Or(e.lockWait, -1), !e.stays
	return o, nil
}

// openToRead opens the log for reading, concurrently with its writer.
func (e *env) openToRead() (*audittrail.Log, error) {
	o, err := e.options()
	if err != nil {
		return nil, err
	}
	o.ReadOnly = true
	return audittrail.Open(e.logDir(), o)
}

// openToWrite opens an existing log for writing.
func (e *env) openToWrite() (*audittrail.Log, error) {
	o, err := e.writerOptions()
	if err != nil {
		return nil, err
	}
	return e.toRecord(e.governed(audittrail.Open(e.logDir(), o)))
}

// toRecord notes that a log was opened to record something: see with.
func (e *env) toRecord(log *audittrail.Log, err error) (*audittrail.Log, error) {
	if err == nil {
		if e.recording == nil {
			e.recording = make(map[*audittrail.Log]bool)
		}
		e.recording[log] = true
	}
	return log, err
}

// create creates a log.
func (e *env) create(origin string) (*audittrail.Log, error) {
	o, err := e.writerOptions()
	if err != nil {
		return nil, err
	}
	o.Create, o.Origin = true, origin
	return e.toRecord(audittrail.Open(e.logDir(), o))
}

// absent reports whether an error says that there is no log, or only one whose
// creation was interrupted. create checks whether records have lost their
// keyring.
func absent(err error) bool {
	return errors.Is(err, audittrail.ErrNoLog) || errors.Is(err, keyring.ErrNoKeyring)
}

// openOrCreate opens the log for writing, or creates one if there is none, and
// prints that.
func (e *env) openOrCreate() (*audittrail.Log, error) {
	log, err := e.openToWrite()
	if !absent(err) {
		return log, err
	}
	if log, err = e.create(""); err != nil {
		return nil, err
	}
	e.note("created the log %s in %s, with its keyring in %s", log.Origin(), e.logDir(), e.keysDir())
	e.noteMaster()
	return log, nil
}

// noteMaster prints where to move the master key of a new log.
func (e *env) noteMaster() {
	if e.masterSpec() == "" {
		e.note("the master key %s decrypts everything in the log: move it to another disk, and name it with --master file:PATH",
			filepath.Join(e.keysDir(), "master.key"))
	}
}

// with opens a log, calls use with it, and closes it. If use has recorded
// something, a failure to close is only a warning.
func (e *env) with(open func() (*audittrail.Log, error), use func(*audittrail.Log) error) error {
	log, err := open()
	if err != nil {
		return err
	}
	err = use(log)
	if berr := e.noteBeyond(log); berr != nil && err == nil {
		err = berr
	}
	result := (*exitError)(nil)
	if e.recording[log] && (err == nil || errors.As(err, &result)) {
		e.closeRecorded(log)
		return err
	}
	return errors.Join(err, e.close(log))
}

// noteBeyond prints how many records of the log are in no result, and why.
func (e *env) noteBeyond(log *audittrail.Log) error {
	b, err := log.Beyond(e.ctx)
	if err != nil {
		return e.ctx.Err() // the command has reported the error, or did not need to read
	}
	if b.Records > 0 {
		e.note("%s beyond the newest checkpoint %s unauthenticated and %s left out; about the first, record %d: %s; read again after the next checkpoint, or with the keyring, and see 'audittrail verify'",
			display.Count(b.Records, "record", "records"), display.OneOrMany(b.Records, "is", "are"), display.OneOrMany(b.Records, "is", "are"), b.Size, b.Detail)
	}
	if b.Unchecked != "" && b.Size > 0 {
		hint := ""
		if _, err := log.Keys(); errors.Is(err, audittrail.ErrNoKeys) && e.getenv(vkeyVar) == "" {
			hint = "; name the keyring's folder with --keys and its master key with --master, or the log's verifier key in $" + vkeyVar
		}
		e.note("the signature of the checkpoint was not checked, or the checkpoint does not count: %s%s", b.Unchecked, hint)
	}
	for _, r := range b.Missing {
		e.note("records %d to %d are missing, and no record that counts says that they were archived or dropped; see 'audittrail verify'", r[0], r[1]-1)
	}
	if b.Behind > 0 {
		e.note("the end of the log is missing: %s signed, and the log has only %s; see 'audittrail verify'", display.Count(b.Signed, "record was", "records were"), display.Number(b.Signed-b.Behind))
	}
	return nil
}

// note prints a message on standard error.
func (e *env) note(format string, args ...any) {
	// If stderr is closed, there is no other place for the message.
	_, _ = io.WriteString(e.stderr, "audittrail: "+display.OneLine(fmt.Sprintf(format, args...))+"\n")
}

// diagnostics print the log messages of the library.
type diagnostics struct {
	w     io.Writer
	attrs []slog.Attr
}

// Enabled leaves out debug messages.
func (d *diagnostics) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

// Handle prints one message.
func (d *diagnostics) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "audittrail: %s: %s", strings.ToLower(r.Level.String()), r.Message)
	sep := " ("
	add := func(a slog.Attr) bool {
		fmt.Fprintf(&b, "%s%s: %v", sep, a.Key, a.Value)
		sep = ", "
		return true
	}
	for _, a := range d.attrs {
		add(a)
	}
	r.Attrs(add)
	if sep != " (" {
		b.WriteByte(')')
	}
	_, err := io.WriteString(d.w, display.OneLine(b.String())+"\n")
	return err
}

// WithAttrs returns diagnostics that print these attributes as well.
func (d *diagnostics) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &diagnostics{w: d.w, attrs: append(d.attrs[:len(d.attrs):len(d.attrs)], attrs...)}
}

// WithGroup returns the same diagnostics: they have no groups.
func (d *diagnostics) WithGroup(string) slog.Handler { return d }
