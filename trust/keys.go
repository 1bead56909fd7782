package trust

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
)

// The files of the folder.
const (
	ownFile       = "own"
	nextFile      = "next"
	trustedFile   = "trusted"
	rotationsFile = "rotations"
	signedFile    = "signed"
	formerFile    = "former-" // and the hash of the key
)

// maxSigned is how many bytes a site may remember to have signed: a checkpoint with all
// the signatures that one may have (C2SP signed-note).
const maxSigned = 128 << 10

// Keys is a folder of keys. Its methods may be called by several processes at
// once: those that change something wait for each other.
type Keys struct {
	dir string

	// step is told of every change that is on disk, for the tests that stop
	// after each. If nil, nobody is told.
	step func(what string)
}

// Open names the folder. Nothing is read, and the folder is made by the first
// method that puts something into it.
func Open(dir string) *Keys { return &Keys{dir: dir} }

// Own gives the key of the site. An error that matches [fs.ErrNotExist] means
// that it has none yet. A key that others can read is refused.
func (k *Keys) Own() (*Own, error) {
	d, err := k.lock(false)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	s, err := k.load()
	if err != nil {
		return nil, err
	}
	return s.own, nil
}

// New makes the key of the site. If there is one, the error matches
// [fs.ErrExist].
func (k *Keys) New(name string) (*Own, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	d, err := k.lock(true)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	switch s, err := k.load(); {
	case err == nil:
		return nil, fmt.Errorf("%s: the site has a key, %s: %w", k.path(ownFile), s.own.Key().ID(), fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	o, err := generate(name)
	if err != nil {
		return nil, err
	}
	if err := k.write(ownFile, []byte(o.secret+"\n")); err != nil {
		return nil, err
	}
	return o, nil
}

// Rotate gives the site a new key of the same name, and makes the statement by
// which those who trust the old key find the new one. serial is the last of the
// site under the old key. A crash at any time leaves either the old key and no
// statement of it, or the new key with its statement: first the new key is on
// disk as one to be, then the statement, and from there on the new one is the
// key of the site. Serials do not fall: if that of the last rotation is higher, because
// the site has forgotten something, it stands again.
func (k *Keys) Rotate(serial int64) (*Own, Rotation, error) {
	if serial < 0 {
		return nil, Rotation{}, fmt.Errorf("rotate the key at serial %d: serials begin with 0", serial)
	}
	d, err := k.lock(false)
	if err == nil {
		err = d.exclusive()
		defer d.Close()
	}
	if err != nil {
		return nil, Rotation{}, err
	}
	s, err := k.load()
	if err != nil {
		return nil, Rotation{}, err
	}
	if err := k.finish(s); err != nil {
		return nil, Rotation{}, err
	}
	if len(s.statements) == MaxRotations {
		return nil, Rotation{}, fmt.Errorf("%s: %d key rotations, and a site has at most so many; remove %s and %s to begin anew with a key that nobody trusts yet", k.path(rotationsFile), MaxRotations, k.path(ownFile), k.path(rotationsFile))
	}
	if n := len(s.chain); n > 0 {
		serial = max(serial, s.chain[n-1].Serial)
	}
	next, err := generate(s.own.Name)
	if err != nil {
		return nil, Rotation{}, err
	}
	r := Rotation{Name: next.Name, Old: s.own.Verifier, New: next.Verifier, Serial: serial}
	statement, err := r.sign(s.own, next)
	if err != nil {
		return nil, Rotation{}, fmt.Errorf("sign the key rotation: %w", err)
	}
	statements := append(s.statements, statement)
	if _, err := chain(statements); err != nil {
		return nil, Rotation{}, err // two keys of one hash: nothing was written, and the next try makes another
	}
	if err := k.write(nextFile, []byte(next.secret+"\n")); err != nil {
		return nil, Rotation{}, err
	}
	if err := k.write(rotationsFile, JoinRotations(statements)); err != nil {
		return nil, Rotation{}, err
	}
	s.own, s.pending = next, true
	if err := k.finish(s); err != nil {
		return nil, Rotation{}, fmt.Errorf("the key was rotated to %s, and will be used from now on: %w", next.Key().ID(), err)
	}
	return next, r, nil
}

// Renew gives the site a key that has nothing to do with the former one, which is put
// aside, and has it forget how that came to be and what it has signed. Whatever is
// wrong with the former key is in nobody's way. A crash leaves the former key, or none, or
// the new one, and what was signed is forgotten last.
func (k *Keys) Renew(name string) (*Own, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	d, err := k.lock(true)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	next, err := generate(name)
	if err != nil {
		return nil, err
	}
	for _, file := range []string{rotationsFile, nextFile} {
		if err := k.remove(file); err != nil {
			return nil, err
		}
	}
	aside := fmt.Sprintf("%s%08x", formerFile, next.Key().Hash) // if nobody can read it
	if former, err := k.secret(ownFile); err == nil {
		aside = fmt.Sprintf("%s%08x", formerFile, former.Key().Hash)
	}
	if err := os.Rename(k.path(ownFile), k.path(aside)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	k.did("rename " + aside)
	if err := k.write(ownFile, []byte(next.secret+"\n")); err != nil {
		return nil, err
	}
	return next, k.remove(signedFile)
}

// Signed gives what the site has signed last of its log, as [Keys.Remember] has kept it:
// nothing if nothing is remembered.
func (k *Keys) Signed() ([]byte, error) {
	d, err := k.lock(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	data, err := k.read(signedFile, maxSigned, public)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Remember keeps what the site has signed of its log. It is on disk when it returns.
func (k *Keys) Remember(signed []byte) error {
	d, err := k.lock(true)
	if err != nil {
		return err
	}
	defer d.Close()
	return k.write(signedFile, signed)
}

// Mend puts the new key into its place if a rotation was interrupted after its
// statement was on disk. Own gives the new key even before that. Without a key
// there is nothing to mend.
func (k *Keys) Mend() error {
	d, err := k.lock(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	s, err := k.load()
	if errors.Is(err, fs.ErrNotExist) || err == nil && !s.pending {
		return nil
	}
	if err == nil {
		err = d.exclusive()
	}
	if err == nil {
		s, err = k.load()
	}
	if err != nil {
		return err
	}
	return k.finish(s)
}

// Rotations gives the statements of how the site's key came from the ones
// before, the oldest first, as [Follow] takes them. They are checked.
func (k *Keys) Rotations() ([][]byte, error) {
	d, err := k.lock(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	statements, _, err := k.rotations()
	return statements, err
}

// A state is what the files about the site's own key say together.
type state struct {
	own        *Own
	statements [][]byte
	chain      []Rotation
	pending    bool // own is still in the file of the key to be
}

// load reads the files about the site's own key and holds them against each
// other. The folder is locked.
func (k *Keys) load() (*state, error) {
	statements, all, err := k.rotations()
	if err != nil {
		return nil, err
	}
	s := &state{statements: statements, chain: all}
	s.own, err = k.secret(ownFile)
	if len(all) == 0 {
		return s, err
	}
	last := all[len(all)-1]
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Not told as a key that does not exist: whoever makes one then would
		// break with those who trust the one that was lost.
		return nil, fmt.Errorf("%s is not there, but the site had a key, as %s says: put the file back from a backup, or remove %s to begin anew with a key that nobody trusts yet",
			k.path(ownFile), k.path(rotationsFile), k.path(rotationsFile))
	case err != nil:
		return nil, err
	case s.own.Verifier == last.New:
		return s, nil
	case s.own.Verifier == last.Old:
		next, err := k.secret(nextFile)
		if err == nil && next.Verifier == last.New {
			s.own, s.pending = next, true
			return s, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s has the key %s, but the last one of %s is %s: one of the two files is from another time; put both back from one backup",
		k.path(ownFile), s.own.Verifier, k.path(rotationsFile), last.New)
}

// finish puts a key to be into its place. The folder is locked for that.
func (k *Keys) finish(s *state) error {
	if !s.pending {
		return nil
	}
	if err := os.Rename(k.path(nextFile), k.path(ownFile)); err != nil {
		return err
	}
	if err := k.sync(); err != nil {
		return err
	}
	s.pending = false
	k.did("rename " + nextFile)
	return nil
}

// rotations reads the chain of the site's own key.
func (k *Keys) rotations() ([][]byte, []Rotation, error) {
	data, err := k.read(rotationsFile, MaxRotations*(MaxRotation+1), public)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	statements, err := SplitRotations(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", k.path(rotationsFile), err)
	}
	all, err := chain(statements)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", k.path(rotationsFile), err)
	}
	return statements, all, nil
}

// secret reads a file with a signer key.
func (k *Keys) secret(name string) (*Own, error) {
	const largest = 1 << 10 // the longest is less than a third of that
	data, err := k.read(name, largest, private)
	if err != nil {
		return nil, err
	}
	line, ok := bytes.CutSuffix(data, []byte("\n"))
	if !ok || bytes.ContainsAny(line, "\r\n") {
		return nil, fmt.Errorf("%s: want one line, the signer key; put the file back from a backup", k.path(name))
	}
	o, err := newOwn(string(line))
	if err != nil {
		return nil, fmt.Errorf("%s: %w; put the file back from a backup", k.path(name), err)
	}
	return o, nil
}

// generate makes a key.
func generate(name string) (*Own, error) {
	secret, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return nil, err
	}
	return newOwn(secret)
}

func (k *Keys) path(name string) string { return filepath.Join(k.dir, name) }

func (k *Keys) did(what string) {
	if k.step != nil {
		k.step(what)
	}
}
