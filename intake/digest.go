package intake

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"golang.org/x/crypto/blake2b"

	"nestgen/catalog"
)

// Digests are what identifies a file's bytes.
type Digests struct {
	SHA256 catalog.Digest

	// BLAKE2b has 256 bits; the place of the file in the store is made of it.
	BLAKE2b catalog.Digest

	// Size is in bytes.
	Size int64
}

// A TooLarge is the error for a file of more bytes than allowed.
type TooLarge struct {
	// Limit is in bytes.
	Limit int64
}

func (e *TooLarge) Error() string { return fmt.Sprintf("larger than the limit of %d bytes", e.Limit) }

// Copy writes src to dst and takes the digests of what it wrote. A limit below
// one means none; beyond it, a [*TooLarge] is returned. Where both are files
// that stand at their start and their file system can share blocks, dst becomes
// a clone of src, which takes no space, and the clone is what is hashed. In
// either case the digests are those of dst, also when somebody writes to src
// meanwhile. After an error the content of dst is undefined. Copy does not
// sync.
func Copy(dst *os.File, src io.Reader, limit int64) (Digests, error) {
	if f, ok := src.(*os.File); ok && clone(dst, f) {
		return digest(dst, nil, limit)
	}
	return digest(src, dst, limit)
}

// Digest takes the digests of everything that r gives.
func Digest(r io.Reader) (Digests, error) { return digest(r, nil, 0) }

// hashBuffer is how much is read at once. It stays in the second level cache
// between the reading, the two digests and the writing.
const hashBuffer = 128 << 10

// A hasher is what one pass over a file needs.
type hasher struct {
	sha, blake hash.Hash
	buf        []byte
}

var hashers = sync.Pool{New: func() any {
	b, err := blake2b.New256(nil)
	if err != nil {
		panic(err) // only a key can be wrong, and there is none
	}
	return &hasher{sha256.New(), b, make([]byte, hashBuffer)}
}}

var errNoProgress = errors.New("reader gives neither bytes nor an error")

// digest reads r to its end in one pass. A nil w takes the digests only.
func digest(r io.Reader, w io.Writer, limit int64) (Digests, error) {
	h := hashers.Get().(*hasher)
	defer hashers.Put(h)
	h.sha.Reset()
	h.blake.Reset()
	var d Digests
	for idle := 0; ; {
		n, err := r.Read(h.buf)
		if n > 0 {
			idle = 0
			b := h.buf[:n]
			d.Size += int64(n)
			if limit > 0 && d.Size > limit {
				return Digests{}, &TooLarge{limit}
			}
			h.sha.Write(b)
			h.blake.Write(b)
			if w != nil {
				if _, err := w.Write(b); err != nil {
					return Digests{}, err
				}
			}
		} else if idle++; idle > 100 && err == nil {
			return Digests{}, errNoProgress
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return Digests{}, err
		}
	}
	h.sha.Sum(d.SHA256[:0])
	h.blake.Sum(d.BLAKE2b[:0])
	return d, nil
}
