package retention

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"audittrail"
	"audittrail/governance"
	"audittrail/record"
)

// An Action is what becomes of records.
type Action string

// What can become of records.
const (
	Expire  Action = "expire"  // the class's key of a month is destroyed
	Archive Action = "archive" // a segment moves
	Drop    Action = "drop"    // a segment, or its archive, is removed
)

// A Step is one thing that a policy wants.
type Step struct {
	Action  Action    `json:"action"`
	Class   string    `json:"class,omitempty"`   // of an expiry: NAME/YYYY-MM
	Segment *uint64   `json:"segment,omitempty"` // of the others: its first record
	Records uint64    `json:"records"`
	Bytes   int64     `json:"bytes"`
	Due     time.Time `json:"due"`
	To      string    `json:"to,omitempty"` // of an archive
	// Holds are the ids of holds that reach into it. Of what expires they keep
	// their records readable.
	Holds []string `json:"holds,omitempty"`
	// Blocked says why it is not done although it is due.
	Blocked string `json:"blocked,omitempty"`
}

// A Plan is what a policy wants of a log.
type Plan struct {
	At    time.Time `json:"at"`
	Steps []Step    `json:"steps"` // by the time at which they are due
	// Kept are the classes, with a month each, for which nothing is ever due,
	// since the policy does not say.
	Kept map[string]record.ClassCount `json:"kept,omitempty"`
}

// Due returns the steps that are due and not blocked, in the order in which they
// are to be done.
func (p *Plan) Due() []Step {
	var due []Step
	for _, s := range p.Steps {
		if s.Blocked == "" && !s.Due.After(p.At) {
			due = append(due, s)
		}
	}
	order := []Action{Expire, Archive, Drop}
	slices.SortStableFunc(due, func(a, b Step) int {
		return cmp.Compare(slices.Index(order, a.Action), slices.Index(order, b.Action))
	})
	return due
}

// A store is a segment, and what of each class is in it.
type store struct {
	audittrail.Segment
	classes map[string]record.ClassCount
}

// Plan says what would happen, and when. It changes nothing. It reads the log's
// lines to count them, without opening any.
func (m *Manager) Plan(ctx context.Context) (*Plan, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, err := m.plan(ctx)
	if err != nil {
		return nil, fmt.Errorf("plan retention: %w", err)
	}
	return p, nil
}

func (m *Manager) plan(ctx context.Context) (*Plan, error) {
	if err := m.read(ctx); err != nil {
		return nil, err
	}
	stores, err := m.stores(ctx)
	if err != nil {
		return nil, err
	}
	holds, err := m.log.Holds(ctx)
	if err != nil {
		return nil, err
	}
	living, err := m.log.Classes()
	if err != nil {
		return nil, err
	}
	p := &Plan{At: m.o.Now().UTC(), Kept: make(map[string]record.ClassCount)}
	m.planExpiries(p, stores, living, holds)
	for i := range stores {
		if err := m.planMoves(ctx, p, &stores[i], holds); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int { return a.Due.Compare(b.Due) })
	return p, nil
}

// stores counts what is in each segment. Of whole segments the counts are kept.
func (m *Manager) stores(ctx context.Context) ([]store, error) {
	segments, err := m.log.Segments(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]store, len(segments))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, s := range segments {
		all[i] = store{Segment: s, classes: s.Classes}
		if known := m.counts[s.First]; s.State != audittrail.SegmentHere || known != nil {
			if s.State == audittrail.SegmentHere {
				all[i].classes = known
			}
			continue
		}
		group.Go(func() (err error) {
			all[i].classes, err = m.log.CountClasses(ctx, s.First)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, s := range all {
		if !s.Newest && s.State == audittrail.SegmentHere {
			m.counts[s.First] = s.classes
		}
	}
	return all, nil
}

func (m *Manager) planExpiries(p *Plan, stores []store, living []string, holds []governance.Hold) {
	for _, class := range living {
		name, month, err := record.SplitClass(class)
		if err != nil || name == audittrail.GovernanceClass {
			continue
		}
		var n record.ClassCount
		for _, s := range stores {
			if s.State != audittrail.SegmentDropped {
				c := s.classes[class]
				n.Records, n.Bytes = n.Records+c.Records, n.Bytes+c.Bytes
			}
		}
		c, _ := m.policy.Class(name)
		if c.KeepFor.IsZero() {
			p.Kept[class] = n
			continue
		}
		step := Step{Action: Expire, Class: class, Records: n.Records, Bytes: n.Bytes, Due: c.KeepFor.After(month.AddDate(0, 1, 0))}
		for _, h := range holds {
			if h.Reaches(class) {
				step.Holds = append(step.Holds, h.ID)
			}
		}
		p.Steps = append(p.Steps, step)
	}
}

// planMoves plans what becomes of a segment. It has records of several classes:
// all of them must allow it.
func (m *Manager) planMoves(ctx context.Context, p *Plan, s *store, holds []governance.Hold) error {
	step := Step{Segment: &s.First, Records: s.Records, Bytes: s.Bytes}
	switch {
	case s.Leftover: // a crash was in the way
		step.Action, step.Due, step.To = Drop, s.LastLogged, s.Archive
		p.Steps = append(p.Steps, step)
		return nil
	case s.Newest, s.State == audittrail.SegmentDropped, len(s.classes) == 0:
		return nil
	}
	archive, to, archived := m.dueOf(s, func(c Class) Period { return c.ArchiveAfter })
	drop, _, dropped := m.dueOf(s, func(c Class) Period { return c.DropAfter })
	if dropped {
		// Months end later than segments do: nothing goes before its contents
		// have expired.
		for class := range s.classes {
			name, month, _ := record.SplitClass(class)
			c, _ := m.policy.Class(name)
			if at := c.KeepFor.After(month.AddDate(0, 1, 0)); at.After(drop) {
				drop = at
			}
		}
		step.Action, step.Due = Drop, drop
		if s.State == audittrail.SegmentArchived {
			step.To = s.Archive
		}
		if err := m.held(ctx, &step, s, holds, p.At); err != nil {
			return err
		}
		p.Steps = append(p.Steps, step)
		if !drop.After(p.At) && step.Blocked == "" {
			return nil // no need to move it before
		}
	}
	if archived && s.State == audittrail.SegmentHere {
		step = Step{Segment: &s.First, Records: s.Records, Bytes: s.Bytes, Action: Archive, Due: archive, To: to}
		p.Steps = append(p.Steps, step)
	}
	return nil
}

// held says which holds are in the way of dropping a segment. If it is due, its
// records are looked at; else those count that may reach into its classes.
func (m *Manager) held(ctx context.Context, step *Step, s *store, holds []governance.Hold, now time.Time) error {
	if step.Due.After(now) {
		for _, h := range holds {
			if slices.ContainsFunc(slices.Collect(maps.Keys(s.classes)), h.Reaches) {
				step.Holds = append(step.Holds, h.ID)
			}
		}
		return nil
	}
	if s.Unreachable {
		step.Blocked = "its archive is not there now"
		return nil
	}
	on, err := m.log.HoldsOn(ctx, s.First)
	for _, h := range on {
		step.Holds, step.Blocked = append(step.Holds, h.ID), "a hold keeps records in it"
	}
	return err
}

// dueOf returns when all classes of a segment allow something, and where it
// goes: to the archive of the first of the policy's classes that it has. It is
// not ok if one of them never does.
func (m *Manager) dueOf(s *store, after func(Class) Period) (due time.Time, to string, ok bool) {
	names := map[string]bool{}
	for class := range s.classes {
		name, _, _ := record.SplitClass(class)
		names[name] = true
	}
	for name := range names {
		c, _ := m.policy.Class(name)
		period := after(c)
		if period.IsZero() {
			return time.Time{}, "", false
		}
		if at := period.After(s.LastLogged); at.After(due) {
			due = at
		}
	}
	for _, c := range m.policy.Classes {
		if names[c.Name] && c.ArchiveTo != "" {
			to = c.ArchiveTo
			break
		}
	}
	return due, to, true
}

// Apply does what is due, and returns what it did. It calls progress, if that
// is not nil, before each step. What it was stopped in, or could not do, the
// next call does.
func (m *Manager) Apply(ctx context.Context, reason string, progress func(Step)) ([]Step, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, err := m.plan(ctx)
	if err != nil {
		return nil, fmt.Errorf("apply retention: %w", err)
	}
	var done []Step
	for _, s := range p.Due() {
		if err := ctx.Err(); err != nil {
			return done, fmt.Errorf("apply retention: %w", err)
		}
		if progress != nil {
			progress(s)
		}
		if err := m.do(ctx, s, cmp.Or(reason, "retention policy")); err != nil {
			return done, fmt.Errorf("apply retention: %w", err)
		}
		done = append(done, s)
	}
	return done, nil
}

func (m *Manager) do(ctx context.Context, s Step, reason string) error {
	switch s.Action {
	case Expire:
		_, err := m.log.Expire(ctx, []string{s.Class}, reason)
		return err
	case Archive:
		return m.log.ArchiveSegments(ctx, []uint64{*s.Segment}, s.To, reason)
	default:
		return m.log.DropSegments(ctx, []uint64{*s.Segment}, reason)
	}
}
