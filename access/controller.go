package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/record"
)

// Options configure a Controller. The zero value has the built-in roles.
type Options struct {
	Rules
	// PollInterval is how often a Controller of a log that another process writes
	// looks for grants and revocations; if 0, 250 ms. A revocation counts there
	// after that time at the latest.
	PollInterval time.Duration
	// UsesFile is the file with the time of each token's last use; if empty,
	// the times are those that this process knows.
	UsesFile string
	// Logger receives a warning when denials cannot be recorded; it may be nil.
	Logger *slog.Logger

	testOnlyNow func() time.Time
}

// A Controller decides who may do what, from the grants in a log. Its methods
// may be called from many goroutines.
type Controller struct {
	log   *audittrail.Log
	o     Options
	roles *roleTable
	now   func() time.Time

	// changing is locked for writing while grants are revoked, or read from the
	// log, and for reading while grants are made, which happens concurrently.
	changing sync.RWMutex

	mu   sync.RWMutex // guards the two below
	t    *table
	next uint64 // the first record that is not in t

	denials denials
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// Open reads the grants of a log. Close the Controller before the log.
func Open(ctx context.Context, log *audittrail.Log, o Options) (*Controller, error) {
	roles, err := o.resolve()
	if err != nil {
		return nil, fmt.Errorf("open access: %w", err)
	}
	c := &Controller{log: log, o: o, roles: roles, now: time.Now, t: newTable(roles)}
	if o.testOnlyNow != nil {
		c.now = o.testOnlyNow
	}
	if c.o.Logger == nil {
		c.o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := c.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("open access: %w", err)
	}
	c.readUses()
	ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	c.done.Go(func() { c.follow(ctx) })
	c.denials.start(ctx, c)
	return c, nil
}

// Close records the pending denials, and when tokens were last used.
func (c *Controller) Close() error {
	c.stop()
	c.done.Wait()
	if err := c.writeUses(); err != nil {
		// The file may be on read-only media; it is only a hint.
		c.o.Logger.Debug("uses", slog.Any("error", err))
	}
	return c.denials.close()
}

// follow keeps the table up to date with the log.
func (c *Controller) follow(ctx context.Context) {
	tick := time.NewTicker(cmp.Or(c.o.PollInterval, 250*time.Millisecond))
	defer tick.Stop()
	uses := time.NewTicker(usesEvery)
	defer uses.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-uses.C:
			if err := c.writeUses(); err != nil {
				c.o.Logger.Debug("uses", slog.Any("error", err))
			}
		}
		err := c.Refresh(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			c.o.Logger.Error("follow grants", slog.Any("error", err))
		}
		failing = err != nil
	}
}

// Refresh reads the grants and revocations that were recorded since the last
// call, also by other processes.
func (c *Controller) Refresh(ctx context.Context) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	if err := c.refresh(ctx); err != nil {
		return fmt.Errorf("read grants: %w", err)
	}
	return nil
}

func (c *Controller) refresh(ctx context.Context) error {
	if _, _, err := c.log.Subject(""); err != nil {
		return err // without its keyring, no grant in the log can be read
	}
	size, err := c.log.Size()
	if err != nil {
		return err
	}
	c.mu.RLock()
	t, next := c.t, c.next
	c.mu.RUnlock()
	if size == next {
		return nil
	}
	news, err := c.read(ctx, next)
	if err != nil {
		return err
	}
	again := news.erasures
	if again && next > 0 {
		// The grants of erased users must end here.
		if news, err = c.read(ctx, 0); err != nil {
			return err
		}
	}
	if again {
		t = newTable(c.roles)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range news.records {
		if !t.apply(&r.Event) {
			c.o.Logger.Warn("a grant or revocation is of a newer form: a grant permits nothing, and a revocation ends all that it may mean", slog.Uint64("record", r.Seq))
		}
	}
	if again {
		for id, h := range t.byID {
			if old := c.t.byID[id]; old != nil {
				h.used.Store(old.used.Load())
			}
		}
	}
	c.t, c.next = t, max(size, news.next)
	return nil
}

// news contains what the log has recorded about grants since some record.
type news struct {
	records  []*record.Record // grants and revocations, except those of erased users
	next     uint64           // the record after the last that was read
	erasures bool             // users were erased
}

func (c *Controller) read(ctx context.Context, from uint64) (*news, error) {
	n := new(news)
	erased := make(map[record.Subject]uint64) // the record of the erasure
	for r, err := range c.log.GovernanceRecords(ctx, from, event.AccessGranted, event.AccessRevoked, event.SubjectErased) {
		if err != nil {
			return nil, err
		}
		n.next = r.Seq + 1
		switch {
		case r.Event.Type == event.SubjectErased:
			n.erasures = true
			// The erasure may be ordered while the users' keys still exist.
			if order, err := governance.ReadErasure(r.Event.Metadata); r.State == record.Readable && err == nil {
				for _, s := range order.Subjects {
					erased[s] = r.Seq
				}
			}
		case r.State == record.Readable:
			n.records = append(n.records, r)
		}
	}
	n.records = slices.DeleteFunc(n.records, func(r *record.Record) bool { return r.Seq < erased[r.Subject] })
	return n, nil
}

// A GrantRequest describes a grant to make.
type GrantRequest struct {
	User  string
	Role  string
	For   time.Duration // how long the grant is valid; 0 is until it is revoked
	Scope Scope
	By    string // the id of the token that makes the grant; if empty, Local
}

// Grant gives a user a role, and returns the token for it, which cannot be
// retrieved again. The grant is recorded, and valid when Grant returns.
func (c *Controller) Grant(ctx context.Context, r GrantRequest) (Token, *Grant, error) {
	token, g, err := c.grant(ctx, &r)
	if err != nil {
		return Token{}, nil, fmt.Errorf("grant: %w", err)
	}
	return token, g, nil
}

func (c *Controller) grant(ctx context.Context, r *GrantRequest) (Token, *Grant, error) {
	permits, err := c.roles.of(r.Role)
	if err != nil {
		return Token{}, nil, err
	}
	if r.User == "" {
		return Token{}, nil, errors.New("the grant names no user")
	}
	if r.For < 0 {
		return Token{}, nil, errors.New("the grant would already have expired")
	}
	if err := r.Scope.normalize(); err != nil {
		return Token{}, nil, err
	}
	if !r.Scope.Empty() {
		if permits &= scopable; permits == 0 {
			return Token{}, nil, fmt.Errorf("role %s has no permission that a scope can limit; grant it without a scope", r.Role)
		}
	}
	if c.roles.separate {
		c.changing.Lock()
		defer c.changing.Unlock()
	} else {
		c.changing.RLock()
		defer c.changing.RUnlock()
	}
	now := c.now().UTC()
	if err := c.checkGiver(r, permits, now); err != nil {
		return Token{}, nil, err
	}
	if err := c.checkSeparate(r.User, permits, now); err != nil {
		return Token{}, nil, err
	}
	token, err := newToken(rand.Reader)
	if err != nil {
		return Token{}, nil, err
	}
	g := &Grant{
		ID: token.ID(), User: r.User, Role: r.Role, Scope: r.Scope, Permissions: permits.list(),
		Granted: now, GrantedBy: cmp.Or(r.By, Local), hash: token.hash(), set: permits,
	}
	if r.For > 0 {
		g.Expires = now.Add(r.For)
	}
	e, err := g.event()
	if err != nil {
		return Token{}, nil, err
	}
	if _, err := c.log.AppendGovernance(ctx, e); err != nil {
		return Token{}, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t.grant(g)
	return token, g, nil
}

// An EscalationError reports an attempt to grant permissions that the granting
// token does not have. It matches ErrDenied.
type EscalationError struct {
	By      ID
	Role    string
	Lacking []Permission
}

func (e *EscalationError) Error() string {
	return fmt.Sprintf("%v: the token %s cannot grant the role %s: the token does not have the permission %s itself; ask the holder of a token that has it, or the operator of the log",
		ErrDenied, e.By, clip(e.Role), join(e.Lacking))
}

// Is reports whether the target is ErrDenied.
func (e *EscalationError) Is(target error) bool { return target == ErrDenied }

// checkGiver refuses a grant with more permissions than its giver has. The
// local operator has all, having the files and the master key.
func (c *Controller) checkGiver(r *GrantRequest, permits set, now time.Time) error {
	if r.By == "" || r.By == Local {
		return nil
	}
	id, err := ParseID(r.By)
	if err != nil {
		return fmt.Errorf("invalid granting token %q: use the id of a token, or %s", clip(r.By), Local)
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	h := c.t.byID[id]
	var has set
	if h != nil && h.State(now) == Active && h.Scope.Empty() {
		has = h.set
	}
	if has&ManageAccess.bit() == 0 || permits&^has != 0 {
		return &EscalationError{By: id, Role: r.Role, Lacking: ((permits | ManageAccess.bit()) &^ has).list()}
	}
	return nil
}

// checkSeparate refuses a second role that would give one user permissions
// which the rules keep apart.
func (c *Controller) checkSeparate(user string, more set, now time.Time) error {
	if !c.roles.separate {
		return nil
	}
	c.mu.RLock()
	all := c.t.unite(user, now) | more
	c.mu.RUnlock()
	if all&content != 0 && all&administration != 0 {
		return errors.New("duties are separate (separate_duties), and with this grant the user would both read content and administer the log; revoke the other grant first")
	}
	return nil
}

// A NoGrantError reports that there is no grant to revoke.
type NoGrantError struct{ What string }

func (e *NoGrantError) Error() string {
	return e.What + "; 'access list' shows all grants"
}

// Revoke ends one grant. Revoking a grant again changes nothing.
func (c *Controller) Revoke(ctx context.Context, id ID, reason, by string) (*Grant, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	c.mu.RLock()
	h := c.t.byID[id]
	c.mu.RUnlock()
	if h == nil {
		return nil, fmt.Errorf("revoke: %w", &NoGrantError{"no grant has the id " + id.String()})
	}
	if !h.Revoked.IsZero() {
		return h.Grant, nil
	}
	all, err := c.revoke(ctx, []*heldGrant{h}, reason, by)
	if err != nil {
		return nil, fmt.Errorf("revoke: %w", err)
	}
	return all[0], nil
}

// RevokeUser ends all active grants of a user.
func (c *Controller) RevokeUser(ctx context.Context, user, reason, by string) ([]*Grant, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	now := c.now()
	var live []*heldGrant
	c.mu.RLock()
	for _, h := range c.t.byID {
		if h.User == user && h.State(now) == Active {
			live = append(live, h)
		}
	}
	c.mu.RUnlock()
	if len(live) == 0 {
		return nil, fmt.Errorf("revoke: %w", &NoGrantError{"this user has no active grant"})
	}
	all, err := c.revoke(ctx, live, reason, by)
	if err != nil {
		return nil, fmt.Errorf("revoke: %w", err)
	}
	return all, nil
}

// revoke ends active grants of one user.
func (c *Controller) revoke(ctx context.Context, live []*heldGrant, reason, by string) ([]*Grant, error) {
	slices.SortFunc(live, func(a, b *heldGrant) int { return slices.Compare(a.ID[:], b.ID[:]) })
	r := revokeRecord{By: cmp.Or(by, Local), Reason: reason}
	for _, h := range live {
		r.IDs = append(r.IDs, h.ID)
	}
	m, err := member("revocation", r)
	if err != nil {
		return nil, err
	}
	now := c.now().UTC()
	e := event.Event{Type: event.AccessRevoked, Time: now, UserID: live[0].User, Metadata: m}
	if _, err := c.log.AppendGovernance(ctx, e); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t.revoke(&r, now)
	var all []*Grant
	for _, id := range r.IDs {
		all = append(all, c.t.byID[id].Grant)
	}
	return all, nil
}

// Decide reports whether the holder of a token may do something: to an event,
// judged by its cleartext fields, or, if about is nil, in general. It reads
// memory only, and records no denial: it is for callers that leave out what is
// denied and still answer.
func (c *Controller) Decide(token string, p Permission, about *event.Event) Decision {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.t.decide(token, p, about, c.now())
}

// Check is Decide, and also records a denial if the log is open for writing.
func (c *Controller) Check(token string, p Permission, about *event.Event) Decision {
	d := c.Decide(token, p, about)
	if !d.Allowed {
		c.denials.add(&d, c.now())
	}
	return d
}

// A GrantStatus is a grant and its last known use.
type GrantStatus struct {
	*Grant
	State    State
	LastUsed time.Time // zero if no use is known
}

// List returns all grants, the oldest first.
func (c *Controller) List() []GrantStatus {
	now := c.now()
	c.mu.RLock()
	all := make([]GrantStatus, 0, len(c.t.byID))
	for _, h := range c.t.byID {
		u := GrantStatus{Grant: h.Grant, State: h.State(now)}
		if n := h.used.Load(); n != 0 {
			u.LastUsed = time.Unix(0, n).UTC()
		}
		all = append(all, u)
	}
	c.mu.RUnlock()
	slices.SortFunc(all, func(a, b GrantStatus) int {
		return cmp.Or(a.Granted.Compare(b.Granted), slices.Compare(a.ID[:], b.ID[:]))
	})
	return all
}

// Lookup returns a grant by its id.
func (c *Controller) Lookup(id ID) (*Grant, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	h, ok := c.t.byID[id]
	if !ok {
		return nil, false
	}
	return h.Grant, true
}

// Roles returns all roles, and what they permit.
func (c *Controller) Roles() []Role { return slices.Clone(c.roles.roles) }
