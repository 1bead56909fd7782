package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// Limits of the file of trusted keys.
const (
	maxTrustedFile = 1 << 20 // bytes
	maxTrusted     = 4096    // keys
	maxLine        = 1000    // bytes
)

// Trusted gives the keys that the site trusts, in the order of the file. Without
// a file it trusts nobody. A file with one fault is refused whole.
func (k *Keys) Trusted() ([]Key, error) {
	data, err := k.read(trustedFile, maxTrustedFile, public)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseTrusted(k.path(trustedFile), data)
}

// Verifiers gives the trusted keys as package note asks for them. The file is
// read at every question, so that a change counts at once; a file that cannot be
// read verifies nothing, and the error says why. The site's own key is among
// them only if the file has it.
func (k *Keys) Verifiers() note.Verifiers { return verifiers{k} }

type verifiers struct{ k *Keys }

func (v verifiers) Verifier(name string, hash uint32) (note.Verifier, error) {
	keys, err := v.k.Trusted()
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if key.Name == name && key.Hash == hash {
			return key.verifier, nil
		}
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

// ParseLine reads a line of the file of trusted keys that has a key: a verifier
// key, and maybe a # and a comment.
func ParseLine(line string) (Key, error) {
	key, err := parseLine(strings.TrimSpace(line))
	if err == nil && key.Verifier == "" {
		err = errors.New("no key in this line: want name+hash+key, as \"nestgen key show\" prints it")
	}
	return key, err
}

// Trust adds a key, a line as [ParseLine] takes it. It reports whether the key was
// not among the trusted before.
func (k *Keys) Trust(line string) (added bool, err error) {
	line = strings.TrimSpace(line)
	key, err := ParseLine(line)
	if err != nil {
		return false, err
	}
	err = k.change(true, func(data []byte, keys []Key) ([]byte, error) {
		for _, have := range keys {
			if have.Verifier == key.Verifier {
				return data, nil
			}
			if have.Name == key.Name && have.Hash == key.Hash {
				return nil, fmt.Errorf("%s:%d: another key has the same name and hash %s: remove it first, if it is the wrong one", k.path(trustedFile), have.Line, key.ID())
			}
		}
		if len(data) > 0 && data[len(data)-1] != '\n' {
			data = append(data, '\n')
		}
		added = true
		return append(data, line+"\n"...), nil
	})
	return added && err == nil, err
}

// Distrust removes keys, each given by its hash of 8 digits, its ID (name+hash) or
// the whole of it, or by a name for all that have it. It gives what was removed, in
// the order of the file. An error that matches [fs.ErrNotExist] means that there was
// none for one of them, and then all stay.
func (k *Keys) Distrust(which ...string) (removed []Key, err error) {
	err = k.change(false, func(data []byte, keys []Key) ([]byte, error) {
		found := map[string]bool{}
		for _, key := range keys {
			is := false
			for _, w := range which {
				if slices.Contains([]string{key.Name, fmt.Sprintf("%08x", key.Hash), key.ID(), key.Verifier}, w) {
					is, found[w] = true, true
				}
			}
			if is {
				removed = append(removed, key)
			}
		}
		for _, w := range which {
			if !found[w] {
				return nil, fmt.Errorf("key %q: %w", w, fs.ErrNotExist)
			}
		}
		return edit(data, func(line int, text []byte) []byte {
			if slices.ContainsFunc(removed, func(r Key) bool { return r.Line == line }) {
				return nil
			}
			return text
		}), nil
	})
	if err != nil {
		return nil, err
	}
	return removed, nil
}

// Follow does with the trusted keys what the function [Follow] says. A line whose
// key was replaced keeps its comment, and the old key stays above it as a
// comment. It gives the steps that were taken.
func (k *Keys) Follow(rotations [][]byte) (followed []Rotation, err error) {
	err = k.change(false, func(data []byte, keys []Key) ([]byte, error) {
		known := make([]string, len(keys))
		for i, key := range keys {
			known[i] = key.Verifier
		}
		if _, followed, err = Follow(known, rotations); err != nil {
			return nil, err
		}
		if len(followed) == 0 {
			return data, nil
		}
		// Where each known key has led, and the lines that are not needed
		// because another one has its last key already.
		last := map[string]Rotation{}
		for _, r := range slices.Backward(followed) {
			if further, ok := last[r.New]; ok {
				last[r.Old] = Rotation{Name: r.Name, Old: r.Old, New: further.New, Serial: r.Serial}
			} else {
				last[r.Old] = r
			}
		}
		have := map[string]bool{}
		for _, v := range known {
			if _, ok := last[v]; !ok {
				have[v] = true
			}
		}
		return edit(data, func(line int, text []byte) []byte {
			at := slices.IndexFunc(keys, func(key Key) bool { return key.Line == line })
			if at < 0 {
				return text
			}
			r, ok := last[keys[at].Verifier]
			if !ok {
				return text
			}
			was := fmt.Appendf(nil, "# rotated at serial %d: %s\n", r.Serial, r.Old)
			if have[r.New] {
				return was
			}
			have[r.New] = true
			return append(was, bytes.Replace(text, []byte(r.Old), []byte(r.New), 1)...)
		}), nil
	})
	if err != nil {
		return nil, err
	}
	return followed, nil
}

// change replaces the file of trusted keys by what f makes of it, if that is
// another. With make, the folder is made if it is not there; else a folder that
// is not there has no keys.
func (k *Keys) change(create bool, f func(data []byte, keys []Key) ([]byte, error)) error {
	d, err := k.lock(create)
	if !create && errors.Is(err, fs.ErrNotExist) {
		_, err := f(nil, nil)
		return err
	}
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.exclusive(); err != nil {
		return err
	}
	data, err := k.read(trustedFile, maxTrustedFile, public)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	keys, err := parseTrusted(k.path(trustedFile), data)
	if err != nil {
		return err
	}
	after, err := f(bytes.Clone(data), keys)
	if err != nil || bytes.Equal(after, data) {
		return err
	}
	if len(after) > maxTrustedFile {
		return fmt.Errorf("%s: more than %d bytes", k.path(trustedFile), maxTrustedFile)
	}
	if _, err := parseTrusted(k.path(trustedFile), after); err != nil {
		return err // one key too many; nothing that could not be read is written
	}
	return k.write(trustedFile, after)
}

// edit puts together what f makes of the lines of a file.
func edit(data []byte, f func(line int, text []byte) []byte) []byte {
	var b bytes.Buffer
	line := 0
	for text := range bytes.Lines(data) {
		line++
		b.Write(f(line, text))
	}
	return b.Bytes()
}

// parseTrusted reads the content of the file of trusted keys.
func parseTrusted(name string, data []byte) ([]Key, error) {
	var keys []Key
	line := 0
	for text := range strings.Lines(string(data)) {
		line++
		key, err := parseLine(strings.TrimSpace(text))
		if err == nil && key.Verifier == "" {
			continue
		}
		if err == nil {
			for _, have := range keys {
				if have.Name == key.Name && have.Hash == key.Hash {
					err = fmt.Errorf("a second key %s, which line %d has: remove the one that is wrong", key.ID(), have.Line)
				}
			}
		}
		if err == nil && len(keys) == maxTrusted {
			err = fmt.Errorf("more than %d keys", maxTrusted)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		key.Line = line
		keys = append(keys, key)
	}
	return keys, nil
}

// parseLine reads a line of the file: a key, a comment, both, or nothing.
func parseLine(line string) (Key, error) {
	if len(line) > maxLine {
		return Key{}, fmt.Errorf("more than %d bytes in a line", maxLine)
	}
	if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }) {
		return Key{}, fmt.Errorf("%.80q: has what cannot be printed", line)
	}
	verifier, comment, _ := strings.Cut(line, "#")
	if verifier = strings.TrimSpace(verifier); verifier == "" {
		return Key{}, nil
	}
	key, err := ParseKey(verifier)
	if err != nil {
		return Key{}, err
	}
	key.Comment = strings.TrimSpace(comment)
	return key, nil
}
