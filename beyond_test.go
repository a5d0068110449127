package audittrail_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/record"
)

// TestVerifyBesideErasures verifies and reads a log again and again while
// records are appended to it and the people whom they are about are erased, by
// one writer and by many. Verify finds nothing wrong with the log.
func TestVerifyBesideErasures(t *testing.T) {
	const rounds = 25
	for name, every := range map[string]int{"one writer": rounds, "a writer for each erasure": 1} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(round int, log *audittrail.Log) error {
				user := fmt.Sprintf("user %d", round)
				for i := range 5 {
					for _, u := range []string{user, "stays"} {
						if _, err := log.Append(t.Context(), event.Event{Type: event.Prompt, UserID: u, Prompt: fmt.Sprint(i)}); err != nil {
							return err
						}
					}
				}
				_, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{user}, Reason: "r", Basis: "b"})
				return err
			}
			log := logtest.Open(t, dir, audittrail.Options{Create: true})
			if err := errors.Join(write(-1, log), log.Close()); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				for round := 0; round < rounds; {
					log, err := audittrail.Open(dir, audittrail.Options{LockWait: 1 << 40})
					for i := 0; i < every && err == nil; i++ {
						err = write(round, log)
						round++
					}
					if err == nil {
						err = log.Close()
					}
					if err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
			reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
			for over := false; !over; {
				select {
				case err := <-done:
					if err != nil {
						t.Fatal(err)
					}
					over = true
				default:
				}
				v, err := audittrail.VerifyDir(t.Context(), dir, audittrail.Options{}, audittrail.VerifyOptions{})
				if err != nil || !v.Valid() || len(v.Limitations) > 0 {
					t.Fatalf("beside a writer: %+v, %v", v, err)
				}
				if b, err := reader.Beyond(t.Context()); err != nil || b.Records > 0 || b.Behind > 0 || b.Unchecked != "" {
					t.Fatalf("a reader beside a writer: %+v, %v", b, err)
				}
			}
			if n := size(t, reader); n != (rounds+1)*11 {
				t.Errorf("the reader counts %d records, want %d", n, (rounds+1)*11)
			}
			logtest.Close(t, reader)
		})
	}
}

// TestReadersStop has readers end before the first unauthenticated record,
// whatever continues it.
func TestReadersStop(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, filepath.Join("log", firstSegment), func(b []byte) []byte {
		l := lines(b)
		// Six records that count, a forgery, and two true ones that continue it.
		l[6] = rehash(l[6], `"type":"prompt"`, `"type":"x.forged"`)
		l[7] = retail(l[7], 7, tailOf(l[6]).Hash)
		return append(bytes.Join(l, nil), placed(l[5], 8, tailOf(l[7]).Logged, tailOf(l[7]).Hash)...)
	})
	log := logtest.Open(t, "dir", audittrail.Options{ReadOnly: true, Master: onDisk(disk).Master}.With(audittrail.Seams{FS: disk}))
	b, err := log.Beyond(t.Context())
	if err != nil || b.Signed != 5 || b.Size != 6 || b.Records != 3 || !strings.Contains(b.Detail, "does not open") {
		t.Errorf("Beyond() = %+v, %v, want 5 signed, 6 that count, and 3 beyond", b, err)
	}
	n := 0
	for r, err := range log.Records(t.Context(), 0, record.MaxSeq) {
		if err != nil || r.State != record.Readable {
			t.Errorf("record %d: %v", n, err)
		}
		n++
	}
	if n != 6 || size(t, log) != 6 {
		t.Errorf("%d records of %d, want 6", n, size(t, log))
	}
	r, err := log.Get(t.Context(), 7)
	if err != nil || r.State != record.Unauthenticated || r.Event.Prompt != "" {
		t.Errorf("Get(7) = %+v, %v, want it unauthenticated, without content", r, err)
	}
	if _, err := log.Disclose(t.Context(), 7); !errors.Is(err, audittrail.ErrUnauthenticated) {
		t.Errorf("Disclose(7) = %v, want ErrUnauthenticated", err)
	}
	if _, err := log.Find(t.Context(), r.ID.String()); !errors.Is(err, audittrail.ErrNoRecord) {
		t.Errorf("Find of a record beyond = %v, want ErrNoRecord", err)
	}
	wantUnauthenticated(t, verifyOn(t, disk, audittrail.VerifyOptions{}), 6)
	logtest.Close(t, log)
}

// TestReadersPassOverJunk has readers end before whole lines beyond the checkpoint
// that are not records of the log, as an interrupted write, or somebody without
// keys, may leave: neither verify nor readers call them an alteration of signed
// records.
func TestReadersPassOverJunk(t *testing.T) {
	for name, junk := range map[string]func(l [][]byte) []byte{
		"zeros":         func([][]byte) []byte { return append(make([]byte, 4096), '\n') },
		"an empty line": func([][]byte) []byte { return []byte("\n") },
		"text":          func([][]byte) []byte { return []byte("garbage\n") },
		"a signed line": func(l [][]byte) []byte { return l[1] },
		"a later place": func(l [][]byte) []byte { return retail(l[5], 20, tailOf(l[7]).Hash) },
	} {
		disk := signedThenMore(t)
		edit(t, disk, filepath.Join("log", firstSegment), func(b []byte) []byte { return append(b, junk(lines(b))...) })
		log := logtest.Open(t, "dir", audittrail.Options{ReadOnly: true, Master: onDisk(disk).Master}.With(audittrail.Seams{FS: disk}))
		if n := size(t, log); n != 8 {
			t.Errorf("%s: %d records, want 8", name, n)
		}
		if b, err := log.Beyond(t.Context()); err != nil || b.Size != 8 || b.Records != 1 || b.Detail == "" {
			t.Errorf("%s: Beyond() = %+v, %v, want 1 beyond 8 records, and why", name, b, err)
		}
		if s, err := log.Stat(t.Context()); err != nil || s.Records != 8 {
			t.Errorf("%s: Stat() = %+v, %v, want 8 records", name, s, err)
		}
		logtest.Close(t, log)
	}
}

// TestReadersStopAtDamage has readers refuse a log in which a signed record's
// line is no longer a record: they do not end before it as if it were absent.
func TestReadersStopAtDamage(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, filepath.Join("log", firstSegment), func(b []byte) []byte {
		l := lines(b)
		return append(bytes.Join(l[:3], nil), []byte("garbage\n")...)
	})
	log := logtest.Open(t, "dir", audittrail.Options{ReadOnly: true, Master: onDisk(disk).Master}.With(audittrail.Seams{FS: disk}))
	var line *record.CorruptError
	if _, err := log.Size(); !errors.As(err, &line) || line.Seq != 3 {
		t.Errorf("Size() = %v, want that record 3 is another line", err)
	}
	logtest.Close(t, log)
}
