package governance

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"audittrail/event"
	"audittrail/record"
)

// A Hold keeps records from being erased and from expiring until it is
// released. A record must meet all its conditions; an empty one is met by every
// record, so a hold without conditions keeps everything.
type Hold struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"` // who requested the hold

	User  string `json:"user_id,omitempty"`
	Model string `json:"model_id,omitempty"`
	// Class is a retention class, or one month of it: "standard/2026-11".
	Class string `json:"class,omitempty"`
	// Start (inclusive) and End (exclusive) bound the time of the events.
	Start time.Time `json:"start,omitzero"`
	End   time.Time `json:"end,omitzero"`

	Placed time.Time `json:"placed"`
	Seq    uint64    `json:"seq"` // the record that placed the hold
	// Unreadable is true if the record that placed the hold cannot be opened,
	// so that its conditions are not known: it keeps everything.
	Unreadable bool `json:"unreadable,omitempty"`
}

// hold is the form of a hold in metadata: the user is that of the event.
type hold struct {
	By     string `json:"by,omitempty"`
	Class  string `json:"class,omitempty"`
	End    string `json:"end,omitempty"`
	Model  string `json:"model_id,omitempty"`
	Reason string `json:"reason"`
	Start  string `json:"start,omitempty"`
}

// Metadata returns the hold as a record's metadata, without its user.
func (h *Hold) Metadata() (map[string]json.RawMessage, error) {
	w := hold{By: h.By, Class: h.Class, Model: h.Model, Reason: h.Reason}
	if !h.Start.IsZero() {
		w.Start = string(event.AppendTime(nil, h.Start.UTC()))
	}
	if !h.End.IsZero() {
		w.End = string(event.AppendTime(nil, h.End.UTC()))
	}
	return encode(holdKey, &w)
}

// ReadHold reads the one form that Metadata returns, and refuses others.
func ReadHold(m map[string]json.RawMessage) (*Hold, error) {
	var w hold
	if err := Decode(m, holdKey, &w); err != nil {
		return nil, err
	}
	h := &Hold{By: w.By, Class: w.Class, Model: w.Model, Reason: w.Reason}
	for _, t := range []struct {
		text string
		to   *time.Time
	}{{w.Start, &h.Start}, {w.End, &h.End}} {
		if t.text == "" {
			continue
		}
		var err error
		if *t.to, err = event.ParseTime(t.text); err != nil || t.to.IsZero() {
			return nil, fmt.Errorf("%s: time: %w", holdKey, ErrFormat)
		}
	}
	if err := h.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", holdKey, ErrFormat, err)
	}
	return h, nil
}

// Check returns an error for a hold with invalid values.
func (h *Hold) Check() error {
	if err := CheckReason(h.Reason, true); err != nil {
		return err
	}
	for _, f := range []struct {
		name, text string
		limit      int
	}{{"by", h.By, MaxName}, {"user_id", h.User, MaxName}, {"model_id", h.Model, maxClear}} {
		if err := CheckText(f.name, f.text, f.limit); err != nil {
			return err
		}
	}
	if h.Class != "" && !event.ValidClass(h.Class) {
		if _, _, err := record.SplitClass(h.Class); err != nil {
			return &event.FieldError{Field: "class", Problem: "use a retention class, such as standard, or a month of one, such as standard/2026-11"}
		}
	}
	if !h.Start.IsZero() && !h.End.IsZero() && !h.Start.Before(h.End) {
		return &event.FieldError{Field: "end", Problem: "not after start: the hold would keep nothing"}
	}
	for name, t := range map[string]time.Time{"start": h.Start, "end": h.End} {
		if !t.IsZero() && (t.UTC().Year() < 1 || t.UTC().Year() > 9999) {
			return &event.FieldError{Field: name, Problem: "use a year of four digits"}
		}
	}
	return nil
}

// maxClear is the limit of cleartext strings.
const maxClear = 128

// Matches reports whether the hold keeps a record. user reports whether the
// record is about a user. Records of the log's own acts, such as the one that
// placed the hold, are kept by the user whom they are about, and not by their
// other fields.
func (h *Hold) Matches(r *record.Record, user func(string) bool) bool {
	if h.Unreadable {
		return true
	}
	return !r.Event.Type.Internal() && (h.User == "" || user(h.User)) &&
		(h.Model == "" || h.Model == r.Event.ModelID) &&
		h.Reaches(r.Class) &&
		(h.Start.IsZero() || !r.Event.Time.Before(h.Start)) &&
		(h.End.IsZero() || r.Event.Time.Before(h.End))
}

// Reaches reports whether the hold may keep records of a class.
func (h *Hold) Reaches(class string) bool {
	return h.Unreadable || h.Class == "" || h.Class == class || strings.HasPrefix(class, h.Class+"/")
}

// Holds are the holds of a log, as its records place and release them in order.
type Holds struct {
	active   map[string]Hold
	upTo     uint64 // records before this one were read
	released uint64 // number of the last record that released a hold
}

// Next returns the number of the first record that was not read.
func (hs *Holds) Next() uint64 { return hs.upTo }

// Released returns the number of the last record that released a hold, and 0 if
// none has.
func (hs *Holds) Released() uint64 { return hs.released }

// Skip notes that the records before to need not be read.
func (hs *Holds) Skip(to uint64) { hs.upTo = max(hs.upTo, to) }

// Take applies the next record. readable says whether its content can be read.
func (hs *Holds) Take(r *record.Record, readable bool) error {
	hs.upTo = r.Seq + 1
	if hs.active == nil {
		hs.active = map[string]Hold{}
	}
	switch r.Event.Type {
	case event.HoldPlaced:
		h := &Hold{Unreadable: true}
		if readable {
			if known, err := ReadHold(r.Event.Metadata); err == nil {
				h = known
				h.User = r.Event.UserID
			}
		}
		h.ID, h.Placed, h.Seq = r.ID.String(), r.Logged, r.Seq
		hs.active[h.ID] = *h
	case event.HoldReleased:
		rel, err := ReadRelease(r.Event.Metadata)
		if err != nil {
			return nil // the hold remains
		}
		delete(hs.active, rel.Hold)
		hs.released = r.Seq
	}
	return nil
}

// Get returns a hold that was not released.
func (hs *Holds) Get(id string) (Hold, bool) {
	h, ok := hs.active[id]
	return h, ok
}

// Active returns the holds that were not released, oldest first.
func (hs *Holds) Active() []Hold {
	all := make([]Hold, 0, len(hs.active))
	for _, h := range hs.active {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b Hold) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}

// A LegalHoldError reports that legal holds keep records from being erased.
type LegalHoldError struct {
	Holds []Hold // the holds, oldest first
	// Users are those of the users to be erased whose records the holds keep.
	// They are not part of the error's text.
	Users []string
}

func (e *LegalHoldError) Error() string {
	ids := make([]string, len(e.Holds))
	for i, h := range e.Holds {
		ids[i] = h.ID
	}
	const shown = 5
	more := ""
	if len(ids) > shown {
		more = fmt.Sprintf(" and %d more", len(ids)-shown)
		ids = ids[:shown]
	}
	return fmt.Sprintf("%d of the users are held by %s%s: release the hold first, or leave them out; nothing was erased", len(e.Users), strings.Join(ids, ", "), more)
}
