package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/internal/shown"
	"audittrail/record"
)

// The colours of the output.
const (
	bold = shown.Bold // of headings
	good = shown.Green
	wary = shown.Yellow
	bad  = shown.Red
	dim  = shown.Faint
)

// textWidth is how many columns the demonstration fills after its margin, to
// fit a terminal of 80.
const textWidth = 77

// paint gives text a colour, if the terminal shows colours.
func (d *demo) paint(c shown.Colour, text string) string {
	if !d.Colours {
		return text
	}
	return shown.Paint(c, text)
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(&d.buf, format, args...) }

// flush prints the collected output.
func (d *demo) flush() error {
	if d.buf.Len() == 0 {
		return nil
	}
	_, err := d.Out.Write(d.buf.Bytes())
	d.buf.Reset()
	return err
}

// line prints a line after the margin.
func (d *demo) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if text == "" {
		d.say("\n")
		return
	}
	d.say("   %s\n", text)
}

// text prints lines as they are, after the margin.
func (d *demo) text(s string) {
	for l := range strings.SplitSeq(s, "\n") {
		d.line("%s", l)
	}
}

// title begins a step.
func (d *demo) title(n int, text string) {
	d.say("\n%s\n\n", d.paint(bold, fmt.Sprintf("%d  %s", n, text)))
}

// A daySummary is the sums of the records of a day.
type daySummary struct {
	records uint64
	users   map[string]bool
	langs   map[string]bool
	models  map[string]*modelSum
	notes   [][3]string // time, type and note of what people remember
}

// A modelSum adds up the events of one model that state tokens: its answers and
// its decisions.
type modelSum struct {
	tokens, nano int64
	took         []time.Duration
}

func (s *daySummary) add(r *record.Record) {
	if s.models == nil {
		s.users, s.langs, s.models = map[string]bool{}, map[string]bool{}, map[string]*modelSum{}
	}
	ev := &r.Event
	s.records++
	if ev.UserID != "" {
		s.users[ev.UserID] = true
	}
	if lang := ev.Labels["lang"]; lang != "" {
		s.langs[lang] = true
	}
	if ev.OutputTokens != nil {
		m := s.models[ev.ModelID]
		if m == nil {
			m = new(modelSum)
			s.models[ev.ModelID] = m
		}
		m.tokens += *ev.InputTokens + *ev.OutputTokens
		m.nano += ev.Cost.Nano
		m.took = append(m.took, *ev.Latency)
	}
	var note string
	if raw := ev.Metadata["note"]; raw != nil && json.Unmarshal(raw, &note) == nil {
		s.notes = append(s.notes, [3]string{ev.Time.Format("15:04:05"), string(ev.Type), note})
	}
}

func (s *daySummary) print(d *demo, took time.Duration) {
	const form = "%-15s%7s%11s%11s%16s"
	d.line("%s", d.paint(dim, fmt.Sprintf(form, "model", "events", "tokens", "cost", "median time")))
	for _, id := range slices.Sorted(maps.Keys(s.models)) {
		m := s.models[id]
		slices.Sort(m.took)
		d.line(form, id, display.Number(len(m.took)), display.Number(m.tokens),
			fmt.Sprintf("$%d.%04d", m.nano/1e9, m.nano%1e9/1e5), tookText(m.took[len(m.took)/2]))
	}
	d.line("")
	d.line("%s records about %d people in %d languages: every prompt, answer, tool",
		display.Number(s.records), len(s.users), len(s.langs))
	d.line("call and decision. All were safely on disk after %s. The highlights:", tookText(took))
	d.line("")
	for _, n := range s.notes {
		kind := fmt.Sprintf("%-18s", n[1])
		if n[1] == "safety_incident" {
			kind = d.paint(bad, kind)
		}
		d.line("%s  %s%s", d.paint(dim, n[0]), kind, n[2])
	}
}

// A member is one member of a record's line, as it is on disk.
type member struct{ name, value string }

// membersOf takes a line apart.
func membersOf(line []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var list []member
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, errors.New("the line of a record is not a JSON object")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		list = append(list, member{name, string(value)})
	}
	return list, nil
}

// wrapMembers lays out a record's line, with what only machines read cut short.
func (d *demo) wrapMembers(members []member) []string {
	var lines []string
	var b strings.Builder
	used := 0
	for i, m := range members {
		value, t := shorten(m)
		end := ","
		if i == len(members)-1 {
			end = "}"
		}
		piece := fmt.Sprintf("%q:%s%s", m.name, value, end)
		if i == 0 {
			piece = "{" + piece
		}
		n := display.Columns(piece)
		if used > 0 && used+n > textWidth {
			lines = append(lines, b.String())
			b.Reset()
			b.WriteByte(' ')
			used = 1
		}
		if t != "" {
			piece = fmt.Sprintf("%q:%s%s", m.name, d.paint(t, value), end)
		}
		b.WriteString(piece)
		used += n
	}
	return append(lines, b.String())
}

// shorten cuts a long value, and says which colour it has.
func shorten(m member) (string, shown.Colour) {
	text := strings.Trim(m.value, `"`)
	switch m.name {
	case "body":
		return fmt.Sprintf(`"%s…%s"`, text[:22], text[len(text)-8:]), wary
	case "id", "trace_id", "span_id", "session", "subject", "key", "prev", "hash":
		return fmt.Sprintf(`"%s…"`, text[:8]), dim
	}
	return display.Visible(m.value), ""
}

// tookText writes how long something took, to two digits.
func tookText(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond)/time.Millisecond)
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// quoted writes a path so that a shell takes it for one word.
func quoted(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@~\\") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
