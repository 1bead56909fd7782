package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// A record stands beside a partial download and says of what it is a part. A
// partial without one is worth nothing.
type record struct {
	URL  string `json:"url"`  // its digest: there may be a token in it
	ETag string `json:"etag"` // a strong one
	Size int64  `json:"size"` // of the whole file
}

// minPartial is the size of a whole file from which on a download that breaks
// off is worth taking up again.
const minPartial = 1 << 20

// A partial is the place of a download that is not complete.
type partial struct {
	name string // of the bytes; the record has ".json" behind it

	// recorded says that there may be a record. A small file has none.
	recorded bool
}

// claim gives the place for a download of address to dest, and a function that
// gives it back. In the folder for partials it depends on the address only, so
// that a later run finds it. Whoever comes while another has it, in this process
// or in another one, does without.
func claim(folder, address, dest string, size int64) (partial, func()) {
	recorded := size < 0 || size >= minPartial
	beside := partial{dest + ".part", recorded}
	if folder == "" || !recorded {
		return beside, func() {}
	}
	name := filepath.Join(folder, digestOf(address)+".part")
	lock, err := lockFile(name + ".lock")
	if err != nil {
		return beside, func() { beside.remove() } // nobody would find it
	}
	return partial{name, true}, func() {
		os.Remove(lock.Name()) // as long as it is locked: see lockFile
		lock.Close()
	}
}

// lockFile makes a file and locks it, unless somebody else has it locked. The
// kernel unlocks it when it is closed, or its process dies.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = unix.Fstat(int(f.Fd()), &st)
	}
	if err == nil && st.Nlink == 0 {
		err = fs.ErrNotExist // whoever had it has just taken it away
	}
	if err == nil {
		err = os.Chtimes(name, time.Time{}, time.Now()) // it is not left over any more
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// digestOf stands for an address.
func digestOf(address string) string {
	sum := sha256.Sum256([]byte(address))
	return hex.EncodeToString(sum[:20])
}

// load gives the record and the number of bytes of a partial that can be taken
// up again; ok is false, and nothing is left, if there is none.
func (p partial) load(address string, size int64) (r record, have int64, ok bool) {
	data, err := os.ReadFile(p.name + ".json")
	if err == nil && len(data) < 64<<10 && json.Unmarshal(data, &r) == nil &&
		r.URL == digestOf(address) && isStrongETag(r.ETag) && r.Size > 0 && (size < 0 || size == r.Size) {
		if info, err := os.Lstat(p.name); err == nil && info.Mode().IsRegular() && info.Size() > 0 && info.Size() < r.Size {
			return r, info.Size(), true
		}
	}
	p.remove()
	return record{}, 0, false
}

// save writes the record.
func (p partial) save(r record) error {
	r.URL = digestOf(r.URL)
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return renameio.WriteFile(p.name+".json", data, 0o600)
}

// remove takes a partial and its record away.
func (p partial) remove() error {
	err := os.Remove(p.name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if p.recorded {
		os.Remove(p.name + ".json")
	}
	return err
}

// finish makes the partial the file dest. There must be none of that name: it
// would be another download of the same file.
func (p partial) finish(dest string) error {
	if err := os.Rename(p.name, dest); err != nil || !p.recorded {
		return err
	}
	if err := os.Remove(p.name + ".json"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// isStrongETag reports whether an entity tag promises the same bytes (RFC 9110).
func isStrongETag(s string) bool {
	return len(s) > 2 && strings.HasPrefix(s, `"`) && strings.HasSuffix(s, `"`)
}
