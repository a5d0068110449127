package privacy

import (
	"archive/zip"
	"bufio"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/query"
	"audittrail/record"
)

// Purposes tell the data subject what records of each retention class are for,
// and how long they are kept.
type Purposes map[string]Purpose

// A Purpose describes one retention class.
type Purpose struct {
	Purpose string `json:"purpose"`
	Stays   string `json:"stays"`
}

// A Class counts the records about a person in one retention class.
type Class struct {
	Class   string `json:"class"`
	Records uint64 `json:"records"`
	Purpose
}

// SubjectData counts the records that are stored about a person.
type SubjectData struct {
	Subject string            `json:"subject"`
	Records uint64            `json:"records"`
	First   time.Time         `json:"first,omitzero"`
	Last    time.Time         `json:"last,omitzero"`
	Types   map[string]uint64 `json:"types"`
	Models  map[string]uint64 `json:"models"`
	Classes []Class           `json:"classes"`
	// Acted counts the other records, about other people or nobody, that name
	// the person as their actor.
	Acted uint64 `json:"acted,omitempty"`
	// ActedAbsent counts those of Acted in archives that could not be read.
	ActedAbsent uint64 `json:"acted_absent,omitempty"`
	// ActedUnknown counts the records, about anybody, in archives that could
	// not be read: how many of them name the person as their actor is not
	// known.
	ActedUnknown uint64 `json:"acted_unknown,omitempty"`

	// Archived counts those of Records that are in archives. Unknown counts the
	// records, about anybody, in archives that could not be read: how many of
	// them are about the person is not known. Unreached lists the places of
	// these archives.
	Archived uint64 `json:"archived,omitempty"`
	// Absent counts those of Records in archives that could not be read: they
	// are counted in Records and Classes only.
	Absent    uint64   `json:"absent,omitempty"`
	Unknown   uint64   `json:"unknown,omitempty"`
	Unreached []string `json:"unreached,omitempty"`
}

// SubjectData returns the number of records that are stored about a user,
// governance records such as a grant of access included.
func (d *Manager) SubjectData(ctx context.Context, user string) (*SubjectData, error) {
	h, err := d.held(ctx, user, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("tell what is stored: %w", err)
	}
	return h, nil
}

// held counts the records about a user, in the log and in its archives, and
// calls use for each.
func (d *Manager) held(ctx context.Context, user string, purposes Purposes, use func(*record.Record) error) (*SubjectData, error) {
	s, err := d.subject(user)
	if err != nil {
		return nil, err
	}
	h := &SubjectData{Subject: s.String(), Types: map[string]uint64{}, Models: map[string]uint64{}, Classes: []Class{}}
	classes := map[string]uint64{}
	add := func(r *record.Record) error {
		e := &r.Event
		if h.Records == 0 || e.Time.Before(h.First) {
			h.First = e.Time
		}
		if e.Time.After(h.Last) {
			h.Last = e.Time
		}
		h.Records++
		h.Types[string(e.Type)]++
		if e.ModelID != "" {
			h.Models[e.ModelID]++
		}
		classes[e.RetentionClass]++
		if use != nil {
			return use(r)
		}
		return nil
	}
	unreached, err := d.log.ArchivedBySubject(ctx, s, add)
	if err != nil {
		return nil, err
	}
	h.Archived = h.Records
	for _, u := range unreached {
		if u.Tabled {
			h.Absent += u.About[s]
		} else {
			h.Unknown += u.Records
		}
		for class, n := range u.Classes {
			name, _, _ := record.SplitClass(class)
			classes[name] += n
		}
		if !slices.Contains(h.Unreached, u.Archive) {
			h.Unreached = append(h.Unreached, u.Archive)
		}
	}
	for hit, err := range d.engine.Find(ctx, query.Query{Users: []string{user}, OldestFirst: true}) {
		if err == nil {
			err = add(hit.Record)
		}
		if err != nil {
			return nil, err
		}
	}
	h.Records, h.Archived = h.Records+h.Absent, h.Archived+h.Absent
	if err := d.acted(ctx, user, s, h, use); err != nil {
		return nil, err
	}
	if h.Records == 0 && h.Acted == 0 && h.Unknown == 0 {
		return nil, ErrNothingStored
	}
	for _, name := range slices.Sorted(maps.Keys(classes)) {
		p := purposes[name]
		if p.Purpose == "" && name == audittrail.GovernanceClass {
			p.Purpose = "to show who had access to the log, and what was done about this person's data"
		}
		p.Stays = cmp.Or(p.Stays, "no end is set")
		h.Classes = append(h.Classes, Class{name, classes[name], p})
	}
	return h, nil
}

// acted counts the records in which a person acted, and calls use for each
// without its content, which is about other people.
func (d *Manager) acted(ctx context.Context, user string, s record.Subject, h *SubjectData, use func(*record.Record) error) error {
	add := func(r *record.Record) error {
		if r.Subject == s {
			return nil // the record is among those about the person
		}
		h.Acted++
		if use == nil {
			return nil
		}
		r = Redact(r)
		r.Event.Actor = user
		return use(r)
	}
	unreached, err := d.log.ArchivedByActor(ctx, s, add)
	if err != nil {
		return err
	}
	for _, u := range unreached {
		if u.Tabled {
			h.ActedAbsent += u.About[s]
			h.Acted += u.About[s]
		} else {
			h.ActedUnknown += u.Records
		}
		if !slices.Contains(h.Unreached, u.Archive) {
			h.Unreached = append(h.Unreached, u.Archive)
		}
	}
	for hit, err := range d.engine.Find(ctx, query.Query{Actors: []string{user}, OldestFirst: true}) {
		if err == nil {
			err = add(hit.Record)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CountAffected returns, for each of some users, how many records there are
// about the user, in the log and in its archives, and in how many the user
// acted.
func (d *Manager) CountAffected(ctx context.Context, users []string) ([]AffectedRecords, error) {
	all := make([]AffectedRecords, len(users))
	at := map[record.Subject]int{} // of all, the first of a subject
	for i, u := range users {
		s, known, err := d.log.Subject(u)
		if err != nil {
			return nil, fmt.Errorf("count records: %w", err)
		}
		if _, twice := at[s]; known && !twice {
			at[s] = i
		}
	}
	if err := count(ctx, d.log, d.engine, at, 0, all); err != nil {
		return nil, fmt.Errorf("count records: %w", err)
	}
	for i, u := range users {
		if s, known, err := d.log.Subject(u); err == nil && known {
			all[i] = all[at[s]]
		}
	}
	return all, nil
}

// A SubjectAccessRequest describes the answer to a person who asks what is
// stored about them.
type SubjectAccessRequest struct {
	User     string
	By       string // id of a token, or "local"
	Now      time.Time
	Purposes Purposes
}

//go:embed answer.html
var page string

// AnswerAccessRequest writes everything that is stored about a user as a ZIP
// archive: data.json and events.jsonl for programs, index.html for people. It
// records that it did.
func (d *Manager) AnswerAccessRequest(ctx context.Context, w io.Writer, a SubjectAccessRequest) (*SubjectData, error) {
	h, err := d.answer(ctx, w, &a)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return h, nil
}

func (d *Manager) answer(ctx context.Context, w io.Writer, a *SubjectAccessRequest) (*SubjectData, error) {
	z := zip.NewWriter(w)
	create := func(name string) (io.Writer, error) {
		return z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: a.Now.UTC()})
	}
	lines, err := create("events.jsonl")
	if err != nil {
		return nil, err
	}
	out := bufio.NewWriter(lines)
	h, err := d.held(ctx, a.User, a.Purposes, func(r *record.Record) error {
		_, err := out.Write(append(event.AppendJSON(nil, &r.Event), '\n'))
		return err
	})
	if err = errors.Join(err, out.Flush()); err != nil {
		return nil, err
	}
	head := struct {
		V      int       `json:"v"`
		Log    string    `json:"log"`
		Made   time.Time `json:"made"`
		UserID string    `json:"user_id"`
		*SubjectData
	}{1, d.log.Origin(), a.Now.UTC(), a.User, h}
	data, err := create("data.json")
	if err != nil {
		return nil, err
	}
	enc := json.NewEncoder(data)
	enc.SetIndent("", "  ")
	if err := enc.Encode(head); err != nil {
		return nil, err
	}
	html, err := create("index.html")
	if err != nil {
		return nil, err
	}
	if err := d.writePage(ctx, html, a, h); err != nil {
		return nil, err
	}
	err = d.administer(ctx, event.SubjectAccessAnswered, a.User, "answer", struct {
		By      string `json:"by"`
		Records uint64 `json:"records"`
	}{a.By, h.Records})
	if err != nil {
		return nil, err
	}
	return h, z.Close() // without its end, what was written so far is no archive
}

// An item is a record on the page.
type item struct {
	Seq   uint64
	Time  string
	Title string
	State string // why the record has no content, if it has none
	Parts []part
}

type part struct{ Name, Text string }

// writePage writes the page for people. Records are passed to the template one
// by one: memory may not have space for all.
func (d *Manager) writePage(ctx context.Context, w io.Writer, a *SubjectAccessRequest, h *SubjectData) error {
	t, err := template.New("answer").Parse(page)
	if err != nil {
		return err
	}
	subject, err := d.subject(a.User)
	if err != nil {
		return err
	}
	var failed error
	stopped := errors.New("the page was not written")
	items := func(yield func(item) bool) {
		_, failed = d.log.ArchivedBySubject(ctx, subject, func(r *record.Record) error {
			if !yield(itemOf(r)) {
				return stopped
			}
			return nil
		})
		if failed != nil {
			return
		}
		for hit, err := range d.engine.Find(ctx, query.Query{Users: []string{a.User}, OldestFirst: true}) {
			if err != nil {
				failed = err
				return
			}
			if !yield(itemOf(hit.Record)) {
				return
			}
		}
	}
	out := bufio.NewWriter(w)
	err = t.Execute(out, map[string]any{
		"Log": d.log.Origin(), "Made": a.Now.UTC().Format("2 January 2006, 15:04 UTC"), "User": a.User,
		"Held": h, "First": dayText(h.First), "Last": dayText(h.Last),
		"Items": items,
	})
	return errors.Join(err, failed, out.Flush())
}

// dayText returns a day in words, or an empty text for the zero time.
func dayText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2 January 2006")
}

func itemOf(r *record.Record) item {
	e := &r.Event
	it := item{Seq: r.Seq, Time: e.Time.UTC().Format("2006-01-02 15:04:05 UTC"), Title: strings.TrimSpace(string(e.Type) + " " + e.ModelID)}
	if r.State != record.Readable {
		it.State = r.State.String()
		return it
	}
	add := func(name, text string) {
		if text != "" {
			it.Parts = append(it.Parts, part{name, text})
		}
	}
	add("You wrote", e.Prompt)
	add("Messages in", string(e.InputMessages))
	add("The system answered", e.Response)
	add("Messages out", string(e.OutputMessages))
	add("Instructions to the system", e.SystemInstructions)
	if e.Tool != nil {
		add("Tool", e.Tool.Name)
		add("Given to the tool", string(e.Tool.Arguments))
		add("Came from the tool", string(e.Tool.Result))
	}
	add("Outcome", e.Outcome)
	add("Error", e.Error)
	add("Session", e.SessionID)
	for _, k := range slices.Sorted(maps.Keys(e.Metadata)) {
		add(k, string(e.Metadata[k]))
	}
	return it
}
