package block_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"audittrail/event"
	"audittrail/internal/index/block"
	"audittrail/internal/index/text"
	"audittrail/keyring"
	"audittrail/record"
)

var began = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

// vocabulary has words that share beginnings, and some of other scripts.
var vocabulary = func() []string {
	words := []string{"refund", "refunds", "refunded", "退款", "crème", "O'Neil", "x_y", "4711", "www.x.org", "end_"}
	for i := range 400 {
		words = append(words, fmt.Sprintf("word%03d", i))
	}
	return words
}()

func hashOf(kind string, n int) [16]byte {
	sum := sha256.Sum256(fmt.Append(nil, kind, n))
	return [16]byte(sum[:16])
}

// sample returns the record of a sequence number.
func sample(seq uint64) *record.Record {
	r := rand.New(rand.NewPCG(7, seq))
	say := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString(vocabulary[int(float64(len(vocabulary))*r.Float64()*r.Float64()*r.Float64())])
			b.WriteByte(' ')
		}
		return b.String()
	}
	n := int64(r.IntN(5000))
	latency := time.Duration(r.IntN(1e6)) * time.Microsecond
	rec := &record.Record{}
	rec.Seq, rec.Logged = seq, began.Add(time.Duration(seq)*time.Millisecond)
	rec.Class = "standard/2026-11"
	rec.Subject = hashOf("subject", r.IntN(40))
	rec.Size = 128 * r.IntN(100)
	rec.Event = event.Event{
		Type: event.Types()[r.IntN(4)], Time: rec.Logged.Add(-time.Duration(r.IntN(1e9))),
		ModelID: fmt.Sprintf("model-%d", r.IntN(7)), Prompt: say(r.IntN(30)), Response: say(r.IntN(30)),
	}
	if r.IntN(2) == 0 {
		rec.Event.InputTokens, rec.Event.Latency = &n, &latency
		rec.Event.Labels = map[string]string{"team": fmt.Sprint(r.IntN(3))}
		rec.Event.TraceID = fmt.Sprintf("%032x", r.IntN(1000)+1)
	}
	if r.IntN(4) == 0 {
		rec.Session = hashOf("session", r.IntN(100))
		rec.Event.Metadata = map[string]json.RawMessage{"note": json.RawMessage(`"` + say(3) + `"`)}
		rec.Event.Cost = &event.Cost{Nano: n * 1000, Currency: "EUR"}
	}
	// Two of three are of version 2.
	if seq%3 > 0 {
		rec.Version = 2
		rec.LogMetadata = record.LogMetadata{Parts: event.PartsOf(&rec.Event), Source: record.Sources()[seq%6]}
		if seq%5 == 0 {
			rec.Actor, rec.Domain, rec.Withheld = hashOf("actor", int(seq%7)), "shop", record.WithheldErased
			rec.Call = hashOf("call", int(seq))
		}
	}
	return rec
}

// table returns a table of the records from one sequence number to another.
func table(from, to uint64) *block.Table {
	t := block.NewTable(from)
	for seq := from; seq < to; seq++ {
		t.Add(sample(seq), true)
	}
	return t
}

var blockKey = keyring.FileKey{1, 2, 3}

type forget = func(subject, class string, seq uint64) bool

// write returns the file of a block that is written from sources.
func write(t testing.TB, f forget, sources ...block.Source) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := block.Write(&b, blockKey, "example.com/log", sources, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func openBlock(t testing.TB, file []byte) *block.Block {
	t.Helper()
	b, err := block.Open(bytes.NewReader(file), int64(len(file)), blockKey, block.NewCache(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// searchable has the methods that tables and blocks share.
type searchable interface {
	block.Source
	Term(text.Field, string) (*roaring.Bitmap, error)
	Prefix(text.Field, string) (*roaring.Bitmap, error)
	NumberBounds(block.NumberColumn) (int64, int64, bool)
}

// holdAgainst compares the whole content of a table or block with the records.
func holdAgainst(t *testing.T, got searchable, from, to uint64, f forget) {
	t.Helper()
	if got.First() != from || got.Rows() != int(to-from) {
		t.Fatalf("records %d and %d more, want %d and %d", got.First(), got.Rows(), from, to-from)
	}
	wantTerms := map[text.Field]map[string][]uint32{}
	for seq := from; seq < to; seq++ {
		r := sample(seq)
		if f != nil && f(string(r.Subject[:]), r.Class, seq) {
			continue
		}
		for field, s := range text.Of(&r.Event) {
			for _, f := range []text.Field{field, text.Any} {
				if wantTerms[f] == nil {
					wantTerms[f] = map[string][]uint32{}
				}
				for _, term := range termsOf(s) {
					row := uint32(seq - from)
					if list := wantTerms[f][term]; len(list) == 0 || list[len(list)-1] != row {
						wantTerms[f][term] = append(list, row)
					}
				}
			}
		}
	}
	for field, terms := range wantTerms {
		for term, rows := range terms {
			if set, err := got.Term(field, term); err != nil || !slices.Equal(set.ToArray(), rows) {
				t.Fatalf("Term(%v, %q) = %v, %v, want %v", field, term, set, err, rows)
			}
		}
		for _, prefix := range []string{"", "w", "word1", "refund", "refundx", "退", "zzz"} {
			want := roaring.New()
			for term, rows := range terms {
				if strings.HasPrefix(term, prefix) {
					want.AddMany(rows)
				}
			}
			if set, err := got.Prefix(field, prefix); err != nil || !set.Equals(want) {
				t.Fatalf("Prefix(%v, %q) = %v, %v, want %v", field, prefix, set, err, want)
			}
		}
		for _, absent := range []string{"", "a", "word", "word1234", "zzz", "\xff"} {
			if set, err := got.Term(field, absent); err != nil || !set.IsEmpty() {
				t.Fatalf("Term(%v, %q) = %v, %v, want none", field, absent, set, err)
			}
		}
	}
	holdColumns(t, got, from, to)
}

// partsOf returns the value of column Parts for a record whose content is
// readable.
func partsOf(r *record.Record) string {
	if p := event.PartsOf(&r.Event); p != 0 {
		return p.String()
	}
	return block.NoParts
}

func holdColumns(t *testing.T, got searchable, from, to uint64) {
	t.Helper()
	for c, of := range map[block.TextColumn]func(r *record.Record) string{
		block.ToldBy:   func(r *record.Record) string { return string(r.Source) },
		block.Domain:   func(r *record.Record) string { return r.Domain },
		block.Withheld: func(r *record.Record) string { return r.Withheld },
		block.Call:     func(r *record.Record) string { return r.Call.String() },
		block.Actor: func(r *record.Record) string {
			if r.Actor == (record.Subject{}) {
				return ""
			}
			return r.Actor.String()
		},
		block.Type:    func(r *record.Record) string { return string(r.Event.Type) },
		block.Model:   func(r *record.Record) string { return r.Event.ModelID },
		block.Outcome: func(r *record.Record) string { return r.Event.Outcome },
		block.Subject: func(r *record.Record) string { return r.Subject.String() },
		block.Trace:   func(r *record.Record) string { return r.Event.TraceID },
		block.Session: func(r *record.Record) string {
			if r.Session == [16]byte{} {
				return ""
			}
			return fmt.Sprintf("%x", r.Session)
		},
	} {
		col, err := got.Texts(c)
		if err != nil {
			t.Fatal(err)
		}
		codes := make([]uint32, to-from)
		col.Codes(codes, 0)
		byValue := map[string][]uint32{}
		for seq := from; seq < to; seq++ {
			row := int(seq - from)
			want := of(sample(seq))
			byValue[want] = append(byValue[want], uint32(row))
			code, ok := col.Find(want)
			if !ok || col.Value(code) != want || col.Code(row) != code || codes[row] != code {
				t.Fatalf("column %d, row %d: code %d of %q, Find(%q) = %d, %v", c, row, col.Code(row), col.Value(col.Code(row)), want, code, ok)
			}
		}
		for v, rows := range byValue {
			code, _ := col.Find(v)
			if set, ok := col.Rows(code); ok && !slices.Equal(set.ToArray(), rows) {
				t.Fatalf("column %d: Rows(%q) = %v, want %v", c, v, set, rows)
			}
		}
		if _, ok := col.Find("unheard"); ok {
			t.Fatalf("column %d has a value that no record has", c)
		}
	}
	for c, of := range map[block.NumberColumn]func(r *record.Record) *int64{
		block.Time:        func(r *record.Record) *int64 { return new(r.Event.Time.UnixNano()) },
		block.InputTokens: func(r *record.Record) *int64 { return r.Event.InputTokens },
		block.ProducerSeq: func(*record.Record) *int64 { return nil },
		block.Size:        func(r *record.Record) *int64 { return new(int64(r.Size)) },
	} {
		col, err := got.Numbers(c)
		if err != nil {
			t.Fatal(err)
		}
		var all []int64
		for seq := from; seq < to; seq++ {
			n, ok := col.At(int(seq - from))
			want := of(sample(seq))
			if ok != (want != nil) || ok && n != *want {
				t.Fatalf("column %d, record %d: %d, %v", c, seq, n, ok)
			}
			if ok {
				all = append(all, n)
			}
		}
		least, most, known := got.NumberBounds(c)
		if known != (len(all) > 0) || known && (least != slices.Min(all) || most != slices.Max(all)) {
			t.Fatalf("column %d: bounds %d, %d, %v", c, least, most, known)
		}
	}
}

// TestBlock compares tables, blocks and blocks written from both with the
// records.
func TestBlock(t *testing.T) {
	a, b := table(100, 700), table(700, 1000)
	holdAgainst(t, a, 100, 700, nil)
	one := openBlock(t, write(t, nil, a))
	holdAgainst(t, one, 100, 700, nil)
	merged := openBlock(t, write(t, nil, one, b))
	holdAgainst(t, merged, 100, 1000, nil)
	victim := sample(150).Subject
	f := func(subject, _ string, seq uint64) bool { return seq < 900 && subject == string(victim[:]) }
	holdAgainst(t, openBlock(t, write(t, f, merged)), 100, 1000, f)
	holdAgainst(t, openBlock(t, write(t, f, one, b)), 100, 1000, f)
}

// TestForget removes the text of an erased data subject from a table, and from
// blocks written from it.
func TestForget(t *testing.T) {
	victim := sample(3).Subject
	tab := table(0, 300)
	tab.Erase(func(subject, _ string) uint64 {
		if subject == string(victim[:]) {
			return 200
		}
		return 0
	})
	f := func(subject, _ string, seq uint64) bool { return seq < 200 && subject == string(victim[:]) }
	holdAgainst(t, tab, 0, 300, f)
	holdAgainst(t, openBlock(t, write(t, nil, tab)), 0, 300, f)
}

// TestForgottenParts checks that the index has of an erased record of version 1
// no more than its line states, and of one of version 2 no less.
func TestForgottenParts(t *testing.T) {
	victim := sample(3).Subject
	f := func(subject, _ string, _ uint64) bool { return subject == string(victim[:]) }
	tab, forgetful := table(0, 300), table(0, 300)
	before, err := forgetful.Texts(block.Parts)
	if err != nil {
		t.Fatal(err)
	}
	forgetful.Erase(func(subject, _ string) uint64 {
		if subject == string(victim[:]) {
			return 300
		}
		return 0
	})
	if got := before.Value(before.Code(3)); got != partsOf(sample(3)) {
		t.Errorf("who was reading has %q of record 3", got)
	}
	for _, b := range []block.Source{openBlock(t, write(t, f, tab)), openBlock(t, write(t, f, openBlock(t, write(t, nil, tab)))), forgetful, openBlock(t, write(t, nil, forgetful))} {
		col, err := b.Texts(block.Parts)
		if err != nil {
			t.Fatal(err)
		}
		unknown := 0
		for row := range 300 {
			r := sample(uint64(row))
			want := partsOf(r)
			if r.Subject == victim && r.Version < 2 {
				want = ""
				unknown++
			}
			if got := col.Value(col.Code(row)); got != want {
				t.Errorf("record %d of version %d: parts %q, want %q", row, r.Version, got, want)
			}
		}
		if unknown == 0 {
			t.Error("nobody was forgotten")
		}
	}
}

// TestSealed looks for words in a block's file.
func TestSealed(t *testing.T) {
	file := write(t, nil, table(0, 500))
	for _, w := range []string{"refund", "word1", "退款"} {
		if bytes.Contains(file, []byte(w)) {
			t.Errorf("the file says %q", w)
		}
	}
	if !bytes.Contains(file, []byte("model-3")) {
		t.Error("the file does not say model-3, which stands in the clear: this test finds nothing")
	}
}

// TestDamage changes every byte of a small block: no result is returned.
func TestDamage(t *testing.T) {
	file := write(t, nil, table(0, 20))
	for i := range file {
		file[i] ^= 1 << (i % 8)
		if err := readAll(file); !errors.Is(err, block.ErrDamaged) {
			t.Fatalf("byte %d of %d changed: %v, want ErrDamaged", i, len(file), err)
		}
		file[i] ^= 1 << (i % 8)
	}
	for n := range file {
		if err := readAll(file[:n]); !errors.Is(err, block.ErrDamaged) {
			t.Fatalf("cut off after %d bytes of %d: %v, want ErrDamaged", n, len(file), err)
		}
	}
	if err := readAll(file); err != nil {
		t.Fatal(err)
	}
	other := blockKey
	other[5]++
	if _, err := block.Open(bytes.NewReader(file), int64(len(file)), other, block.NewCache(1)); !errors.Is(err, block.ErrDamaged) {
		t.Errorf("another key: %v, want ErrDamaged", err)
	}
}

// readAll reads the whole content of a file.
func readAll(file []byte) error {
	b, err := block.Open(bytes.NewReader(file), int64(len(file)), blockKey, block.NewCache(1<<20))
	if err != nil {
		return err
	}
	for c := block.Type; c <= block.Call; c++ {
		if _, err := b.Texts(c); err != nil {
			return err
		}
	}
	for c := block.Time; c <= block.ProducerSeq; c++ {
		if _, err := b.Numbers(c); err != nil {
			return err
		}
	}
	_, err = b.Prefix(text.Any, "")
	return err
}

func TestLabels(t *testing.T) {
	tab := block.NewTable(0)
	r := sample(1)
	r.Event.Labels = map[string]string{"b": "", "a": "x y", "c": "é"}
	tab.Add(r, true)
	col, err := tab.Texts(block.Labels)
	if err != nil {
		t.Fatal(err)
	}
	if got := block.ParseLabels(col.Value(col.Code(0))); !maps.Equal(got, r.Event.Labels) {
		t.Errorf("labels %q, want %q", got, r.Event.Labels)
	}
}

// TestExtremes has times that nanoseconds cannot express.
func TestExtremes(t *testing.T) {
	tab := block.NewTable(0)
	for i, year := range []int{1, 1970, 9999} {
		r := sample(uint64(i))
		r.Event.Time = time.Date(year, 1, 1, 0, 0, 0, 1, time.UTC)
		tab.Add(r, true)
	}
	b := openBlock(t, write(t, nil, tab))
	col, err := b.Numbers(block.Time)
	if err != nil {
		t.Fatal(err)
	}
	for i, year := range []int{1, 1970, 9999} {
		want := block.Nanos(time.Date(year, 1, 1, 0, 0, 0, 1, time.UTC))
		if n, ok := col.At(i); !ok || n != want {
			t.Errorf("year %d: %d, %v, want %d", year, n, ok, want)
		}
	}
}

func BenchmarkTable(b *testing.B) {
	var records []*record.Record
	for seq := range uint64(16384) {
		records = append(records, sample(seq))
	}
	for b.Loop() {
		t := block.NewTable(0)
		for _, r := range records {
			t.Add(r, true)
		}
		var out bytes.Buffer
		if err := block.Write(&out, blockKey, "example.com/log", []block.Source{t}, nil); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(out.Len())/float64(len(records)), "B/record")
	}
	b.ReportMetric(float64(len(records))*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// TestPick picks numbers of every width in the file, from rows that follow each
// other and from others.
func TestPick(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for bits := range 63 {
		for _, absent := range []bool{false, true} {
			tab := block.NewTable(0)
			for i := range 203 {
				r := sample(uint64(i))
				r.Event.InputTokens = new(rng.Int64N(1 << bits))
				if absent && i%3 == 1 {
					r.Event.InputTokens = nil
				}
				tab.Add(r, true)
			}
			for name, in := range map[string]searchable{"table": tab, "block": openBlock(t, write(t, nil, tab))} {
				col, err := in.Numbers(block.InputTokens)
				if err != nil {
					t.Fatal(err)
				}
				for _, step := range []uint32{1, 2, 50} {
					var rows []uint32
					for row := uint32(3); row < 203; row += step {
						rows = append(rows, row)
					}
					which, values := col.Pick(rows, []int32{-1}, []int64{-1})
					var wantWhich []int32
					var wantValues []int64
					var within []uint32
					least, most := int64(1)<<bits/4, int64(1)<<bits/2
					for i, row := range rows {
						n, ok := col.At(int(row))
						if ok {
							wantWhich, wantValues = append(wantWhich, int32(i)), append(wantValues, n)
						}
						if ok && n >= least && n <= most {
							within = append(within, row)
						}
					}
					if !slices.Equal(which[1:], wantWhich) || !slices.Equal(values[1:], wantValues) {
						t.Fatalf("%s of %d bits, step %d: Pick = %v, %v, want %v, %v", name, bits, step, which, values, wantWhich, wantValues)
					}
					if got := col.Within(slices.Clone(rows), &least, &most); !slices.Equal(got, within) {
						t.Fatalf("%s of %d bits, step %d: Within = %v, want %v", name, bits, step, got, within)
					}
				}
			}
		}
	}
}

// termsOf returns all terms of a text.
func termsOf(s string) (all []string) {
	sc := text.Scanner{Text: s}
	for sc.Scan() {
		for _, term := range [][]byte{sc.Term(), bytes.Clone(sc.Pair()), sc.Edge()} {
			if term != nil {
				all = append(all, string(term))
			}
		}
	}
	return all
}
