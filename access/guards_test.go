package access_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"audittrail/access"
	"audittrail/event"
	"audittrail/internal/logtest"
)

// TestScopeRefuses refuses limits that contradict each other or are too many: a
// limit that is passed over would widen the grant.
func TestScopeRefuses(t *testing.T) {
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf("model=m%d", i)
	}
	long := strings.Repeat("k", event.MaxClear+1)
	for want, terms := range map[string][]string{
		"from is given twice":                {"from=2026-01-01", "from=2026-02-01"},
		"until is given twice":               {"until=2026-01-01", "until=2026-02-01"},
		"more than 128 bytes":                {"label:" + long + "=v"},
		"65 parts; use at most 64":           many,
		"a part of the scope has 129":        {"label:team=" + long},
		"unknown limit \"" + long[:40] + "…": {long + "=v"},
	} {
		if _, err := access.ParseScope(terms); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseScope: %v, want %q", err, want)
		}
	}
	log := logtest.New(t)
	c := openAccess(t, log, access.Options{})
	defer closeAccess(t, c)
	for what, labels := range map[string]map[string][]string{
		"no key": {"": {"v"}}, "no value": {"team": nil}, "a key with =": {"a=b": {"v"}}, "a long key": {long: {"v"}},
	} {
		_, _, err := c.Grant(t.Context(), access.GrantRequest{User: "u", Role: access.Viewer, Scope: access.Scope{Labels: labels}})
		if err == nil || !strings.Contains(err.Error(), "a label of the scope") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestUsesRefuses accepts one encoding only.
func TestUsesRefuses(t *testing.T) {
	const use = `"t-0123456789abcdef":"2026-11-25T10:00:00.000000000Z"`
	if _, err := access.DecodeUses([]byte(`{"uses":{` + use + `},"v":1}` + "\n")); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"another version":  `{"uses":{` + use + `},"v":2}` + "\n",
		"no line feed":     `{"uses":{` + use + `},"v":1}`,
		"a space":          `{"uses":{` + use + `}, "v":1}` + "\n",
		"no id":            `{"uses":{"x":"2026-11-25T10:00:00.000000000Z"},"v":1}` + "\n",
		"no time":          `{"uses":{"t-0123456789abcdef":"noon"},"v":1}` + "\n",
		"more than 16 MiB": `{"uses":{` + use + `},"v":1}` + strings.Repeat("\n", 16<<20),
	} {
		if _, err := access.DecodeUses([]byte(text)); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// TestUnusedFileStays writes down no use where there was none.
func TestUnusedFileStays(t *testing.T) {
	log := logtest.New(t)
	o := access.Options{UsesFile: filepath.Join(t.TempDir(), "uses.json")}
	c := openAccess(t, log, o)
	mustGrant(t, c, access.GrantRequest{User: "u", Role: access.Viewer})
	closeAccess(t, c)
	if _, err := os.Stat(o.UsesFile); !os.IsNotExist(err) {
		t.Errorf("a file of uses was written: %v", err)
	}
}

// TestRevokedTwice records one revocation.
func TestRevokedTwice(t *testing.T) {
	log := logtest.New(t)
	c := openAccess(t, log, access.Options{})
	defer closeAccess(t, c)
	token, g := mustGrant(t, c, access.GrantRequest{User: "u", Role: access.Viewer})
	first, err := c.Revoke(t.Context(), g.ID, "left", "local")
	if err != nil {
		t.Fatal(err)
	}
	size, err := log.Size()
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Revoke(t.Context(), g.ID, "again", "local")
	if now, serr := log.Size(); err != nil || serr != nil || now != size || !again.Revoked.Equal(first.Revoked) {
		t.Errorf("Revoke again = %+v, %v, and the log has %d records, want %d", again, err, now, size)
	}
	if d := c.Check(token, access.ReadEvents, nil); d.Allowed {
		t.Error("a revoked token is allowed")
	}
	if _, ok := c.Lookup(access.ID{1}); ok {
		t.Error("Lookup finds a grant that there is not")
	}
	if found, ok := c.Lookup(g.ID); !ok || found.User != "u" {
		t.Errorf("Lookup = %+v, %v", found, ok)
	}
}

// TestGrantRecords makes no grant of a record that is not of the form that this
// program writes, and opens the log all the same.
func TestGrantRecords(t *testing.T) {
	const hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for what, grant := range map[string]string{
		"no hash":               `{"id":"t-0123456789abcdef","role":"viewer","by":"local","hash":""}`,
		"a short hash":          `{"id":"t-0123456789abcdef","role":"viewer","by":"local","hash":"` + hash[:32] + `"}`,
		"an id of another hash": `{"id":"t-1123456789abcdef","role":"viewer","by":"local","hash":"` + hash + `"}`,
		"a hash not in hex":     `{"id":"t-0123456789abcdef","role":"viewer","by":"local","hash":"x` + hash[1:] + `"}`,
		"a scope that is none":  `{"id":"t-0123456789abcdef","role":"viewer","by":"local","scope":["color=red"],"hash":"` + hash + `"}`,
		"no grant":              `1`,
	} {
		log := logtest.New(t)
		_, err := log.AppendGovernance(t.Context(), event.Event{
			Type: event.AccessGranted, UserID: "u", Metadata: map[string]json.RawMessage{"grant": json.RawMessage(grant)},
		})
		if err != nil {
			t.Fatal(err)
		}
		c := openAccess(t, log, access.Options{})
		if grants := c.List(); len(grants) != 0 {
			t.Errorf("%s: it makes %+v", what, grants)
		}
		for ch, err := range c.History(t.Context()) {
			if err != nil || !ch.NewerForm || len(ch.IDs) != 0 {
				t.Errorf("%s: the history has %+v, %v", what, ch, err)
			}
		}
		closeAccess(t, c)
	}
}

// TestGrantStaysRevoked keeps a grant revoked whose record is there twice, in
// whatever order it is read.
func TestGrantStaysRevoked(t *testing.T) {
	log := logtest.New(t)
	c := openAccess(t, log, access.Options{})
	token, g := mustGrant(t, c, access.GrantRequest{User: "u", Role: access.Viewer})
	if _, err := c.Revoke(t.Context(), g.ID, "left", "local"); err != nil {
		t.Fatal(err)
	}
	closeAccess(t, c)
	r, err := log.Get(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.AppendGovernance(t.Context(), event.Event{
		Type: event.AccessGranted, UserID: "u", Time: time.Now(), Metadata: r.Event.Metadata,
	}); err != nil {
		t.Fatal(err)
	}
	c = openAccess(t, log, access.Options{})
	defer closeAccess(t, c)
	if d := c.Check(token, access.ReadEvents, nil); d.Allowed {
		t.Error("a token that was revoked is allowed: its grant is recorded again")
	}
}
