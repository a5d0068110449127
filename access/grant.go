package access

import (
	"cmp"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/record"
)

// A Grant is what one token permits. It must not be modified.
type Grant struct {
	ID    ID
	User  string // who has the token
	Role  string
	Scope Scope
	// Permissions are those of the role when the grant was made. If the role
	// has fewer permissions now, only these count.
	Permissions []Permission

	Granted   time.Time
	GrantedBy string // the id of the token that made the grant, or Local
	Expires   time.Time
	Revoked   time.Time
	RevokedBy string
	Reason    string // why it was revoked

	hash [32]byte
	set  set // of Permissions
}

// Local replaces the id of a token where the local operator acts: the operator
// has the files and the master key.
const Local = "local"

// State returns the state of the grant.
func (g *Grant) State(now time.Time) State {
	switch {
	case !g.Revoked.IsZero():
		return Revoked
	case !g.Expires.IsZero() && !now.Before(g.Expires):
		return Expired
	}
	return Active
}

// A State says whether a grant is active, expired or revoked.
type State string

// The states of a grant.
const (
	Active  State = "live"
	Expired State = "expired"
	Revoked State = "revoked"
)

// grantRecord is the member "grant" of the metadata of an access_granted event:
// see docs/format/token.md. Whose it is, is the event's user, and when, its time.
type grantRecord struct {
	ID          ID           `json:"id"`
	Hash        string       `json:"hash"`
	Role        string       `json:"role"`
	Permissions []Permission `json:"permissions"`
	Scope       []string     `json:"scope,omitempty"`
	Expires     *time.Time   `json:"expires,omitempty"`
	By          string       `json:"by"`
}

// revokeRecord is the member "revocation" of an access_revoked event.
type revokeRecord struct {
	IDs    []ID   `json:"ids"`
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

func (g *Grant) event() (event.Event, error) {
	r := grantRecord{
		ID: g.ID, Hash: hex.EncodeToString(g.hash[:]), Role: g.Role, Permissions: g.Permissions,
		Scope: g.Scope.Terms(), By: g.GrantedBy,
	}
	if !g.Expires.IsZero() {
		r.Expires = &g.Expires
	}
	m, err := member("grant", r)
	return event.Event{Type: event.AccessGranted, Time: g.Granted, UserID: g.User, Metadata: m}, err
}

func member(name string, v any) (map[string]json.RawMessage, error) {
	b, err := json.Marshal(v)
	return map[string]json.RawMessage{name: b}, err
}

// errForm reports that a record does not have a form that this program knows.
var errForm = errors.New("invalid metadata for a record of this type")

func readGrant(e *event.Event) (*Grant, error) {
	var r grantRecord
	if err := governance.Decode(e.Metadata, "grant", &r); err != nil {
		return nil, errForm // the value is encrypted content, and must not be in an error
	}
	hash, err := hex.DecodeString(r.Hash)
	if err != nil || len(hash) != 32 || ID(hash[:len(r.ID)]) != r.ID {
		return nil, errForm
	}
	scope, err := ParseScope(r.Scope)
	if err != nil {
		return nil, errForm
	}
	g := &Grant{
		ID: r.ID, User: e.UserID, Role: r.Role, Scope: scope, Permissions: r.Permissions,
		Granted: e.Time, GrantedBy: r.By, hash: [32]byte(hash), set: setOf(r.Permissions...),
	}
	if r.Expires != nil {
		g.Expires = *r.Expires
	}
	return g, nil
}

// A heldGrant is a grant in memory.
type heldGrant struct {
	*Grant
	set  set // the permissions that count now
	used atomic.Int64
}

// A table has all grants, and what they permit. It does no I/O.
type table struct {
	roles *roleTable
	byID  map[ID]*heldGrant
}

func newTable(roles *roleTable) *table { return &table{roles, map[ID]*heldGrant{}} }

// grant adds a grant. A grant that is in the table already stays: it may have
// been revoked.
func (t *table) grant(g *Grant) {
	if t.byID[g.ID] != nil {
		return
	}
	h := &heldGrant{Grant: g, set: g.set & t.roles.sets[g.Role]}
	if !g.Scope.Empty() {
		h.set &= scopable
	}
	t.byID[g.ID] = h
}

// revoke ends grants. Grants that are not in the table belonged to users who
// were erased.
func (t *table) revoke(r *revokeRecord, at time.Time) {
	for _, id := range r.IDs {
		old := t.byID[id]
		if old == nil || !old.Revoked.IsZero() {
			continue
		}
		g := *old.Grant
		g.Revoked, g.RevokedBy, g.Reason = at, r.By, r.Reason
		h := &heldGrant{Grant: &g, set: old.set}
		h.used.Store(old.used.Load())
		t.byID[id] = h
	}
}

// apply adds a grant or carries out a revocation. It reports whether the record
// is of a form that this program knows. A grant in an unknown form permits
// nothing, since the unknown part may narrow it; a revocation in an unknown
// form ends the grants that it lists, or all grants.
func (t *table) apply(e *event.Event) (known bool) {
	switch e.Type {
	case event.AccessGranted:
		g, err := readGrant(e)
		if err != nil {
			return false
		}
		t.grant(g)
	case event.AccessRevoked:
		var r revokeRecord
		if err := governance.Decode(e.Metadata, "revocation", &r); err == nil {
			t.revoke(&r, e.Time)
			return true
		}
		r = revokeRecord{By: Local}
		var listed struct {
			IDs []ID `json:"ids"`
		}
		if err := json.Unmarshal(e.Metadata["revocation"], &listed); err == nil && len(listed.IDs) > 0 {
			r.IDs = listed.IDs
		} else {
			r.IDs = slices.Collect(maps.Keys(t.byID))
		}
		t.revoke(&r, e.Time)
		return false
	}
	return true
}

// GrantsOf returns the grants of some records in the order of the log, the
// oldest first, also those that were revoked or have expired. Unread is how
// many records contain grants that are not returned, since their content cannot
// be read or has a newer format. Grants of erased users are not valid any more,
// and their records do not count as unread.
func GrantsOf(records iter.Seq2[*record.Record, error]) (all []*Grant, unread int, err error) {
	t := newTable(new(roleTable))
	for r, err := range records {
		if err != nil {
			return nil, 0, err
		}
		switch r.State {
		case record.Readable:
			if !t.apply(&r.Event) {
				unread++
			}
		case record.Sealed, record.Lost:
			unread++
		}
	}
	all = make([]*Grant, 0, len(t.byID))
	for _, h := range t.byID {
		all = append(all, h.Grant)
	}
	slices.SortFunc(all, func(a, b *Grant) int {
		return cmp.Or(a.Granted.Compare(b.Granted), slices.Compare(a.ID[:], b.ID[:]))
	})
	return all, unread, nil
}

// A Reason tells why something was denied.
type Reason string

// The reasons of denials.
const (
	Malformed    Reason = "mistyped"      // the text is not a token
	Unknown      Reason = "unknown"       // no grant has this token
	WasRevoked   Reason = "revoked"       // the grant was revoked
	HasExpired   Reason = "expired"       // the grant has expired
	NotPermitted Reason = "not permitted" // the grant does not have the permission
	OutOfScope   Reason = "out of scope"  // the grant has the permission, but not for this record
)

// A Decision is the result of a check.
type Decision struct {
	Allowed    bool
	Permission Permission
	Reason     Reason // why the action is denied
	// Grant is the grant that was decided on, if there is one. If it has a
	// scope, and the check was not about a particular event, the caller must
	// keep to the scope.
	Grant *Grant
}

// SeesRestricted reports whether the caller may show restricted content: only
// the privacy role may see it.
func (d *Decision) SeesRestricted() bool { return d.Allowed && d.Grant.Role == Privacy }

// ErrDenied is matched by the errors of denials.
var ErrDenied = errors.New("access denied")

// Err returns the denial as an error that never contains the token, or nil if
// the action is allowed.
func (d *Decision) Err() error {
	if d.Allowed {
		return nil
	}
	switch d.Reason {
	case Malformed:
		return fmt.Errorf("%w: %w", ErrDenied, ErrToken)
	case Unknown:
		return fmt.Errorf("%w: no grant has this token", ErrDenied)
	case WasRevoked:
		return fmt.Errorf("%w: the token %s was revoked on %s", ErrDenied, d.Grant.ID, d.Grant.Revoked.UTC().Format(time.RFC3339))
	case HasExpired:
		return fmt.Errorf("%w: the token %s expired on %s", ErrDenied, d.Grant.ID, d.Grant.Expires.UTC().Format(time.RFC3339))
	case OutOfScope:
		return fmt.Errorf("%w: the scope of the token %s does not cover this request", ErrDenied, d.Grant.ID)
	}
	return fmt.Errorf("%w: the token %s, of role %s, does not have the permission %s", ErrDenied, d.Grant.ID, d.Grant.Role, d.Permission)
}

// find returns the grant of a token.
func (t *table) find(text string) (*heldGrant, Reason) {
	if !wellFormed(text) {
		return nil, Malformed
	}
	hash := Token{text}.hash()
	// The id is not a secret, so the time of its lookup may vary; the rest of
	// the hash is compared in constant time.
	h := t.byID[ID(hash[:len(ID{})])]
	if h == nil || subtle.ConstantTimeCompare(h.hash[:], hash[:]) != 1 {
		return nil, Unknown
	}
	return h, ""
}

// decide carries out a check.
func (t *table) decide(text string, p Permission, about *event.Event, now time.Time) Decision {
	h, reason := t.find(text)
	d := Decision{Permission: p, Reason: reason}
	if h == nil {
		return d
	}
	d.Grant = h.Grant
	switch state := h.State(now); {
	case state == Revoked:
		d.Reason = WasRevoked
	case state == Expired:
		d.Reason = HasExpired
	case h.set&p.bit() == 0:
		d.Reason = NotPermitted
	case about != nil && !h.Scope.Covers(about):
		d.Reason = OutOfScope
	default:
		d.Allowed = true
		h.seen(now.UnixNano())
	}
	return d
}

// unite returns the permissions of all of a user's active grants.
func (t *table) unite(user string, now time.Time) set {
	var s set
	for h := range maps.Values(t.byID) {
		if h.User == user && h.State(now) == Active {
			s |= h.set
		}
	}
	return s
}
