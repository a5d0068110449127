package audittrail_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/query"
	"audittrail/service"
)

// TestReadIsDurableFirst crashes the disk at every operation of a reading, and holds
// that content has left only if the log that remains tells that it was read; and that
// a disk that fails lets none leave.
func TestReadIsDurableFirst(t *testing.T) {
	prompts := query.Query{Types: []event.Type{event.Prompt}}
	page := prompts
	page.Limit = 10
	list := func(begin func(*service.Session) (*service.Listing, error)) func(*service.Session, func()) error {
		return func(s *service.Session, left func()) error {
			l, err := begin(s)
			if err != nil {
				return err
			}
			for hit, err := range l.All() {
				if err != nil {
					return err
				}
				if hit.Event.Prompt != "" {
					left()
				}
			}
			return nil
		}
	}
	for name, read := range map[string]func(*service.Session, func()) error{
		"Get": func(s *service.Session, left func()) error {
			_, err := s.Get(t.Context(), service.GetRequest{})
			if err == nil {
				left()
			}
			return err
		},
		"Disclose": func(s *service.Session, left func()) error {
			_, err := s.Disclose(t.Context(), service.DiscloseRequest{})
			if err == nil {
				left()
			}
			return err
		},
		"Find": list(func(s *service.Session) (*service.Listing, error) {
			return s.Find(t.Context(), service.FindRequest{Query: prompts})
		}),
		"Find a page": list(func(s *service.Session) (*service.Listing, error) {
			return s.Find(t.Context(), service.FindRequest{Query: page})
		}),
		"Tail": list(func(s *service.Session) (*service.Listing, error) {
			return s.Tail(t.Context(), service.TailRequest{Query: prompts, Last: 2})
		}),
		"Export": list(func(s *service.Session) (*service.Listing, error) {
			return s.Export(t.Context(), service.ExportRequest{Query: prompts})
		}),
	} {
		t.Run(name, func(t *testing.T) {
			for n := 0; ; n++ {
				if !crashRead(t, n, read) {
					return
				}
			}
		})
	}
}

// crashRead reads from a log whose disk fails at operation n of that, and reports
// whether it came that far.
func crashRead(t *testing.T, n int, read func(*service.Session, func()) error) (failed bool) {
	t.Helper()
	disk := vfs.NewMem()
	o := audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: disk})
	log, err := audittrail.Open("dir", o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the disk may fail
	logtest.Append(t, log, about("ann", "one"))
	logtest.Append(t, log, about("bob", "two"))
	if _, err := log.Checkpoint(t.Context()); err != nil { // so that the signer has nothing to do
		t.Fatal(err)
	}
	s := service.New(log, service.Options{Reads: service.ReadsAlways}).Local()
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	last := disk.Ops() + n
	disk.FailAfter(last)
	left := 0
	err = read(s, func() {
		if left++; left == 1 {
			told(t, disk.Crash(rng), fmt.Sprintf("crash after operation %d", n))
		}
	})
	failed = disk.Ops() > last
	if err != nil && (!failed || left > 0 || !errors.Is(err, service.ErrUnrecorded)) {
		t.Errorf("disk fails at operation %d: %v, with %d records shown", n, err, left)
	}
	if err == nil && left == 0 {
		t.Errorf("disk fails at operation %d: no content, and no error", n)
	}
	return failed
}

// told holds that what remains of a disk tells of a reading.
func told(t *testing.T, disk *vfs.Mem, when string) {
	t.Helper()
	log, err := audittrail.Open("dir", audittrail.Options{LockWait: -1}.With(audittrail.Seams{FS: disk}))
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	defer logtest.Close(t, log)
	q := query.Query{Types: []event.Type{event.ContentRead, event.DataExported}}
	if n, err := query.New(log).Count(t.Context(), q); err != nil || n != 1 {
		t.Errorf("%s: content has left, and the log tells of %d readings, %v", when, n, err)
	}
}
