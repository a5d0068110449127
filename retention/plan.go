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

// An Action is something that a policy does with records.
type Action string

// The actions of a policy.
const (
	Expire  Action = "expire"  // the class's key of a month is destroyed
	Archive Action = "archive" // a segment moves
	Drop    Action = "drop"    // a segment, or its archive, is removed
)

// A Step is one action that a policy requires.
type Step struct {
	Action  Action    `json:"action"`
	Class   string    `json:"class,omitempty"`   // of an expiry: the class, NAME/YYYY-MM
	Segment *uint64   `json:"segment,omitempty"` // of other actions: the segment's first record
	Records uint64    `json:"records"`
	Bytes   int64     `json:"bytes"`
	Due     time.Time `json:"due"`
	To      string    `json:"to,omitempty"` // of an archiving: the folder
	// Holds are the ids of the legal holds on records of the step. Records that
	// expire stay readable if a hold keeps them.
	Holds []string `json:"holds,omitempty"`
	// Blocked tells why the step is not carried out although it is due.
	Blocked string `json:"blocked,omitempty"`
}

// A Plan has the steps that a policy requires in a log.
type Plan struct {
	At    time.Time `json:"at"`
	Steps []Step    `json:"steps"` // by the time at which they are due
	// Kept are the classes, each with a month, for which no step is ever due,
	// since the policy does not mention them.
	Kept map[string]record.ClassCount `json:"kept,omitempty"`
}

// Due returns the steps that are due and not blocked, in the order in which
// they must be carried out.
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

// A store is a segment with the number of its records of each class.
type store struct {
	audittrail.Segment
	classes map[string]record.ClassCount
}

// Plan returns the steps to come, with their times. It changes nothing. It
// counts the log's records without opening any.
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

// stores counts the records of each segment. It caches the counts of whole
// segments.
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

// planMoves plans the steps of a segment. Since it has records of several
// classes, all of them must allow a step.
func (m *Manager) planMoves(ctx context.Context, p *Plan, s *store, holds []governance.Hold) error {
	step := Step{Segment: &s.First, Records: s.Records, Bytes: s.Bytes}
	switch {
	case s.Leftover: // a crash interrupted the step
		step.Action, step.Due, step.To = Drop, s.LastLogged, s.Archive
		p.Steps = append(p.Steps, step)
		return nil
	case s.Newest, s.State == audittrail.SegmentDropped, len(s.classes) == 0:
		return nil
	}
	archive, to, archived := m.dueOf(s, func(c Class) Period { return c.ArchiveAfter })
	drop, _, dropped := m.dueOf(s, func(c Class) Period { return c.DropAfter })
	if dropped {
		// Months end later than segments do: a segment is not dropped before
		// its contents have expired.
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
			return nil // it need not be archived before
		}
	}
	if archived && s.State == audittrail.SegmentHere {
		step = Step{Segment: &s.First, Records: s.Records, Bytes: s.Bytes, Action: Archive, Due: archive, To: to}
		p.Steps = append(p.Steps, step)
	}
	return nil
}

// held notes in a step the legal holds that keep its segment from being
// dropped. If the step is due, it examines the segment's records; otherwise it
// notes the holds that may apply to its classes.
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
		step.Blocked = "the archive cannot be read now"
		return nil
	}
	on, err := m.log.HoldsOn(ctx, s.First)
	for _, h := range on {
		step.Holds, step.Blocked = append(step.Holds, h.ID), "a legal hold keeps records of the segment"
	}
	return err
}

// dueOf returns when all classes of a segment allow a step, and its
// destination: the archive of the first of the policy's classes that the
// segment has. ok is false if one of the classes never allows the step.
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

// Apply carries out the steps that are due, and returns those that it carried
// out. It calls progress, if that is not nil, before each step. The next call
// carries out the steps that were interrupted or failed.
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
