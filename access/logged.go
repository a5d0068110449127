package access

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/record"
)

// A Reading describes the content that a user was shown. It does not contain
// the query, which may name people and would still name them after their
// erasure.
type Reading struct {
	Grant   *Grant // the reader's grant; nil for the local operator
	Command string // the command: "show", "query", a route of the service
	Records uint64 // how many records had content
	First   uint64 // the lowest and the highest of their numbers
	Last    uint64
}

// readingRecord is the member "read" of a content_read event, and "export" of a
// data_exported event: see docs/format/token.md.
type readingRecord struct {
	By      string `json:"by"`
	Command string `json:"command"`
	Of      string `json:"of,omitempty"` // of an end: the id of the record that began the reading
	*readingNumbers
}

// readingNumbers are the numbers of a reading that has ended.
type readingNumbers struct {
	Records uint64 `json:"records"`
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
}

// The categories of the two records of a reading whose extent was not known
// when it began. They are part of the format.
const (
	Began = "begun"
	Ended = "ended"
)

// UnknownExtent is the extent of a reading whose end is not recorded.
const UnknownExtent = "ended early, number not known"

// readingMembers maps the types of the records of readings to the member with
// their details.
var readingMembers = map[event.Type]string{event.ContentRead: "read", event.DataExported: "export"}

// RecordRead records that content is about to be shown, or was shown.
func RecordRead(ctx context.Context, log *audittrail.Log, r Reading) error {
	_, err := account(ctx, log, event.ContentRead, "", "", &r)
	return err
}

// RecordExport records that records are about to be exported, or were exported.
func RecordExport(ctx context.Context, log *audittrail.Log, r Reading) error {
	_, err := account(ctx, log, event.DataExported, "", "", &r)
	return err
}

// A PendingRead is a reading that is recorded as begun, and not yet as ended.
type PendingRead struct {
	id   record.ID
	kind event.Type
}

// BeginRead records that content is about to be shown, of an extent that is not
// known yet. End records the extent.
func BeginRead(ctx context.Context, log *audittrail.Log, r Reading) (*PendingRead, error) {
	return begin(ctx, log, event.ContentRead, &r)
}

// BeginExport is BeginRead for an export.
func BeginExport(ctx context.Context, log *audittrail.Log, r Reading) (*PendingRead, error) {
	return begin(ctx, log, event.DataExported, &r)
}

func begin(ctx context.Context, log *audittrail.Log, t event.Type, r *Reading) (*PendingRead, error) {
	id, err := account(ctx, log, t, Began, "", r)
	if err != nil {
		return nil, err
	}
	return &PendingRead{id, t}, nil
}

// End records what was shown, whether the reading was completed or not.
func (b *PendingRead) End(ctx context.Context, log *audittrail.Log, r Reading) error {
	_, err := account(ctx, log, b.kind, Ended, b.id.String(), &r)
	return err
}

func account(ctx context.Context, log *audittrail.Log, t event.Type, category, of string, r *Reading) (record.ID, error) {
	w := readingRecord{By: Local, Command: r.Command, Of: of}
	if category != Began {
		w.readingNumbers = &readingNumbers{r.Records, r.First, r.Last}
	}
	e := event.Event{Type: t, Category: category}
	if r.Grant != nil {
		w.By, e.UserID = r.Grant.ID.String(), r.Grant.User
	}
	var receipt audittrail.Receipt
	var err error
	if e.Metadata, err = member(readingMembers[t], w); err == nil {
		receipt, err = log.AppendGovernance(ctx, e)
	}
	if err != nil {
		return record.ID{}, fmt.Errorf("record what was read: %w", err)
	}
	return receipt.ID, nil
}

// A LoggedRead is a reading or an export that is on record.
type LoggedRead struct {
	*record.Record // the first record of the reading; it does not name a reader who was erased
	Type           event.Type
	Time           time.Time
	By             string
	Command        string
	// Known is set if the extent is on record. It is not if the reading was
	// aborted, or has not ended.
	Known       bool
	Records     uint64
	First, Last uint64
}

// LoggedReads yields the readings of some records, in the order of the log. The
// two records of one reading become one LoggedRead. Other records are skipped.
func LoggedReads(records iter.Seq2[*record.Record, error]) ([]LoggedRead, error) {
	var all []LoggedRead
	at := map[string]int{}
	for r, err := range records {
		if err != nil {
			return nil, err
		}
		name, is := readingMembers[r.Event.Type]
		if !is {
			continue
		}
		a := LoggedRead{Record: r, Type: r.Event.Type, Time: r.Event.Time}
		if r.State != record.Readable {
			if r.Event.Category != Ended { // the record of the beginning represents the reading
				all = append(all, a)
			}
			continue
		}
		w := readingRecord{readingNumbers: new(readingNumbers)}
		if err := json.Unmarshal(r.Event.Metadata[name], &w); err != nil {
			return nil, fmt.Errorf("record %d: %w", r.Seq, errForm)
		}
		a.By, a.Command = w.By, w.Command
		if r.Event.Category != Began {
			a.Known, a.Records, a.First, a.Last = true, w.Records, w.First, w.Last
		}
		if i, ok := at[w.Of]; ok && r.Event.Category == Ended && all[i].Type == a.Type {
			all[i].Known, all[i].Records, all[i].First, all[i].Last = true, a.Records, a.First, a.Last
			continue
		}
		at[r.ID.String()] = len(all)
		all = append(all, a)
	}
	return all, nil
}

// HasGrants reports whether access to a log was ever granted.
func HasGrants(ctx context.Context, log *audittrail.Log) (bool, error) {
	for _, err := range log.GovernanceRecords(ctx, 0, event.AccessGranted) {
		return err == nil, err
	}
	return false, nil
}
