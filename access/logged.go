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

// A Reading is what somebody was shown. What they searched for is not in it: it
// may name people, who would then stand there after they were forgotten.
type Reading struct {
	Grant   *Grant // with which; nil for whoever has the files
	Command string // with what: "show", "query", a route of the service
	Records uint64 // how many records had content
	First   uint64 // the lowest and the highest of their numbers
	Last    uint64
}

// readingRecord is the member "read" of a content_read event, and "export" of a
// data_exported event: see docs/format/token.md.
type readingRecord struct {
	By      string `json:"by"`
	Command string `json:"command"`
	Of      string `json:"of,omitempty"` // of an end: the id of the record of the beginning
	*readingNumbers
}

// readingNumbers are those of a reading that is over.
type readingNumbers struct {
	Records uint64 `json:"records"`
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
}

// The categories of the two records of a reading whose extent was not known when
// the first of it was shown. They are part of the format.
const (
	Began = "begun"
	Ended = "ended"
)

// UnknownExtent is what is said of a reading whose end is not recorded.
const UnknownExtent = "ended early, number not known"

// readingMembers are the types of the records of readings, and under which member
// each has its details.
var readingMembers = map[event.Type]string{event.ContentRead: "read", event.DataExported: "export"}

// RecordRead records that content is about to be shown, or was.
func RecordRead(ctx context.Context, log *audittrail.Log, r Reading) error {
	_, err := account(ctx, log, event.ContentRead, "", "", &r)
	return err
}

// RecordExport records that records are about to be exported, or were.
func RecordExport(ctx context.Context, log *audittrail.Log, r Reading) error {
	_, err := account(ctx, log, event.DataExported, "", "", &r)
	return err
}

// A PendingRead is a reading under way, which is recorded.
type PendingRead struct {
	id   record.ID
	kind event.Type
}

// BeginRead records that content is about to be shown, of which nobody knows yet
// how much. End records how much it was.
func BeginRead(ctx context.Context, log *audittrail.Log, r Reading) (*PendingRead, error) {
	return begin(ctx, log, event.ContentRead, &r)
}

// BeginExport is BeginRead of an export.
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

// End records what was shown, however it came to its end.
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

// A LoggedRead is a reading or an export as the log has it.
type LoggedRead struct {
	*record.Record // the first; whoever was erased is not named in it
	Type           event.Type
	Time           time.Time
	By             string
	Command        string
	// Known tells whether the log has how much it was. It has not if the reading
	// was ended by force, or goes on.
	Known       bool
	Records     uint64
	First, Last uint64
}

// LoggedReads makes of records, in the order of the log, the readings that they
// tell of: the two records of one are one account. Others are passed over.
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
			if r.Event.Category != Ended { // whose beginning stands for it
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

// HasGrants reports whether anybody was ever granted access to a log.
func HasGrants(ctx context.Context, log *audittrail.Log) (bool, error) {
	for _, err := range log.GovernanceRecords(ctx, 0, event.AccessGranted) {
		return err == nil, err
	}
	return false, nil
}
