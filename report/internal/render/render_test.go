package render_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"audittrail/report/document"
	"audittrail/report/internal/render"
)

var update = flag.Bool("update", false, "write the golden files again")

// sample is a report with so many rows in its long table.
func sample(rows int) *document.File {
	rng := rand.New(rand.NewPCG(1948, 12))
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	usage := document.Section{
		ID: "usage", Title: "Usage", Intro: "Calls of models, what they took and what they cost, by model and by day.",
		AskedBy: []document.Citation{{Rules: "own", Place: "Rule 1", Title: "Count"}, {Rules: "own", Place: "Rule 2"}},
		Figures: []document.Figure{
			{ID: "usage.calls", Label: "Calls", Value: document.CountOf(1234567), Sources: []string{"q1"}},
			{ID: "usage.p95", Label: "Latency, 95 of 100", Value: document.MicrosOf(7478885), Sources: []string{"q1"}},
			{ID: "usage.errors", Label: "Calls that failed", Value: document.ShareOf(41, 1234), Sources: []string{"q1", "q2"}, Note: "Of those that say what they came to."},
			{ID: "usage.cost", Label: "Cost", Value: document.MoneyOf(41234567890123, "EUR"), Sources: []string{"q1"}},
			{ID: "usage.state", Label: "Log", Value: document.StateOf(document.Good, "intact"), Sources: []string{"q2"}},
		},
		Gaps: []string{"Whether an answer was right or of use.", "Calls that no application submitted."},
	}
	calls := document.Chart{ID: "usage.days", Title: "Calls by day", Kind: document.Stack, Sources: []string{"q1"}}
	latency := document.Chart{ID: "usage.latency", Title: "Latency by day", Kind: document.Lines, Sources: []string{"q1"}}
	var ok, failed, p50, p95 []document.Value
	for d := range 25 {
		calls.Labels = append(calls.Labels, start.AddDate(0, 0, d).Format("2006-01-02"))
		ok = append(ok, document.CountOf(40000+rng.IntN(20000)))
		failed = append(failed, document.CountOf(rng.IntN(4000)))
		p50 = append(p50, document.MicrosOf(int64(400000+rng.IntN(200000))))
		p95 = append(p95, document.MicrosOf(int64(2000000+rng.IntN(900000))))
	}
	p95[7] = document.Value{}
	calls.Series = []document.Series{{Name: "succeeded", Values: ok}, {Name: "failed", Tone: document.Bad, Values: failed}}
	latency.Labels = calls.Labels
	latency.Series = []document.Series{{Name: "half", Values: p50}, {Name: "95 of 100", Values: p95}}
	usage.Charts = []document.Chart{calls, latency}
	users := document.Table{
		ID: "usage.by_subject", Title: "By data subject", Sources: []string{"q2"}, Total: uint64(rows) + 7,
		Columns: []document.Column{{Name: "subject"}, {Name: "model"}, {Name: "calls", Numeric: true}, {Name: "input tokens", Numeric: true}, {Name: "95 of 100", Numeric: true}, {Name: "cost", Numeric: true}, {Name: "last"}},
	}
	for i := range rows {
		users.Rows = append(users.Rows, []document.Value{
			document.CodeOf(fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64())), document.TextOf([]string{"gpt-4", "claude-sonnet-4-5", "山田-7b", "модель-3 <b>|*x*"}[i%4]),
			document.CountOf(rng.IntN(90000)), document.CountOf(rng.IntN(90000000)), document.MicrosOf(rng.Int64N(9e6)), document.MoneyOf(rng.Int64N(9e12), "USD"),
			document.TimeOf(start.Add(time.Duration(rng.Int64N(86400e9)))),
		})
	}
	usage.Tables = []document.Table{users, {ID: "usage.none", Title: "Calls of retired models", Columns: []document.Column{{Name: "model"}}, Sources: []string{"q1"}}}
	lineage := document.Section{
		ID: "lineage", Title: "Lineage", Intro: "What models were made of.", Gaps: []string{"What was never registered."}, Failed: "read lineage: a record cannot be read",
		Graphs: []document.Graph{{
			ID: "lineage.graph", Title: "From datasets to deployments", Sources: []string{"q2"}, Note: "Two of five deployments are of models that nobody registered.",
			Nodes: []document.Node{
				{Label: "claims-2024@3", Kind: "dataset"},
				{Label: "letters-with-a-rather-long-name@1", Kind: "dataset"},
				{Label: "run-17", Kind: "training run", Layer: 1},
				{Label: "claims-7b@2.3", Kind: "model version", Layer: 2},
				{Label: "claims-7b@2.4", Kind: "model version", Layer: 2, Tone: document.Warning},
				{Label: "prod-eu", Kind: "deployment", Layer: 3},
				{Label: "staging", Kind: "deployment", Layer: 3},
			},
			Edges: [][2]int{{0, 2}, {1, 2}, {2, 4}, {2, 3}, {3, 5}, {4, 6}, {3, 4}},
		}},
	}
	r := &document.Report{
		Version: document.Version, Type: "full", Program: "1.0.0", Origin: "audittrail/test", Size: 1234567,
		Root: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", AsOf: document.Time{Time: start.AddDate(0, 0, 24)}, Start: document.Time{Time: start}, End: document.Time{Time: start.AddDate(0, 1, 0)},
		Rules:   []document.Rules{{ID: "own", Title: "House rules", Source: "https://example.com/rules", AsOf: "2026-11-01", Digest: strings.Repeat("0a", 32)}},
		Status:  document.Incomplete,
		Notices: []document.Notice{{Tone: document.Warning, Text: "3,120 records of 2 data subjects were erased: their content is gone, and their structure is counted."}, {Tone: document.Bad, Text: "The section on lineage could not be computed."}},
		Sources: []document.Source{
			{ID: "q1", Kind: "group", Query: json.RawMessage(`{"aggregates":["count","p95(latency_ms)"],"group_by":["model_id","day"],"size":1234567,"types":["response"]}`), Text: "calls by model and day", Command: "audittrail query -t response --group-by model_id,day --agg 'count,p95(latency_ms)'", Records: 1234567},
			{ID: "q2", Kind: "verify", Text: "every record of the log against the chain and the tree", Records: 1234567},
		},
		Sections: []document.Section{usage, lineage},
		Organisation: &document.Organisation{
			Name: "Example <Insurance> AG", Systems: "the claims assistant", For: "its *auditor*",
			NotApplicable: []document.NotApplicable{{Rules: "own", Reason: "No house."}},
		},
		Attention: []document.Attention{
			{Kind: document.Overdue, Tone: document.Bad, Section: "usage", Text: "The incident of 1 November 2026, record 7, is overdue: House rules asks for a report by 3 November 2026, and none is on record, although it is <rather> long since anybody heard of it."},
			{Kind: document.Unregistered, Tone: document.Warning, Section: "lineage", Text: "The model 山田-7b was used and never registered."},
		},
	}
	f, err := document.Sign(r, func(string, ...string) ([]byte, error) {
		return []byte("audittrail.report/v1\naudittrail/test\n1234567\n\n— audittrail/test c2lnbmF0dXJl\n"), nil
	})
	if err != nil {
		panic(err)
	}
	return f
}

func written(t *testing.T, write func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	f := sample(4)
	golden(t, "report.html", written(t, func(w io.Writer) error { return render.HTML(w, f) }))
	golden(t, "report.md", written(t, func(w io.Writer) error { return render.Markdown(w, f) }))
	golden(t, "report.csv", written(t, func(w io.Writer) error { return render.CSV(w, f.Report) }))
	golden(t, "report.txt", written(t, func(w io.Writer) error { return render.Summary(w, f, 80, false) }))
	golden(t, "report.pdf", written(t, func(w io.Writer) error { return render.PDF(w, f) }))
}

// The page needs no network, and nothing recorded becomes markup.
func TestHTMLStandsAlone(t *testing.T) {
	page := string(written(t, func(w io.Writer) error { return render.HTML(w, sample(4)) }))
	for _, m := range regexp.MustCompile(`(?i)\b(src|href|action|data|url|@import)\s*[=(]\s*["']?([^"'\s>)]*)`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(m[2], "#") {
			t.Errorf("the page refers to %q", m[0])
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "3 <b>") {
		t.Error("the page has markup that it should not have")
	}
	if ids := regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1); len(ids) == 0 {
		t.Error("no links")
	} else {
		for _, id := range ids {
			if !strings.Contains(page, `id="`+id[1]+`"`) {
				t.Errorf("a link to #%s, which is nowhere", id[1])
			}
		}
	}
}

func TestSummaryFits(t *testing.T) {
	text := string(written(t, func(w io.Writer) error {
		return render.Summary(w, sample(30), 80, false)
	}))
	for line := range strings.SplitSeq(text, "\n") {
		if n := len([]rune(line)); n > 80 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
}

func TestPDFTwice(t *testing.T) {
	a := written(t, func(w io.Writer) error { return render.PDF(w, sample(300)) })
	b := written(t, func(w io.Writer) error { return render.PDF(w, sample(300)) })
	if !bytes.Equal(a, b) {
		t.Error("the same report gives other bytes")
	}
	for _, want := range []string{"/Outlines", "/ToUnicode", "/Count"} {
		if !bytes.Contains(a, []byte(want)) {
			t.Errorf("no %s in the PDF", want)
		}
	}
}

// A PDF and a page carry the signed report, byte for byte, and show it. A change
// of any byte outside it is found; so is one within it, by its digest.
func TestCarried(t *testing.T) {
	f := sample(4)
	for name, form := range map[string]render.Renderer{"HTML": render.HTML, "PDF": render.PDF} {
		out := written(t, func(w io.Writer) error { return form(w, f) })
		in, found, err := render.ExtractReport(out)
		if err != nil || !bytes.Equal(in, f.Bytes()) {
			t.Fatalf("%s carries %d bytes, %v, want the %d of the report", name, len(in), err, len(f.Bytes()))
		}
		if err := render.CheckRendering(out, found, f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		rng := rand.New(rand.NewPCG(7, 11))
		for range 20 {
			at := 10 + rng.IntN(len(out)-10)
			bad := bytes.Clone(out)
			bad[at] ^= 1
			in, found, err := render.ExtractReport(bad)
			if err == nil && bytes.Equal(in, f.Bytes()) {
				if err := render.CheckRendering(bad, found, f); !errors.Is(err, render.ErrRenderingDiffers) {
					t.Errorf("%s with byte %d changed: %v, want ErrShownOtherwise", name, at, err)
				}
			}
		}
		twice := append(bytes.Clone(out), out...)
		if _, _, err := render.ExtractReport(twice); !errors.Is(err, render.ErrNoReport) {
			t.Errorf("%s with two reports: %v, want ErrCarriesNone", name, err)
		}
		unsigned, err := document.Sign(f.Report, nil)
		if err != nil {
			t.Fatal(err)
		}
		bare := written(t, func(w io.Writer) error { return form(w, unsigned) })
		if _, _, err := render.ExtractReport(bare); !errors.Is(err, render.ErrNoReport) {
			t.Errorf("%s of a report that nobody signed: %v, want ErrCarriesNone", name, err)
		}
	}
	if in, form, err := render.ExtractReport(f.Bytes()); in != nil || form != nil || err != nil {
		t.Errorf("JSON carries %d bytes, %v", len(in), err)
	}
}

// The banner is good news only if the log verifies and nothing needs attention.
func TestBanner(t *testing.T) {
	f := sample(1)
	r := f.Report
	overdue, notices := r.Attention[:1], r.Notices
	for _, c := range []struct {
		status    document.Status
		attention []document.Attention
		notices   []document.Notice
		tone      document.Tone
	}{
		{document.Complete, nil, nil, document.Good},
		{document.Complete, []document.Attention{}, []document.Notice{{Tone: document.Plain, Text: "One was erased."}}, document.Good},
		{document.Complete, overdue, nil, document.Warning},
		{document.Complete, []document.Attention{}, notices, document.Warning},
		{document.Incomplete, []document.Attention{}, nil, document.Warning},
		{document.Unchecked, []document.Attention{}, nil, document.Bad},
		{document.Altered, overdue, nil, document.Bad},
	} {
		r.Status, r.Attention, r.Notices = c.status, c.attention, c.notices
		page := string(written(t, func(w io.Writer) error { return render.HTML(w, f) }))
		if !strings.Contains(page, `<p class="status tone-`+string(c.tone)+`">`) {
			t.Errorf("%s with %d lines and %d notices: the banner is not %s", c.status, len(c.attention), len(c.notices), c.tone)
		}
		if calm := strings.Contains(page, "Nothing in this report needs attention."); calm != (c.attention != nil && len(c.attention) == 0) {
			t.Errorf("%s with %v: the page says that nothing needs attention: %v", c.status, c.attention, calm)
		}
	}
}

// A period is said in words, with both of its days.
func TestPeriod(t *testing.T) {
	day := func(n int) document.Time { return document.Time{Time: time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC)} }
	noon := document.Time{Time: time.Date(2026, 11, 9, 12, 30, 0, 0, time.UTC)}
	events := document.Section{ID: "scope", Figures: []document.Figure{
		{ID: "scope.first", Value: document.TimeOf(noon.Time)},
		{ID: "scope.last", Value: document.TimeOf(noon.AddDate(0, 0, 3))},
	}}
	for _, c := range []struct {
		start, end document.Time
		sections   []document.Section
		want       string
	}{
		{document.Time{}, document.Time{}, nil, "the whole log"},
		{document.Time{}, document.Time{}, []document.Section{events}, "the whole log: events from 9 November 2026 to 12 November 2026"},
		{document.Time{}, day(4), nil, "everything until the end of 3 November 2026, in UTC"},
		{document.Time{}, noon, nil, "everything before 9 November 2026, 12:30:00, in UTC"},
		{day(4), document.Time{}, nil, "from 4 November 2026 on, in UTC"},
		{day(1), day(31), nil, "from 1 November 2026 to 30 November 2026, both included, in UTC"},
		{day(1), day(2), nil, "1 November 2026, in UTC"},
		{day(1), noon, nil, "from 1 November 2026 before 9 November 2026, 12:30:00, in UTC"},
		{noon, day(12), nil, "from 9 November 2026, 12:30:00 until the end of 11 November 2026, in UTC"},
	} {
		if got := render.Period(&document.Report{Start: c.start, End: c.end, Sections: c.sections}); got != c.want {
			t.Errorf("Period is %q, want %q", got, c.want)
		}
	}
}
