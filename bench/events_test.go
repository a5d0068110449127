package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"audittrail/event"
)

// eventBytes is the size of one event, in its edge form, that every log here
// is given.
const eventBytes = 1024

// A sample is one event as each log takes it.
type sample struct {
	event event.Event
	json  []byte // its edge form, of eventBytes
}

// samples are the events that all logs are given, in turn: calls of 256 users
// with texts of the corpus.
var samples = sync.OnceValues(func() ([]sample, error) {
	corpus, err := os.ReadFile(filepath.Join("..", "testdata", "corpus", "traffic.jsonl"))
	if err != nil {
		return nil, err
	}
	var prose strings.Builder
	for line := range bytes.Lines(corpus) {
		var call struct{ Prompt, Response string }
		if err := json.Unmarshal(line, &call); err != nil {
			return nil, err
		}
		prose.WriteString(call.Prompt)
		prose.WriteString(call.Response)
	}
	text := prose.String()
	pool := make([]sample, 1024)
	for i := range pool {
		e := event.Event{
			Type: event.Prompt, ModelID: "gpt-4", ModelVersion: "4.0", Provider: "openai",
			UserID: fmt.Sprintf("user-%03d", i%256), SessionID: fmt.Sprintf("session-%04d", i),
		}
		e.Prompt, text = cut(text, eventBytes-len(event.AppendJSON(nil, &e))-len(`"prompt":"",`))
		pool[i] = sample{e, event.AppendJSON(nil, &e)}
		if len(pool[i].json) != eventBytes {
			return nil, fmt.Errorf("sample %d has %d bytes, want %d", i, len(pool[i].json), eventBytes)
		}
	}
	return pool, nil
})

// cut takes so much text off the front that it has n bytes as a JSON string.
func cut(text string, n int) (front, rest string) {
	var b strings.Builder
	for {
		r, size := utf8.DecodeRuneInString(text)
		if r == '\n' || r == '"' || r == '\\' {
			r = ' '
		}
		if b.Len()+utf8.RuneLen(r) > n {
			break
		}
		b.WriteRune(r)
		text = text[size:]
	}
	return b.String() + strings.Repeat(".", n-b.Len()), text
}

func events(b *testing.B) []sample {
	b.Helper()
	pool, err := samples()
	if err != nil {
		b.Fatal(err)
	}
	return pool
}
