package keyring

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"audittrail/internal/vfs"
	"audittrail/keyring/internal/ringfile"
	"audittrail/record"
)

const (
	ringPrefix = "ring-"
	tornPrefix = "torn-"
	tmpSuffix  = ".tmp"
	signedName = "signed"
	masterName = "master.key"
	lockName   = "LOCK"
	filePerm   = 0o600
	dirPerm    = 0o700

	// maxChases bounds how often a reader starts over because the writer
	// replaced the ring meanwhile.
	maxChases = 100
)

// Options set how a ring is opened. The zero value opens it for writing, in the
// operating system's file system, with the master key in the keyring's folder.
type Options struct {
	FS     vfs.FS           // nil: the operating system's, vfs.Below the folder
	Master Master           // nil: the file master.key in the keyring's folder
	Rand   io.Reader        // of new keys; nil: crypto/rand
	Now    func() time.Time // nil: time.Now

	// ReadOnly opens the ring without a lock and without writing anything,
	// while another process may write.
	ReadOnly bool

	// ResetSigned accepts a missing or damaged signed state as that of an empty
	// log. It gives up the protection against a rollback of both log and
	// keyring to an earlier state.
	ResetSigned bool
}

func (o *Options) fill(dir string) {
	if o.FS == nil {
		o.FS = vfs.Below(dir)
	}
	if o.Master == nil {
		o.Master = MasterFile(o.FS, filepath.Join(dir, masterName))
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	} else if _, ok := o.Rand.(*lockedReader); !ok {
		o.Rand = &lockedReader{r: o.Rand}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// A lockedReader lets many goroutines read from one source, each a whole buffer
// at a time.
type lockedReader struct {
	mu sync.Mutex // held while reading
	r  io.Reader
}

func (l *lockedReader) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return io.ReadFull(l.r, p)
}

// A Ring is an open keyring. Any number of goroutines may use it.
type Ring struct {
	dir    string
	o      Options
	lock   vfs.Lock // nil if read-only
	origin string
	system record.Subject
	hash   *ringfile.Hasher

	sealing *cache[sealKey, sealed]
	opening *cache[openKey, record.PRK]

	// unflushed counts the keys that are not durable yet. It is raised while
	// mu is held, and lowered after the sync.
	unflushed atomic.Int64

	writing sync.Mutex // held while the ring's files change; taken before mu
	signing sync.Mutex // held while the signed state changes; taken before mu

	mu         sync.RWMutex // guards the fields below
	st         *ringfile.File
	master     Secret
	pending    []ringfile.Entry // entries that are not in the journal yet
	signed     signed
	signedHere bool  // signed was written by this process, and is durable
	unswept    bool  // files of earlier generations may remain
	compact    int   // entries of the journal at which it is merged into the base
	failed     error // why nothing more is written
}

// Format prints the log's name instead of the ring, which contains keys.
func (r *Ring) Format(s fmt.State, _ rune) { _, _ = fmt.Fprintf(s, "keyring %s", r.origin) }

// LogValue returns the log's name instead of the ring.
func (r *Ring) LogValue() slog.Value { return slog.StringValue("keyring " + r.origin) }

// MarshalJSON redacts the ring.
func (r *Ring) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

func newRing(dir string, o Options) *Ring {
	o.fill(dir)
	return &Ring{
		dir: dir, o: o,
		sealing: newCache[sealKey, sealed](sealKey.shard),
		opening: newCache[openKey, record.PRK](openKey.shard),
	}
}

// Open opens the keyring in a folder.
func Open(ctx context.Context, dir string, o Options) (*Ring, error) {
	r := newRing(dir, o)
	if !o.ReadOnly {
		// Checked first, so that no lock file is created where there is no
		// keyring.
		if _, err := r.newest(); err != nil {
			return nil, fmt.Errorf("open keyring in %s: %w", dir, err)
		}
		if err := r.takeLock(); err != nil {
			return nil, fmt.Errorf("open keyring in %s: %w", dir, err)
		}
	}
	if err := r.open(ctx); err != nil {
		if r.lock != nil {
			err = errors.Join(err, r.lock.Close())
		}
		return nil, fmt.Errorf("open keyring in %s: %w", dir, err)
	}
	return r, nil
}

func (r *Ring) takeLock() (err error) {
	r.lock, err = r.o.FS.Lock(r.path(lockName), "pid "+strconv.Itoa(os.Getpid()))
	if err == nil {
		r.o.FS = vfs.Guard(r.o.FS, r.lock)
		r.o.Master = r.guarded(r.o.Master)
	}
	return err
}

// guarded returns a master key whose file, if it has one, is guarded by the
// same locks as the ring's files.
func (r *Ring) guarded(m Master) Master {
	if file, ok := m.(*masterFile); ok {
		return file.GuardedAs(r.o.FS)
	}
	return m
}

// Guard returns a file system for writing the data that the keys encrypt: it
// refuses every change once the keyring's lock was removed or its folder
// exchanged, since the keys would then be elsewhere. A ring that is open for
// reading has no lock, and returns fsys.
func (r *Ring) Guard(fsys vfs.FS) vfs.FS {
	if r.lock == nil {
		return fsys
	}
	return vfs.Guard(fsys, r.lock)
}

func (r *Ring) open(ctx context.Context) error {
	st, sig, err := r.load(ctx)
	if err != nil {
		return err
	}
	r.st, r.signed = st, sig
	r.origin, r.system, r.hash = st.Origin(), record.Subject(st.Meta().System), st.Hash()
	r.setCompact()
	if r.o.ReadOnly {
		return nil
	}
	if err := r.repair(); err != nil {
		return errors.Join(err, r.st.Close()) // refresh may have replaced r.st
	}
	return nil
}

// load reads the newest generation. A reader may find that it was replaced
// meanwhile, and then begins again with the next one.
func (r *Ring) load(ctx context.Context) (*ringfile.File, signed, error) {
	var last uint64
	for range maxChases {
		generation, err := r.newest()
		if err != nil {
			return nil, signed{}, err
		}
		st, sig, err := r.loadGeneration(ctx, generation)
		if err == nil {
			return st, sig, nil
		}
		newer, nerr := r.newest()
		if !r.o.ReadOnly || nerr != nil || newer == generation && last == generation {
			return nil, signed{}, err
		}
		last = generation
	}
	return nil, signed{}, errors.New("the ring was replaced too often while it was read: try again")
}

// loadGeneration reads one generation and the signed state, which is read
// first: it must not be newer than the ring.
func (r *Ring) loadGeneration(ctx context.Context, generation uint64) (*ringfile.File, signed, error) {
	text, err := r.readSigned()
	if err != nil {
		return nil, signed{}, err
	}
	name := r.ringName(generation)
	var file vfs.File
	if r.o.ReadOnly {
		file, err = r.o.FS.Open(name)
	} else {
		file, err = r.o.FS.OpenFile(name, os.O_RDWR, 0)
	}
	if err != nil {
		return nil, signed{}, fmt.Errorf("open ring: %w", err)
	}
	st, err := r.loadFile(ctx, file, generation)
	if err != nil {
		return nil, signed{}, errors.Join(err, file.Close())
	}
	sig, err := r.checkSigned(text, st)
	if err == nil {
		_, err = st.Torn()
	}
	if err != nil {
		return nil, signed{}, errors.Join(err, st.Close())
	}
	return st, sig, nil
}

func (r *Ring) loadFile(ctx context.Context, file vfs.File, generation uint64) (*ringfile.File, error) {
	return ringfile.Load(file, r.ringName(generation), generation, func(fingerprint string) (*ringfile.Key, error) {
		// The master key is fetched again only if the fingerprint differs.
		if r.master.Fingerprint() != fingerprint {
			key, err := masterFor(ctx, r.o.Master, fingerprint)
			if err != nil {
				return nil, err
			}
			r.master = key
		}
		return (*ringfile.Key)(&r.master), nil
	})
}

func (r *Ring) path(name string) string { return filepath.Join(r.dir, name) }

func (r *Ring) ringName(generation uint64) string {
	return r.path(fmt.Sprintf("%s%016x", ringPrefix, generation))
}

// generationOf returns the generation in the name of a file.
func generationOf(name, prefix string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	return n, err == nil && digits == fmt.Sprintf("%016x", n)
}

// newest returns the newest generation in the folder.
func (r *Ring) newest() (uint64, error) {
	names, err := r.o.FS.ReadDir(r.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("list keyring: %w", err)
	}
	var newest uint64
	for _, name := range names {
		if n, ok := generationOf(name, ringPrefix); ok {
			newest = max(newest, n)
		}
	}
	if newest == 0 {
		return 0, ErrNoKeyring
	}
	return newest, nil
}

// Origin returns the name of the log that the keys are for.
func (r *Ring) Origin() string { return r.origin }

// System returns the subject of records that are about no person.
func (r *Ring) System() record.Subject { return r.system }

// Generation returns a number that grows whenever the ring is rewritten, as by
// every destruction.
func (r *Ring) Generation() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.st == nil {
		return 0
	}
	return r.st.Generation()
}

// Count returns how many data subjects and classes have a key.
func (r *Ring) Count() (subjects, classes int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.st == nil {
		return 0, 0
	}
	subjects, classes = r.st.Live()
	return subjects - 1, classes // without the system
}

// Close closes the keyring. Keys that were not flushed are lost.
func (r *Ring) Close() error {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.signing.Lock()
	defer r.signing.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.st == nil {
		return nil
	}
	err := r.tidy()
	for i := range r.pending {
		r.pending[i] = ringfile.Entry{}
	}
	r.sealing.empty()
	r.opening.empty()
	clear(r.master[:])
	err = errors.Join(err, r.st.Close())
	r.st, r.pending = nil, nil
	if r.lock != nil {
		err = errors.Join(err, r.lock.Close())
	}
	return err
}
