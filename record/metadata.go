package record

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"audittrail/event"
	"audittrail/internal/cjson"
)

// A Source says how an event came into the log.
type Source string

// The sources. They reach the disk.
const (
	SourceApp       Source = "app"       // the application appended it
	SourceTelemetry Source = "telemetry" // the application's instrumentation exported it
	SourceGateway   Source = "gateway"   // a gateway saw it on the wire
	SourceMCP       Source = "mcp"       // a proxy of the Model Context Protocol saw it
	SourceImport    Source = "import"    // the event was read from another program's records
	SourceLog       Source = "log"       // the log itself recorded it
)

var sources = []Source{SourceApp, SourceTelemetry, SourceGateway, SourceMCP, SourceImport, SourceLog}

// Sources returns all sources.
func Sources() []Source { return slices.Clone(sources) }

func (s Source) known() bool { return slices.Contains(sources, s) }

// WithheldErased is the value of LogMetadata.Withheld for a record whose
// content was not stored because its data subject had been erased.
const WithheldErased = "erased"

// MaxDomain bounds the length of a domain's name.
const MaxDomain = 32

// A CallID is a keyed hash that is equal in all records of one call. The zero
// CallID is absent.
type CallID [16]byte

// String returns the id as 32 lower-case hexadecimal digits, or nothing if it is
// absent.
func (c CallID) String() string {
	if c == (CallID{}) {
		return ""
	}
	return hex.EncodeToString(c[:])
}

// LogMetadata is what the log itself states in a record's cleartext, as opposed
// to what the producer states in the event. The event's digest does not cover
// it. Records of version 1 do not have it.
type LogMetadata struct {
	Parts    event.Parts // which encrypted fields the event has
	Source   Source      // how the event came into the log
	Actor    Subject     // the person who acted; zero if not known
	Domain   string      // the namespace of the ids of traces and sessions; empty means local
	Withheld string      // why the content was not stored; empty if it was
	Call     CallID      // the call that the record belongs to; zero if not known
}

// append appends the members with their commas, in their order.
func (o *LogMetadata) append(dst []byte) []byte {
	if o.Parts != 0 {
		dst = event.AppendParts(append(dst, `,"parts":`...), o.Parts)
	}
	dst = append(dst, `,"source":"`...)
	dst = append(dst, o.Source...)
	dst = append(dst, '"')
	if o.Actor != (Subject{}) {
		dst = appendHex(append(dst, `,"actor":"`...), o.Actor[:])
		dst = append(dst, '"')
	}
	if o.Domain != "" {
		dst = append(dst, `,"domain":"`...)
		dst = append(dst, o.Domain...)
		dst = append(dst, '"')
	}
	if o.Withheld != "" {
		dst = append(dst, `,"withheld":"`...)
		dst = append(dst, o.Withheld...)
		dst = append(dst, '"')
	}
	if o.Call != (CallID{}) {
		dst = appendHex(append(dst, `,"call":"`...), o.Call[:])
		dst = append(dst, '"')
	}
	return dst
}

// check returns an error for values that a line cannot contain.
func (o *LogMetadata) check() error {
	if !o.Source.known() {
		return fmt.Errorf("invalid source %q: use one of %v", string(o.Source), Sources())
	}
	if o.Domain != "" && !ValidDomain(o.Domain) {
		return fmt.Errorf("invalid domain of %d bytes: use 1 to %d of a-z 0-9 - _", len(o.Domain), MaxDomain)
	}
	if o.Withheld != "" && o.Withheld != WithheldErased {
		return fmt.Errorf("invalid reason %q for withheld content: use %q", o.Withheld, WithheldErased)
	}
	return nil
}

// ValidDomain reports whether a domain can have this name: 1 to 32 lower-case
// letters, digits, hyphens and underscores.
func ValidDomain(name string) bool {
	if name == "" || len(name) > MaxDomain {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

func (o *LogMetadata) readParts(d *cjson.Decoder) error {
	raw, err := d.Raw()
	if err == nil {
		o.Parts, err = event.ParseParts(raw)
	}
	if err != nil {
		return fmt.Errorf("field \"parts\": %w", err)
	}
	return nil
}

// member reads the value of one member other than parts. Encoding the record
// again shows whether the member may be there, and at this place.
func (o *LogMetadata) member(key, s string) (known bool, err error) {
	switch key {
	case "source":
		if o.Source = Source(s); !o.Source.known() {
			err = errors.New("not a known source")
		}
	case "actor":
		o.Actor, err = ParseSubject(s)
		if err == nil && o.Actor == (Subject{}) {
			err = errors.New("all zeros: leave the member out")
		}
	case "domain":
		if o.Domain = s; !ValidDomain(s) {
			err = errors.New("not 1 to 32 of a-z 0-9 - _")
		}
	case "withheld":
		if o.Withheld = s; s != WithheldErased {
			err = fmt.Errorf("not %q", WithheldErased)
		}
	case "call":
		if len(s) != hex.EncodedLen(len(o.Call)) || !decodeHex(o.Call[:], s) {
			err = errors.New("not 32 lower-case hexadecimal digits")
		} else if o.Call == (CallID{}) {
			err = errors.New("all zeros: leave the member out")
		}
	default:
		return false, nil
	}
	return true, err
}
