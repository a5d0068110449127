package tombstone_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
	"audittrail/internal/tombstone"
	"audittrail/record"
)

// made returns lines from a sequence number on, of which some govern the log,
// and their tombstone.
func made(t testing.TB, first uint64, n int) ([][]byte, []byte) {
	t.Helper()
	kinds := []event.Type{event.Prompt, event.HoldPlaced, event.Response, event.ContentRead, event.Prompt}
	k := new(tombstone.Builder)
	var lines [][]byte
	prev := record.Hash{9}
	for i := range n {
		d, err := record.Seal(&record.SealParams{
			ID: record.ID{0: 1, 15: byte(i)}, LogMetadata: record.LogMetadata{Source: record.SourceApp}, Class: fmt.Sprintf("standard/2026-0%d", 1+i%2),
			Event: &event.Event{Type: kinds[i%len(kinds)], Time: time.Unix(0, 0), Labels: map[string]string{"class": "x", "y": `,"class":"z","subject":"`}},
		})
		if err != nil {
			t.Fatal(err)
		}
		var line []byte
		line, prev = d.Finish(nil, first+uint64(i), time.Unix(1, int64(i)), prev)
		line = line[:len(line)-1]
		lines = append(lines, line)
		if err := k.Add(line); err != nil {
			t.Fatal(err)
		}
	}
	b, err := k.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(len(k.Classes())), "2"; n >= 5 && got != want {
		t.Errorf("%s classes, want %s: %v", got, want, k.Classes())
	}
	return lines, b
}

func TestTombstone(t *testing.T) {
	lines, b := made(t, 100, 12)
	m, sum, err := tombstone.Check(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if sum != sha256.Sum256(b) || m.First != 100 || m.Records != 12 || m.Next() != 112 || m.Size() != int64(len(b)) {
		t.Errorf("Check() = %+v", m.Header)
	}
	var total int64
	hashes, ids := make([][32]byte, 5), make([]record.ID, 5)
	if err := errors.Join(m.Hashes(bytes.NewReader(b), 3, hashes), m.IDs(bytes.NewReader(b), 3, ids)); err != nil {
		t.Fatal(err)
	}
	for i, line := range lines {
		total += int64(len(line)) + 1
		tail, _ := record.ParseChainLink(line)
		if i >= 3 && i < 8 && (hashes[i-3] != tail.Hash || ids[i-3] != record.ID{0: 1, 15: byte(i)}) {
			t.Errorf("record %d: hash %x, id %v", i, hashes[i-3], ids[i-3])
		}
		got, err := m.Line(bytes.NewReader(b), 100+uint64(i))
		var want []byte
		if kept := i%5 == 1 || i%5 == 3; kept {
			want = line
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("Line(%d) = %q, %v, want %q", i, got, err, want)
		}
	}
	if m.Bytes != total {
		t.Errorf("%d bytes, want %d", m.Bytes, total)
	}
	if got := m.Administrative(); !slices.Equal(got, []uint32{1, 6, 11}) {
		t.Errorf("Administrative() = %v", got)
	}
}

// TestTable counts the records that have left, and none that stay.
func TestTable(t *testing.T) {
	_, b := made(t, 100, 12)
	m, _, err := tombstone.Check(bytes.NewReader(b), int64(len(b)))
	if err != nil || !m.Tabled() {
		t.Fatalf("Check = %+v, %v", m, err)
	}
	got := map[string]uint32{}
	for r, err := range m.Rows(bytes.NewReader(b)) {
		if err != nil || r.Subject != (record.Subject{}) || r.Domain != "" {
			t.Fatalf("row %+v, %v", r, err)
		}
		got[r.Class] += r.Records
	}
	if diff := cmp.Diff(map[string]uint32{"standard/2026-01": 4, "standard/2026-02": 3}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// TestTableAltered refuses a table that does not fit, is out of order or has an
// index past its names, although the file's own hash is right.
func TestTableAltered(t *testing.T) {
	_, b := made(t, 100, 12)
	const rowLen = 72
	for row := range 2 {
		for _, field := range []int{16, 17, 50, 51, 52, 53, 54, 55} { // domain, class, records
			bad := bytes.Clone(b[:len(b)-32])
			bad[len(bad)-(2-row)*rowLen+field] ^= 1
			sum := sha256.Sum256(bad)
			bad = append(bad, sum[:]...)
			if _, _, err := tombstone.Check(bytes.NewReader(bad), int64(len(bad))); !errors.Is(err, tombstone.ErrDamaged) {
				t.Errorf("row %d, byte %d changed: Check: %v, want ErrDamaged", row, field, err)
			}
		}
	}
	// The rows the other way round.
	bad := bytes.Clone(b[:len(b)-32])
	rows := bad[len(bad)-2*rowLen:]
	copy(rows, slices.Concat(rows[rowLen:], rows[:rowLen]))
	sum := sha256.Sum256(bad)
	bad = append(bad, sum[:]...)
	if _, _, err := tombstone.Check(bytes.NewReader(bad), int64(len(bad))); !errors.Is(err, tombstone.ErrDamaged) {
		t.Errorf("rows out of order: Check: %v, want ErrDamaged", err)
	}
}

// TestFirstVersion reads a tombstone that has no table.
func TestFirstVersion(t *testing.T) {
	b, err := os.ReadFile("../../testdata/vectors/archive/remnant-v1/00000000000000000008.remnant")
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := tombstone.Check(bytes.NewReader(b), int64(len(b)))
	if err != nil || m.Tabled() || m.First != 8 || m.Records != 8 || m.Size() != int64(len(b)) {
		t.Errorf("Check = %+v, %v", m, err)
	}
	for r, err := range m.Rows(bytes.NewReader(b)) {
		t.Errorf("row %+v, %v", r, err)
	}
}

// TestSecondVersion reads a tombstone whose table has no actors.
func TestSecondVersion(t *testing.T) {
	b, err := os.ReadFile("../../testdata/vectors/archive/remnant-v2/00000000000000000008.remnant")
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := tombstone.Check(bytes.NewReader(b), int64(len(b)))
	if err != nil || !m.Tabled() || m.TellsActs() || m.First != 8 || m.Size() != int64(len(b)) {
		t.Errorf("Check = %+v, %v", m, err)
	}
	rows := 0
	for r, err := range m.Rows(bytes.NewReader(b)) {
		if rows++; err != nil || r.Class == "" || r.Actor != (record.Subject{}) {
			t.Errorf("row %+v, %v", r, err)
		}
	}
	if rows == 0 {
		t.Error("its table is empty")
	}
}

// TestActors counts records by who acted in them, too.
func TestActors(t *testing.T) {
	k := new(tombstone.Builder)
	prev := record.Hash{9}
	for i, actor := range []record.Subject{{1}, {}, {1}, {2}} {
		d, err := record.Seal(&record.SealParams{
			ID: record.ID{0: 1, 15: byte(i)}, LogMetadata: record.LogMetadata{Source: record.SourceApp, Actor: actor}, Class: "standard/2026-01", Subject: record.Subject{7},
			Event: &event.Event{Type: event.HumanReview, Time: time.Unix(0, 0)},
		})
		if err != nil {
			t.Fatal(err)
		}
		var line []byte
		line, prev = d.Finish(nil, uint64(i), time.Unix(1, int64(i)), prev)
		if err := k.Add(line[:len(line)-1]); err != nil {
			t.Fatal(err)
		}
	}
	b, err := k.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := tombstone.Check(bytes.NewReader(b), int64(len(b)))
	if err != nil || !m.TellsActs() {
		t.Fatalf("Check = %+v, %v", m, err)
	}
	got := map[record.Subject]uint32{}
	for r, err := range m.Rows(bytes.NewReader(b)) {
		if err != nil || r.Subject != (record.Subject{7}) {
			t.Fatalf("row %+v, %v", r, err)
		}
		got[r.Actor] += r.Records
	}
	if diff := cmp.Diff(map[record.Subject]uint32{{}: 1, {1}: 2, {2}: 1}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// TestMakerRefuses adds lines to a Builder that are not the next one.
func TestMakerRefuses(t *testing.T) {
	lines, _ := made(t, 0, 3)
	bad := bytes.Clone(lines[1])
	bad[30] ^= 1
	for name, line := range map[string][]byte{"junk": []byte("junk"), "altered": bad, "not the next": lines[2]} {
		k := new(tombstone.Builder)
		if err := k.Add(lines[0]); err != nil {
			t.Fatal(err)
		}
		if k.Add(line) == nil {
			t.Errorf("%s: Add() = nil", name)
		}
	}
	if _, err := new(tombstone.Builder).Bytes(); err == nil {
		t.Error("a tombstone without records was built")
	}
}

// TestStatement writes a statement into an event and reads it back.
func TestStatement(t *testing.T) {
	long := "/" + string(bytes.Repeat([]byte("x"), 200))
	for _, s := range []tombstone.Statement{
		{First: 3, Records: 4, Tombstone: [32]byte{1}, Manifest: [32]byte{2}, To: "/a", Reason: "old", Classes: map[string]record.ClassCount{"a/2026-01": {Records: 1, Bytes: 2}}},
		{Dropped: true, Records: 4, Tombstone: [32]byte{1}},
		{Records: 4, Tombstone: [32]byte{1}, Manifest: [32]byte{3}, To: long},
	} {
		e, err := s.Event()
		if err != nil {
			t.Fatal(err)
		}
		if err := event.Validate(&e); err != nil {
			t.Fatal(err)
		}
		s.Seq = 50
		got, ok := tombstone.ParseStatement(&record.Record{Event: e, ChainLink: record.ChainLink{Seq: 50}})
		if diff := cmp.Diff(s, got); !ok || diff != "" {
			t.Errorf("%v: %s", ok, diff)
		}
		// A statement is about records before it.
		if _, ok := tombstone.ParseStatement(&record.Record{Event: e, ChainLink: record.ChainLink{Seq: s.First + 3}}); ok {
			t.Error("a statement about what follows it counts")
		}
		for label := range e.Labels {
			bad := e
			bad.Labels = map[string]string{}
			maps.Copy(bad.Labels, e.Labels)
			bad.Labels[label] = "0x1"
			if _, ok := tombstone.ParseStatement(&record.Record{Event: bad, ChainLink: record.ChainLink{Seq: 50}}); ok && label != "to" {
				t.Errorf("label %s may be anything", label)
			}
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, n := range []int{1, 2, 12} {
		_, b := made(f, uint64(n), n)
		f.Add(b, uint16(90))
		f.Add(b[:len(b)-1], uint16(0))
		// The hash is right, so that the rest is checked.
		for _, at := range []int{30, 45, 60, len(b) - 60} {
			bad := bytes.Clone(b[:len(b)-32])
			bad[at] ^= 1
			sum := sha256.Sum256(bad)
			f.Add(append(bad, sum[:]...), uint16(at))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		m, sum, err := tombstone.Check(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if m.Size() != int64(len(b)) || sum != sha256.Sum256(b) {
			t.Errorf("%d bytes are taken for %d", len(b), m.Size())
		}
		for line, err := range m.Lines(bytes.NewReader(b)) {
			tail, ok := record.ParseChainLink(line)
			if err != nil || !ok || tail.Seq < m.First || tail.Seq >= m.Next() {
				t.Errorf("line %q, %v", line, err)
			}
		}
		// Every bit counts.
		bad := bytes.Clone(b)
		bad[int(at)%len(bad)] ^= 1 << (at % 8)
		if _, _, err := tombstone.Check(bytes.NewReader(bad), int64(len(bad))); err == nil {
			t.Errorf("byte %d can be another", int(at)%len(bad))
		}
	})
}
