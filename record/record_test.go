package record_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
	"audittrail/record"
)

var update = flag.Bool("update", false, "write new vectors; old ones are never changed")

// line seals an event and gives it a place.
func line(t testing.TB, s *record.SealParams, seq uint64) []byte {
	t.Helper()
	d, err := record.Seal(s)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Free()
	b, _ := d.Finish(nil, seq, time.Date(2026, 11, 23, 12, 0, 1, 2003, time.UTC), record.Hash{1})
	return b[:len(b)-1]
}

func TestSealAndOpen(t *testing.T) {
	for _, n := range []int{0, 84, 5_000, 300_000} {
		s := sealing(n)
		digest := event.Digest(s.Event)
		s.Digest = &digest
		b := line(t, s, 41)
		r, err := record.Decode(b)
		if err != nil {
			t.Fatalf("%d bytes: Decode() = %v", n, err)
		}
		if r.Event.Prompt != "" || r.Event.UserID != "" || bytes.Contains(b, []byte("user-001")) {
			t.Errorf("%d bytes: content stands in the clear", n)
		}
		tail, ok := record.ParseChainLink(b)
		if !ok || tail != r.ChainLink || !record.VerifyHash(b, &tail) || tail.Seq != 41 {
			t.Errorf("%d bytes: ParseTail() = %+v, %v, want %+v", n, tail, ok, r.ChainLink)
		}
		id, kind, ok := record.Peek(b)
		if !ok || id != s.ID || string(kind) != "prompt" {
			t.Errorf("%d bytes: Glance() = %v, %q, %v", n, id, kind, ok)
		}
		if got, err := r.Digest(s.PRK); err != nil || got == nil || *got != digest {
			t.Errorf("%d bytes: Digest() = %x, %v, want %x", n, got, err, digest)
		}
		if err := r.Open(s.PRK); err != nil {
			t.Fatalf("%d bytes: Open() = %v", n, err)
		}
		want := *s.Event
		want.ID, want.RetentionClass = s.ID.String(), "standard"
		if diff := cmp.Diff(want, r.Event); diff != "" {
			t.Errorf("%d bytes: opened (-want +got):\n%s", n, diff)
		}
		if n > 4096 && len(b) > n/2 {
			t.Errorf("%d bytes of repetition take %d bytes: not compressed", n, len(b))
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	s := sealing(200)
	b := line(t, s, 1)
	r, err := record.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Open(record.PRK{9}); !errors.Is(err, record.ErrWrongKey) {
		t.Errorf("another key: %v, want ErrWrongKey", err)
	}
	key, err := r.DeriveKey(s.PRK)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.OpenWith(key); err != nil {
		t.Errorf("the record's own key: %v", err)
	}
	// The body authenticates each field before it.
	for _, change := range [][2]string{
		{`"model_id":"gpt-4"`, `"model_id":"gpt-5"`},
		{`"type":"prompt"`, `"type":"x.custom"`},
		{`"input_tokens":120`, `"input_tokens":121`},
		{`"class":"standard/2026-11"`, `"class":"standard/2026-12"`},
		{`"subject":"05`, `"subject":"06`},
		{`"time":"2026-11-23T12:00:00.`, `"time":"2026-11-23T12:00:01.`},
	} {
		forged := bytes.Replace(b, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(forged, b) {
			t.Fatalf("the line has no %s", change[0])
		}
		r, err := record.Decode(forged)
		if err != nil {
			t.Fatalf("%s: %v", change[1], err)
		}
		if err := r.OpenWith(key); !errors.Is(err, record.ErrBody) {
			t.Errorf("%s: OpenWith() = %v, want ErrBody", change[1], err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	b := string(line(t, sealing(100), 7))
	body := b[strings.Index(b, `"body":"`)+8:]
	body = body[:strings.Index(body, `"`)]
	for name, bad := range map[string]string{
		"empty":               "",
		"not an object":       "[]",
		"space":               strings.Replace(b, `,"id"`, `, "id"`, 1),
		"behind the end":      b + " ",
		"order":               strings.Replace(b, `"outcome":"success","finish_reason":"stop"`, `"finish_reason":"stop","outcome":"success"`, 1),
		"unknown field":       strings.Replace(b, `"size":`, `"sice":`, 1),
		"twice":               strings.Replace(b, `"type":"prompt",`, `"type":"prompt","type":"prompt",`, 1),
		"upper case hex":      strings.Replace(b, `"key":"`, `"key":"A`, 1),
		"escaped":             strings.Replace(b, `gpt-4`, `\u0067pt-4`, 1),
		"float":               strings.Replace(b, `"input_tokens":120`, `"input_tokens":120.0`, 1),
		"leading zero":        strings.Replace(b, `"seq":7`, `"seq":07`, 1),
		"negative":            strings.Replace(b, `"seq":7`, `"seq":-7`, 1),
		"zone":                strings.Replace(b, `000000000Z","type"`, `000000000z","type"`, 1),
		"month":               strings.Replace(b, "standard/2026-11", "standard/2026-13", 1),
		"size no Padmé":       strings.Replace(b, `"size":`, `"size":9`, 1),
		"body not base64":     strings.Replace(b, body, "!"+body[1:], 1),
		"body unpadded":       strings.Replace(b, body, strings.TrimRight(body, "=")+"A", 1),
		"body with a newline": strings.Replace(b, body, body[:4]+`\n`+body[4:], 1),
		"body too short":      strings.Replace(b, body, body[:8], 1),
	} {
		if bad == b {
			t.Errorf("%s: nothing changed", name)
			continue
		}
		if r, err := record.Decode([]byte(bad)); !errors.Is(err, record.ErrFormat) {
			t.Errorf("%s: Decode() = %+v, %v, want ErrForm", name, r, err)
		}
	}
	var version *record.VersionError
	if _, err := record.Decode([]byte(strings.Replace(b, `{"v":2`, `{"v":3`, 1))); !errors.As(err, &version) || version.Version != 3 {
		t.Errorf("version 3: %v, want a VersionError", err)
	}
}

// whole returns parameters with all members of LogMetadata.
func whole() *record.SealParams {
	s := sealing(100)
	s.Actor, s.Domain, s.Withheld, s.Call = record.Subject{7, 15: 1}, "shop-1_a", record.WithheldErased, record.CallID{15: 9}
	return s
}

// TestOwnMembers checks that each member has one place and one canonical form,
// and that a line of version 1 has none of them.
func TestOwnMembers(t *testing.T) {
	s := whole()
	b := string(line(t, s, 7))
	r, err := record.Decode([]byte(b))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.LogMetadata, r.LogMetadata); diff != "" || r.Version != 2 {
		t.Errorf("version %d, own members (-want +got):\n%s", r.Version, diff)
	}
	const own = `,"parts":["prompt","response"],"source":"app","actor":"07000000000000000000000000000001","domain":"shop-1_a","withheld":"erased","call":"00000000000000000000000000000009","session":"`
	if !strings.Contains(b, own) {
		t.Fatalf("the line is %s, want it to contain %s", b, own)
	}
	for name, change := range map[string][2]string{
		"no source":             {`"source":"app",`, ``},
		"unknown source":        {`"source":"app"`, `"source":"apps"`},
		"upper case source":     {`"source":"app"`, `"source":"App"`},
		"escaped source":        {`"source":"app"`, `"source":"\u0061pp"`},
		"no parts":              {`["prompt","response"]`, `[]`},
		"parts in disorder":     {`["prompt","response"]`, `["response","prompt"]`},
		"a part twice":          {`["prompt","response"]`, `["prompt","prompt","response"]`},
		"an unknown part":       {`["prompt","response"]`, `["prompt","reply"]`},
		"parts with a space":    {`["prompt","response"]`, `["prompt", "response"]`},
		"parts with a comma":    {`["prompt","response"]`, `["prompt","response",]`},
		"parts as text":         {`["prompt","response"]`, `"prompt"`},
		"nested parts":          {`["prompt","response"]`, `[["prompt","response"]]`},
		"a short actor":         {`"actor":"07`, `"actor":"7`},
		"an upper case actor":   {`"actor":"07`, `"actor":"0A`},
		"an actor of zeros":     {`"actor":"07000000000000000000000000000001"`, `"actor":"00000000000000000000000000000000"`},
		"an empty domain":       {`"domain":"shop-1_a"`, `"domain":""`},
		"an upper case domain":  {`"domain":"shop-1_a"`, `"domain":"Shop"`},
		"a long domain":         {`"domain":"shop-1_a"`, `"domain":"` + strings.Repeat("a", 33) + `"`},
		"withheld for nothing":  {`"withheld":"erased"`, `"withheld":""`},
		"withheld otherwise":    {`"withheld":"erased"`, `"withheld":"expired"`},
		"a call of zeros":       {`"call":"00000000000000000000000000000009"`, `"call":"00000000000000000000000000000000"`},
		"a long call":           {`"call":"00`, `"call":"0000`},
		"in another order":      {`"domain":"shop-1_a","withheld":"erased"`, `"withheld":"erased","domain":"shop-1_a"`},
		"behind the session":    {own, `,"session":"`},
		"members in version 1":  {`{"v":2`, `{"v":1`},
		"a member twice":        {`"source":"app"`, `"source":"app","source":"app"`},
		"version with a zero":   {`{"v":2`, `{"v":02`},
		"version of a fraction": {`{"v":2`, `{"v":2.0`},
	} {
		bad := strings.Replace(b, change[0], change[1], 1)
		if name == "behind the session" {
			bad = strings.Replace(bad, `,"size":`, strings.TrimSuffix(own, `,"session":"`)+`,"size":`, 1)
		}
		if bad == b {
			t.Errorf("%s: nothing changed", name)
			continue
		}
		if _, err := record.Decode([]byte(bad)); !errors.Is(err, record.ErrFormat) {
			t.Errorf("%s: Decode() = %v, want ErrForm", name, err)
		}
	}
	for name, bad := range map[string]record.LogMetadata{
		"no source":      {},
		"unknown source": {Source: "apps"},
		"domain":         {Source: record.SourceApp, Domain: "Shop"},
		"withheld":       {Source: record.SourceApp, Withheld: "expired"},
	} {
		s := sealing(10)
		s.LogMetadata = bad
		if _, err := record.Seal(s); err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
}

// TestOwnIsAuthentic checks that the body authenticates each member of
// LogMetadata, and that the parts match the content.
func TestOwnIsAuthentic(t *testing.T) {
	s := whole()
	s.Withheld = ""
	b := line(t, s, 1)
	for _, change := range [][2]string{
		{`["prompt","response"]`, `["prompt"]`},
		{`"source":"app"`, `"source":"mcp"`},
		{`"actor":"07`, `"actor":"08`},
		{`"domain":"shop-1_a"`, `"domain":"shop-2_a"`},
		{`,"call":"00000000000000000000000000000009"`, ``},
		{`,"domain":"shop-1_a"`, `,"domain":"shop-1_a","withheld":"erased"`},
	} {
		forged := bytes.Replace(b, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(forged, b) {
			t.Fatalf("the line has no %s", change[0])
		}
		r, err := record.Decode(forged)
		if err != nil {
			t.Fatalf("%s: %v", change[1], err)
		}
		if err := r.Open(s.PRK); !errors.Is(err, record.ErrBody) {
			t.Errorf("%s: Open() = %v, want ErrBody", change[1], err)
		}
	}
}

// TestVersion1 reads records of programs before version 2.
func TestVersion1(t *testing.T) {
	s := whole()
	digest := event.Digest(s.Event)
	s.Digest = &digest
	d, err := record.SealVersion1(s)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := d.Finish(nil, 3, s.Event.Time, record.Hash{1})
	b = b[:len(b)-1]
	r, err := record.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if r.Version != 1 || r.LogMetadata != (record.LogMetadata{}) || !record.KnownVersion(b) {
		t.Errorf("version %d, own members %+v, Known() = %v", r.Version, r.LogMetadata, record.KnownVersion(b))
	}
	if id, kind, ok := record.Peek(b); !ok || id != s.ID || string(kind) != "prompt" || !record.HasTypePrefix(b, "pro") {
		t.Errorf("Glance() = %v, %q, %v", id, kind, ok)
	}
	if got, err := r.Digest(s.PRK); err != nil || got == nil || *got != digest {
		t.Errorf("Digest() = %x, %v, want %x", got, err, digest)
	}
	for _, other := range []string{`{"v":0`, `{"v":3`, `{"v":12`, `{"v":"1"`, `{"V":1`} {
		changed := bytes.Replace(b, []byte(`{"v":1`), []byte(other), 1)
		if _, _, ok := record.Peek(changed); ok || record.KnownVersion(changed) {
			t.Errorf("a line that begins with %s is known", other)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(line(f, sealing(100), 7))
	f.Add(line(f, sealing(0), 0))
	f.Add(line(f, sealing(6000), record.MaxSeq))
	f.Add(line(f, whole(), 8))
	if d, err := record.SealVersion1(sealing(50)); err == nil {
		b, _ := d.Finish(nil, 3, sample(0).Time, record.Hash{})
		f.Add(b[:len(b)-1])
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := record.Decode(in)
		if err != nil {
			return
		}
		tail, ok := record.ParseChainLink(in)
		if !ok || tail != r.ChainLink {
			t.Errorf("Decode and ParseTail disagree over %q", in)
		}
		// One encoding: what a JSON reader makes of it, in this order, is it.
		var compact bytes.Buffer
		if err := json.Compact(&compact, in); err != nil || !bytes.Equal(compact.Bytes(), in) {
			t.Errorf("Decode accepted %q, which is not compact JSON (%v)", in, err)
		}
	})
}

func FuzzParseTail(f *testing.F) {
	f.Add(line(f, sealing(100), 7))
	f.Fuzz(func(t *testing.T, in []byte) {
		tail, ok := record.ParseChainLink(in)
		if !ok {
			return
		}
		end := fmt.Sprintf(`,"seq":%d,"logged":"%s","prev":"%s","hash":"%s"}`, tail.Seq, event.AppendTime(nil, tail.Logged), tail.Prev, tail.Hash)
		if !bytes.HasSuffix(in, []byte(end)) {
			t.Errorf("ParseTail accepted %q, which does not end in %s", in, end)
		}
	})
}

// A vector is a line that must stay readable for ever.
type vector struct {
	Line string `json:"line"`
	PRK  string `json:"prk"` // hexadecimal
	Key  string `json:"key"` // hexadecimal
	JSON string `json:"json"`
}

func TestVectors(t *testing.T) {
	const dir = "../testdata/vectors/record"
	if *update {
		writeVectors(t, dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v vector
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		r, err := record.Decode([]byte(v.Line))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		prk, err := record.ParseHash(v.PRK)
		if err != nil {
			t.Fatal(err)
		}
		key, err := r.DeriveKey(record.PRK(prk))
		if got := record.Hash(key).String(); err != nil || got != v.Key {
			t.Errorf("%s: record key %s, %v, want %s", file, got, err, v.Key)
		}
		if err := r.OpenWith(key); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if got := string(event.AppendJSON(nil, &r.Event)); got != v.JSON {
			t.Errorf("%s: opens to\n%s, want\n%s", file, got, v.JSON)
		}
		tail, ok := record.ParseChainLink([]byte(v.Line))
		if !ok || !record.VerifyHash([]byte(v.Line), &tail) {
			t.Errorf("%s: the hash is not that of the line", file)
		}
	}
}

// writeVectors adds the vectors that are not there yet.
func writeVectors(t *testing.T, dir string) {
	long := sealing(6000)
	full := sealing(60)
	full.Event.Tool = &event.Tool{Name: "search", CallID: "c1", Arguments: []byte(`{"q":"tax"}`), Result: []byte(`[1,2.50]`)}
	full.Event.Labels = map[string]string{"team": "claims", "äö": "ü"}
	full.Event.Metadata = map[string]json.RawMessage{"n": []byte("1.0e5")}
	full.Event.Cost = &event.Cost{Nano: 12_300_000, Currency: "EUR"}
	full.Event.Producer = &event.Producer{ID: "gateway-1", Seq: new(uint64(9))}
	full.Event.TraceID = strings.Repeat("ab", 16)
	minimal := &record.SealParams{ID: record.ID{1}, Event: &event.Event{Type: event.Decision, Time: full.Event.Time}, Class: "standard/2026-11"}
	minimal.Source = record.SourceLog
	every := whole() // withheld, and so without content
	every.Event = &event.Event{Type: event.Response, Time: full.Event.Time, ModelID: "gpt-4", OutputTokens: new(int64(7))}
	answer := whole()
	answer.Withheld, answer.Source, answer.Event.Prompt = "", record.SourceGateway, ""
	answer.Event.OutputMessages, answer.Event.Error = []byte(`[{"role":"assistant"}]`), "cut off"
	for name, s := range map[string]*record.SealParams{"minimal": minimal, "full": full, "compressed": long, "withheld": every, "own": answer} {
		file := filepath.Join(dir, "v2-"+name+".json")
		if _, err := os.Stat(file); err == nil {
			continue
		}
		v := vector{Line: string(line(t, s, 41)), PRK: record.Hash(s.PRK).String()}
		r, err := record.Decode([]byte(v.Line))
		if err != nil {
			t.Fatal(err)
		}
		key, err := r.DeriveKey(s.PRK)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.OpenWith(key); err != nil {
			t.Fatal(err)
		}
		v.Key, v.JSON = record.Hash(key).String(), string(event.AppendJSON(nil, &r.Event))
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSecretsStayHidden(t *testing.T) {
	key, prk := record.Key{1, 2, 3}, record.PRK{4, 5, 6}
	for _, s := range []string{
		fmt.Sprint(key, prk), fmt.Sprintf("%x %v %+v %#v %s %d", key, key, key, key, key, key),
		fmt.Sprintf("%x %v %+v %#v %s %d", prk, prk, prk, prk, prk, prk),
	} {
		if strings.ContainsAny(s, "0123456789") {
			t.Errorf("a key shows as %s", s)
		}
	}
	b, err := json.Marshal([]any{key, prk})
	if err != nil || string(b) != `["[redacted]","[redacted]"]` {
		t.Errorf("Marshal() = %s, %v", b, err)
	}
}

func TestIDs(t *testing.T) {
	id := record.NewID(0x0192d5e07e2a, [16]byte{15: 0x8f, 6: 0xff, 8: 0xff})
	if got, want := id.String(), "0192d5e0-7e2a-7f00-bf00-00000000008f"; got != want {
		t.Errorf("NewID() = %s, want %s", got, want)
	}
	if back, err := record.ParseID(id.String()); err != nil || back != id {
		t.Errorf("ParseID() = %v, %v, want %v", back, err, id)
	}
	for _, bad := range []string{"", "0192D5E0-7e2a-7f00-bf00-00000000008f", "0192d5e07e2a7f00bf0000000000008f", "0192d5e0-7e2a-7f00-bf00-00000000008", "0192d5e0-7e2a-7f00-bf00-00000000008fa", "{192d5e0-7e2a-7f00-bf00-00000000008f}"} {
		if _, err := record.ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) accepted", bad)
		}
	}
}

// TestExpandIsHKDF compares the written-out derivation with the standard
// library's.
func TestExpandIsHKDF(t *testing.T) {
	prk, salt, id := record.PRK{1, 31: 9}, [16]byte{2, 15: 8}, record.ID{3, 15: 7}
	info := "audittrail/v1 record key\x00" + string(salt[:]) + string(id[:])
	want, err := hkdf.Expand(sha256.New, prk[:], info, 32)
	if err != nil {
		t.Fatal(err)
	}
	if got := prk.Expand(salt, id); !bytes.Equal(got[:], want) {
		t.Errorf("Expand() = %x, HKDF-Expand gives %x", record.Hash(got), want)
	}
}

func TestClassOf(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 30, 23, 30, 0, 0, time.FixedZone("", -3600)),
		time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	} {
		want := "standard/" + at.UTC().Format("2006-01")
		got := record.ClassOf("standard", at)
		if got != want {
			t.Errorf("ClassOf(%v) = %s, want %s", at, got, want)
		}
		name, month, err := record.SplitClass(got)
		if err != nil || name != "standard" || month != at.UTC().AddDate(0, 0, 1-at.UTC().Day()).Truncate(24*time.Hour) {
			t.Errorf("SplitClass(%s) = %s, %v, %v", got, name, month, err)
		}
	}
}
