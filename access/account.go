package access

import (
	"context"
	"fmt"

	"audittrail"
	"audittrail/event"
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
	Records uint64 `json:"records"`
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
}

// RecordRead records that content was shown.
func RecordRead(ctx context.Context, log *audittrail.Log, r Reading) error {
	return account(ctx, log, event.ContentRead, "read", &r)
}

// RecordExport records that records were exported.
func RecordExport(ctx context.Context, log *audittrail.Log, r Reading) error {
	return account(ctx, log, event.DataExported, "export", &r)
}

func account(ctx context.Context, log *audittrail.Log, t event.Type, name string, r *Reading) error {
	w := readingRecord{Local, r.Command, r.Records, r.First, r.Last}
	e := event.Event{Type: t}
	if r.Grant != nil {
		w.By, e.UserID = r.Grant.ID.String(), r.Grant.User
	}
	var err error
	if e.Metadata, err = member(name, w); err == nil {
		_, err = log.Administer(ctx, e)
	}
	if err != nil {
		return fmt.Errorf("record what was read: %w", err)
	}
	return nil
}

// Governed reports whether anybody was ever granted access to a log.
func Governed(ctx context.Context, log *audittrail.Log) (bool, error) {
	for _, err := range log.Administrative(ctx, 0, event.AccessGranted) {
		return err == nil, err
	}
	return false, nil
}
