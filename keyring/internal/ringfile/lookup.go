package ringfile

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"audittrail/record"
)

// Name returns the file's name.
func (f *File) Name() string { return f.name }

// Generation returns the file's generation.
func (f *File) Generation() uint64 { return f.head.Generation }

// Origin returns the name of the log that the keys are for.
func (f *File) Origin() string { return f.head.Origin }

// Tail returns the offset after the last whole frame.
func (f *File) Tail() int64 { return f.tail }

// Meta returns the ring's own state, which must not be changed.
func (f *File) Meta() *Meta { return f.meta }

// Hash returns the Hasher under the ring's secret.
func (f *File) Hash() *Hasher { return f.hash }

// Dying reports whether the file contains destroyed keys.
func (f *File) Dying() bool { return f.dying }

// Journal returns how many entries the journal has, not counting classes, and
// how many subjects the base has.
func (f *File) Journal() (journal, base int) { return len(f.subjects) + f.filed, int(f.dir.live) }

// Live returns how many subjects and how many classes have a key.
func (f *File) Live() (subjects, classes int) {
	for _, c := range f.classes {
		if !c.Expired {
			classes++
		}
	}
	return f.live, classes
}

// Intact reports whether the first byte of the file is unchanged: it is not
// once Wipe has begun. The caller provides the buffer, so that none is
// allocated.
func (f *File) Intact(b *[1]byte) bool {
	n, err := f.file.ReadAt(b[:], 0)
	return n == 1 && err == nil && b[0] == formatLine[0]
}

// GovernanceClass is the retention class of the governance records. Its months
// do not expire, and their keys are derived from the ring's secret: so a
// restored ring can read the records that ordered destructions after its
// backup, and destroy those keys again.
const GovernanceClass = "governance"

const domainGovernance = "audittrail/v1 governance class\x00"

// Governance reports whether a class is a month of GovernanceClass.
func Governance(class string) bool { return strings.HasPrefix(class, GovernanceClass+"/") }

// Class returns the state of a class.
func (f *File) Class(name string) (Class, bool) {
	c, ok := f.classes[name]
	if !ok && Governance(name) {
		return Class{Key: f.hash.Sum(domainGovernance, name)}, true
	}
	return c, ok
}

// Classes returns the classes that have a key.
func (f *File) Classes() []string {
	var names []string
	for name, c := range f.classes {
		if !c.Expired && !Governance(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// FileKey returns the key of a derived file.
func (f *File) FileKey(id PageKey) (Key, bool) {
	k, ok := f.files[id]
	return k, ok
}

// Files returns the ids of all derived files that have a key.
func (f *File) Files() []PageKey { return slices.SortedFunc(maps.Keys(f.files), compareKeys) }

// Escrow returns the escrow of a class.
func (f *File) Escrow(class string) (Escrow, bool) {
	e, ok := f.escrows[class]
	return e, ok
}

// Escrows returns the classes that have an escrow.
func (f *File) Escrows() []string { return slices.Sorted(maps.Keys(f.escrows)) }

// Subject returns the state of a subject.
func (f *File) Subject(id record.Subject) (Subject, bool, error) {
	if sub, ok := f.subjects[id]; ok {
		return sub, true, nil
	}
	i := find(f.dir.subjects, id)
	if i < 0 {
		return Subject{}, false, nil
	}
	ref := f.dir.subjects[i]
	page, err := f.page(ref, KindSubjects)
	if err != nil {
		return Subject{}, false, err
	}
	e, ok, err := findSubject(page, id)
	if err != nil {
		return Subject{}, false, f.damaged(ref.off, err)
	}
	if !ok {
		return Subject{}, false, nil
	}
	sub := Subject{Key: e.Key, User: string(e.User), Erased: e.Kind == SubjectErased, Seq: e.Seq}
	clear(page) // the page contains keys of other subjects
	return sub, true, nil
}

// ByUser returns the live subject of a user, if there is one. The empty user
// is the system.
func (f *File) ByUser(user string) (record.Subject, Subject, bool, error) {
	id, ok := f.users[user]
	if user == "" {
		id, ok = record.Subject(f.meta.System), true
	}
	if !ok {
		var err error
		if id, ok, err = f.byHash(f.hash.user(user)); err != nil || !ok {
			return record.Subject{}, Subject{}, false, err
		}
	}
	sub, ok, err := f.Subject(id)
	if err == nil && (!ok || !sub.Erased && sub.User != user) {
		err = f.damaged(0, errors.New("pages of users and of subjects contradict each other"))
	}
	return id, sub, ok && !sub.Erased, err
}

func (f *File) byHash(h PageKey) (record.Subject, bool, error) {
	i := find(f.dir.users, h)
	if i < 0 {
		return record.Subject{}, false, nil
	}
	ref := f.dir.users[i]
	page, err := f.page(ref, KindUsers)
	if err != nil {
		return record.Subject{}, false, err
	}
	id, ok, err := findUser(page, h)
	if err != nil {
		return record.Subject{}, false, f.damaged(ref.off, err)
	}
	return id, ok, nil
}

// page reads one page of the base.
func (f *File) page(ref pageRef, kind byte) ([]byte, error) {
	frame := make([]byte, ref.size)
	if n, err := f.file.ReadAt(frame, ref.off); n < len(frame) {
		if err == io.EOF {
			return nil, f.damaged(ref.off, errors.New("page is cut off"))
		}
		return nil, fmt.Errorf("read %s: %w", f.name, err)
	}
	got, payload, err := f.seal.open(frame, ref.off)
	if err == nil && got != kind {
		err = fmt.Errorf("frame is of kind %d instead of %d", got, kind)
	}
	if err != nil {
		return nil, f.damaged(ref.off, err)
	}
	return payload, nil
}
