package index_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"audittrail"
	"audittrail/internal/index"
	"audittrail/internal/index/block"
	"audittrail/record"
)

// TestOtherEnd has a block whose last record the log does not have, as after a
// repair that cut off the end. It is not used, although it has the log's own
// key.
func TestOtherEnd(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*record.Record)
		used bool
	}{
		"the log's": {func(*record.Record) {}, true},
		"another":   {func(r *record.Record) { r.Hash[0] ^= 1 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{BlockRows: 1 << 20})
			p.append(t, 0, 100)
			table := block.NewTable(0)
			for r, err := range p.Records(t.Context(), 0, record.MaxSeq) {
				if err != nil {
					t.Fatal(err)
				}
				r.Event.Prompt = "of what is no more"
				if r.Seq == 99 {
					c.end(r)
				}
				table.Add(r, true)
			}
			id, key, err := p.x.NewFileKey()
			if err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			if err := block.Write(&file, key, p.Origin(), []block.Source{table}, nil); err != nil {
				t.Fatal(err)
			}
			manifest := fmt.Sprintf("{\"v\":1,\"origin\":%q,\"blocks\":[{\"id\":%q,\"first\":0,\"rows\":100}]}\n", p.Origin(), hex.EncodeToString(id[:]))
			put(t, filepath.Join(dir, "index", hex.EncodeToString(id[:])+".block"), file.Bytes())
			put(t, filepath.Join(dir, "index", "manifest"), []byte(manifest))
			p.close(t)

			var said syncBuffer
			reader := openPair(t, dir, audittrail.Options{ReadOnly: true}, index.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
			found, _, _, err := answers(t.Context(), reader, "more", "m2")
			if err != nil || (len(found) > 0) != c.used {
				t.Errorf("%d records of what is no more, %v, want some: %v", len(found), err, c.used)
			}
			if strings.Contains(said.String(), "cut off") == c.used {
				t.Errorf("it said %q", said.String())
			}
			reader.close(t)
		})
	}
}

func put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
