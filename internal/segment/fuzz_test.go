package segment

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func FuzzEntry(f *testing.F) {
	f.Add(entry{end: 700, flag: flagAdmin, id: 42}.append(nil, 9), uint64(9))
	f.Add(make([]byte, entryLen), uint64(0))
	f.Fuzz(func(t *testing.T, in []byte, seq uint64) {
		if len(in) != entryLen {
			return
		}
		e, err := parseEntry(in, seq)
		if err == nil && !bytes.Equal(e.append(nil, seq), in) {
			t.Errorf("parseEntry accepted %x, append gives %x", in, e.append(nil, seq))
		}
	})
}

func FuzzSeal(f *testing.F) {
	keyed := newMACs(&Key{7})
	for _, x := range []seal{
		{},
		{count: 3, last: [32]byte{1}, digest: [32]byte{2}},
		{count: 100, full: true, admin: []governor{{1, [32]byte{3}}, {5, [32]byte{4}}, {90, [32]byte{5}}}, last: [32]byte{1}},
		{count: 2, full: true, last: [32]byte{9}},
	} {
		f.Add(x.append(nil, 7, keyed), sideHeader+int64(x.count)*entryLen+governorLen*int64(len(x.admin))+sealLen, uint64(7))
	}
	f.Fuzz(func(t *testing.T, in []byte, size int64, first uint64) {
		for _, m := range []macs{keyed, {}} {
			x, err := parseSeal(in, size, first, m)
			if err != nil {
				continue
			}
			again := x.append(nil, first, m)
			if !m.known() {
				copy(again[len(again)-macLen:], in[len(in)-macLen:]) // the MAC was not verified
			}
			if !bytes.Equal(again, in) {
				t.Errorf("parseSeal accepted %x, append gives %x", in, again)
			}
		}
	})
}

func FuzzPage(f *testing.F) {
	keyed, about := newMACs(&Key{7}), table{from: 3, to: 4, last: [32]byte{1}}
	b := make([]byte, pageLen)
	binary.BigEndian.PutUint64(b, 7)
	f.Add(about.closePage(b, 1, keyed), uint64(1))
	f.Fuzz(func(t *testing.T, in []byte, slots uint64) {
		if len(in) != pageLen || slots > pageSlots {
			return
		}
		p, err := about.parsePage(in, 1, slots, keyed)
		if err != nil {
			return
		}
		again := make([]byte, pageLen)
		copy(again, p)
		if !bytes.Equal(about.closePage(again, 1, keyed), in) {
			t.Errorf("parsePage accepted a page of %d entries that has another encoding", slots)
		}
	})
}
