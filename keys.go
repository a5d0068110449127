package audittrail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"filippo.io/age"

	"audittrail/event"
	"audittrail/internal/tree"
	"audittrail/keyring"
	"audittrail/record"
	"audittrail/tlog"
)

// Keys returns the keys that sign or have signed this log's checkpoints, the
// present one last.
func (l *Log) Keys() ([]keyring.SignerInfo, error) {
	if l.ring == nil {
		return nil, ErrNoKeys
	}
	return l.ring.Signers(), nil
}

// Rotations returns the signed notes by which one signer's key handed over to
// the next, oldest first. Both keys sign each note, so that a verifier that
// trusts the first key can follow the notes to the present one: see
// tlog.ResolveSigner.
func (l *Log) Rotations() ([][]byte, error) { return l.tree.Signers() }

// RotateSigner replaces the key that signs checkpoints. A note in which both
// keys sign the change is recorded in the log and published in the tree's
// folder; the old private key is destroyed. Checkpoints of the old key count up
// to the size that the note names, and no further.
func (l *Log) RotateSigner(ctx context.Context) error {
	if err := l.writable(); err != nil {
		return fmt.Errorf("rotate signer: %w", err)
	}
	l.keysMu.Lock()
	defer l.keysMu.Unlock()
	// Run by the signer, so that the old key signs nothing beyond the size at
	// which its period ends.
	err := l.signer.run(ctx, func(c *signer) error { return c.rotate(l.publishRotation) })
	if err != nil {
		return fmt.Errorf("rotate signer: %w", err)
	}
	return nil
}

// publishRotation records a rotation in the log, and then publishes its note in
// the tree's folder.
func (l *Log) publishRotation(note []byte) error {
	if err := l.recordRotation(note); err != nil {
		return err
	}
	return l.tree.AppendSigner(note)
}

func (l *Log) recordRotation(note []byte) error {
	text, err := json.Marshal(string(note))
	if err == nil {
		_, err = l.commitOwn(event.SignerRotated, map[string]json.RawMessage{"note": text})
	}
	return err
}

// publishSigners publishes the rotations that a crash left unpublished, and
// restores the file of rotation notes, which is derived, if it is missing or
// damaged. If the keyring is an older copy, notes in the file that it does not
// know stay.
func (l *Log) publishSigners(ctx context.Context) error {
	published, err := l.tree.Signers()
	if errors.Is(err, tree.ErrMalformed) {
		l.opts.Logger.Warn("the notes by which signers replaced signers are damaged, and are made again", "damage", err)
	} else if err != nil {
		return fmt.Errorf("open log: publish signer rotation: %w", err)
	}
	var notes [][]byte
	differs, wrong := false, false
	if n := len(l.ring.Signers()) - 1; len(published) > n {
		// The keyring may be older than the log. Notes that its signers did not
		// sign are ignored.
		if _, rerr := tlog.ResolveSigner(l.ring.Signers()[0].VKey, published); rerr != nil {
			published, differs, wrong = published[:n], true, true
		}
	}
	for i, s := range l.ring.Signers()[1:] {
		notes = append(notes, s.Note)
		if i < len(published) && bytes.Equal(published[i], s.Note) {
			continue
		}
		differs, wrong = true, wrong || i < len(published)
		recorded, err := l.rotationRecorded(ctx, s.Note)
		if err == nil && !recorded {
			err = l.recordRotation(s.Note)
		}
		if err != nil {
			return fmt.Errorf("open log: publish signer rotation: %w", err)
		}
	}
	if !differs {
		return nil
	}
	notes = append(notes, published[min(len(notes), len(published)):]...)
	if wrong {
		l.opts.Logger.Warn("the notes by which signers replaced signers are not those of the keyring, and are made again")
	}
	if err := l.tree.SetSigners(notes); err != nil {
		return fmt.Errorf("open log: publish signer rotation: %w", err)
	}
	return nil
}

func (l *Log) rotationRecorded(ctx context.Context, note []byte) (bool, error) {
	for r, err := range l.GovernanceRecords(ctx, 0, event.SignerRotated) {
		if err != nil {
			return false, err
		}
		var text string
		if json.Unmarshal(r.Event.Metadata["note"], &text) == nil && text == string(note) {
			return true, nil
		}
	}
	return false, nil
}

// RotateMaster wraps the keyring under another master key. The only change to
// the log is the record that says so.
func (l *Log) RotateMaster(ctx context.Context, master keyring.Master) error {
	if err := l.writable(); err != nil {
		return fmt.Errorf("rotate master key: %w", err)
	}
	l.keysMu.Lock()
	defer l.keysMu.Unlock()
	if err := l.ring.RotateMaster(ctx, master); err != nil {
		return fmt.Errorf("rotate master key: %w", err)
	}
	_, err := l.commitOwn(event.MasterRotated, nil)
	return err
}

// BackupKeys writes a copy of the keyring that only the recipient can read, and
// that is listed in Backups until it expires. Everything that the keyring
// decrypts can be decrypted with the copy, including records that are erased
// later: keep it apart from the log, and no longer than needed.
//
// The backup is recorded before its first byte is written, so that a backup
// that was interrupted, and may still be whole, is known all the same.
func (l *Log) BackupKeys(ctx context.Context, w io.Writer, to age.Recipient, expires time.Time) (keyring.BackupInfo, error) {
	if err := l.writable(); err != nil {
		return keyring.BackupInfo{}, fmt.Errorf("back up keyring: %w", err)
	}
	l.keysMu.Lock()
	defer l.keysMu.Unlock()
	info, err := l.ring.BackupAfter(func(info keyring.BackupInfo) error {
		b, err := json.Marshal(info)
		if err == nil {
			_, err = l.commitOwn(event.KeysBackedUp, map[string]json.RawMessage{"backup": b})
		}
		return err
	}, w, to, expires)
	if err != nil {
		return info, fmt.Errorf("back up keyring: %w", err)
	}
	return info, nil
}

// backupOf reads a keys_backed_up record.
func backupOf(r *record.Record) (keyring.BackupInfo, error) {
	var text struct {
		ID               string
		Created, Expires time.Time
	}
	if err := json.Unmarshal(r.Event.Metadata["backup"], &text); err != nil {
		return keyring.BackupInfo{}, err
	}
	id, err := record.ParseID(text.ID)
	return keyring.BackupInfo{ID: id, Created: text.Created, Expires: text.Expires}, err
}

// commitOwn records an action of the log itself.
func (l *Log) commitOwn(t event.Type, metadata map[string]json.RawMessage) (Receipt, error) {
	return l.sequence.commitOwn(event.Event{Type: t, Time: l.opts.now(), Metadata: metadata})
}

// Backups returns the backups of the keyring that have not expired, oldest
// first: records that were erased after a backup was made can be decrypted with
// it. It lists the backups that the keyring knows and those that the log has
// recorded, since a restored keyring does not know the backups that were made
// after its own.
func (l *Log) Backups(ctx context.Context) ([]keyring.BackupInfo, error) {
	all, err := l.backups(ctx)
	if err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	return all, nil
}

func (l *Log) backups(ctx context.Context) ([]keyring.BackupInfo, error) {
	if l.ring == nil {
		return nil, ErrNoKeys
	}
	all := l.ring.Backups()
	known := map[record.ID]bool{}
	for _, b := range all {
		known[b.ID] = true
	}
	now := l.opts.now()
	for r, err := range l.GovernanceRecords(ctx, 0, event.KeysBackedUp) {
		if err != nil {
			return nil, err
		}
		b, err := backupOf(r)
		if err != nil {
			return nil, fmt.Errorf("record %d does not say which backup was made: run verify", r.Seq)
		}
		if !known[b.ID] && now.Before(b.Expires) {
			known[b.ID] = true
			all = append(all, b)
		}
	}
	slices.SortStableFunc(all, func(a, b keyring.BackupInfo) int { return a.Created.Compare(b.Created) })
	return all, nil
}
