package intake

import (
	"hash"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

// A sink takes the bytes of one member: it counts them, sums them up, and keeps
// them where asked.
type sink struct {
	n, max int64
	crc    uint32
	over   bool

	// kept is appended to if keep is set.
	keep bool
	kept []byte

	// sum takes the bytes too, if it is not nil.
	sum hash.Hash
}

// errOver ends the decompressing of a member that gives more than it may.
var errOver = Rejection("too many bytes")

func (s *sink) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	if s.n > s.max {
		s.over = true
		return 0, errOver
	}
	s.crc = crc32.Update(s.crc, crc32.IEEETable, p)
	if s.keep {
		s.kept = append(s.kept, p...)
	}
	if s.sum != nil {
		s.sum.Write(p)
	}
	return len(p), nil
}

// start makes s ready for a member of size bytes. What it kept so far stays
// with whoever took it.
func (s *sink) start(size int64, into []byte, keep bool, sum hash.Hash) {
	*s = sink{max: size, keep: keep, kept: into, sum: sum}
}

// A deflated is a decompressor of package flate, which has all three.
type deflated interface {
	io.Reader
	io.WriterTo
	flate.Resetter
}

// An inflater unpacks the members of a zip file. The zero one is ready.
type inflater struct {
	flate deflated
	sink  sink
}

// check reads all of m and holds it against the checksum and the sizes in the
// directory. A sum gets the bytes.
func (z *zipFile) check(m *member, sum hash.Hash) error {
	z.inflater.sink.start(m.size, nil, false, sum)
	return z.unpack(m)
}

// read is check, and appends the bytes to into. The text of a member of more
// than limit bytes is not read.
func (z *zipFile) read(m *member, into []byte, limit int64) ([]byte, error) {
	if m.size > limit {
		return nil, reject("zip: member %q has %d bytes, more than %d", m.name, m.size, limit)
	}
	s := &z.inflater.sink
	s.start(m.size, into, true, nil)
	err := z.unpack(m)
	kept := s.kept
	s.kept = nil
	return kept, err
}

func (z *zipFile) unpack(m *member) error {
	s := &z.inflater.sink
	switch m.method {
	case methodStore:
		for at := m.data; at < m.data+m.packed; {
			n := int(min(windowSize, m.data+m.packed-at))
			b, err := z.src.view(at, n)
			if err != nil {
				return err
			}
			if _, err := s.Write(b); err != nil {
				return err
			}
			at += int64(n)
		}
	case methodDeflate:
		r := z.src.section(m.data, m.packed)
		if z.inflater.flate == nil {
			z.inflater.flate = flate.NewReader(r).(deflated)
		} else if err := z.inflater.flate.Reset(r, nil); err != nil {
			return err
		}
		_, err := z.inflater.flate.WriteTo(s)
		switch {
		case z.src.err != nil:
			return z.src.err
		case s.over:
			return reject("zip: member %q unpacks to more than the %d bytes it claims", m.name, m.size)
		case err != nil:
			return reject("zip: member %q: broken data: %v", m.name, err)
		}
		if n := z.src.unread(); n != 0 {
			return reject("zip: member %q: %d bytes follow the end of its data", m.name, n)
		}
	default:
		return reject("zip: member %q is packed by %s", m.name, methodName(m.method))
	}
	if s.n != m.size {
		return reject("zip: member %q unpacks to %d bytes and claims %d", m.name, s.n, m.size)
	}
	if s.crc != m.crc {
		return reject("zip: member %q: wrong checksum", m.name)
	}
	return nil
}

// checkAll is checkOne for every member.
func (z *zipFile) checkAll() error {
	for i := range z.members {
		if err := z.checkOne(&z.members[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkOne checks m as far as the strictness asks for it: of a mirrored file
// only members whose end a reader from the front has to find by unpacking, all
// of them otherwise.
func (z *zipFile) checkOne(m *member) error {
	if z.how == Mirrored && (m.flags&flagDescriptor == 0 || m.method != methodDeflate) {
		return nil
	}
	return z.check(m, nil)
}
