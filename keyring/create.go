package keyring

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"audittrail/internal/vfs"
	"audittrail/keyring/internal/ringfile"
)

// Create creates a keyring in a folder, which it creates if it is missing, for
// the log named origin; an empty origin is replaced by a random one. If the
// master key is that of a file which does not exist, the file is created too.
func Create(ctx context.Context, dir, origin string, o Options) (*Ring, error) {
	if origin == "" {
		o.fill(dir)
		var id [8]byte
		if _, err := io.ReadFull(o.Rand, id[:]); err != nil {
			return nil, fmt.Errorf("create keyring: %w", err)
		}
		origin = "audittrail/" + hex.EncodeToString(id[:])
	}
	r, err := create(ctx, dir, o, func(r *Ring) (*ringfile.Base, signed, error) {
		b, err := r.first(origin)
		return b, signed{}, err
	})
	if err != nil {
		return nil, fmt.Errorf("create keyring in %s: %w", dir, err)
	}
	return r, nil
}

// create creates the files of a keyring from the base and the signed state that
// begin returns. The ring is written last: until then, there is no keyring.
func create(ctx context.Context, dir string, o Options, begin func(*Ring) (*ringfile.Base, signed, error)) (*Ring, error) {
	if o.ReadOnly {
		return nil, ErrReadOnly
	}
	r := newRing(dir, o)
	if err := makeDir(r.o.FS, dir); err != nil {
		return nil, err
	}
	if err := r.takeLock(); err != nil {
		return nil, err
	}
	err := r.begin(ctx, begin)
	if err != nil {
		return nil, errors.Join(err, r.lock.Close())
	}
	return r, nil
}

func (r *Ring) begin(ctx context.Context, begin func(*Ring) (*ringfile.Base, signed, error)) error {
	if _, err := r.newest(); !errors.Is(err, ErrNoKeyring) {
		if err == nil {
			err = ErrExists
		}
		return err
	}
	b, sig, err := begin(r)
	if err != nil {
		return err
	}
	master, err := masterOrNew(ctx, r.o.Master, r.o.Rand)
	if err != nil {
		return err
	}
	b.Master = master
	name, err := r.writeBase(b)
	if err != nil {
		return err
	}
	if err := vfs.WriteFile(r.o.FS, r.path(signedName), sig.encode(ringfile.NewHasher(b.Meta.Secret)), filePerm); err != nil {
		return err
	}
	if err := r.o.FS.Rename(name+tmpSuffix, name); err != nil {
		return fmt.Errorf("put ring in place: %w", err)
	}
	return r.open(ctx) // also makes the names durable, as after a crash
}

// masterOrNew returns the master key, and creates its file if that is missing.
func masterOrNew(ctx context.Context, m Master, random io.Reader) (Secret, error) {
	key, err := m.MasterKey(ctx)
	file, ok := m.(*masterFile)
	if !ok || !errors.Is(err, ErrNoMaster) {
		return key, err
	}
	if key, err = NewMaster(random); err != nil {
		return Secret{}, err
	}
	if err := file.Write(key); err != nil {
		return Secret{}, fmt.Errorf("write master key: %w", err)
	}
	return key, nil
}

// first returns the base of a new ring.
func (r *Ring) first(origin string) (*ringfile.Base, error) {
	if err := ringfile.CheckOrigin(origin); err != nil {
		return nil, err
	}
	system := ringfile.Entry{Kind: ringfile.SubjectLive}
	secret := make([]byte, len(ringfile.Key{}))
	for _, b := range [][]byte{system.Subject[:], system.Key[:], secret} {
		if _, err := io.ReadFull(r.o.Rand, b); err != nil {
			return nil, fmt.Errorf("make keys: %w", err)
		}
	}
	k, err := r.makeSigner(origin)
	if err != nil {
		return nil, err
	}
	m := &ringfile.Meta{
		Created: r.now(), System: ringfile.HexSubject(system.Subject), Secret: secret,
		Signers: []ringfile.Signer{k.entry(0, nil)}, Backups: []ringfile.Backup{},
	}
	st := ringfile.New(origin, m)
	if err := st.Note(&system); err != nil {
		return nil, err
	}
	return &ringfile.Base{Generation: 1, Origin: origin, Pages: st.Pages, Meta: m}, nil
}

// writeBase writes a generation under a temporary name, encrypted under a new
// wrapping key, and returns its final name.
func (r *Ring) writeBase(b *ringfile.Base) (string, error) {
	if _, err := io.ReadFull(r.o.Rand, b.Wrapping[:]); err != nil {
		return "", fmt.Errorf("make wrapping key: %w", err)
	}
	name := r.ringName(b.Generation)
	err := b.Write(r.o.FS, name+tmpSuffix)
	clear(b.Wrapping[:])
	clear(b.Master[:])
	return name, err
}

// makeDir creates a folder and makes its name durable, and the names of the
// folders above it. Existing folders may have been created just before, by a
// process that was killed, so they are synced as well; but errors are ignored
// above the folder's own name, since most are older, and this process may not
// be allowed to open them.
func makeDir(fsys vfs.FS, dir string) error {
	old := filepath.Clean(dir)
	for {
		if _, err := fsys.Stat(old); err == nil || filepath.Dir(old) == old {
			break
		}
		old = filepath.Dir(old)
	}
	if err := fsys.MkdirAll(dir, dirPerm); err != nil {
		return fmt.Errorf("create keyring folder: %w", err)
	}
	must := true
	for d := filepath.Clean(dir); filepath.Dir(d) != d; d = filepath.Dir(d) {
		err := fsys.SyncDir(filepath.Dir(d))
		if err != nil && must {
			return fmt.Errorf("sync %s: %w", filepath.Dir(d), err)
		}
		if err != nil {
			return nil
		}
		must = must && d != old && filepath.Dir(d) != old
	}
	return nil
}
