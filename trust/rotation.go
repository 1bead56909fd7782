package trust

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Limits of what is read. A statement with the longest name has 872 bytes.
const (
	MaxRotation  = 1 << 10 // bytes of one statement
	MaxRotations = 1000    // statements of one site

	rotationHead  = "nestgen key rotation v1\n"
	rotationLines = 8 // five of text, an empty one, two signatures
)

// ErrFork says that one key has two successors: somebody besides the site has
// its key, and which of the successors is the site's cannot be told from them.
var ErrFork = errors.New("the key was rotated to two different keys")

// A Rotation is the step from one key of a site to the next.
type Rotation struct {
	Name   string // of both keys
	Old    string // the verifier key that was
	New    string // the verifier key that is
	Serial int64  // the last serial of the site under the old key; 0 for none
}

// text is what is signed. There is one text of a Rotation, byte for byte.
func (r Rotation) text() string {
	return fmt.Sprintf("%sname %s\nold %s\nnew %s\nserial %d\n", rotationHead, r.Name, r.Old, r.New, r.Serial)
}

// sign makes the statement: a note with the signature of the old key and then
// that of the new one. The new key signs too, so that nobody can claim another's
// key as the successor, or the ancestor, of his own.
func (r Rotation) sign(old, next *Own) ([]byte, error) {
	return note.Sign(&note.Note{Text: r.text()}, old.Signer, next.Signer)
}

// ParseRotation reads a statement and checks both signatures with the keys that
// it names. That makes it whole; whether it counts for anybody is for [Follow]
// to say.
func ParseRotation(statement []byte) (Rotation, error) {
	r, _, _, err := parseRotation(statement)
	return r, err
}

func parseRotation(statement []byte) (r Rotation, before, after Key, err error) {
	fail := func(format string, args ...any) (Rotation, Key, Key, error) {
		return Rotation{}, Key{}, Key{}, fmt.Errorf("key rotation: "+format, args...)
	}
	if len(statement) > MaxRotation {
		return fail("more than %d bytes", MaxRotation)
	}
	text, ok := strings.CutPrefix(string(statement), rotationHead)
	if !ok {
		return fail("does not begin with %q", strings.TrimSpace(rotationHead))
	}
	lines := strings.SplitAfterN(text, "\n", 5)
	if len(lines) != 5 {
		return fail("ends early")
	}
	for i, field := range []struct {
		word string
		to   *string
	}{{"name ", &r.Name}, {"old ", &r.Old}, {"new ", &r.New}} {
		if *field.to, ok = strings.CutPrefix(strings.TrimSuffix(lines[i], "\n"), field.word); !ok {
			return fail("line %d: want %q and a value", i+2, strings.TrimSpace(field.word))
		}
	}
	if before, err = ParseKey(r.Old); err != nil {
		return fail("the old key: %w", err)
	}
	if after, err = ParseKey(r.New); err != nil {
		return fail("the new key: %w", err)
	}
	serial, ok := strings.CutPrefix(lines[3], "serial ")
	r.Serial, err = strconv.ParseInt(strings.TrimSuffix(serial, "\n"), 10, 64)
	if !ok || err != nil || r.Serial < 0 {
		return fail("line 5: want \"serial\" and a number from 0 on")
	}
	if before.Name != r.Name || after.Name != r.Name {
		return fail("the keys %s and %s are not of the name %q", before.ID(), after.ID(), r.Name)
	}
	if before.Hash == after.Hash {
		return fail("from the key %s to itself", before.ID())
	}
	n, err := note.Open(statement, note.VerifierList(before.verifier, after.verifier))
	if err != nil {
		return fail("%s to %s: %w", before.ID(), after.ID(), err)
	}
	// Only these bytes are this statement: a note could have more signatures,
	// the same one twice, or another spelling of its base64.
	if n.Text != r.text() {
		return fail("%s to %s: not as it is written", before.ID(), after.ID())
	}
	if len(n.Sigs) != 2 || len(n.UnverifiedSigs) != 0 || n.Sigs[0].Hash != before.Hash || n.Sigs[1].Hash != after.Hash {
		return fail("%s to %s: wants the signature of the old key and then that of the new one, and no other", before.ID(), after.ID())
	}
	var same bytes.Buffer
	same.WriteString(n.Text + "\n")
	for _, s := range n.Sigs {
		same.WriteString("— " + s.Name + " " + s.Base64 + "\n")
	}
	if !bytes.Equal(same.Bytes(), statement) || bytes.Count(statement, []byte("\n")) != rotationLines || !canonicalBase64(n.Sigs) {
		return fail("%s to %s: the signatures are not as they are written", before.ID(), after.ID())
	}
	return r, before, after, nil
}

// canonicalBase64 reports whether no signature has bits that decoding ignores.
func canonicalBase64(sigs []note.Signature) bool {
	return !slices.ContainsFunc(sigs, func(s note.Signature) bool {
		_, err := base64.StdEncoding.Strict().DecodeString(s.Base64)
		return err != nil
	})
}

// JoinRotations makes one text of statements, an empty line between two.
func JoinRotations(statements [][]byte) []byte { return bytes.Join(statements, []byte("\n")) }

// SplitRotations takes apart what [JoinRotations] made. It checks the shape
// alone. An empty text has no statements.
func SplitRotations(text []byte) ([][]byte, error) {
	if len(text) > MaxRotations*(MaxRotation+1) {
		return nil, fmt.Errorf("key rotations: more than %d bytes", MaxRotations*(MaxRotation+1))
	}
	var statements [][]byte
	line := 1
	for len(text) > 0 {
		if len(statements) == MaxRotations {
			return nil, fmt.Errorf("line %d: more than %d key rotations", line, MaxRotations)
		}
		if len(statements) > 0 {
			if text[0] != '\n' {
				return nil, fmt.Errorf("line %d: want an empty line between two key rotations", line)
			}
			text, line = text[1:], line+1
		}
		end := 0
		for range rotationLines {
			i := bytes.IndexByte(text[end:], '\n')
			if i < 0 {
				return nil, fmt.Errorf("line %d: the key rotation that begins here ends early", line)
			}
			end += i + 1
		}
		if end > MaxRotation {
			return nil, fmt.Errorf("line %d: key rotation: more than %d bytes", line, MaxRotation)
		}
		statements = append(statements, bytes.Clone(text[:end]))
		text, line = text[end:], line+rotationLines
	}
	return statements, nil
}

// chain reads the statements of one site, which follow each other: each begins
// with the key that the one before ended with, none returns to an earlier key,
// and no serial is below the one before.
func chain(statements [][]byte) ([]Rotation, error) {
	if len(statements) > MaxRotations {
		return nil, fmt.Errorf("%d key rotations, and a site has at most %d", len(statements), MaxRotations)
	}
	var all []Rotation
	successor := map[string]string{}
	for i, s := range statements {
		r, before, after, err := parseRotation(s)
		if err != nil {
			return nil, fmt.Errorf("%d of %d: %w", i+1, len(statements), err)
		}
		fail := func(format string, args ...any) ([]Rotation, error) {
			return nil, fmt.Errorf("key rotation %d of %d, %s to %s: %w", i+1, len(statements), before.ID(), after.ID(), fmt.Errorf(format, args...))
		}
		if other, ok := successor[r.Old]; ok && other != r.New {
			o, err := ParseKey(other)
			if err != nil {
				return nil, err
			}
			return fail("%w: also to %s; trust neither, and ask the people of %s", ErrFork, o.ID(), r.Name)
		}
		if i > 0 {
			last := all[i-1]
			switch {
			case r.Name != last.Name:
				return fail("the one before is of %q", last.Name)
			case r.Old != last.New:
				return fail("does not follow the one before, which ends with %s", last.New)
			case r.Serial < last.Serial:
				return fail("is of serial %d, and the one before of serial %d", r.Serial, last.Serial)
			}
			if _, ok := successor[r.New]; ok {
				return fail("returns to a key that was given up")
			}
		}
		successor[r.Old] = r.New
		all = append(all, r)
	}
	return all, nil
}

// Follow tells whom to trust after the key rotations of one site. known are the
// verifier keys that are trusted, rotations the statements, the oldest first, as
// anybody may have handed them over. Each must be signed by the key before it
// and by the new one, and all together be one chain. A known key that the chain
// passes is replaced by the last key of the chain; followed has the steps that
// were taken for that. Keys that the chain does not pass stay as they are, and a
// chain that passes none changes nothing. Follow is a pure function; when it
// gives an error, no key may be replaced. An error that matches [ErrFork] means
// that one key has two successors.
func Follow(known []string, rotations [][]byte) (current []string, followed []Rotation, err error) {
	for _, s := range known {
		k, err := ParseKey(s)
		if err != nil {
			return nil, nil, err
		}
		if !slices.Contains(current, k.Verifier) {
			current = append(current, k.Verifier)
		}
	}
	all, err := chain(rotations)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range all {
		at := slices.Index(current, r.Old)
		if at < 0 {
			continue
		}
		followed = append(followed, r)
		if slices.Contains(current, r.New) {
			current = slices.Delete(current, at, at+1)
		} else {
			current[at] = r.New
		}
	}
	return current, followed, nil
}
