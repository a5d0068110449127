// Package loadgen generates events like those of applications in production, of
// about 1 KB each, for measurements with more events than a folder of examples
// has.
//
// Event i is always the same, and is generated without the others. Some words
// are planted at known distances, so that a measurement of a search knows the
// right result. The events are not a sample of real traffic, and do not measure
// the quality of results.
package loadgen

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"audittrail/event"
)

// A Generator generates events. Its methods may be called from many goroutines.
type Generator struct {
	seed  uint64
	step  time.Duration // from one event to the next
	words []string
	ranks []uint16 // of words: a random element has the distribution of words in texts
}

// Start is the time of the first event.
var Start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// Span is the time from the first event to the last.
const Span = 180 * 24 * time.Hour

// New returns a Generator of a number of events.
func New(seed uint64, events int) *Generator {
	rng := rand.New(rand.NewPCG(seed, 0))
	return &Generator{
		seed: seed, step: Span / time.Duration(max(events, 1)),
		words: vocabulary(rng), ranks: zipf(),
	}
}

// How events belong together: about eight are a session of one user, and half a
// session is a trace. Many sessions take place at the same time.
const (
	sessionEvents = 8
	traceEvents   = 4
	atOnce        = 100 // sessions
	round         = atOnce * sessionEvents

	users = 5000 // some of whom have many more events than others
)

// A place is the position of an event among the others.
type place struct {
	session, trace uint64
	turn           int // position in the trace
}

func placeOf(i int) place {
	at := i % round
	session := uint64(i/round*atOnce + at%atOnce)
	turn := at / atOnce
	return place{session, session*(sessionEvents/traceEvents) + uint64(turn/traceEvents), turn % traceEvents}
}

// mix maps consecutive numbers to pseudorandom ones (splitmix64).
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// part maps a number to the range from 0 to 1.
func part(n uint64) float64 { return float64(n>>11) / (1 << 53) }

// User returns the user of event i.
func (c *Generator) User(i int) string { return c.user(placeOf(i)) }

func (c *Generator) user(p place) string {
	x := part(mix(c.seed ^ mix(p.session)))
	return fmt.Sprintf("user-%04d", int(x*x*users))
}

// Trace returns the trace id of event i.
func (c *Generator) Trace(i int) string { return c.trace(placeOf(i)) }

func (c *Generator) trace(p place) string {
	n := mix(c.seed + mix(p.trace))
	return fmt.Sprintf("%016x%016x", n, mix(n))
}

// Time returns the time of event i. Later events have later times, except
// within some minutes.
func (c *Generator) Time(i int) time.Time {
	const most = 4 * time.Minute
	late := time.Duration(mix(c.seed^uint64(i)) % uint64(most))
	return Start.Add(time.Duration(i)*c.step - late).Truncate(time.Millisecond)
}

// Event returns event i.
func (c *Generator) Event(i int) event.Event {
	p := placeOf(i)
	var source rand.PCG
	source.Seed(c.seed, uint64(i)+1)
	m := &maker{Generator: c, i: i, rng: rand.New(&source)}
	session := mix(p.session ^ c.seed)
	model := &models[int(math.Pow(part(session), 2)*float64(len(models)))]
	e := event.Event{
		Time: c.Time(i), UserID: c.user(p), SessionID: "session-" + strconv.FormatUint(p.session, 10),
		TraceID: c.trace(p), SpanID: fmt.Sprintf("%016x", mix(uint64(i)^c.seed<<32)),
		ModelID: model.id, ModelVersion: model.version, Provider: model.provider,
		DeploymentID: deployments[session>>8%uint64(len(deployments))],
		Producer:     &event.Producer{ID: producers[session>>16%uint64(len(producers))]},
		Labels: map[string]string{
			"team": Teams[session>>24%uint64(len(Teams))],
			"env":  environments[int(math.Pow(part(mix(session)), 3)*float64(len(environments)))],
		},
		Outcome: event.OutcomeSuccess, Category: categories[session>>32%uint64(len(categories))],
	}
	seq := uint64(i)
	e.Producer.Seq = &seq
	m.say(&e, p.turn, model)
	return e
}

// say sets the texts, tokens, latency and cost.
func (m *maker) say(e *event.Event, turn int, model *model) {
	switch turn {
	case 0:
		e.Type, e.Prompt = event.Prompt, m.text(m.many(68, 0.5))
		e.InputTokens = new(tokens(e.Prompt))
		return
	case 2:
		e.Type = event.ToolCall
		e.Tool = &event.Tool{Name: tools[m.rng.IntN(len(tools))], CallID: "call-" + strconv.Itoa(m.i)}
		e.Tool.Arguments = m.object("query", 8)
		e.Tool.Result = m.object("result", m.many(46, 0.6))
		e.Latency = m.latency(180, 0.9)
	default:
		e.Type, e.Response = event.Response, m.text(m.many(58, 0.6))
		e.FinishReason = "stop"
		e.InputTokens = new(int64(m.many(420, 0.8)))
		e.OutputTokens = new(tokens(e.Response))
		e.Latency = m.latency(900, 0.7)
		e.Cost = &event.Cost{Nano: *e.InputTokens*model.input + *e.OutputTokens*model.output, Currency: "USD"}
	}
	if m.rng.IntN(25) == 0 {
		e.Outcome, e.Severity = failures[m.rng.IntN(len(failures))], event.SeverityMedium
		e.Error = "upstream " + m.text(6)
	}
}

// tokens returns about how many tokens a text has.
func tokens(text string) int64 { return int64(len(text)/4 + 1) }

// A maker generates one event.
type maker struct {
	*Generator
	i       int
	rng     *rand.Rand
	planted bool
}

// many returns a number whose logarithm is normally distributed around that of
// middle.
func (m *maker) many(middle, sigma float64) int {
	return int(min(1+middle*math.Exp(sigma*m.rng.NormFloat64()), 20*middle))
}

func (m *maker) latency(middle, sigma float64) *time.Duration {
	d := time.Duration(m.many(1000*middle, sigma)) * time.Microsecond
	return &d
}

// text returns a number of words, in sentences, with the marks planted.
func (m *maker) text(words int) string {
	b := make([]byte, 0, 8*words+32)
	sentence := 0
	plant := m.rng.IntN(words)
	for n := range words {
		if len(b) > 0 {
			b = append(b, ' ')
		}
		if n == plant {
			b = m.plant(b)
		}
		word := m.words[m.ranks[m.rng.Uint32()%uint32(len(m.ranks))]]
		if sentence == 0 && word[0] >= 'a' && word[0] <= 'z' {
			b = append(b, word[0]-'a'+'A')
			word = word[1:]
		}
		b = append(b, word...)
		sentence++
		switch r := m.rng.IntN(14); {
		case r == 0 && sentence > 3 || n == words-1:
			b, sentence = append(b, '.'), 0
		case r == 1:
			b = append(b, ',')
		}
	}
	return string(b)
}

// plant adds the marks of this event to its first text.
func (m *maker) plant(b []byte) []byte {
	if m.planted {
		return b
	}
	m.planted = true
	for _, mark := range marks {
		if m.i%mark.Every == mark.at {
			b = append(b, mark.text(m.i)...)
			b = append(b, ' ')
		}
	}
	return b
}

// object returns a JSON object with a text.
func (m *maker) object(name string, words int) json.RawMessage {
	text, err := json.Marshal(map[string]any{name: m.text(words), "limit": m.rng.IntN(50), "page": m.rng.IntN(9)})
	if err != nil {
		panic("corpus: " + err.Error()) // all its values can be encoded
	}
	return text
}
