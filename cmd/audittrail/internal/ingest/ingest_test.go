package ingest_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/cmd/audittrail/internal/ingest"
	"audittrail/internal/logtest"
)

// take records an input in a log and tells what became of each line.
func take(t *testing.T, log *audittrail.Log, in ingest.Input, skip bool) ([]string, error) {
	t.Helper()
	var got []string
	k := ingest.Ingester{
		Log: log,
		Recorded: func(r audittrail.Receipt) error {
			got = append(got, fmt.Sprintf("%d duplicate=%t", r.Seq, r.Duplicate))
			return nil
		},
		Done: func(int64) error { return nil },
	}
	if skip {
		k.Refused = func(line int, _ []byte, _ error) error {
			got = append(got, fmt.Sprintf("line %d refused", line))
			return nil
		}
	}
	err := k.Read(t.Context(), in)
	return got, err
}

func TestLines(t *testing.T) {
	const ev = `{"type":"prompt"}`
	tests := []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"one", ev + "\n", []string{"0 duplicate=false"}},
		{"no line end", ev, []string{"0 duplicate=false"}},
		{"CRLF", ev + "\r\n" + ev + "\r\n", []string{"0 duplicate=false", "1 duplicate=false"}},
		{"blank lines count", "\n \t\n\r\n" + ev + "\nx\n", []string{"0 duplicate=false", "line 5 refused"}},
		{"byte order mark", "\xef\xbb\xbf" + ev, []string{"0 duplicate=false"}},
		{"a mark elsewhere", ev + "\n\xef\xbb\xbf" + ev, []string{"0 duplicate=false", "line 2 refused"}},
		{"CR alone", ev + "\r" + ev, []string{"line 1 refused"}},
		{"NUL", "\x00\n" + ev, []string{"line 1 refused", "0 duplicate=false"}},
		{"deeply nested", `{"type":"prompt","metadata":{"a":` + strings.Repeat("[", 1e5) + strings.Repeat("]", 1e5) + "}}", []string{"line 1 refused"}},
	}
	for _, test := range tests {
		for _, eager := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s eager=%t", test.name, eager), func(t *testing.T) {
				in := ingest.Input{Reader: strings.NewReader(test.text), Eager: eager}
				got, err := take(t, logtest.New(t), in, true)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
}

// zeros is a line without an end of that many bytes.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	for i := range n {
		p[i] = '0'
	}
	z.left -= n
	return n, nil
}

func TestLongLines(t *testing.T) {
	const limit = audittrail.DefaultMaxEventBytes
	longest := `{"type":"prompt","prompt":"` + strings.Repeat("x", limit) + `"}`
	in := io.MultiReader(
		strings.NewReader(longest+"\n"+strings.Replace(longest, "x", "xx", 1)+"\n"),
		&zeros{ingest.MaxLine + 1},
		strings.NewReader("\n"+`{"type":"prompt"}`),
	)
	got, err := take(t, logtest.New(t), ingest.Input{Reader: in}, true)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"0 duplicate=false", "line 2 refused", "line 3 refused", "1 duplicate=false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	_, err = take(t, logtest.New(t), ingest.Input{Reader: &zeros{ingest.MaxLine + 1}}, false)
	var line *ingest.LineError
	if !errors.As(err, &line) || line.Line != 1 || !errors.Is(err, ingest.ErrLineLength) {
		t.Errorf("a line of one byte too many: %v, want ErrLineLength for line 1", err)
	}
}

// TestFailingInput checks that what was read before an input failed is
// recorded, and that half a line is not taken for one.
func TestFailingInput(t *testing.T) {
	failure := errors.New("the disk is on fire")
	in := io.MultiReader(strings.NewReader(`{"type":"prompt"}`+"\n"+`{"type":"prompt"}`), failing{failure})
	got, err := take(t, logtest.New(t), ingest.Input{Reader: in}, false)
	if !errors.Is(err, failure) {
		t.Errorf("the error is %v, want %v", err, failure)
	}
	if diff := cmp.Diff([]string{"0 duplicate=false"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestIDs compares the generated ids of lines with those of the first version of
// the format: with other ids, lines that are imported again would be recorded
// twice.
func TestIDs(t *testing.T) {
	log := logtest.New(t)
	text := `{"type":"prompt","prompt":"What is a bond?"}` + "\n\n" + `{"type":"prompt","prompt":"What is a bond?"}`
	for _, source := range []string{"/var/log/events.jsonl", "feed"} {
		if _, err := take(t, log, ingest.Input{Reader: strings.NewReader(text), Source: source}, false); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"import:28772b0414726a28a830256afe7455d4",
		"import:a2112e51aefc923d0ba654cc5ee9ef1f",
		"import:31d8dd58a505a00ee3e5c5d1213f7031",
		"import:23ffbcc58e522a6635e36ac93b006728",
	}
	var got []string
	for r, err := range log.Records(t.Context(), 0, 10) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Event.ID)
		if strings.Contains(string(r.Line()), r.Event.ID) {
			t.Errorf("record %d: its id stands in the clear, and confirms guesses of its content", r.Seq)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestOrder checks that many batches keep the order of their lines, and that a
// second time finds them all.
func TestOrder(t *testing.T) {
	log := logtest.New(t)
	var text strings.Builder
	const n = 5000
	for i := range n {
		fmt.Fprintf(&text, `{"type":"prompt","prompt":"%d"}`+"\n", i)
	}
	for _, eager := range []bool{false, true} {
		got, err := take(t, log, ingest.Input{Reader: strings.NewReader(text.String()), Source: "feed", Eager: eager}, false)
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range got {
			if want := fmt.Sprintf("%d duplicate=%t", i, eager); g != want {
				t.Fatalf("line %d is %s, want %s", i+1, g, want)
			}
		}
		if len(got) != n {
			t.Fatalf("%d receipts, want %d", len(got), n)
		}
	}
	for r, err := range log.Records(t.Context(), 0, n) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint(r.Seq); r.Event.Prompt != want {
			t.Fatalf("record %d has %q, want %q", r.Seq, r.Event.Prompt, want)
		}
	}
}

// TestStop checks that nothing of a batch with an invalid line is recorded.
func TestStop(t *testing.T) {
	log := logtest.New(t)
	good := strings.Repeat(`{"type":"prompt"}`+"\n", 1500)
	_, err := take(t, log, ingest.Input{Reader: strings.NewReader(good + "bad\n" + good)}, false)
	var line *ingest.LineError
	if !errors.As(err, &line) || line.Line != 1501 {
		t.Errorf("the error is %v, want a *LineError for line 1501", err)
	}
	if size, err := log.Size(); err != nil || size != 1000 {
		t.Errorf("%d records (%v), want the 1000 of the first batch", size, err)
	}
}
