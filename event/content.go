package event

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"audittrail/internal/canonical"
	"audittrail/internal/cjson"
)

// digestDomain is part of the format: see docs/format/domains.md.
const digestDomain = "audittrail/v1 event digest\x00"

// AppendContent appends the part of e that a record encrypts, as one JSON
// object with its members in a fixed order. digest, unless nil, is the first.
// Absent fields are left out, and so is an id that is a UUID, since the record
// has that in cleartext. e must have passed [Canonicalize].
func AppendContent(dst []byte, e *Event, digest *[32]byte) []byte {
	start := len(dst)
	if digest != nil {
		dst = append(dst, `,"digest":"`...)
		dst = hex.AppendEncode(dst, digest[:])
		dst = append(dst, '"')
	}
	if !IsUUID(e.ID) {
		dst = appendText(dst, `,"id":`, e.ID)
	}
	dst = appendText(dst, `,"user_id":`, e.UserID)
	dst = appendText(dst, `,"session_id":`, e.SessionID)
	dst = appendText(dst, `,"prompt":`, e.Prompt)
	dst = appendText(dst, `,"response":`, e.Response)
	dst = appendText(dst, `,"system_instructions":`, e.SystemInstructions)
	dst = appendRaw(dst, `,"input_messages":`, e.InputMessages)
	dst = appendRaw(dst, `,"output_messages":`, e.OutputMessages)
	if t := e.Tool; t != nil && (t.CallID != "" || len(t.Arguments) > 0 || len(t.Result) > 0) {
		dst = append(dst, `,"tool":`...)
		from := len(dst)
		dst = appendText(dst, `,"call_id":`, t.CallID)
		dst = appendRaw(dst, `,"arguments":`, t.Arguments)
		dst = appendRaw(dst, `,"result":`, t.Result)
		dst = closeObject(dst, from)
	}
	dst = appendText(dst, `,"error":`, e.Error)
	dst = appendMetadata(dst, e.Metadata)
	return closeObject(dst, start)
}

// closeObject turns the members after from, each of which begins with a comma,
// into an object.
func closeObject(dst []byte, from int) []byte {
	if len(dst) == from {
		return append(dst, '{', '}')
	}
	dst[from] = '{'
	return append(dst, '}')
}

func appendRaw(dst []byte, key string, v json.RawMessage) []byte {
	if len(v) == 0 {
		return dst
	}
	dst = append(dst, key...)
	return append(dst, v...)
}

func appendMetadata(dst []byte, m map[string]json.RawMessage) []byte {
	if len(m) == 0 {
		return dst
	}
	var names [16]string // on the stack, where that is enough
	dst = append(dst, `,"metadata":`...)
	for i, k := range sortedKeys(names[:0], m) {
		dst = append(dst, "{,"[min(i, 1)])
		dst = cjson.AppendString(dst, k)
		dst = append(dst, ':')
		dst = append(dst, m[k]...)
	}
	return append(dst, '}')
}

// sortedKeys returns the keys of m by their bytes, in the memory of buf.
func sortedKeys[V any](buf []string, m map[string]V) []string {
	for k := range m {
		buf = append(buf, k)
	}
	slices.Sort(buf)
	return buf
}

// IsUUID reports whether s is a UUID in its canonical form: lower-case
// hexadecimal digits in groups of 8, 4, 4, 4 and 12, with hyphens between.
func IsUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// DecodeContent reads the bytes of [AppendContent] into e, which may have its
// cleartext part already, and returns the digest, if there is one. It refuses
// all bytes but those that AppendContent gives. After an error e is unchanged.
func DecodeContent(in []byte, e *Event) (digest *[32]byte, err error) {
	var c content
	d := cjson.NewDecoder(in)
	err = d.Object(func(key string) error { return inField(key, c.member(key, d)) })
	if err == nil {
		err = c.checkContent()
	}
	if err != nil {
		return nil, err
	}
	// One comparison finds every deviation from the canonical form: members in
	// another order, escapes, whitespace, empty values, more input after the
	// end.
	if err := canonical.Check(in, AppendContent(make([]byte, 0, len(in)), &c.Event, c.digest)); err != nil {
		return nil, fmt.Errorf("content is %w", err)
	}
	if c.ID != "" {
		e.ID = c.ID
	}
	e.UserID, e.SessionID = c.UserID, c.SessionID
	e.Prompt, e.Response, e.SystemInstructions = c.Prompt, c.Response, c.SystemInstructions
	e.InputMessages, e.OutputMessages = c.InputMessages, c.OutputMessages
	if c.Tool != nil {
		t := *c.Tool
		if e.Tool != nil {
			t.Name = e.Tool.Name
		}
		e.Tool = &t
	}
	e.Error, e.Metadata = c.Error, c.Metadata
	return c.digest, nil
}

// content is an event's encrypted part while it is being read.
type content struct {
	Event
	digest *[32]byte
}

func (c *content) member(key string, d *cjson.Decoder) error {
	if s := c.sealedText(key); s != nil {
		return readString(d, key, s)
	}
	switch key {
	case "digest":
		return c.readDigest(d)
	case "input_messages":
		return readRaw(d, &c.InputMessages)
	case "output_messages":
		return readRaw(d, &c.OutputMessages)
	case "tool":
		return d.Object(func(key string) error {
			switch t := c.tool(); key {
			case "call_id":
				return readString(d, "tool.call_id", &t.CallID)
			case "arguments":
				return inField("tool.arguments", readRaw(d, &t.Arguments))
			case "result":
				return inField("tool.result", readRaw(d, &t.Result))
			}
			return problem("tool", "unknown member at byte %d", d.Offset())
		})
	case "metadata":
		c.Metadata = make(map[string]json.RawMessage)
		return d.Object(func(key string) error {
			if len(c.Metadata) == MaxMetadata {
				return tooManyKeys(MaxMetadata + 1)
			}
			v, err := d.AppendCanonical(nil)
			c.Metadata[key] = v
			return err
		})
	}
	return problem("content", "unknown member at byte %d", d.Offset())
}

// sealedText returns the encrypted string field of that name, or nil. The names
// are the same in the edge form.
func (e *Event) sealedText(key string) *string {
	switch key {
	case "id":
		return &e.ID
	case "user_id":
		return &e.UserID
	case "session_id":
		return &e.SessionID
	case "prompt":
		return &e.Prompt
	case "response":
		return &e.Response
	case "system_instructions":
		return &e.SystemInstructions
	case "error":
		return &e.Error
	}
	return nil
}

// readRaw reads a JSON value, or nothing for a null.
func readRaw(d *cjson.Decoder, v *json.RawMessage) (err error) {
	if d.Kind() == 'n' {
		*v = nil
		return d.Null()
	}
	*v, err = d.AppendCanonical(nil)
	return err
}

func (c *content) readDigest(d *cjson.Decoder) error {
	s, err := d.String()
	if err != nil {
		return err
	}
	c.digest = new([32]byte)
	if len(s) != hex.EncodedLen(len(c.digest)) {
		return problem("digest", "%d bytes; use 64 lower-case hexadecimal digits", len(s))
	}
	if _, err := hex.Decode(c.digest[:], []byte(s)); err != nil {
		return problem("digest", "not 64 lower-case hexadecimal digits")
	}
	return nil
}

// Digest returns a hash of all fields that the producer gave, except the actor.
// It distinguishes another event with a used id from the same event sent twice.
// A record stores the digest under its data subject's key, and so the digest
// must not reveal the actor. e must have passed [Canonicalize].
func Digest(e *Event) [32]byte {
	b := make([]byte, 0, 1024+e.contentSize())
	b = append(b, digestDomain...)
	b = appendPrefixed(b, func(b []byte) []byte { return append(b, e.ID...) })
	b = appendPrefixed(b, func(b []byte) []byte {
		if e.Time.IsZero() {
			return b
		}
		return AppendTime(b, e.Time)
	})
	b = appendPrefixed(b, func(b []byte) []byte { return append(b, e.RetentionClass...) })
	b = appendPrefixed(b, func(b []byte) []byte { return AppendClear(b, e) })
	return sha256.Sum256(AppendContent(b, e, nil))
}

// appendPrefixed appends the bytes that f appends, after their length in four
// bytes.
func appendPrefixed(dst []byte, f func([]byte) []byte) []byte {
	const prefix = 4
	from := len(dst)
	dst = f(append(dst, make([]byte, prefix)...))
	binary.BigEndian.PutUint32(dst[from:], uint32(len(dst)-from-prefix))
	return dst
}

// contentSize returns about how long the content of e will be.
func (e *Event) contentSize() int {
	n := len(e.Prompt) + len(e.Response) + len(e.SystemInstructions) +
		len(e.InputMessages) + len(e.OutputMessages) + len(e.Error)
	if e.Tool != nil {
		n += len(e.Tool.Arguments) + len(e.Tool.Result)
	}
	for k, v := range e.Metadata {
		n += len(k) + len(v)
	}
	return n + n/16
}
