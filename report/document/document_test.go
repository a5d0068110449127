package document_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"audittrail/report/document"
	"audittrail/tlog"
)

const origin = "audittrail/test"

// key returns the signer of a seed, and its verifier key.
func key(t testing.TB, seed byte) (note.Signer, string) {
	t.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	vkey, err := note.NewEd25519VerifierKey(origin, private.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{v.KeyHash(), private}, vkey
}

type signer struct {
	hash uint32
	key  ed25519.PrivateKey
}

func (s *signer) Name() string                    { return origin }
func (s *signer) KeyHash() uint32                 { return s.hash }
func (s *signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

func signWith(s note.Signer) func(kind string, lines ...string) ([]byte, error) {
	return func(kind string, lines ...string) ([]byte, error) {
		return tlog.SignStatement(tlog.Statement{Kind: kind, Origin: origin, Lines: lines}, s)
	}
}

// sample has one of everything.
func sample() *document.Report {
	at := time.Date(2026, 11, 2, 6, 0, 30, 647e6, time.UTC)
	return &document.Report{
		Version: document.Version, Type: "full", Program: "1.0.0", Origin: origin, Size: 300,
		Root: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", AsOf: document.Time{Time: at}, Start: document.Time{Time: at.AddDate(0, -1, 0)}, End: document.Time{Time: at}, Model: "gpt-4",
		Organisation: &document.Organisation{
			Name: "Example AG", Systems: "the claims assistant", For: "its auditor",
			NotApplicable: []document.NotApplicable{{Rules: "own", Place: "§ 1", Reason: "Nobody counts."}, {Rules: "own", Reason: "No house."}},
		},
		Witness: &document.Witness{Checkpoint: "audittrail/test\n300\n…\n", Keys: []string{"witness+00000000+AA"}},
		Attention: []document.Attention{
			{Kind: document.FailedTest, Tone: document.Bad, Section: "usage", Text: "Usage, \"Calls\": 300, where 0 is asked."},
			{Kind: document.Unwitnessed, Tone: document.Warning, Section: "usage", Text: "Nobody saw it."},
		},
		Rules:   []document.Rules{{ID: "own", Title: "House rules", Source: "https://example.com/rules", AsOf: "2026-11-01", Digest: strings.Repeat("0a", 32)}},
		Status:  document.Incomplete,
		Notices: []document.Notice{{Tone: document.Warning, Text: "Two records are <lost>."}},
		Sources: []document.Source{
			{ID: "q1", Kind: "group", Query: json.RawMessage(`{"aggregates":["count"],"group_by":["model_id"],"size":300}`), Text: "calls by model", Command: "audittrail query --group-by model_id --agg count", Records: 300},
			{ID: "q2", Kind: "verify", Text: "the whole log", Records: 300},
		},
		Sections: []document.Section{{
			ID: "usage", Title: "Usage", Intro: "What was asked.",
			AskedBy: []document.Citation{{Rules: "own", Place: "§ 1", Title: "Count"}},
			Figures: []document.Figure{
				{ID: "usage.calls", Label: "Calls", Value: document.CountOf(300), Sources: []string{"q1"}},
				{ID: "usage.cost", Label: "Cost", Value: document.MoneyOf(1234567890123, "EUR"), Sources: []string{"q1"}, Note: "Of those that say."},
				{ID: "usage.root", Label: "Root", Value: document.CodeOf("abc"), Sources: []string{"q2"}},
				{ID: "usage.state", Label: "State", Value: document.StateOf(document.Good, "intact"), Sources: []string{"q2"}},
				{ID: "usage.none", Label: "Unknown", Sources: []string{"q2"}},
			},
			Charts: []document.Chart{{
				ID: "usage.days", Title: "Calls by day", Kind: document.Bars, Labels: []string{"2026-11-01", "2026-11-02"}, Sources: []string{"q1"},
				Series: []document.Series{{Name: "calls", Values: []document.Value{document.CountOf(1), {}}}},
			}},
			Graphs: []document.Graph{{
				ID: "usage.graph", Title: "Lineage", Sources: []string{"q2"}, Edges: [][2]int{{0, 1}},
				Nodes: []document.Node{{Label: "claims", Kind: "dataset"}, {Label: "claims-7b", Kind: "model", Layer: 2, Tone: document.Warning}},
			}},
			Tables: []document.Table{{
				ID: "usage.by_model", Title: "By model", Total: 7, Sources: []string{"q1"},
				Columns: []document.Column{{Name: "model"}, {Name: "calls", Numeric: true}, {Name: "p95", Numeric: true}, {Name: "errors", Numeric: true}, {Name: "last"}, {Name: "size", Numeric: true}},
				Rows: [][]document.Value{
					{document.TextOf("gpt-4"), document.CountOf(200), document.MicrosOf(1500), document.ShareOf(1, 3), document.TimeOf(at), document.BytesOf(5)},
					{document.TextOf("山 \u2028\""), document.CountOf(100), {}, document.ShareOf(0, 3), {}, document.BytesOf(1 << 40)},
				},
			}},
			Gaps: []string{"Whether the answers were right."},
		}},
	}
}

var update = flag.Bool("update", false, "write the vectors that are missing")

const vectors = "../../testdata/vectors/report"

func signed(t testing.TB) (*document.File, string) {
	t.Helper()
	s, vkey := key(t, 1)
	f, err := document.Sign(sample(), signWith(s))
	if err != nil {
		t.Fatal(err)
	}
	return f, vkey
}

// The vector is for ever: what is there is never written again.
func TestVector(t *testing.T) {
	f, vkey := signed(t)
	name := filepath.Join(vectors, "report-v2.json")
	want, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) && *update {
		want = f.Bytes()
		err = errors.Join(os.MkdirAll(vectors, 0o755), os.WriteFile(name, want, 0o644), os.WriteFile(filepath.Join(vectors, "vkey"), []byte(vkey+"\n"), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(f.Bytes(), want) {
		t.Errorf("report is\n%s\nwant\n%s", f.Bytes(), want)
	}
	known, err := os.ReadFile(filepath.Join(vectors, "vkey"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := document.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Verify(strings.Fields(string(known))); err != nil {
		t.Error(err)
	}
	if d := document.Compare(sample(), got.Report); len(d) > 0 {
		t.Errorf("what was read differs: %v", d)
	}
}

// Reports of version 1 are read and verified as they were.
func TestVersion1(t *testing.T) {
	in, err := os.ReadFile(filepath.Join(vectors, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := document.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	_, vkey := key(t, 1)
	if err := f.Verify([]string{vkey}); err != nil {
		t.Error(err)
	}
	if f.Report.Version != 1 || f.Report.Attention != nil || !bytes.Equal(f.Bytes(), in) {
		t.Errorf("version %d, %v", f.Report.Version, f.Report.Attention)
	}
	newer := sample()
	newer.Version = 1
	b, err := newer.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := document.Decode(b); !errors.Is(err, document.ErrFormat) {
		t.Errorf("version 1 with members of version 2: error is %v, want ErrForm", err)
	}
}

func TestReadFileRefuses(t *testing.T) {
	f, _ := signed(t)
	good := string(f.Bytes())
	for name, change := range map[string][2]string{
		"space":           {`"size":300,"sources"`, `"size": 300,"sources"`},
		"unknown member":  {`"size":300,"sources"`, `"size":300,"sizes":1,"sources"`},
		"other order":     {`"size":300,"sources"`, `"sources"`},
		"case":            {`"size":300,"sources"`, `"Size":300,"sources"`},
		"repeated":        {`"size":300,"sources"`, `"size":300,"size":300,"sources"`},
		"float":           {`"size":300,"sources"`, `"size":300.0,"sources"`},
		"number too big":  {`{"count":200}`, `{"count":9007199254740993}`},
		"two in a value":  {`{"count":200}`, `{"count":200,"us":1}`},
		"money bare":      {`{"currency":"EUR","nano":1234567890123}`, `{"nano":1234567890123}`},
		"empty value":     {`{"count":200}`, `{}`},
		"value in words":  {`{"count":200}`, `"200"`},
		"bad time":        {`{"time":"2026-11-02T06:00:30.647000000Z"}`, `{"time":"2026-11-02"}`},
		"version":         {`"v":2,`, `"v":3,`},
		"old version":     {`"v":2,`, `"v":1,`},
		"no attention":    {`"attention":[`, `"attentions":[`},
		"null attention":  {`"attention":[{"kind":"failed_test","section":"usage","text":"Usage, \"Calls\": 300, where 0 is asked.","tone":"bad"},{"kind":"unwitnessed","section":"usage","text":"Nobody saw it.","tone":"wary"}]`, `"attention":null`},
		"unknown concern": {`"kind":"unwitnessed"`, `"kind":"unseen"`},
		"link to nothing": {`"kind":"unwitnessed","section":"usage"`, `"kind":"unwitnessed","section":"use"`},
		"status":          {`"status":"incomplete"`, `"status":"perfect"`},
		"root":            {`"root":"47DE`, `"root":"47D`},
		"origin":          {`"origin":"audittrail/test"`, `"origin":""`},
		"unknown source":  {`"sources":["q2"]`, `"sources":["q3"]`},
		"source twice":    {`"id":"q2"`, `"id":"q1"`},
		"figure twice":    {`"id":"usage.cost"`, `"id":"usage.calls"`},
		"ragged table":    {`[{"text":"gpt-4"},{"count":200}`, `[{"count":200}`},
		"ragged chart":    {`"labels":["2026-11-01","2026-11-02"]`, `"labels":["2026-11-01"]`},
		"edge to nothing": {`"edges":[[0,1]]`, `"edges":[[0,2]]`},
		"empty list":      {`"model":"gpt-4"`, `"model":""`},
		"no signature":    {`,"signature":"`, `,"signatures":"`},
		"a space":         {`,"signature":"`, `,"signature": "`},
		"no end":          {"}\n", "}"},
		"more behind":     {"}\n", "}\n\n"},
		"other zone":      {`"as_of":"2026-11-02T06:00:30.647000000Z"`, `"as_of":"2026-11-02T07:00:30.647000000+01:00"`},
		"escaped":         {`"gpt-4"`, `"gpt\u002d4"`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Errorf("%s: nothing was changed", name)
		}
		if _, err := document.ReadFile([]byte(bad)); !errors.Is(err, document.ErrFormat) {
			t.Errorf("%s: error is %v, want ErrForm", name, err)
		}
	}
	if _, err := document.ReadFile(nil); !errors.Is(err, document.ErrFormat) {
		t.Errorf("nothing: error is %v, want ErrForm", err)
	}
}

func TestVerify(t *testing.T) {
	f, vkey := signed(t)
	_, other := key(t, 2)
	if err := f.Verify([]string{other}); !errors.Is(err, tlog.ErrUnknownKey) {
		t.Errorf("another key: error is %v, want ErrUnknownKey", err)
	}
	changed, err := document.ReadFile(bytes.Replace(f.Bytes(), []byte(`{"count":200}`), []byte(`{"count":201}`), 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := changed.Verify([]string{vkey}); !errors.Is(err, document.ErrDigest) {
		t.Errorf("a changed cell: error is %v, want ErrDigest", err)
	}
	unsigned, err := document.Sign(sample(), nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := document.ReadFile(unsigned.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Verify([]string{vkey}); !errors.Is(err, document.ErrUnsigned) {
		t.Errorf("no signature: error is %v, want ErrUnsigned", err)
	}
}

func TestCompare(t *testing.T) {
	for where, change := range map[string]func(*document.Report){
		"usage.calls":                   func(r *document.Report) { r.Sections[0].Figures[0].Value = document.CountOf(301) },
		"usage.by_model: gpt-4, calls":  func(r *document.Report) { r.Sections[0].Tables[0].Rows[0][1] = document.CountOf(1) },
		"usage.by_model: gpt-4":         func(r *document.Report) { r.Sections[0].Tables[0].Rows = r.Sections[0].Tables[0].Rows[1:] },
		"usage.by_model, rows in all":   func(r *document.Report) { r.Sections[0].Tables[0].Total = 8 },
		"usage.by_model":                func(r *document.Report) { slices.Reverse(r.Sections[0].Tables[0].Rows) },
		"usage.days":                    func(r *document.Report) { r.Sections[0].Charts[0].Series[0].Values[1] = document.CountOf(2) },
		"usage.graph":                   func(r *document.Report) { r.Sections[0].Graphs[0].Edges = nil },
		"query q1, records":             func(r *document.Report) { r.Sources[0].Records = 1 },
		"usage, limitations":            func(r *document.Report) { r.Sections[0].Gaps = nil },
		"usage, why it is not computed": func(r *document.Report) { r.Sections[0].Failed = "x" },
		"usage.state":                   func(r *document.Report) { r.Sections[0].Figures[3].Value = document.StateOf(document.Bad, "altered") },
		"usage.state, words":            func(r *document.Report) { r.Sections[0].Figures[3].Value.Tone = document.Bad },
		"status":                        func(r *document.Report) { r.Status = document.Complete },
		"notice":                        func(r *document.Report) { r.Notices = nil },
		"attention of failed_test":      func(r *document.Report) { r.Attention = r.Attention[1:] },
		"attention of unwitnessed":      func(r *document.Report) { r.Attention[1].Text = "Everybody saw it." },
		"attention, words":              func(r *document.Report) { r.Attention[0].Tone = document.Plain },
		"organisation":                  func(r *document.Report) { r.Organisation.NotApplicable[0].Reason = "It counts." },
		"witness":                       func(r *document.Report) { r.Witness = nil },
		"rules own":                     func(r *document.Report) { r.Rules[0].Digest = "" },
		"end":                           func(r *document.Report) { r.End.Time = r.End.Add(1) },
		"usage.none":                    func(r *document.Report) { r.Sections[0].Figures = r.Sections[0].Figures[:4] },
		"the report":                    func(r *document.Report) { r.Notices[0].Tone = document.Bad },
	} {
		other := sample()
		change(other)
		for _, pair := range [][2]*document.Report{{sample(), other}, {other, sample()}} {
			found := document.Compare(pair[0], pair[1])
			if !slices.ContainsFunc(found, func(d document.Difference) bool { return d.Where == where }) {
				t.Errorf("Compare finds %v, want something at %q", found, where)
			}
		}
	}
	if found := document.Compare(sample(), sample()); len(found) > 0 {
		t.Errorf("Compare(same) = %v, want nothing", found)
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		v           document.Value
		text, plain string
	}{
		{document.Value{}, "–", ""},
		{document.CountOf(1234567), "1,234,567", "1234567"},
		{document.MicrosOf(999), "999 µs", "0.000999"},
		{document.MicrosOf(1500), "1.5 ms", "0.001500"},
		{document.MicrosOf(1500000), "1.50 s", "1.500000"},
		{document.MicrosOf(61e6), "1 min 1 s", "61.000000"},
		{document.MicrosOf(3 * 3600e6), "3 h 0 min", "10800.000000"},
		{document.MicrosOf(50 * 3600e6), "2 d 2 h", "180000.000000"},
		{document.MoneyOf(12300000, "USD"), "0.012300 USD", "0.012300000"},
		{document.MoneyOf(1234567890123, "EUR"), "1,234.56 EUR", "1234.567890123"},
		{document.ShareOf(1, 3), "33.33 %", "0.333333"},
		{document.ShareOf(2, 3), "66.67 %", "0.666667"},
		{document.ShareOf(0, 3), "0.00 %", "0.000000"},
		{document.ShareOf(1, 100_000), "0.01 %", "0.000010"},
		{document.ShareOf(99_999, 100_000), "99.99 %", "0.999990"},
		{document.ShareOf(3, 3), "100.00 %", "1.000000"},
		{document.ShareOf(1, 0), "–", ""},
		{document.BytesOf(1 << 30), "1.1 GB", "1073741824"},
		{document.TimeOf(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)), "2026-01-02 03:04:05Z", "2026-01-02T03:04:05.000000006Z"},
		{document.TextOf("a\xffb"), "a\ufffdb", "a\ufffdb"},
		{document.StateOf(document.Bad, "altered"), "altered", "altered"},
	} {
		if got := c.v.String(); got != c.text {
			t.Errorf("String(%v) = %q, want %q", c.v.Kind, got, c.text)
		}
		if got := c.v.Plain(); got != c.plain {
			t.Errorf("Plain(%v) = %q, want %q", c.v.Kind, got, c.plain)
		}
	}
}

func FuzzReadFile(f *testing.F) {
	s, vkey := key(f, 1)
	file, err := document.Sign(sample(), signWith(s))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	small, err := document.Sign(&document.Report{Version: 1, Origin: origin, Root: sample().Root, Status: document.Complete}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(small.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := document.ReadFile(in)
		if err != nil {
			return
		}
		again, err := document.Sign(got.Report, nil)
		if err != nil || !bytes.Equal(again.Encoded, got.Encoded) {
			t.Errorf("ReadFile accepted %q, which is %q, %v", in, again.Encoded, err)
		}
		if got.Verify([]string{vkey}) != nil {
			return
		}
		// What is signed verifies, and nothing else does.
		if own, err := document.Sign(got.Report, signWith(s)); err != nil || !bytes.Equal(own.Bytes(), in) {
			t.Errorf("Verify accepted %q, which is %q, %v", in, own.Bytes(), err)
		}
	})
}
