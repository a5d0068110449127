package tombstone

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"audittrail/event"
	"audittrail/record"
)

// A Statement is the log's record that the lines of a segment have left it. It
// is in the labels of a record of type segments_archived or segments_dropped,
// so that it can be read without keys.
type Statement struct {
	Dropped   bool
	First     uint64
	Records   uint64
	Tombstone [32]byte // SHA-256 of the tombstone
	Manifest  [32]byte // SHA-256 of the archive's manifest; zeros if there is none
	// To is the folder of the archive. A name that is too long for a label is
	// only in the encrypted part.
	To     string
	Reason string // encrypted
	// Classes counts the records that have left, by retention class; encrypted.
	Classes map[string]record.ClassCount

	Seq uint64 // of the statement's record; set by ParseStatement
}

// The labels, and the member of the metadata. They reach the disk.
const (
	labelFirst     = "first"
	labelRecords   = "records"
	labelTombstone = "remnant"
	labelManifest  = "manifest"
	labelTo        = "to"
	memberSealed   = "segments"
)

// sealed is the member of the record's metadata.
type sealed struct {
	Classes map[string]record.ClassCount `json:"classes,omitempty"`
	Reason  string                       `json:"reason,omitempty"`
	To      string                       `json:"to,omitempty"`
}

// Event returns the event by which the log records the statement.
func (s *Statement) Event() (event.Event, error) {
	e := event.Event{Type: event.SegmentsArchived, Labels: map[string]string{
		labelFirst: strconv.FormatUint(s.First, 10), labelRecords: strconv.FormatUint(s.Records, 10),
		labelTombstone: hex.EncodeToString(s.Tombstone[:]),
	}}
	if s.Dropped {
		e.Type = event.SegmentsDropped
	}
	if s.Manifest != [32]byte{} {
		e.Labels[labelManifest] = hex.EncodeToString(s.Manifest[:])
	}
	if s.To != "" && len(s.To) <= event.MaxClear {
		e.Labels[labelTo] = s.To
	}
	b, err := json.Marshal(sealed{s.Classes, s.Reason, s.To})
	e.Metadata = map[string]json.RawMessage{memberSealed: b}
	return e, err
}

// ParseStatement reads the statement of a record, and reports whether it is
// one. Without keys, it reads the labels alone.
func ParseStatement(r *record.Record) (Statement, bool) {
	s := Statement{Dropped: r.Event.Type == event.SegmentsDropped, Seq: r.Seq, To: r.Event.Labels[labelTo]}
	if !s.Dropped && r.Event.Type != event.SegmentsArchived {
		return s, false
	}
	var ok [4]bool
	s.First, ok[0] = number(r.Event.Labels[labelFirst])
	s.Records, ok[1] = number(r.Event.Labels[labelRecords])
	ok[2] = hash(&s.Tombstone, r.Event.Labels[labelTombstone])
	m, archived := r.Event.Labels[labelManifest]
	ok[3] = !archived || hash(&s.Manifest, m)
	var in sealed
	if json.Unmarshal(r.Event.Metadata[memberSealed], &in) == nil {
		s.Reason, s.Classes = in.Reason, in.Classes
		if s.To == "" {
			s.To = in.To
		}
	}
	return s, ok == [4]bool{true, true, true, true} && s.Records > 0 && s.First < s.Seq && s.Records <= s.Seq-s.First
}

func number(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && n <= record.MaxSeq && strconv.FormatUint(n, 10) == text
}

func hash(dst *[32]byte, text string) bool {
	if len(text) != 64 || strings.ToLower(text) != text {
		return false
	}
	_, err := hex.Decode(dst[:], []byte(text))
	return err == nil
}
