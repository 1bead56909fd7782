package fetch

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"fmt"
	"hash"
	"slices"
	"strings"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
)

// An algorithm is a hash function that an index may name, as Python's hashlib
// names it.
type algorithm struct {
	name   string
	size   int // of the digest, in bytes
	strong bool
	make   func() hash.Hash
}

// algorithms are sorted by strength, the strongest first.
var algorithms = []algorithm{
	{"sha512", 64, true, sha512.New},
	{"blake2b", 64, true, func() hash.Hash { return must(blake2b.New512(nil)) }},
	{"sha3_512", 64, true, func() hash.Hash { return sha3.New512() }},
	{"sha384", 48, true, sha512.New384},
	{"sha3_384", 48, true, func() hash.Hash { return sha3.New384() }},
	{"sha256", 32, true, sha256.New},
	{"sha3_256", 32, true, func() hash.Hash { return sha3.New256() }},
	{"blake2s", 32, true, func() hash.Hash { return must(blake2s.New256(nil)) }},
	{"blake2b_256", 32, true, func() hash.Hash { return must(blake2b.New256(nil)) }},
	{"sha224", 28, true, sha256.New224},
	{"sha3_224", 28, true, func() hash.Hash { return sha3.New224() }},
	{"sha1", 20, false, sha1.New},
	{"md5", 16, false, md5.New},
}

// must is for constructors that fail for a wrong key only, and get none.
func must(h hash.Hash, err error) hash.Hash {
	if err != nil {
		panic(err)
	}
	return h
}

// strength ranks an algorithm: higher is stronger, 0 is unknown.
func strength(name string) int {
	for i := range algorithms {
		if algorithms[i].name == name {
			return len(algorithms) - i
		}
	}
	return 0
}

// strongest ranks the strongest of some hashes.
func strongest(hashes map[string]string) int {
	best := 0
	for name := range hashes {
		best = max(best, strength(name))
	}
	return best
}

// isStrong reports whether one of the hashes is of a function for which nobody
// can make two files with the same digest.
func isStrong(hashes map[string]string) bool {
	for name := range hashes {
		if i := strength(name); i > 0 && algorithms[len(algorithms)-i].strong {
			return true
		}
	}
	return false
}

// hashSize gives the length of an algorithm's digest in hexadecimal digits, 0
// for an unknown one.
func hashSize(name string) int {
	switch name {
	case "sha256":
		return 64
	case "md5":
		return 32
	}
	if i := strength(name); i > 0 {
		return 2 * algorithms[len(algorithms)-i].size
	}
	return 0
}

// validHash reports whether s is a digest of the algorithm: lower-case
// hexadecimal of the right length, or of any even one for an unknown algorithm.
func validHash(name, s string) bool {
	n := hashSize(name)
	if n != 0 && len(s) != n || n == 0 && (len(s) == 0 || len(s) > 256 || len(s)%2 != 0) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// A digester computes the hashes of one file that can be checked, and always
// those that the file is known by from then on. It never fails.
type digester struct {
	sha256  hash.Hash
	blake2b hash.Hash // of 256 bits
	others  []hash.Hash
	names   []string // of others
	want    map[string]string
	size    int64
}

func newDigester(want map[string]string) *digester {
	d := &digester{sha256: sha256.New(), blake2b: must(blake2b.New256(nil)), want: want}
	if len(want) == 1 && want["sha256"] != "" {
		return d
	}
	for _, a := range algorithms {
		if a.name != "sha256" && want[a.name] != "" {
			d.others = append(d.others, a.make())
			d.names = append(d.names, a.name)
		}
	}
	return d
}

// Write takes the next bytes of the file.
func (d *digester) Write(p []byte) (int, error) {
	d.sha256.Write(p)
	d.blake2b.Write(p)
	for _, h := range d.others {
		h.Write(p)
	}
	d.size += int64(len(p))
	return len(p), nil
}

// result gives the digests with the names of the hashes that were right, and an
// error that names the first one that was not.
func (d *digester) result() (Result, error) {
	r := Result{Size: d.size}
	d.sha256.Sum(r.SHA256[:0])
	d.blake2b.Sum(r.BLAKE2b[:0])
	if want := d.want["sha256"]; want != "" {
		if got := r.SHA256.String(); !strings.EqualFold(got, want) {
			return Result{}, fmt.Errorf("sha256 is %s, but the index says %s", got, want)
		}
		r.Verified = append(r.Verified, "sha256")
	}
	for i, h := range d.others {
		name := d.names[i]
		if got := fmt.Sprintf("%x", h.Sum(nil)); !strings.EqualFold(got, d.want[name]) {
			return Result{}, fmt.Errorf("%s is %s, but the index says %s", name, got, d.want[name])
		}
		r.Verified = append(r.Verified, name)
	}
	slices.Sort(r.Verified)
	return r, nil
}
