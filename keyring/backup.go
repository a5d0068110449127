package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"filippo.io/age"

	"audittrail/keyring/internal/ringfile"
	"audittrail/record"
)

// A BackupInfo describes a backup of the keys outside the keyring. As long as
// it can be restored, it may contain keys that were destroyed here since.
type BackupInfo struct {
	ID      record.ID
	Created time.Time
	Expires time.Time
}

// Backups returns the backups that have not expired yet. A restored keyring
// does not list backups that were made after the one that it was restored from.
func (r *Ring) Backups() []BackupInfo {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var infos []BackupInfo
	if r.st == nil {
		return nil
	}
	for _, b := range r.st.Meta().Backups {
		if id, err := record.ParseID(b.ID); err == nil && r.o.Now().Before(b.Expires) {
			infos = append(infos, BackupInfo{ID: id, Created: b.Created, Expires: b.Expires})
		}
	}
	return infos
}

// Backup writes all keys to w, encrypted to the recipient
// (age-encryption.org/v1). The keyring lists the backup until it expires, even
// if writing fails, since part of it may exist.
//
// Restore refuses an expired backup. That is a rule and not cryptography: a
// holder of the recipient's identity can read the backup until it or the
// identity is destroyed.
func (r *Ring) Backup(w io.Writer, recipient age.Recipient, expires time.Time) (BackupInfo, error) {
	return r.BackupAfter(func(BackupInfo) error { return nil }, w, recipient, expires)
}

// BackupAfter is Backup for a caller that also records the backup elsewhere: it
// calls note first, and writes nothing to w if that fails.
func (r *Ring) BackupAfter(note func(BackupInfo) error, w io.Writer, recipient age.Recipient, expires time.Time) (BackupInfo, error) {
	info, snap, head, err := r.beginBackup(expires)
	if err == nil {
		if err = note(info); err == nil {
			err = backup(w, recipient, snap, head)
		}
		if cerr := snap.Close(); err == nil {
			err = cerr
		}
		if errors.Is(err, ErrDamaged) && r.Generation() != head.Generation {
			err = errors.New("keys were destroyed while the backup was written: begin again")
		}
	}
	if err != nil {
		return info, fmt.Errorf("back up keyring: %w", err)
	}
	return info, nil
}

// beginBackup records the backup in the ring, and returns a snapshot of the
// ring with its own file handle, so that no lock is held while w is written to.
// A destruction meanwhile wipes that file, and the backup fails.
func (r *Ring) beginBackup(expires time.Time) (BackupInfo, *ringfile.File, *ringfile.BackupHead, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.flush(); err != nil {
		return BackupInfo{}, nil, nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if !expires.After(now) {
		return BackupInfo{}, nil, nil, errors.New("the expiry is in the past")
	}
	var random [16]byte
	if _, err := io.ReadFull(r.o.Rand, random[:]); err != nil {
		return BackupInfo{}, nil, nil, fmt.Errorf("make id: %w", err)
	}
	info := BackupInfo{ID: record.NewID(now.UnixMilli(), random), Created: now, Expires: expires.UTC().Round(0)}
	m := r.st.Meta().Clone()
	m.Backups = slices.DeleteFunc(m.Backups, func(b ringfile.Backup) bool { return !now.Before(b.Expires) })
	m.Backups = append(m.Backups, ringfile.Backup{ID: info.ID.String(), Created: info.Created, Expires: info.Expires})
	if err := r.settle(r.st.WriteMeta(m)); err != nil {
		return BackupInfo{}, nil, nil, err
	}
	file, err := r.o.FS.Open(r.st.Name())
	if err != nil {
		return info, nil, nil, fmt.Errorf("open ring: %w", err)
	}
	return info, r.st.Snapshot(file), &ringfile.BackupHead{
		ID: info.ID.String(), Created: info.Created, Expires: info.Expires, Origin: r.origin,
		Generation: r.st.Generation(), Size: r.signed.size, Root: r.signed.root,
	}, nil
}

func backup(w io.Writer, recipient age.Recipient, snap *ringfile.File, head *ringfile.BackupHead) error {
	enc, err := age.Encrypt(w, recipient)
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	if err := snap.WriteBackup(enc, head); err != nil {
		return err
	}
	if err := enc.Close(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// Restore creates a keyring from a backup in a folder that has none, under the
// master key of the options. Keys that were destroyed since the backup are
// restored too, until the log's destructions are applied again, from
// LastDestruction on.
func Restore(ctx context.Context, dir string, src io.Reader, identity age.Identity, o Options) error {
	r, err := create(ctx, dir, o, func(r *Ring) (*ringfile.Base, signed, error) {
		plain, err := age.Decrypt(src, identity)
		if err != nil {
			return nil, signed{}, fmt.Errorf("decrypt: %w", err)
		}
		head, b, err := ringfile.ReadBackup(plain)
		if err != nil {
			return nil, signed{}, err
		}
		if !r.o.Now().Before(head.Expires) {
			return nil, signed{}, fmt.Errorf("%w on %s", ErrBackupExpired, head.Expires.Format(time.DateOnly))
		}
		return b, signed{size: head.Size, root: head.Root}, nil
	})
	if err == nil {
		err = r.Close()
	}
	if err != nil {
		return fmt.Errorf("restore keyring to %s: %w", dir, err)
	}
	return nil
}
