package record_test

import (
	"strings"
	"testing"
	"time"

	"audittrail/event"
	"audittrail/record"
)

func sample(n int) *event.Event {
	return &event.Event{
		Time: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		Type: event.Prompt, ModelID: "gpt-4", ModelVersion: "4.0", Provider: "openai",
		UserID: "user-001", SessionID: "session-1",
		Prompt:      strings.Repeat("The quick brown fox. ", n/42),
		Response:    strings.Repeat("And the lazy dog, too", n/42),
		InputTokens: new(int64(120)), OutputTokens: new(int64(80)), Latency: new(150500 * time.Microsecond),
		Outcome: "success", FinishReason: "stop",
	}
}

func sealing(n int) *record.SealParams {
	return &record.SealParams{
		ID: record.NewID(1, [16]byte{1, 2, 3}), Event: sample(n), LogMetadata: record.LogMetadata{Source: record.SourceApp}, Session: [16]byte{4}, Class: "standard/2026-11",
		Subject: record.Subject{5}, PRK: record.PRK{6}, Salt: [16]byte{7},
	}
}

func BenchmarkSeal(b *testing.B) {
	s := sealing(800)
	b.ReportAllocs()
	var line []byte
	for b.Loop() {
		d, err := record.Seal(s)
		if err != nil {
			b.Fatal(err)
		}
		line, _ = d.Finish(line[:0], 41, s.Event.Time, record.Hash{})
		d.Free()
	}
	b.SetBytes(int64(len(line)))
}

func BenchmarkOpen(b *testing.B) {
	s := sealing(800)
	d, err := record.Seal(s)
	if err != nil {
		b.Fatal(err)
	}
	line, _ := d.Finish(nil, 41, s.Event.Time, record.Hash{})
	line = line[:len(line)-1]
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		r, err := record.Decode(line)
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Open(s.PRK); err != nil {
			b.Fatal(err)
		}
	}
}
