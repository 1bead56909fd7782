package intake

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"strconv"
)

// readRecord holds a wheel's RECORD against its members: it must name every
// one, with a hash and, if it gives one, its size.
func (in *inspection) readRecord(text []byte) error {
	for number := 1; len(text) > 0; number++ {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			continue
		}
		path, rest, ok := recordPath(line)
		if !ok {
			if err := in.minor("RECORD line %d is broken", number); err != nil {
				return err
			}
			continue
		}
		sum, size, _ := bytes.Cut(rest, []byte(","))
		if err := in.recordLine(path, sum, size); err != nil {
			return err
		}
	}
	return nil
}

// recordPath takes the first field off a line of comma-separated values.
func recordPath(line []byte) (path, rest []byte, ok bool) {
	if line[0] != '"' {
		path, rest, ok = bytes.Cut(line, []byte(","))
		return path, rest, ok && len(path) > 0
	}
	for i := 1; i < len(line); i++ {
		if line[i] != '"' {
			path = append(path, line[i])
			continue
		}
		if i+1 < len(line) && line[i+1] == '"' {
			path = append(path, '"')
			i++
			continue
		}
		rest, ok = bytes.CutPrefix(line[i+1:], []byte(","))
		return path, rest, ok && len(path) > 0
	}
	return nil, nil, false
}

func (in *inspection) recordLine(path, sum, size []byte) error {
	clean, err := cleanPath(in.zip.clean[:0], path)
	in.zip.clean = clean[:0]
	if err != nil {
		return in.minor("RECORD: %v", err)
	}
	i := in.names.find(clean)
	if i < 0 {
		return in.minor("RECORD names %q, which is not in the wheel", path)
	}
	m := &in.zip.members[i]
	if m.listed && !m.twice {
		return in.minor("RECORD names %q twice", path)
	}
	m.listed = true
	m.hash = sum
	if len(size) > 0 {
		if n, err := strconv.ParseInt(string(size), 10, 64); err != nil || n != m.size {
			return in.minor("RECORD says that %q has %q bytes, and it has %d", path, size, m.size)
		}
	}
	return nil
}

// unlisted looks for members that RECORD does not name, or not with a hash. It
// need not do so for itself and for its signatures.
func (in *inspection) unlisted(info wheelInfo) error {
	missing, bare := 0, 0
	var first, firstBare []byte
	for i := range in.zip.members {
		m := &in.zip.members[i]
		if m.dir || m.again > 0 || i == info.record || i == info.jws || i == info.p7s {
			continue
		}
		if !m.listed {
			if missing++; missing == 1 {
				first = m.name
			}
		} else if len(m.hash) == 0 {
			if bare++; bare == 1 {
				firstBare = m.name
			}
		}
	}
	if missing > 0 {
		if err := in.minor("RECORD does not name %s", andMore(first, missing)); err != nil {
			return err
		}
	}
	if bare > 0 {
		return in.minor("RECORD has no hash for %s", andMore(firstBare, bare))
	}
	return nil
}

func andMore(name []byte, n int) string {
	s := strconv.Quote(string(name))
	if n > 1 {
		s += " and " + strconv.Itoa(n-1) + " more"
	}
	return s
}

// sums are the hash functions that RECORD may use, made when first needed.
type sums struct {
	sha256, sha384, sha512 hash.Hash
	got                    []byte
}

// by gives the one for an algorithm, ready to use. RECORD may not use anything
// weaker than SHA-256 (PEP 427).
func (s *sums) by(algorithm string) hash.Hash {
	var h *hash.Hash
	var make func() hash.Hash
	switch algorithm {
	case "sha256":
		h, make = &s.sha256, sha256.New
	case "sha384":
		h, make = &s.sha384, sha512.New384
	case "sha512":
		h, make = &s.sha512, sha512.New
	default:
		return nil
	}
	if *h == nil {
		*h = make()
	}
	(*h).Reset()
	return *h
}

// checkMembers unpacks the members of a wheel, as far as the strictness asks
// for it, and holds their bytes against RECORD.
func (in *inspection) checkMembers() error {
	for i := range in.zip.members {
		m := &in.zip.members[i]
		algorithm, want, _ := bytes.Cut(m.hash, []byte("="))
		if in.how != Upload || len(m.hash) == 0 {
			if err := in.zip.checkOne(m); err != nil {
				return err
			}
			continue
		}
		h := in.sums.by(string(algorithm))
		if h == nil {
			return reject("RECORD has a hash of the kind %q for %q", algorithm, m.name)
		}
		if err := in.zip.check(m, h); err != nil {
			return err
		}
		in.sums.got = h.Sum(in.sums.got[:0])
		var b [64]byte
		want = bytes.TrimRight(want, "=")
		n := 0
		if base64.RawURLEncoding.DecodedLen(len(want)) <= len(b) {
			n, _ = base64.RawURLEncoding.Decode(b[:], want)
		}
		if !bytes.Equal(b[:n], in.sums.got) {
			return reject("RECORD has another hash for %q than its bytes", m.name)
		}
	}
	return nil
}
