package cjson_test

import (
	"strings"
	"testing"

	"audittrail/internal/cjson"
)

var (
	prose    = strings.Repeat("What people write, in sentences and 世界. ", 25)
	escapes  = strings.Repeat("line one\nline \"two\"\n", 50)
	messages = []byte(`[{"role":"user","content":"` + strings.Repeat("how are you ", 40) +
		`"},{"role":"assistant","content":"` + strings.Repeat("fine, thanks ", 40) + `"}]`)
)

func BenchmarkAppendString(b *testing.B) {
	for name, s := range map[string]string{"prose": prose, "escapes": escapes} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s)))
			var dst []byte
			for b.Loop() {
				dst = cjson.AppendString(dst[:0], s)
			}
		})
	}
}

func BenchmarkAppendCanonical(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(messages)))
	var dst []byte
	for b.Loop() {
		var err error
		if dst, err = cjson.AppendCanonical(dst[:0], messages); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSkip(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(messages)))
	for b.Loop() {
		if err := cjson.NewDecoder(messages).Skip(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkObject(b *testing.B) {
	in := []byte(`{"type":"prompt","model_id":"gpt-4","model_version":"4.0","provider":"openai",` +
		`"deployment_id":"eu-1","outcome":"success","finish_reason":"stop","user_id":"user-001",` +
		`"session_id":"s-1","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331"}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		d := cjson.NewDecoder(in)
		err := d.Object(func(string) error {
			_, err := d.String()
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
