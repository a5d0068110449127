package query_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"audittrail/event"
)

// vocabulary is what the texts of these tests are made of.
var vocabulary = []string{
	"refund", "Refund", "refunds", "order", "my", "bond", "the", "safe", "a", "b",
	"café", "cafe", "CAFÉ", "crème", "brûlée", "Straße", "STRASSE", "Łódź", "naïve", "İstanbul", "ΑΘΉΝΑ",
	"退款", "退", "款", "东京都", "東京", "平成", "㍻", "환불", "환불을", "カフェ", "ｶﾌｪ", "สวัสดี",
	"John's", "e-mail", "user_id", "example.com", "3.14", "1,000", "4711", "x1_y2_x3",
	"www.example.com", "bob@corp.example.com", "max_tokens_per_day", "max_tokens", "O’Brien's", "o'brien", "/etc/app.conf.d/x", "__init__",
	"v1.2.3", "2026-11-30T12:00:00Z", "192.168.1.7", "👍🏽", `צה"ל`, "צה״ל",
	strings.Repeat("long", 20) + "tail", strings.Repeat("long", 20) + "end", "🙂", "don’t",
}

// Separators between words, one of which is none.
var separators = []string{" ", " ", " ", ", ", "\n", "", "-", ": ", "/"}

func pick[E any](w *world, from []E) E { return from[w.rng.IntN(len(from))] }

// sometimes returns one of some texts, or none.
func (w *world) sometimes(from ...string) string {
	if w.rng.IntN(3) == 0 {
		return ""
	}
	return pick(w, from)
}

func (w *world) words(most int) string {
	var b strings.Builder
	for range w.rng.IntN(most + 1) {
		b.WriteString(pick(w, vocabulary) + pick(w, separators))
	}
	return b.String()
}

func (w *world) json(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		w.Fatal(err)
	}
	return b
}

// number is one that is small, or as large as there are, or none.
func (w *world) number() *int64 {
	switch w.rng.IntN(8) {
	case 0:
		return new(int64(event.MaxInt))
	case 1:
		return new(int64(0))
	case 2, 3:
		return nil
	}
	return new(w.rng.Int64N(40))
}

// aTime is in one of some days around a change of the clocks, or, now and then,
// further away than nanoseconds can tell.
func (w *world) aTime() time.Time {
	switch w.rng.IntN(60) {
	case 0:
		return time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)
	case 1:
		return time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC)
	}
	first := time.Date(2026, 10, 24, 20, 0, 0, 0, time.UTC)
	return first.Add(time.Duration(w.rng.Int64N(int64(10*24*time.Hour) / 1e9 * 1e9)))
}

var (
	models    = []string{"gpt-4", "llama", "claude", "gpt-4o"}
	users     = []string{"ann", "bob", "cid", "dan", "eva"}
	sessions  = []string{"s1", "s2", "s3"}
	producers = []string{"app", "batch"}
	teams     = []string{"x", "y", "z"}
	traces    = []string{"0123456789abcdef0123456789abcdef", "00000000000000000000000000000001"}
)

// events are at random: every field is there in some of them, and none in all.
func (w *world) events(n int) []event.Event {
	all := make([]event.Event, n)
	for i := range all {
		e := &all[i]
		e.Type = pick(w, append(event.Types(), "x.custom", "x.other"))
		e.Time = w.aTime()
		e.ModelID, e.ModelVersion = w.sometimes(models...), w.sometimes("1", "2")
		e.Provider, e.DeploymentID = w.sometimes("openai", "meta"), w.sometimes("eu", "us")
		e.UserID, e.SessionID = w.sometimes(users...), w.sometimes(sessions...)
		e.TraceID = w.sometimes(traces...)
		e.SpanID, e.ParentSpanID = w.sometimes("0123456789abcdef"), w.sometimes("00000000000000ff")
		e.Outcome, e.Severity = w.sometimes(event.Outcomes()...), w.sometimes(event.Severities()...)
		e.Category, e.FinishReason = w.sometimes("pii", "toxicity"), w.sometimes("stop", "length")
		e.InputTokens, e.OutputTokens = w.number(), w.number()
		e.CachedTokens, e.ReasoningTokens = w.number(), w.number()
		if n := w.number(); n != nil {
			e.Latency = new(time.Duration(min(*n*333, event.MaxInt)) * time.Microsecond)
		}
		if n := w.number(); n != nil {
			e.Cost = &event.Cost{Nano: *n, Currency: pick(w, []string{"USD", "USD", "USD", "EUR"})}
		}
		if p := w.sometimes(producers...); p != "" {
			e.Producer = &event.Producer{ID: p}
			if w.rng.IntN(2) == 0 {
				e.Producer.Seq = new(w.rng.Uint64N(9))
			}
		}
		if w.rng.IntN(2) == 0 {
			e.Labels = map[string]string{"team": pick(w, teams)}
			if w.rng.IntN(3) == 0 {
				e.Labels["env"] = fmt.Sprint("é", w.rng.IntN(2))
			}
		}
		e.RetentionClass = w.sometimes(append(w.classes, "standard")...)
		w.content(e)
	}
	return all
}

// content fills in what is sealed.
func (w *world) content(e *event.Event) {
	e.Prompt, e.Response = w.words(6), w.words(6)
	if w.rng.IntN(4) > 0 {
		return
	}
	e.SystemInstructions, e.Error = w.words(3), w.words(3)
	message := func(role string) map[string]any { return map[string]any{"role": role, "content": w.words(4)} }
	e.InputMessages = w.json([]any{message("user"), message("system")})
	e.OutputMessages = w.json([]any{message("assistant")})
	e.Metadata = map[string]json.RawMessage{"note": w.json(w.words(2)), "refund": w.json([]any{w.words(2), 4711, true, nil})}
	e.Tool = &event.Tool{
		Name: pick(w, []string{"search", "mail"}), Arguments: w.json(map[string]any{"q": w.words(3), "n": w.rng.IntN(3)}), Result: w.json(w.words(3)),
	}
}
