package audittrail_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"audittrail"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// A fact is a record of the model.
type fact struct {
	seq     uint64
	user    string
	class   string // with its month
	model   string
	text    string
	erased  bool
	expired bool // its class has expired; a hold may keep it
	let     bool // nothing kept it at some moment since
}

// A model is a log without any cryptography.
type model struct {
	facts []*fact
	holds []governance.Hold
}

func (m *model) keeps(h *governance.Hold, f *fact) bool {
	name := f.class[:len(f.class)-len("/2026-01")]
	return (h.User == "" || h.User == f.user) && (h.Model == "" || h.Model == f.model) &&
		(h.Class == "" || h.Class == f.class || h.Class == name)
}

func (m *model) kept(f *fact) bool {
	return slices.ContainsFunc(m.holds, func(h governance.Hold) bool { return m.keeps(&h, f) })
}

// erase reports whether the user may be erased, and erases them.
func (m *model) erase(user string) bool {
	for _, h := range m.holds {
		if h.User == user {
			return false
		}
	}
	for _, f := range m.facts {
		if f.user == user && !f.erased && m.kept(f) {
			return false
		}
	}
	for _, f := range m.facts {
		f.erased = f.erased || f.user == user
	}
	return true
}

// settle drops facts that have expired and that no hold keeps.
func (m *model) settle() {
	for _, f := range m.facts {
		f.let = f.let || f.expired && !m.kept(f)
	}
}

func (f *fact) state() record.State {
	switch {
	case f.erased:
		return record.Erased
	case f.let:
		return record.Expired
	}
	return record.Readable
}

// TestAgainstModel runs random operations on a log and on a model, and compares
// them, also as another process sees the log.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { walk(t, rand.New(rand.NewPCG(seed, 4))) })
	}
}

func walk(t *testing.T, rng *rand.Rand) {
	disk := vfs.NewMem()
	c := &clock{now: time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)}
	o := audittrail.Options{Classes: []string{"short"}}
	log := aYear(t, disk, c, o)
	reader := aYear(t, disk, c, audittrail.Options{ReadOnly: true})
	defer func() { logtest.Close(t, reader); logtest.Close(t, log) }()
	users := []string{"ann", "bob", "cid", "dan", ""}
	models := []string{"gpt-4", "llama"}
	pick := func(from []string) string { return from[rng.IntN(len(from))] }
	m := &model{}
	for step := range 120 {
		switch n := rng.IntN(20); {
		case n < 9:
			e := about(pick(users), fmt.Sprintf("text %d", step))
			e.ModelID, e.RetentionClass = pick(models), pick([]string{"standard", "short"})
			r := logtest.Append(t, log, e)
			m.facts = append(m.facts, &fact{
				seq: r.Seq, user: e.UserID, class: record.ClassOf(e.RetentionClass, c.Now()), model: e.ModelID, text: e.Prompt,
			})
		case n < 12:
			u := pick(users[:4])
			done, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{u}, Reason: "r"})
			var refused *governance.LegalHoldError
			if known, ok, _ := log.Subject(u); err == nil && ok {
				t.Fatalf("step %d: %v is there after Erase = %+v", step, known, done)
			}
			if err != nil && !errors.As(err, &refused) {
				t.Fatalf("step %d: Erase: %v", step, err)
			}
			some := slices.ContainsFunc(m.facts, func(f *fact) bool { return f.user == u && !f.erased })
			named := slices.ContainsFunc(m.holds, func(h governance.Hold) bool { return h.User == u })
			if may := m.erase(u); (some || named) && may != (err == nil) {
				t.Fatalf("step %d: Erase(%s) = %v, the model says %v", step, u, err, may)
			}
		case n < 14:
			c.set(c.Now().AddDate(0, 0, 9))
		case n < 15:
			classes, err := log.Classes()
			if err != nil {
				t.Fatal(err)
			}
			over := slices.DeleteFunc(classes, func(c2 string) bool {
				_, month, _ := record.SplitClass(c2)
				return c.Now().Before(month.AddDate(0, 1, 0)) || rng.IntN(2) == 0
			})
			if _, err := log.Expire(t.Context(), over, "r"); err != nil {
				t.Fatalf("step %d: Expire(%q): %v", step, over, err)
			}
			for _, f := range m.facts {
				f.expired = f.expired || slices.Contains(over, f.class)
			}
			m.settle()
		case n < 17:
			h := governance.Hold{Reason: "r"}
			switch rng.IntN(4) {
			case 0:
				h.User = pick(users[:4])
			case 1:
				h.Model = pick(models)
			case 2:
				h.User, h.Class = pick(users[:4]), "short"
			default:
				h.Model, h.Class = pick(models), record.ClassOf("standard", c.Now().AddDate(0, -1, 0))
			}
			placed, err := log.PlaceHold(t.Context(), h)
			if err != nil {
				t.Fatalf("step %d: PlaceHold: %v", step, err)
			}
			m.holds = append(m.holds, placed)
		case n < 19 && len(m.holds) > 0:
			i := rng.IntN(len(m.holds))
			release(t, log, m.holds[i].ID)
			m.holds = slices.Delete(m.holds, i, i+1)
			m.settle()
		default:
			logtest.Close(t, log)
			log = aYear(t, disk, c, o)
		}
		compare(t, log, m, step)
		if step%10 == 0 {
			compare(t, reader, m, step)
		}
	}
	if v, err := log.Verify(t.Context(), audittrail.VerifyOptions{}); err != nil || !v.Valid() {
		t.Errorf("Verify = %+v, %v", v, err)
	}
}

func compare(t *testing.T, log *audittrail.Log, m *model, step int) {
	t.Helper()
	for _, f := range m.facts {
		r, err := log.Get(t.Context(), f.seq)
		if err != nil {
			t.Fatalf("step %d: Get(%d): %v", step, f.seq, err)
		}
		want := f.state()
		if r.State != want || (want == record.Readable) != (r.Event.Prompt == f.text) {
			t.Fatalf("step %d: record %d of %q in %s is %v with %q, want %v", step, f.seq, f.user, f.class, r.State, r.Event.Prompt, want)
		}
	}
	active, err := log.Holds(t.Context())
	if err != nil || !slices.Equal(active, m.holds) && len(m.holds) > 0 {
		t.Fatalf("step %d: Holds = %+v, %v, want %+v", step, active, err, m.holds)
	}
}
