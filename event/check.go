package event

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// check validates everything except the JSON values.
func (e *Event) check() error {
	if err := e.checkClear(); err != nil {
		return err
	}
	if err := e.checkContent(); err != nil {
		return err
	}
	if err := checkTime(e.Time); err != nil {
		return err
	}
	if c := e.RetentionClass; c != "" && !ValidClass(c) {
		return problem("retention_class", "%s; use 1 to 32 lower-case letters, digits, hyphens and underscores, and begin with a letter or digit", quote(c))
	}
	return nil
}

func checkTime(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return problem("time", "in the year %d; use 1 to 9999", y)
	}
	return nil
}

func (e *Event) checkClear() error {
	if err := checkType(e.Type); err != nil {
		return err
	}
	for _, f := range [...]struct{ name, value string }{
		{"model_id", e.ModelID},
		{"model_version", e.ModelVersion},
		{"provider", e.Provider},
		{"deployment_id", e.DeploymentID},
		{"category", e.Category},
		{"finish_reason", e.FinishReason},
	} {
		if err := checkClearText(f.name, f.value); err != nil {
			return err
		}
	}
	if err := checkOutcome(e.Outcome); err != nil {
		return err
	}
	if err := checkSeverity(e.Severity); err != nil {
		return err
	}
	for _, f := range [...]struct {
		name, value string
		digits      int
	}{
		{"trace_id", e.TraceID, traceDigits},
		{"span_id", e.SpanID, spanDigits},
		{"parent_span_id", e.ParentSpanID, spanDigits},
	} {
		if err := checkHex(f.name, f.value, f.digits); err != nil {
			return err
		}
	}
	if err := e.checkNumbers(); err != nil {
		return err
	}
	if e.Tool != nil {
		if err := checkClearText("tool.name", e.Tool.Name); err != nil {
			return err
		}
	}
	if p := e.Producer; p != nil {
		if err := checkClearText("producer.id", p.ID); err != nil {
			return err
		}
		if p.Seq != nil && *p.Seq > MaxInt {
			return problem("producer.seq", "%d; at most 2^53-1 is allowed", *p.Seq)
		}
	}
	return checkLabels(e.Labels)
}

func (e *Event) checkNumbers() error {
	if l := e.Latency; l != nil && *l < 0 {
		return problem("latency_ms", "negative")
	}
	if l := e.Latency; l != nil && l.Round(time.Microsecond) > MaxInt*time.Microsecond {
		return problem("latency_ms", "%v; at most 2^53-1 microseconds are allowed", *l)
	}
	for _, f := range [...]struct {
		name  string
		value *int64
	}{
		{"input_tokens", e.InputTokens},
		{"output_tokens", e.OutputTokens},
		{"cached_tokens", e.CachedTokens},
		{"reasoning_tokens", e.ReasoningTokens},
	} {
		if f.value != nil {
			if err := checkCount(f.name, *f.value); err != nil {
				return err
			}
		}
	}
	if e.Cost == nil {
		return nil
	}
	if n := e.Cost.Nano; n < 0 || n > MaxInt {
		return problem("cost", "%d billionths; 0 to 2^53-1 are allowed", n)
	}
	return checkCurrency(e.Cost.Currency)
}

func (e *Event) checkContent() error {
	for _, f := range [...]struct {
		name, value string
		limit       int // 0 if only the log limits the length
	}{
		{"id", e.ID, MaxID},
		{"user_id", e.UserID, MaxPerson},
		{"actor", e.Actor, MaxPerson},
		{"session_id", e.SessionID, MaxPerson},
		{"prompt", e.Prompt, 0},
		{"response", e.Response, 0},
		{"system_instructions", e.SystemInstructions, 0},
		{"error", e.Error, 0},
	} {
		if err := checkText(f.name, f.value, f.limit); err != nil {
			return err
		}
	}
	if e.Tool != nil {
		if err := checkText("tool.call_id", e.Tool.CallID, MaxPerson); err != nil {
			return err
		}
	}
	if len(e.Metadata) > MaxMetadata {
		return tooManyKeys(len(e.Metadata))
	}
	for k := range e.Metadata {
		if !utf8.ValidString(k) {
			return problem("metadata", "a key is not valid UTF-8")
		}
	}
	return nil
}

func tooManyKeys(n int) error {
	return problem("metadata", "%d keys; at most %d are allowed", n, MaxMetadata)
}

func checkText(field, s string, limit int) error {
	if limit > 0 && len(s) > limit {
		return tooLong(field, len(s), limit)
	}
	if !utf8.ValidString(s) {
		return problem(field, "not valid UTF-8")
	}
	return nil
}

func tooLong(field string, n, limit int) error {
	return problem(field, "%d bytes; at most %d are allowed", n, limit)
}

// checkClearText checks a cleartext string.
func checkClearText(field, s string) error {
	if len(s) > MaxClear {
		return tooLong(field, len(s), MaxClear)
	}
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			return checkClearRunes(field, s)
		}
		if c < ' ' || c == 0x7f {
			return problem(field, "control character at byte %d", i)
		}
	}
	return nil
}

func checkClearRunes(field, s string) error {
	if !utf8.ValidString(s) {
		return problem(field, "not valid UTF-8")
	}
	if i := strings.IndexFunc(s, unicode.IsControl); i >= 0 {
		return problem(field, "control character at byte %d", i)
	}
	return nil
}

func checkType(t Type) error {
	switch {
	case t.Valid():
		return nil
	case t == "":
		return problem("type", "missing")
	case strings.HasPrefix(string(t), customPrefix):
		return problem("type", "%s; a custom type is x. and 1 to 63 lower-case letters, digits, dots, hyphens and underscores, the first a letter or digit", quote(string(t)))
	}
	var names []string
	for _, known := range Types() {
		names = append(names, string(known))
	}
	if near := nearest(string(t), names); near != "" {
		return problem("type", "unknown %s; did you mean %q?", quote(string(t)), near)
	}
	return problem("type", "unknown %s; there are %s, and custom ones as x.<name>", quote(string(t)), strings.Join(names, ", "))
}

func checkOutcome(s string) error {
	switch s {
	case "", OutcomeSuccess, OutcomeError, OutcomePartial, OutcomeBlocked, OutcomeRefused, OutcomeTimeout, OutcomeCancelled:
		return nil
	}
	return problem("outcome", "unknown %s; there are %s", quote(s), strings.Join(Outcomes(), ", "))
}

func checkSeverity(s string) error {
	switch s {
	case "", SeverityInfo, SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical:
		return nil
	}
	return problem("severity", "unknown %s; there are %s", quote(s), strings.Join(Severities(), ", "))
}

const (
	traceDigits = 32 // W3C Trace Context, as OpenTelemetry writes it
	spanDigits  = 16
)

func checkHex(field, s string, digits int) error {
	if s == "" {
		return nil
	}
	if len(s) != digits {
		return problem(field, "%d bytes; use %d lower-case hexadecimal digits", len(s), digits)
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return problem(field, "not a lower-case hexadecimal digit at byte %d", i)
		}
	}
	return nil
}

func checkCount(field string, n int64) error {
	if n < 0 || n > MaxInt {
		return problem(field, "%d; 0 to 2^53-1 are allowed", n)
	}
	return nil
}

func checkCurrency(s string) error {
	if len(s) != 3 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return problem("cost.currency", "%s; use three capital letters, such as \"USD\"", quote(s))
	}
	return nil
}

func checkLabels(labels map[string]string) error {
	if len(labels) > MaxLabels {
		return problem("labels", "%d of them; at most %d are allowed", len(labels), MaxLabels)
	}
	for k, v := range labels {
		if k == "" {
			return problem("labels", "empty key")
		}
		if err := checkClearText("labels", k); err != nil {
			return problem("labels", "key: %s", err.(*FieldError).Problem)
		}
		if err := checkClearText("labels", v); err != nil {
			return problem("labels", "value of %s: %s", quote(k), err.(*FieldError).Problem)
		}
	}
	return nil
}

// quote quotes a cleartext value, shortened for a message.
func quote(s string) string {
	const limit = 64
	if len(s) > limit {
		return fmt.Sprintf("%q...", s[:limit])
	}
	return fmt.Sprintf("%q", s)
}
