// Package retention decides how long what is recorded stays, and does it.
//
// A [Policy] gives every event a retention class when it is accepted, and says
// of each class how long its contents can be read, when its segments move to an
// archive, and when they are dropped. It is a record of the log like all others:
// the last one counts, for the events that are accepted from then on.
//
// A [Manager] keeps the policy, plans what is due ([Manager.Plan], which changes
// nothing) and does it ([Manager.Apply], which can be stopped at any point and
// called again). What it does is done by the log, which records it, and which
// refuses what a hold keeps.
//
// The package promises nothing about what a law wants: [StatutoryMinimums] are data with
// their sources, and whether they apply is for their reader to say.
package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/record"
)

// member is where a policy stands in its record's metadata.
const member = "policy"

// Options tell how to keep a policy. The zero value warns of what is below the
// floors of DefaultFrameworks.
type Options struct {
	// Frameworks are those whose floors policies are held against.
	Frameworks []string
	// Strict refuses a policy that is below a floor.
	Strict bool
	// Now is the time; if nil, time.Now.
	Now func() time.Time
}

// DefaultFrameworks are the frameworks whose floors count unless others are
// named.
var DefaultFrameworks = []string{"ai-act"}

// A Manager keeps the retention policy of a log.
type Manager struct {
	log *audittrail.Log
	o   Options

	mu     sync.Mutex // guards all below
	policy Policy
	set    PolicyRecord
	next   uint64                                  // records before it were read
	counts map[uint64]map[string]record.ClassCount // of whole segments, by the first record
}

// A PolicyRecord says when a policy was set, and by whom.
type PolicyRecord struct {
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"`
	By   string    `json:"by,omitempty"`
}

// stored is what stands in the metadata.
type stored struct {
	Policy
	By string `json:"by,omitempty"`
}

// A MinimumError means that a policy is below the minimums that it is held against,
// and that this was to be refused.
type MinimumError struct{ Violations []MinimumViolation }

func (e *MinimumError) Error() string {
	texts := make([]string, len(e.Violations))
	for i := range e.Violations {
		texts[i] = e.Violations[i].String()
	}
	return "the policy is below a legal floor: " + strings.Join(texts, "; ")
}

// ErrSealed means that a log's policy cannot be read without its keyring.
var ErrSealed = errors.New("the retention policy is sealed: the log is open without its keyring")

// Open reads the policy of a log, and puts it in force if the log is open for
// writing.
func Open(ctx context.Context, log *audittrail.Log, o Options) (*Manager, error) {
	if o.Frameworks == nil {
		o.Frameworks = DefaultFrameworks
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, f := range o.Frameworks {
		if !slices.Contains(Frameworks(), f) {
			return nil, fmt.Errorf("open retention: no framework %.64q has floors; there are %q", f, Frameworks())
		}
	}
	m := &Manager{log: log, o: o, counts: make(map[uint64]map[string]record.ClassCount)}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.read(ctx); err != nil {
		return nil, fmt.Errorf("open retention: %w", err)
	}
	return m, m.enforce()
}

// read brings the policy up to the log's end; called with mu held.
func (m *Manager) read(ctx context.Context) error {
	for r, err := range m.log.GovernanceRecords(ctx, m.next) {
		if err != nil {
			return err
		}
		m.next = r.Seq + 1
		if r.Event.Type != event.RetentionPolicySet {
			continue
		}
		s, err := storedIn(r)
		if err != nil {
			return err
		}
		m.policy, m.set = s.Policy, PolicyRecord{r.Seq, r.Logged, s.By}
	}
	return nil
}

// PolicyIn returns the policy that a record sets. The error is ErrSealed if the
// record's content cannot be read, and another one if the policy has a member that
// this program does not know.
func PolicyIn(r *record.Record) (Policy, error) {
	s, err := storedIn(r)
	return s.Policy, err
}

func storedIn(r *record.Record) (s stored, err error) {
	if r.State != record.Readable {
		return s, ErrSealed
	}
	if err := governance.Decode(r.Event.Metadata, member, &s); err != nil {
		return stored{}, fmt.Errorf("record %d: read retention policy: %w", r.Seq, err)
	}
	if err := s.Check(); err != nil {
		return stored{}, fmt.Errorf("record %d: retention policy: %w", r.Seq, err)
	}
	return s, nil
}

// enforce has the log choose classes by the policy; called with mu held.
func (m *Manager) enforce() error {
	p := m.policy // never changed in place
	var choose func(*event.Event) string
	if len(p.Rules) > 0 {
		choose = p.Choose
	}
	return m.log.SetClasses(p.names(), choose)
}

// Policy returns the policy in force, and when it was set; the time is zero if
// none ever was, and then everything is kept.
func (m *Manager) Policy() (Policy, PolicyRecord) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.policy, m.set
}

// Check holds a policy against itself and against the floors, and returns by
// what it is short of these.
func (m *Manager) Check(p *Policy) ([]MinimumViolation, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	short := p.MinimumViolations(m.o.Frameworks)
	if len(short) > 0 && m.o.Strict {
		return short, &MinimumError{short}
	}
	return short, nil
}

// Set records a policy and puts it in force, for the events that are accepted
// from now on. It returns by what it is short of legal floors; one that
// contradicts itself is refused with a *PolicyError, and, if Options.Strict, one
// that is short with a *MinimumError. Setting the policy that is in force records
// nothing.
func (m *Manager) Set(ctx context.Context, p Policy, by string) ([]MinimumViolation, error) {
	short, err := m.Check(&p)
	if err != nil {
		return short, fmt.Errorf("set retention policy: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := json.Marshal(stored{p, by})
	if err != nil {
		return short, fmt.Errorf("set retention policy: %w", err)
	}
	if err := m.read(ctx); err != nil {
		return short, fmt.Errorf("set retention policy: %w", err)
	}
	old, err := json.Marshal(m.policy)
	if err != nil {
		return short, err
	}
	if next, err := json.Marshal(p); err == nil && !m.set.Time.IsZero() && string(old) == string(next) {
		return short, m.enforce()
	}
	if _, err := m.log.AppendGovernance(ctx, event.Event{
		Type: event.RetentionPolicySet, Metadata: map[string]json.RawMessage{member: b},
	}); err != nil {
		return short, fmt.Errorf("set retention policy: %w", err)
	}
	if err := m.read(ctx); err != nil {
		return short, fmt.Errorf("set retention policy: %w", err)
	}
	return short, m.enforce()
}
