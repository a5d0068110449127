// Package retention decides how long records are kept, and carries that out.
//
// A [Policy] gives every event a retention class when it is accepted, and says
// for each class how long its contents can be read, when its segments move to
// an archive, and when they are dropped. It is a record of the log like all
// others: the latest policy applies to the events that are accepted from then
// on.
//
// A [Manager] keeps the policy, plans the steps that are due ([Manager.Plan],
// which changes nothing) and carries them out ([Manager.Apply], which can be
// stopped at any point and called again). The log itself carries out and
// records each step, and refuses to remove records that a legal hold keeps.
//
// The package makes no statement about what a law requires: [StatutoryMinimums]
// are data with their sources, and the reader decides whether they apply.
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

// member is the member of a record's metadata that contains a policy.
const member = "policy"

// Options configure a Manager. The zero value warns of violations of the
// statutory minimums of DefaultFrameworks.
type Options struct {
	// Frameworks are the frameworks with whose statutory minimums policies are
	// compared.
	Frameworks []string
	// Strict refuses a policy that is below a statutory minimum.
	Strict bool
	// Now returns the current time; if nil, it is time.Now.
	Now func() time.Time
}

// DefaultFrameworks are the frameworks that apply if Options name none.
var DefaultFrameworks = []string{"ai-act"}

// A Manager keeps the retention policy of a log.
type Manager struct {
	log *audittrail.Log
	o   Options

	mu     sync.Mutex // guards all below
	policy Policy
	set    PolicyRecord
	next   uint64                                  // the first record that was not read
	counts map[uint64]map[string]record.ClassCount // of whole segments, by the first record
}

// A PolicyRecord tells when a policy was set, and by whom.
type PolicyRecord struct {
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"`
	By   string    `json:"by,omitempty"`
}

// stored is the metadata of a policy's record.
type stored struct {
	Policy
	By string `json:"by,omitempty"`
}

// A MinimumError reports that a policy is below statutory minimums and was
// refused for that.
type MinimumError struct{ Violations []MinimumViolation }

func (e *MinimumError) Error() string {
	texts := make([]string, len(e.Violations))
	for i := range e.Violations {
		texts[i] = e.Violations[i].String()
	}
	return "the policy is below a statutory minimum: " + strings.Join(texts, "; ")
}

// ErrSealed reports that a log's policy cannot be read without its keyring.
var ErrSealed = errors.New("the retention policy is encrypted, and the log is open without its keyring")

// Open reads the policy of a log, and applies it if the log is open for
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
			return nil, fmt.Errorf("open retention: unknown framework %.64q; frameworks with statutory minimums are %q", f, Frameworks())
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

// read reads the policies up to the log's end. The caller holds mu.
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
// record's content cannot be read, and another error if the policy has a member
// that this program does not know.
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

// enforce makes the log choose classes by the policy. The caller holds mu.
func (m *Manager) enforce() error {
	p := m.policy // never changed in place
	var choose func(*event.Event) string
	if len(p.Rules) > 0 {
		choose = p.Choose
	}
	return m.log.SetClasses(p.names(), choose)
}

// Policy returns the policy in force, and when it was set. The time is zero if
// no policy was ever set; then everything is kept.
func (m *Manager) Policy() (Policy, PolicyRecord) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.policy, m.set
}

// Check checks a policy for contradictions, and returns its violations of
// statutory minimums.
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

// Set records a policy and applies it to the events that are accepted from now
// on. It returns the policy's violations of statutory minimums. It refuses a
// contradictory policy with a *PolicyError and, if Options.Strict is set, a
// policy with violations with a *MinimumError. Setting the policy that is in
// force records nothing.
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
