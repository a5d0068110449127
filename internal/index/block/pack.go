package block

import (
	"encoding/binary"
	"math/bits"
)

// A packed is a list of numbers of the same width in bytes, little endian.
type packed struct {
	b     []byte
	width int
	n     int
}

// widthOf returns how many bytes numbers up to limit need.
func widthOf(limit uint64) int { return (bits.Len64(limit) + 7) / 8 }

func appendPacked(dst []byte, v uint64, width int) []byte {
	for range width {
		dst = append(dst, byte(v))
		v >>= 8
	}
	return dst
}

func (p packed) at(i int) uint64 {
	switch p.width {
	case 0:
		return 0
	case 1:
		return uint64(p.b[i])
	case 2:
		return uint64(binary.LittleEndian.Uint16(p.b[2*i:]))
	case 4:
		return uint64(binary.LittleEndian.Uint32(p.b[4*i:]))
	case 8:
		return binary.LittleEndian.Uint64(p.b[8*i:])
	}
	if at := p.width * i; at+8 <= len(p.b) {
		return binary.LittleEndian.Uint64(p.b[at:]) & (1<<(8*p.width) - 1)
	}
	v := uint64(0)
	for j := p.width - 1; j >= 0; j-- {
		v = v<<8 | uint64(p.b[p.width*i+j])
	}
	return v
}
