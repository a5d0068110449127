package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"audittrail/internal/cjson"
)

// edgeFields are the names of the edge form, in the order of AppendJSON.
var edgeFields = []string{
	"id", "type", "time", "model_id", "model_version", "provider", "deployment_id",
	"user_id", "actor", "session_id", "trace_id", "span_id", "parent_span_id",
	"prompt", "response", "system_instructions", "input_messages", "output_messages", "tool",
	"latency_ms", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost",
	"outcome", "finish_reason", "error", "severity", "category",
	"producer", "labels", "metadata", "retention_class",
}

// Decimal places between the units of the edge form and those of the record.
const (
	latencyScale = 3 // milliseconds from microseconds
	costScale    = 9 // a currency's unit from its billionth
)

// An UnknownFieldError names a field that the edge form does not have. It is an
// error, since the field's value would otherwise be lost.
type UnknownFieldError struct {
	Field string
	Near  string // a known field with a similar name, or ""
}

func (e *UnknownFieldError) Error() string {
	msg := "unknown field " + quote(e.Field)
	if e.Near != "" {
		msg += fmt.Sprintf("; did you mean %q?", e.Near)
	}
	return msg
}

// ParseJSON reads an event in its edge form, one JSON object, and returns it in
// the form of [Canonicalize]. Null means absent. An unknown field gives an
// [*UnknownFieldError], an invalid value of a known one a [*FieldError], and
// other errors name the byte where they are.
func ParseJSON(data []byte) (Event, error) { return parseJSON(data, false) }

// ParseFitting is [ParseJSON], but applies [Fit] to the event before it is
// validated.
func ParseFitting(data []byte) (Event, error) { return parseJSON(data, true) }

func parseJSON(data []byte, fit bool) (Event, error) {
	r := edgeReader{d: cjson.NewDecoder(data), size: len(data), fit: fit}
	err := r.read(func(key string) error {
		known, err := r.member(key)
		if !known {
			return unknownField("", key, edgeFields)
		}
		return err
	})
	if err != nil {
		return Event{}, nameDuplicate(data, err)
	}
	return r.e, nil
}

// UnmarshalJSON is [ParseJSON], for encoding/json.
func (e *Event) UnmarshalJSON(data []byte) (err error) {
	if string(data) == "null" {
		return nil // as encoding/json requires
	}
	*e, err = ParseJSON(data)
	return err
}

// MarshalJSON is [AppendJSON] after [Validate], for encoding/json.
func (e Event) MarshalJSON() ([]byte, error) {
	if err := Canonicalize(&e); err != nil {
		return nil, err
	}
	return AppendJSON(nil, &e), nil
}

// AppendJSON appends e in its edge form: one JSON object without spaces, its
// fields in a fixed order, without absent ones. e must have passed
// [Canonicalize]; [ParseJSON] gives the same event again.
func AppendJSON(dst []byte, e *Event) []byte {
	start := len(dst)
	dst = appendText(dst, `,"id":`, e.ID)
	dst = appendText(dst, `,"type":`, string(e.Type))
	if !e.Time.IsZero() {
		dst = append(dst, `,"time":"`...)
		dst = append(AppendTime(dst, e.Time), '"')
	}
	dst = appendText(dst, `,"model_id":`, e.ModelID)
	dst = appendText(dst, `,"model_version":`, e.ModelVersion)
	dst = appendText(dst, `,"provider":`, e.Provider)
	dst = appendText(dst, `,"deployment_id":`, e.DeploymentID)
	dst = appendText(dst, `,"user_id":`, e.UserID)
	dst = appendText(dst, `,"actor":`, e.Actor)
	dst = appendText(dst, `,"session_id":`, e.SessionID)
	dst = appendText(dst, `,"trace_id":`, e.TraceID)
	dst = appendText(dst, `,"span_id":`, e.SpanID)
	dst = appendText(dst, `,"parent_span_id":`, e.ParentSpanID)
	dst = appendText(dst, `,"prompt":`, e.Prompt)
	dst = appendText(dst, `,"response":`, e.Response)
	dst = appendText(dst, `,"system_instructions":`, e.SystemInstructions)
	dst = appendRaw(dst, `,"input_messages":`, e.InputMessages)
	dst = appendRaw(dst, `,"output_messages":`, e.OutputMessages)
	if t := e.Tool; t != nil {
		dst = append(dst, `,"tool":`...)
		from := len(dst)
		dst = appendText(dst, `,"name":`, t.Name)
		dst = appendText(dst, `,"call_id":`, t.CallID)
		dst = appendRaw(dst, `,"arguments":`, t.Arguments)
		dst = appendRaw(dst, `,"result":`, t.Result)
		dst = closeObject(dst, from)
	}
	dst = appendEdgeNumbers(dst, e)
	dst = appendText(dst, `,"outcome":`, e.Outcome)
	dst = appendText(dst, `,"finish_reason":`, e.FinishReason)
	dst = appendText(dst, `,"error":`, e.Error)
	dst = appendText(dst, `,"severity":`, e.Severity)
	dst = appendText(dst, `,"category":`, e.Category)
	if p := e.Producer; p != nil {
		dst = append(dst, `,"producer":`...)
		from := len(dst)
		dst = appendText(dst, `,"id":`, p.ID)
		if p.Seq != nil {
			dst = append(dst, `,"seq":`...)
			dst = strconv.AppendUint(dst, *p.Seq, 10)
		}
		dst = closeObject(dst, from)
	}
	dst = appendLabels(dst, e.Labels)
	dst = appendMetadata(dst, e.Metadata)
	dst = appendText(dst, `,"retention_class":`, e.RetentionClass)
	return closeObject(dst, start)
}

func appendEdgeNumbers(dst []byte, e *Event) []byte {
	if e.Latency != nil {
		dst = append(dst, `,"latency_ms":`...)
		dst = appendDecimal(dst, e.Latency.Microseconds(), latencyScale)
	}
	dst = appendCount(dst, `,"input_tokens":`, e.InputTokens)
	dst = appendCount(dst, `,"output_tokens":`, e.OutputTokens)
	dst = appendCount(dst, `,"cached_tokens":`, e.CachedTokens)
	dst = appendCount(dst, `,"reasoning_tokens":`, e.ReasoningTokens)
	if e.Cost == nil {
		return dst
	}
	dst = append(dst, `,"cost":`...)
	if e.Cost.Currency == defaultCurrency {
		return appendDecimal(dst, e.Cost.Nano, costScale)
	}
	dst = append(dst, `{"amount":`...)
	dst = appendDecimal(dst, e.Cost.Nano, costScale)
	dst = append(dst, `,"currency":`...)
	return append(cjson.AppendString(dst, e.Cost.Currency), '}')
}

// defaultCurrency is the currency of a cost given as a number.
const defaultCurrency = "USD"

// An edgeReader reads the members of an edge form.
type edgeReader struct {
	d    *cjson.Decoder
	size int
	fit  bool // apply Fit before the event is checked
	e    Event
	buf  []byte // the JSON values read so far, one after another
}

// read reads the object, with member for its members, and canonicalizes the
// event.
func (r *edgeReader) read(member func(key string) error) error {
	if err := r.d.Object(member); err != nil {
		return err
	}
	if err := r.d.End(); err != nil {
		return err
	}
	if r.fit {
		Fit(&r.e)
	}
	if err := r.e.check(); err != nil {
		return err
	}
	r.e.dropEmpty()
	return nil
}

// member reads the value of key, if that is a name of the edge form.
func (r *edgeReader) member(key string) (known bool, err error) {
	d, e := r.d, &r.e
	if d.Kind() == 'n' {
		if !slices.Contains(edgeFields, key) {
			return false, nil
		}
		return true, inField(key, d.Null())
	}
	if s := e.clearText(key); s != nil {
		return true, readString(d, key, s)
	}
	if s := e.sealedText(key); s != nil {
		return true, readString(d, key, s)
	}
	if n := e.count(key); n != nil {
		return true, readWhole(d, key, n)
	}
	switch key {
	case "type":
		err = readString(d, key, (*string)(&e.Type))
	case "retention_class":
		err = readString(d, key, &e.RetentionClass)
	case "actor":
		err = readString(d, key, &e.Actor)
	case "time":
		err = r.readTime(key, zoneWanted)
	case "input_messages":
		err = inField(key, r.readRaw(&e.InputMessages))
	case "output_messages":
		err = inField(key, r.readRaw(&e.OutputMessages))
	case "tool":
		err = inField(key, d.Object(r.toolMember))
	case "latency_ms":
		err = r.readLatency()
	case "cost":
		err = r.readCost()
	case "producer":
		err = inField(key, d.Object(r.producerMember))
	case "labels":
		err = e.readLabels(d)
	case "metadata":
		err = inField(key, r.readMetadata())
	default:
		return false, nil
	}
	return true, err
}

// unknownField returns the error for key, which is not among names, in the
// object with the name prefix, which ends in a dot.
func unknownField(prefix, key string, names []string) error {
	err := &UnknownFieldError{Field: prefix + key}
	if near := nearest(key, names); near != "" {
		err.Near = prefix + near
	}
	return err
}

func (r *edgeReader) toolMember(key string) error {
	field := "tool." + key
	switch t := r.e.tool(); key {
	case "name":
		return r.readOptional(field, &t.Name)
	case "call_id":
		return r.readOptional(field, &t.CallID)
	case "arguments":
		return inField(field, r.readRaw(&t.Arguments))
	case "result":
		return inField(field, r.readRaw(&t.Result))
	}
	return unknownField("tool.", key, []string{"name", "call_id", "arguments", "result"})
}

func (r *edgeReader) producerMember(key string) error {
	field := "producer." + key
	switch p := r.e.producer(); key {
	case "id":
		return r.readOptional(field, &p.ID)
	case "seq":
		if r.d.Kind() == 'n' {
			return inField(field, r.d.Null())
		}
		var n *int64
		if err := readWhole(r.d, field, &n); err != nil {
			return err
		}
		p.Seq = new(uint64(*n))
		return nil
	}
	return unknownField("producer.", key, []string{"id", "seq"})
}

// readWhole reads a count in any notation of a whole number: programs that
// store numbers in floating point write 12.0.
func readWhole(d *cjson.Decoder, field string, n **int64) error {
	s, err := d.Number()
	if err != nil {
		return inField(field, err)
	}
	v, whole, ok := integer(s)
	switch {
	case !whole:
		return problem(field, "%.24s; use a whole number", s)
	case !ok || v > MaxInt:
		return problem(field, "%.24s; at most 2^53-1 is allowed", s)
	}
	*n = &v
	return checkCount(field, v)
}

func (r *edgeReader) readOptional(field string, s *string) error {
	if r.d.Kind() == 'n' {
		return inField(field, r.d.Null())
	}
	return readString(r.d, field, s)
}

// readRaw reads a JSON value; null stands for one that is absent.
func (r *edgeReader) readRaw(v *json.RawMessage) (err error) {
	if r.d.Kind() == 'n' {
		return r.d.Null()
	}
	*v, err = r.value()
	return err
}

func (r *edgeReader) value() (json.RawMessage, error) {
	if r.buf == nil {
		const enough = 4096 // bounds the work if a large text follows
		r.buf = make([]byte, 0, min(r.size-r.d.Offset(), enough))
	}
	from := len(r.buf)
	var err error
	r.buf, err = r.d.AppendCanonical(r.buf)
	return r.buf[from:len(r.buf):len(r.buf)], err
}

func (r *edgeReader) readMetadata() error {
	m := make(map[string]json.RawMessage)
	r.e.Metadata = m
	return r.d.Object(func(key string) (err error) {
		if len(m) == MaxMetadata {
			return tooManyKeys(MaxMetadata + 1)
		}
		m[key], err = r.value()
		return err
	})
}

func (r *edgeReader) readTime(field string, zone zoneRule) error {
	s, err := r.d.String()
	if err != nil {
		return inField(field, err)
	}
	if r.e.Time, err = parseTimestamp(s, zone); err != nil {
		return problem(field, "%s: %v", quote(s), err)
	}
	return nil
}

// readDecimal reads a number that is not negative, in units of 10^-scale.
func (r *edgeReader) readDecimal(field string, scale int) (int64, error) {
	s, err := r.d.Number()
	if err != nil {
		return 0, inField(field, err)
	}
	if s[0] == '-' {
		return 0, problem(field, "negative")
	}
	n, ok := decimal(s, scale)
	if !ok || n > MaxInt {
		return 0, problem(field, "too large; at most 2^53-1 units of 10^-%d are allowed", scale)
	}
	return n, nil
}

func (r *edgeReader) readLatency() error {
	us, err := r.readDecimal("latency_ms", latencyScale)
	if err != nil {
		return err
	}
	l := time.Duration(us) * time.Microsecond
	r.e.Latency = &l
	return nil
}

func (r *edgeReader) readCost() (err error) {
	c := r.e.cost()
	if r.d.Kind() != '{' {
		c.Currency = defaultCurrency
		c.Nano, err = r.readDecimal("cost", costScale)
		return err
	}
	amount := false
	err = r.d.Object(func(key string) (err error) {
		switch key {
		case "amount":
			amount = true
			c.Nano, err = r.readDecimal("cost.amount", costScale)
			return err
		case "currency":
			return readString(r.d, "cost.currency", &c.Currency)
		}
		return unknownField("cost.", key, []string{"amount", "currency"})
	})
	if err == nil && !amount {
		return problem("cost.amount", "missing")
	}
	return inField("cost", err)
}

// nameDuplicate adds the name of the field to the error for a repeated key, if
// the key is a field: other keys may be content.
func nameDuplicate(data []byte, err error) error {
	var at *cjson.Error
	if !errors.Is(err, cjson.ErrDuplicate) || !errors.As(err, &at) {
		return err
	}
	key, keyErr := cjson.NewDecoder(data[at.Offset:]).String()
	if keyErr != nil || !slices.Contains(edgeFields, key) {
		return err
	}
	return problem(key, "given twice, again at byte %d", at.Offset)
}
