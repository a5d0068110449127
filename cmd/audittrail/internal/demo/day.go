package demo

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"audittrail/event"
)

// A model is one of those that the day's product uses. Prices are in nano-
// dollars for a token.
type model struct {
	id, version, provider string
	in, out               int64
	latency               time.Duration // typical
}

var (
	chatModel   = model{"claude-sonnet", "4.5", "anthropic", 3000, 15000, 1900 * time.Millisecond}
	readModel   = model{"gpt-4o", "2024-08-06", "openai", 2500, 10000, 2600 * time.Millisecond}
	claimsModel = model{"claims-7b", "2.3", "in-house", 50, 200, 210 * time.Millisecond}
)

// When things happen that people remember of the day.
const (
	overrideAt = 11*time.Hour + 26*time.Minute + 41*time.Second
	incidentAt = 14*time.Hour + 7*time.Minute + 12*time.Second
	rollbackAt = 14*time.Hour + 31*time.Minute + 5*time.Second
)

// A day makes the events of one working day, the same for every run but for
// the date.
type day struct {
	midnight time.Time
	rng      *rand.Rand
	events   []event.Event
	sessions int
}

// eventsOf returns the events of the day before now, in the order in which they
// happen.
func eventsOf(now time.Time) []event.Event {
	y, m, d := now.UTC().AddDate(0, 0, -1).Date()
	day := &day{midnight: time.Date(y, m, d, 0, 0, 0, 0, time.UTC), rng: rand.New(rand.NewPCG(1948, 12))}
	for i := range customers {
		at := 8*time.Hour + time.Duration(i)*41*time.Minute + day.jitter(9*time.Minute)
		day.conversation(&customers[i], at)
	}
	for i := range 154 {
		day.letter(8*time.Hour + time.Duration(i)*230*time.Second + day.jitter(4*time.Minute))
	}
	for hour := 9; hour <= 18; hour++ {
		day.evaluation(time.Duration(hour)*time.Hour - day.jitter(time.Minute))
	}
	day.override()
	day.incident()
	slices.SortStableFunc(day.events, func(a, b event.Event) int { return a.Time.Compare(b.Time) })
	for i := range day.events {
		day.events[i].Producer = &event.Producer{ID: "claims-gateway", Seq: new(uint64(i + 1))}
	}
	return day.events
}

// jitter is a random part of at most limit.
func (d *day) jitter(limit time.Duration) time.Duration {
	return time.Duration(d.rng.Int64N(int64(limit/time.Millisecond))) * time.Millisecond
}

func (d *day) add(at time.Duration, ev event.Event) {
	ev.Time = d.midnight.Add(at)
	d.events = append(d.events, ev)
}

// A chat is what the events of one conversation have in common.
type chat struct {
	d       *day
	at      time.Duration
	user    string
	session string
	trace   string
	span    string // of the last event
	lang    string
	model   model
}

func (d *day) chat(at time.Duration, user, lang string, m model) *chat {
	d.sessions++
	return &chat{
		d: d, at: at, user: user, lang: lang, model: m,
		session: fmt.Sprintf("chat-%04d", d.sessions),
		trace:   fmt.Sprintf("%016x%016x", d.rng.Uint64(), d.rng.Uint64()),
	}
}

// add gives an event what the conversation knows, lets some time pass, and
// records the event.
func (c *chat) add(after time.Duration, ev event.Event) {
	c.at += after
	ev.UserID, ev.SessionID, ev.TraceID = c.user, c.session, c.trace
	c.span = cmp.Or(ev.SpanID, fmt.Sprintf("%016x", c.d.rng.Uint64()))
	ev.SpanID = c.span
	ev.Labels = map[string]string{"lang": c.lang}
	c.d.add(c.at, ev)
}

// by says which model an event is of.
func by(m model, ev event.Event) event.Event {
	ev.ModelID, ev.ModelVersion, ev.Provider = m.id, m.version, m.provider
	ev.DeploymentID = "claims-assistant"
	return ev
}

// call is by with what the call of the model cost. The context is what it was
// given besides the prompt, in tokens.
func (d *day) call(m model, context int64, ev event.Event) event.Event {
	in := context + int64(len(ev.Prompt)+len(ev.SystemInstructions))/4 + d.rng.Int64N(context/2+1)
	out := int64(len(ev.Response))/3 + 4
	took := (m.latency*7/10 + d.jitter(m.latency*8/10)).Truncate(100 * time.Microsecond)
	ev.InputTokens, ev.OutputTokens = &in, &out
	ev.Cost = &event.Cost{Nano: in*m.in + out*m.out, Currency: "USD"}
	ev.Latency = &took
	if ev.Outcome == "" {
		ev.Outcome, ev.FinishReason = event.OutcomeSuccess, "stop"
	}
	return by(m, ev)
}

func jsonOf(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil { // it is made of texts and numbers
		panic("demo: " + err.Error())
	}
	return raw
}

// noted gives an event the note by which a person would remember it.
func noted(note string, ev event.Event) event.Event {
	if ev.Metadata == nil {
		ev.Metadata = make(map[string]json.RawMessage)
	}
	ev.Metadata["note"] = jsonOf(note)
	return ev
}

// conversation is a customer's talk with the assistant.
func (d *day) conversation(cu *customer, at time.Duration) {
	c := d.chat(at, cu.user, cu.lang, chatModel)
	pause := func() time.Duration { return 25*time.Second + d.jitter(70*time.Second) }
	for i := range cu.turns {
		c.add(pause(), by(chatModel, event.Event{Type: event.Prompt, Prompt: cu.turns[i]}))
		asked := c.span
		switch i {
		case 0:
			c.add(300*time.Millisecond, event.Event{
				Type: event.Retrieval, Category: "policy-terms",
				OutputMessages: jsonOf([]string{"terms-" + cu.line + ".pdf, section " + strconv.Itoa(2+d.rng.IntN(9))}),
			})
		case 1:
			c.read(cu)
		case 2:
			c.tool("claims_lookup", map[string]any{"claim": cu.claim}, map[string]any{"claim": cu.claim, "line": cu.line, "state": "open"})
		}
		answer := d.call(chatModel, int64(700+400*i), event.Event{
			Type: event.Response, Prompt: cu.turns[i], Response: cu.reply[i],
			SystemInstructions: "You are the claims assistant. Never speak about another customer.",
		})
		if cu.lang == "it" && i == 1 {
			late := by(chatModel, event.Event{Type: event.Failure, Outcome: event.OutcomeTimeout, Error: "no answer within 30 s; tried again"})
			c.add(30*time.Second, late)
		}
		answer.SpanID = asked
		c.add(*answer.Latency, answer)
		c.add(80*time.Millisecond, event.Event{Type: event.Guardrail, Category: "personal-data", Outcome: event.OutcomeSuccess, Severity: event.SeverityInfo})
	}
	c.add(pause(), event.Event{Type: event.Feedback, Category: "stars", Metadata: map[string]json.RawMessage{"stars": jsonOf(3 + d.rng.IntN(3))}})
	note := d.call(readModel, 900, event.Event{
		Type: event.Response, Prompt: "Summarise the conversation for the claims file.",
		Response: fmt.Sprintf("Claim %d, %s: %s. Customer informed.", cu.claim, cu.line, cu.found),
	})
	c.add(4*time.Second, note)
}

// read has an uploaded file read.
func (c *chat) read(cu *customer) {
	c.add(2*time.Second, event.Event{Type: event.Retrieval, Category: "upload", OutputMessages: jsonOf([]string{cu.file})})
	seen := c.d.call(readModel, 1400, event.Event{Type: event.Response, Prompt: "Read the attached file " + cu.file + ".", Response: cu.found})
	c.add(*seen.Latency, seen)
}

// tool calls a tool.
func (c *chat) tool(name string, arguments, result any) {
	id := fmt.Sprintf("call_%08x", c.d.rng.Uint32())
	took := 20*time.Millisecond + c.d.jitter(60*time.Millisecond)
	c.add(400*time.Millisecond, by(c.model, event.Event{Type: event.ToolCall, Tool: &event.Tool{Name: name, CallID: id, Arguments: jsonOf(arguments)}}))
	c.add(took, event.Event{
		Type: event.ToolResult, Latency: &took, Outcome: event.OutcomeSuccess,
		Tool: &event.Tool{Name: name, CallID: id, Result: jsonOf(result)},
	})
}

// letter is an e-mail that the small model sorts.
func (d *day) letter(at time.Duration) {
	l := letters[d.rng.IntN(len(letters))]
	m := claimsModel
	if at > rollbackAt {
		m.version = "2.2"
	}
	c := d.chat(at, customers[d.rng.IntN(len(customers))].user, l.lang, m)
	c.add(0, d.call(m, 160, event.Event{
		Type: event.Decision, Category: "triage", Prompt: l.text,
		Response: string(jsonOf(map[string]string{"queue": l.queue})),
	}))
}

// evaluation is a spot check, once an hour.
func (d *day) evaluation(at time.Duration) {
	score := 0.90 + float64(d.rng.IntN(90))/1000
	d.add(at, by(claimsModel, event.Event{
		Type: event.Evaluation, Category: "triage-accuracy", Outcome: event.OutcomeSuccess,
		Metadata: map[string]json.RawMessage{"score": json.RawMessage(strconv.FormatFloat(score, 'f', 3, 64)), "samples": jsonOf(50)},
	}))
}

// override is a decision of the small model that a person overrules.
func (d *day) override() {
	cu := &customers[4]
	c := d.chat(overrideAt-38*time.Minute, cu.user, cu.lang, claimsModel)
	c.add(0, d.call(claimsModel, 800, event.Event{
		Type: event.Decision, Category: "settlement", Prompt: fmt.Sprintf("Claim %d: pay or refuse?", cu.claim),
		Response: `{"decision":"refuse","reason":"no receipt"}`,
	}))
	c.at = overrideAt
	c.add(0, noted("a person overrules claims-7b: pay, not refuse", event.Event{
		Type: event.HumanReview, Actor: "t.mbeki", Category: "override", Outcome: event.OutcomeSuccess,
		Metadata: map[string]json.RawMessage{"from": jsonOf("refuse"), "to": jsonOf("pay")},
	}))
}

// incident is what the demonstration is about: an uploaded document gives the
// assistant orders, and it discloses another customer's data.
func (d *day) incident() {
	cu := &customers[len(customers)-1]
	c := d.chat(incidentAt-20*time.Second, cu.user, cu.lang, claimsModel)
	c.add(0, by(claimsModel, event.Event{Type: event.Prompt, Prompt: "Here is the invoice from my garage."}))
	asked := c.span
	c.at = incidentAt
	c.add(0, noted("a customer's PDF holds hidden orders to the AI", event.Event{
		Type: event.Retrieval, Category: "upload",
		OutputMessages: jsonOf([]map[string]string{{"file": "invoice.pdf", "text": "Invoice 8812: front door, 1,184.00 GBP. " + injection}}),
	}))
	c.tool("claims_lookup", map[string]string{"order": "newest"}, map[string]string{"claim": "20866", "name": "Hans Brandt"})
	answer := d.call(claimsModel, 1200, event.Event{
		Type: event.Response, Prompt: "Here is the invoice from my garage. " + injection, Response: leaked,
	})
	answer.SpanID = asked
	c.add(1800*time.Millisecond, noted("it obeys, and discloses another customer's data", answer))
	c.add(140*time.Millisecond, noted("the filter on answers sees it, a moment too late", event.Event{
		Type: event.Guardrail, Category: "personal-data", Outcome: event.OutcomeBlocked, Severity: event.SeverityCritical,
	}))
	// The record is about the person whose data it was, so that erasing
	// that person erases it.
	c.user = victim
	c.add(2600*time.Millisecond, noted("conversation stopped, people alerted", by(claimsModel, event.Event{
		Type: event.SafetyIncident, Category: "data-disclosure", Severity: event.SeverityCritical,
		Prompt: injection, Response: leaked,
	})))
	c.at = incidentAt + 12*time.Minute + 28*time.Second
	c.add(0, noted("the officer on duty confirms it: roll back", event.Event{
		Type: event.HumanReview, Actor: "s.lindqvist", Category: "incident", Outcome: event.OutcomeSuccess, Severity: event.SeverityCritical,
	}))
	back := claimsModel
	back.version = "2.2"
	d.add(rollbackAt, noted("claims-7b goes back from 2.3 to 2.2", by(back, event.Event{
		Type: "x.model_rollback", Category: "data-disclosure", Outcome: event.OutcomeSuccess,
	})))
}
