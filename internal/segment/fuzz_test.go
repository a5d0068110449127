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

func FuzzAdmin(f *testing.F) {
	f.Add(appendAdmin(nil, []uint32{1, 5, 90}), uint64(100))
	f.Add(appendAdmin(nil, nil), uint64(0))
	f.Fuzz(func(t *testing.T, in []byte, count uint64) {
		places, err := parseAdmin(in, count)
		if err == nil && !bytes.Equal(appendAdmin(nil, places), in) {
			t.Errorf("parseAdmin accepted %x, appendAdmin gives %x", in, appendAdmin(nil, places))
		}
	})
}

func FuzzPage(f *testing.F) {
	b := make([]byte, pageLen)
	binary.BigEndian.PutUint64(b, 7)
	f.Add(closePage(b), uint64(1))
	f.Fuzz(func(t *testing.T, in []byte, slots uint64) {
		if len(in) != pageLen || slots > pageSlots {
			return
		}
		p, err := parsePage(in, slots)
		if err != nil {
			return
		}
		again := make([]byte, pageLen)
		copy(again, p)
		if !bytes.Equal(closePage(again), in) {
			t.Errorf("parsePage accepted a page of %d entries that has another encoding", slots)
		}
	})
}
