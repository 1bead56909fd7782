package catalog

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// Values that are read in great numbers are kept in a form of our own: numbers
// are varints, text has its length in front, and the first byte of a value
// says which form it has.

var errDamaged = errors.New("it is damaged")

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendTexts(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

func appendHashes(b []byte, h map[string]string) []byte {
	b = binary.AppendUvarint(b, uint64(len(h)))
	for _, alg := range slices.Sorted(maps.Keys(h)) {
		b = appendText(b, alg)
		b = appendText(b, h[alg])
	}
	return b
}

// A decoder takes values off the front of rest. Once something does not fit it
// is bad, and gives zero values only.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) fail() {
	d.bad, d.rest = true, nil
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

// count reads how many values follow; each takes a byte at least.
func (d *decoder) count() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || v > uint64(len(d.rest)) {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) number() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) text() string {
	n := d.count()
	if n > uint64(len(d.rest)) {
		d.fail()
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) texts() (list []string) {
	for range d.count() {
		list = append(list, d.text())
	}
	return list
}

// textLike is text that is likely to be the same as another.
func (d *decoder) textLike(likely string) string {
	n := d.count()
	if n > uint64(len(d.rest)) {
		d.fail()
		return ""
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return same(b, likely)
}

// same gives b as a string. It does not allocate if that is likely.
func same(b []byte, likely string) string {
	if string(b) == likely {
		return likely
	}
	return string(b)
}

func (d *decoder) digest() (g Digest) {
	if len(d.rest) < len(g) {
		d.fail()
		return g
	}
	copy(g[:], d.rest)
	d.rest = d.rest[len(g):]
	return g
}

func (d *decoder) hashes() map[string]string {
	n := d.count()
	if n == 0 {
		return nil
	}
	h := make(map[string]string, n)
	for range n {
		alg := d.text()
		h[alg] = d.text()
	}
	return h
}
