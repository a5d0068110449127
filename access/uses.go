package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"audittrail/event"
	"audittrail/internal/canonical"
	"audittrail/internal/vfs"
)

// A file of uses says when each token was last used. It is a hint for finding
// tokens that can be revoked, and no more: the loss of the file loses nothing
// else. Several processes write it, each the newest times that it knows.
//
//	{"uses":{"t-<16 hex>":"<time>", …},"v":1}\n

// maxUsesBytes bounds the file: some 300,000 tokens.
const maxUsesBytes = 16 << 20

// usesEvery is how often a process writes the times that it knows.
const usesEvery = time.Minute

// Uses are the times of the last use of tokens.
type Uses map[ID]time.Time

type usesFile struct {
	Uses map[string]string `json:"uses"`
	V    int               `json:"v"`
}

var errUses = errors.New("not a file of token uses")

// EncodeUses returns the canonical encoding of uses.
func EncodeUses(u Uses) []byte {
	f := usesFile{Uses: make(map[string]string, len(u)), V: 1}
	for id, at := range u {
		f.Uses[id.String()] = string(event.AppendTime(nil, at.UTC()))
	}
	b, err := json.Marshal(f) // which sorts the keys
	if err != nil {
		panic("access: " + err.Error()) // texts and a number
	}
	return append(b, '\n')
}

// DecodeUses decodes the output of EncodeUses, and refuses any other encoding.
func DecodeUses(b []byte) (Uses, error) {
	var f usesFile
	if len(b) > maxUsesBytes || json.Unmarshal(b, &f) != nil || f.V != 1 {
		return nil, errUses
	}
	u := make(Uses, len(f.Uses))
	for text, at := range f.Uses {
		id, err := ParseID(text)
		t, err2 := event.ParseTime(at)
		if err != nil || err2 != nil {
			return nil, errUses
		}
		u[id] = t
	}
	if err := canonical.Check(b, EncodeUses(u)); err != nil {
		return nil, fmt.Errorf("%w: %w", errUses, err)
	}
	return u, nil
}

// readUses reads the times that other and earlier processes have written. A
// file that cannot be read counts as empty.
func (c *Controller) readUses() Uses {
	if c.o.UsesFile == "" {
		return nil
	}
	b, err := vfs.ReadFile(vfs.OS, c.o.UsesFile, maxUsesBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var u Uses
	if err == nil {
		u, err = DecodeUses(b)
	}
	if err != nil {
		c.o.Logger.Warn("when tokens were last used is not known", slog.Any("error", err))
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for id, at := range u {
		if h := c.t.byID[id]; h != nil {
			h.seen(at.UnixNano())
		}
	}
	return u
}

// seen sets the last use if it is later.
func (h *heldGrant) seen(at int64) {
	for {
		old := h.used.Load()
		if at <= old || h.used.CompareAndSwap(old, at) {
			return
		}
	}
}

// writeUses writes when tokens were last used, if that has changed.
func (c *Controller) writeUses() error {
	if c.o.UsesFile == "" {
		return nil
	}
	old := c.readUses()
	now := Uses{}
	changed := false
	c.mu.RLock()
	for id, h := range c.t.byID {
		if n := h.used.Load(); n != 0 {
			now[id] = time.Unix(0, n).UTC()
			changed = changed || now[id].After(old[id])
		}
	}
	c.mu.RUnlock()
	if !changed {
		return nil
	}
	if err := replaceFile(c.o.UsesFile, EncodeUses(now)); err != nil {
		return fmt.Errorf("write when tokens were last used: %w", err)
	}
	return nil
}

// replaceFile replaces a file atomically, also if other processes replace it
// concurrently. The file is derived, and needs no sync.
func replaceFile(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".uses-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
