package event

import (
	"strconv"
	"time"

	"audittrail/internal/cjson"
)

// AppendClear appends e's cleartext part, as members of a record's JSON object,
// separated by commas, from type to labels in a fixed order. Absent fields are
// left out. e must have passed [Canonicalize].
func AppendClear(dst []byte, e *Event) []byte {
	dst = append(dst, `"type":`...)
	dst = cjson.AppendString(dst, string(e.Type))
	dst = appendText(dst, `,"model_id":`, e.ModelID)
	dst = appendText(dst, `,"model_version":`, e.ModelVersion)
	dst = appendText(dst, `,"provider":`, e.Provider)
	dst = appendText(dst, `,"deployment_id":`, e.DeploymentID)
	dst = appendText(dst, `,"outcome":`, e.Outcome)
	dst = appendText(dst, `,"severity":`, e.Severity)
	dst = appendText(dst, `,"category":`, e.Category)
	dst = appendText(dst, `,"finish_reason":`, e.FinishReason)
	if e.Latency != nil {
		dst = append(dst, `,"latency_us":`...)
		dst = strconv.AppendInt(dst, e.Latency.Microseconds(), 10)
	}
	dst = appendCount(dst, `,"input_tokens":`, e.InputTokens)
	dst = appendCount(dst, `,"output_tokens":`, e.OutputTokens)
	dst = appendCount(dst, `,"cached_tokens":`, e.CachedTokens)
	dst = appendCount(dst, `,"reasoning_tokens":`, e.ReasoningTokens)
	if e.Cost != nil {
		dst = appendCount(dst, `,"cost_nano":`, &e.Cost.Nano)
		dst = append(dst, `,"currency":`...)
		dst = cjson.AppendString(dst, e.Cost.Currency)
	}
	if e.Tool != nil {
		dst = appendText(dst, `,"tool":`, e.Tool.Name)
	}
	dst = appendText(dst, `,"trace_id":`, e.TraceID)
	dst = appendText(dst, `,"span_id":`, e.SpanID)
	dst = appendText(dst, `,"parent_span_id":`, e.ParentSpanID)
	if p := e.Producer; p != nil {
		dst = appendText(dst, `,"producer":`, p.ID)
		if p.Seq != nil {
			dst = append(dst, `,"producer_seq":`...)
			dst = strconv.AppendUint(dst, *p.Seq, 10)
		}
	}
	return appendLabels(dst, e.Labels)
}

// appendText appends a member, whose key comes with its comma and colon,
// unless s is empty.
func appendText(dst []byte, key, s string) []byte {
	if s == "" {
		return dst
	}
	dst = append(dst, key...)
	return cjson.AppendString(dst, s)
}

func appendCount(dst []byte, key string, n *int64) []byte {
	if n == nil {
		return dst
	}
	dst = append(dst, key...)
	return strconv.AppendInt(dst, *n, 10)
}

func appendLabels(dst []byte, labels map[string]string) []byte {
	if len(labels) == 0 {
		return dst
	}
	var names [MaxLabels]string // on the stack
	dst = append(dst, `,"labels":`...)
	for i, k := range sortedKeys(names[:0], labels) {
		dst = append(dst, "{,"[min(i, 1)])
		dst = cjson.AppendString(dst, k)
		dst = append(dst, ':')
		dst = cjson.AppendString(dst, labels[k])
	}
	return append(dst, '}')
}

// ClearMember reads the value of one member of the cleartext part into e, and
// refuses values that [Validate] refuses. If key is not the name of such a
// member, it reads nothing and returns false. The caller must encode e again to
// check that the members were in order and in canonical form.
func (e *Event) ClearMember(key string, d *cjson.Decoder) (known bool, err error) {
	if s := e.clearText(key); s != nil {
		return true, readClear(d, key, s)
	}
	if n := e.count(key); n != nil {
		return true, readCount(d, key, n)
	}
	switch key {
	case "type":
		err = readString(d, key, (*string)(&e.Type))
		if err == nil {
			err = checkType(e.Type)
		}
	case "latency_us":
		err = e.readLatencyMicros(d)
	case "cost_nano":
		var n *int64
		if err = readCount(d, key, &n); err == nil {
			e.cost().Nano = *n
		}
	case "currency":
		err = readString(d, key, &e.cost().Currency)
		if err == nil {
			err = checkCurrency(e.Cost.Currency)
		}
	case "tool":
		err = readClear(d, key, &e.tool().Name)
	case "producer":
		err = readClear(d, key, &e.producer().ID)
	case "producer_seq":
		err = readSeq(d, key, &e.producer().Seq)
	case "labels":
		err = e.readLabels(d)
	default:
		return false, nil
	}
	return true, err
}

// clearText returns the cleartext string field of that name, or nil. The names
// are the same in the edge form.
func (e *Event) clearText(key string) *string {
	switch key {
	case "model_id":
		return &e.ModelID
	case "model_version":
		return &e.ModelVersion
	case "provider":
		return &e.Provider
	case "deployment_id":
		return &e.DeploymentID
	case "outcome":
		return &e.Outcome
	case "severity":
		return &e.Severity
	case "category":
		return &e.Category
	case "finish_reason":
		return &e.FinishReason
	case "trace_id":
		return &e.TraceID
	case "span_id":
		return &e.SpanID
	case "parent_span_id":
		return &e.ParentSpanID
	}
	return nil
}

// count returns the field for a token count of that name, or nil.
func (e *Event) count(key string) **int64 {
	switch key {
	case "input_tokens":
		return &e.InputTokens
	case "output_tokens":
		return &e.OutputTokens
	case "cached_tokens":
		return &e.CachedTokens
	case "reasoning_tokens":
		return &e.ReasoningTokens
	}
	return nil
}

func (e *Event) cost() *Cost {
	if e.Cost == nil {
		e.Cost = new(Cost)
	}
	return e.Cost
}

func (e *Event) tool() *Tool {
	if e.Tool == nil {
		e.Tool = new(Tool)
	}
	return e.Tool
}

func (e *Event) producer() *Producer {
	if e.Producer == nil {
		e.Producer = new(Producer)
	}
	return e.Producer
}

// inField adds the name of a field to an error in the JSON of its value.
func inField(field string, err error) error {
	if at, ok := err.(*cjson.Error); ok {
		return &FieldError{Field: field, Problem: at.Error()}
	}
	return err
}

func readString(d *cjson.Decoder, field string, s *string) (err error) {
	*s, err = d.String()
	return inField(field, err)
}

// readClear reads a cleartext string that is not empty.
func readClear(d *cjson.Decoder, field string, s *string) error {
	if err := readString(d, field, s); err != nil {
		return err
	}
	switch field {
	case "outcome":
		return checkOutcome(*s)
	case "severity":
		return checkSeverity(*s)
	case "trace_id":
		return checkHex(field, *s, traceDigits)
	case "span_id", "parent_span_id":
		return checkHex(field, *s, spanDigits)
	}
	return checkClearText(field, *s)
}

func readCount(d *cjson.Decoder, field string, n **int64) error {
	v, err := d.Int()
	if err != nil {
		return inField(field, err)
	}
	*n = &v
	return checkCount(field, v)
}

func readSeq(d *cjson.Decoder, field string, n **uint64) error {
	var v *int64
	if err := readCount(d, field, &v); err != nil {
		return err
	}
	seq := uint64(*v)
	*n = &seq
	return nil
}

func (e *Event) readLatencyMicros(d *cjson.Decoder) error {
	var us *int64
	if err := readCount(d, "latency_us", &us); err != nil {
		return err
	}
	l := time.Duration(*us) * time.Microsecond
	e.Latency = &l
	return nil
}

func (e *Event) readLabels(d *cjson.Decoder) error {
	e.Labels = make(map[string]string)
	err := d.Object(func(key string) error {
		if len(e.Labels) == MaxLabels {
			return problem("labels", "more than %d of them", MaxLabels)
		}
		value, err := d.String()
		e.Labels[key] = value
		return err
	})
	if err != nil {
		return inField("labels", err)
	}
	return checkLabels(e.Labels)
}
