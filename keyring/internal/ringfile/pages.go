package ringfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"

	"audittrail/record"
)

// The base of a ring is two sequences of pages. Each page's first key and
// length are in the directory, and only that is read at open.
const (
	// pageSize is the size to which a page is filled. A lookup decrypts one
	// page, and the directory has one entry for each: 4 KiB balances the two.
	pageSize = 4096

	hashLen = 16              // of a user hash
	userLen = 2 * hashLen     // of an entry in a page of users: hash, subject
	refLen  = 1 + 4 + hashLen // of an entry in the directory: kind, size, first key
	dirHead = 4 + 8           // of a directory: frames that follow, live subjects
	maxRefs = (MaxPayload - dirHead) / refLen
)

var errOddUsers = errors.New("page of users has a wrong length")

// A PageKey is a subject, or the hash of a user id.
type PageKey = [16]byte

type pageRef struct {
	first PageKey
	off   int64
	size  int // of the whole frame
}

// A pager fills pages with entries in ascending order.
type pager struct {
	page  []byte
	first PageKey
	last  PageKey
	some  bool // whether an entry was added
	emit  func(first PageKey, payload []byte) error
}

func (p *pager) add(k PageKey, enc []byte) error {
	if p.some && bytes.Compare(k[:], p.last[:]) <= 0 {
		return errors.New("entries are not in ascending order")
	}
	if len(p.page)+len(enc) > pageSize {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if len(p.page) == 0 {
		p.first = k
	}
	p.page = append(p.page, enc...)
	p.last, p.some = k, true
	return nil
}

func (p *pager) flush() error {
	if len(p.page) == 0 {
		return nil
	}
	err := p.emit(p.first, p.page)
	clear(p.page)
	p.page = p.page[:0]
	return err
}

// A directory lists the pages of a base.
type directory struct {
	subjects []pageRef
	users    []pageRef
	live     uint64 // subjects in the base that have a key
}

// encode returns the payloads of the frames of the directory.
func (d *directory) encode() [][]byte {
	total := len(d.subjects) + len(d.users)
	frames := max(1, (total+maxRefs-1)/maxRefs)
	out := make([][]byte, frames)
	for i := range out {
		out[i] = binary.BigEndian.AppendUint32(out[i], uint32(frames-1-i))
		out[i] = binary.BigEndian.AppendUint64(out[i], d.live)
	}
	n := 0
	add := func(kind byte, refs []pageRef) {
		for _, ref := range refs {
			b := append(out[n/maxRefs], kind)
			b = binary.BigEndian.AppendUint32(b, uint32(ref.size))
			out[n/maxRefs] = append(b, ref.first[:]...)
			n++
		}
	}
	add(KindSubjects, d.subjects)
	add(KindUsers, d.users)
	return out
}

// decode adds one frame of a directory whose next page begins at off, and
// returns where the page after the last one begins and how many frames follow.
func (d *directory) decode(payload []byte, off int64) (next, left int64, err error) {
	if len(payload) < dirHead || (len(payload)-dirHead)%refLen != 0 {
		return 0, 0, errors.New("directory has a wrong length")
	}
	left = int64(binary.BigEndian.Uint32(payload))
	live := binary.BigEndian.Uint64(payload[4:])
	if len(d.subjects)+len(d.users) > 0 && live != d.live {
		return 0, 0, errors.New("directory contradicts itself")
	}
	d.live = live
	refs := payload[dirHead:]
	if left > 0 && len(refs) != maxRefs*refLen {
		return 0, 0, errors.New("directory has the wrong number of frames")
	}
	for ; len(refs) > 0; refs = refs[refLen:] {
		ref := pageRef{off: off, size: int(binary.BigEndian.Uint32(refs[1:])), first: PageKey(refs[5:])}
		if ref.size <= frameSize(0) || ref.size > frameSize(pageSize) {
			return 0, 0, fmt.Errorf("directory has a page of %d bytes", ref.size)
		}
		list := &d.subjects
		switch {
		case refs[0] == KindUsers:
			list = &d.users
		case refs[0] != KindSubjects || len(d.users) > 0:
			return 0, 0, errors.New("directory has pages of users among those of subjects")
		}
		if len(*list) == cap(*list) {
			*list = slices.Grow(*list, len(refs)/refLen)
		}
		if n := len(*list); n > 0 && bytes.Compare((*list)[n-1].first[:], ref.first[:]) >= 0 {
			return 0, 0, errors.New("directory is not in ascending order")
		}
		*list = append(*list, ref)
		off += int64(ref.size)
	}
	return off, left, nil
}

// find returns the index of the page where k would be, or -1.
func find(refs []pageRef, k PageKey) int {
	return sort.Search(len(refs), func(i int) bool { return bytes.Compare(refs[i].first[:], k[:]) > 0 }) - 1
}

// findSubject looks a subject up in a page. The order of entries is checked
// when pages are merged, not on every lookup.
func findSubject(page []byte, id record.Subject) (Entry, bool, error) {
	var e Entry
	for len(page) > 0 {
		var err error
		if page, err = decodeEntry(page, &e); err != nil {
			return Entry{}, false, err
		}
		if c := bytes.Compare(e.Subject[:], id[:]); c >= 0 {
			return e, c == 0, nil
		}
	}
	return Entry{}, false, nil
}

// findUser looks a user hash up in a page.
func findUser(page []byte, h PageKey) (record.Subject, bool, error) {
	if len(page)%userLen != 0 {
		return record.Subject{}, false, errOddUsers
	}
	i, found := sort.Find(len(page)/userLen, func(i int) int {
		return bytes.Compare(h[:], page[i*userLen:i*userLen+hashLen])
	})
	if !found {
		return record.Subject{}, false, nil
	}
	return record.Subject(page[i*userLen+hashLen : (i+1)*userLen]), true, nil
}
