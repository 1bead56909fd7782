package bundle

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A Header is what the signed note of a part says of the bundle.
type Header struct {
	// Origin names who made it: the name of the key.
	Origin string

	// Key is the key that it is signed with, as [note.NewEd25519VerifierKey]
	// writes it.
	Key string

	// Tag names the stream of bundles to one destination.
	Tag string

	// Fields are the caller's own, in the caller's order.
	Fields []Field

	// Rotations say how the key came from those before it, for a reader that trusts
	// one of these. They are the caller's own bytes, a megabyte at most; none if there
	// is nothing to say.
	Rotations []byte

	// ID names the bundle: the SHA-256 of all that it is, in hexadecimal. It is
	// the same for all parts, and however it is split and compressed.
	ID string

	// Part of Parts, from 1. Zero when a whole bundle is meant.
	Part, Parts int
}

// A Field is a line of the note. Key is a word of lower case letters, digits and
// hyphens that no other line has; Value is printable ASCII.
type Field struct {
	Key, Value string
}

// Field gives the value of one of the caller's own fields, "" if there is none.
func (h Header) Field(key string) string {
	for _, f := range h.Fields {
		if f.Key == key {
			return f.Value
		}
	}
	return ""
}

// The first lines of the two forms.
const (
	plainForm   = "nestgen-bundle 1\n"
	rotatedForm = "nestgen-bundle 2\n"
)

var ownFields = []string{"nestgen-bundle", "origin", "key", "tag", "id", "part", "rotations", "manifest"}

// check looks at what the caller chooses of a header.
func (h Header) check() error {
	switch {
	case !printable(h.Origin, 255) || strings.ContainsAny(h.Origin, " +"):
		return fmt.Errorf("origin %.100q: not the name of a key", h.Origin)
	case !validTag(h.Tag):
		return fmt.Errorf("tag %.100q: want 1 to 64 of a-z, 0-9, \".\", \"_\" and \"-\", a letter or digit first", h.Tag)
	case len(h.Fields) > maxFields:
		return fmt.Errorf("%d fields, more than %d", len(h.Fields), maxFields)
	case len(h.Rotations) > maxRotations:
		return fmt.Errorf("rotations of %d bytes, more than %d", len(h.Rotations), maxRotations)
	}
	seen := map[string]bool{}
	for _, own := range ownFields {
		seen[own] = true
	}
	for _, f := range h.Fields {
		switch {
		case !validKey(f.Key):
			return fmt.Errorf("field %.100q: want 1 to 32 of a-z, 0-9 and \"-\", a letter first", f.Key)
		case seen[f.Key]:
			return fmt.Errorf("field %s: there twice, or one of the bundle's own", f.Key)
		case !printable(f.Value, maxValue):
			return fmt.Errorf("field %s: its value %.100q is not 1 to %d printable ASCII characters without spaces at its ends", f.Key, f.Value, maxValue)
		}
		seen[f.Key] = true
	}
	_, err := h.verifier()
	return err
}

// verifier gives the key that the header names, which has to be the origin's.
func (h Header) verifier() (note.Verifier, error) {
	v, err := note.NewVerifier(h.Key)
	if err != nil {
		return nil, fmt.Errorf("key %.200q: %w", h.Key, err)
	}
	if v.Name() != h.Origin {
		return nil, fmt.Errorf("key of %q, but the origin is %q", v.Name(), h.Origin)
	}
	name, rest, _ := strings.Cut(h.Key, "+")
	_, key64, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.Strict().DecodeString(key64)
	if err != nil || len(key) != 33 {
		return nil, fmt.Errorf("key %.200q: not an Ed25519 key", h.Key)
	}
	if want, err := note.NewEd25519VerifierKey(name, key[1:]); err != nil || want != h.Key {
		return nil, fmt.Errorf("key %.200q: not in its one spelling", h.Key)
	}
	return v, nil
}

func printable(s string, most int) bool {
	if s == "" || len(s) > most || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func validTag(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || i > 0 && strings.IndexByte("._-", c) >= 0) {
			return false
		}
	}
	return 0 < len(s) && len(s) <= 64
}

func validKey(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || i > 0 && ('0' <= c && c <= '9' || c == '-')) {
			return false
		}
	}
	return 0 < len(s) && len(s) <= 32
}

// A preface is the note of a part, read.
type preface struct {
	Header
	rotations     string // the line about them; empty in a bundle that has none
	rotationsSize int64
	manifestSum   [32]byte
	manifestSize  int64
}

// newPreface gives the preface of a part that is to be written.
func newPreface(h Header) preface {
	return preface{Header: h, rotations: rotationsLine(h.Rotations), rotationsSize: int64(len(h.Rotations))}
}

func rotationsLine(rotations []byte) string {
	if len(rotations) == 0 {
		return ""
	}
	return fmt.Sprintf("rotations %x %d\n", sha256.Sum256(rotations), len(rotations))
}

// rotationsSpace is how many bytes of an archive the rotations take.
func (p preface) rotationsSpace() int64 {
	if p.rotationsSize == 0 {
		return 0
	}
	return blockSize + p.rotationsSize + padding(p.rotationsSize)
}

// text is the one way to write a preface.
func (p preface) text() string {
	var b strings.Builder
	if p.rotations == "" {
		b.WriteString(plainForm)
	} else {
		b.WriteString(rotatedForm)
	}
	fmt.Fprintf(&b, "origin %s\nkey %s\ntag %s\nid %s\npart %d of %d\n", p.Origin, p.Key, p.Tag, p.ID, p.Part, p.Parts)
	for _, f := range p.Fields {
		fmt.Fprintf(&b, "%s %s\n", f.Key, f.Value)
	}
	b.WriteString(p.rotations)
	fmt.Fprintf(&b, "manifest %x %d\n", p.manifestSum, p.manifestSize)
	return b.String()
}

// noteSize is how long the signed note is: the text, an empty line, and the line
// of the signature, which is a dash of three bytes, two spaces, the name, 68 bytes
// in base64 and its end.
func (p preface) noteSize() int64 {
	return int64(len(p.text()) + 1 + 3 + 2 + len(p.Origin) + 92 + 1)
}

var errNote = errors.New("its first member is not the note of a bundle")

// parsePreface reads the text of a note. What it takes is what text writes.
func parsePreface(text string) (preface, error) {
	var p preface
	rest, ok := strings.CutPrefix(text, plainForm)
	least := 6
	if !ok {
		if rest, ok = strings.CutPrefix(text, rotatedForm); ok {
			least = 7
		}
	}
	if !ok {
		if strings.HasPrefix(text, "nestgen-bundle ") {
			return p, errors.New("a bundle of a form that this nestgen does not know: a newer one may")
		}
		return p, errNote
	}
	lines := strings.Split(strings.TrimSuffix(rest, "\n"), "\n")
	if len(lines) < least || len(lines) > least+maxFields {
		return p, errNote
	}
	last := len(lines) - 1
	for i, line := range lines {
		key, value, _ := strings.Cut(line, " ")
		want := ""
		switch i {
		case 0:
			want, p.Origin = "origin", value
		case 1:
			want, p.Key = "key", value
		case 2:
			want, p.Tag = "tag", value
		case 3:
			want, p.ID = "id", value
		case 4:
			want = "part"
			k, n, _ := strings.Cut(value, " of ")
			p.Part, _ = strconv.Atoi(k)
			p.Parts, _ = strconv.Atoi(n)
		case last:
			want = "manifest"
			sum, size, _ := strings.Cut(value, " ")
			if raw, err := hex.DecodeString(sum); err != nil || copy(p.manifestSum[:], raw) != 32 {
				return p, fmt.Errorf("%w: line %d: no digest", errNote, i+2)
			}
			p.manifestSize, _ = strconv.ParseInt(size, 10, 64)
		case last + 6 - least:
			want = "rotations"
			sum, size, _ := strings.Cut(value, " ")
			var digest [32]byte
			if raw, err := hex.DecodeString(sum); err != nil || copy(digest[:], raw) != 32 {
				return p, fmt.Errorf("%w: line %d: no digest", errNote, i+2)
			}
			p.rotationsSize, _ = strconv.ParseInt(size, 10, 64)
			p.rotations = fmt.Sprintf("rotations %x %d\n", digest, p.rotationsSize)
			if p.rotationsSize < 1 || p.rotationsSize > maxRotations {
				return p, fmt.Errorf("%w: rotations of %d bytes", errNote, p.rotationsSize)
			}
		default:
			want = key
			p.Fields = append(p.Fields, Field{key, value})
		}
		if key != want {
			return p, fmt.Errorf("%w: line %d: want %s", errNote, i+2, want)
		}
	}
	if p.text() != text {
		return p, fmt.Errorf("%w: it is not in its one spelling", errNote)
	}
	if id, err := hex.DecodeString(p.ID); err != nil || len(id) != 32 || strings.ToLower(p.ID) != p.ID {
		return p, fmt.Errorf("%w: the id %.100q is not a digest", errNote, p.ID)
	}
	if p.Part < 1 || p.Part > p.Parts || p.Parts > MaxParts {
		return p, fmt.Errorf("%w: part %d of %d", errNote, p.Part, p.Parts)
	}
	if p.manifestSize < 0 || p.manifestSize > maxManifest {
		return p, fmt.Errorf("%w: a manifest of %d bytes", errNote, p.manifestSize)
	}
	if err := p.check(); err != nil {
		return p, fmt.Errorf("%w: %w", errNote, err)
	}
	return p, nil
}

// sign gives the note of a part, signed and looked at as a reader will.
func (p preface) sign(s note.Signer) ([]byte, error) {
	msg, err := note.Sign(&note.Note{Text: p.text()}, s)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if _, err := openNote(msg); err != nil {
		return nil, fmt.Errorf("sign: what was signed does not verify: %w", err)
	}
	return msg, nil
}

// openNote reads the note of a part and checks that the key signed it which it
// names itself. Whether that key is one to trust is another question: see trusted.
func openNote(msg []byte) (preface, error) {
	_, err := note.Open(msg, nil)
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return preface{}, errNote
	}
	p, err := parsePreface(unverified.Note.Text)
	if err != nil {
		return preface{}, err
	}
	v, err := p.verifier()
	if err != nil {
		return preface{}, err
	}
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		return preface{}, fmt.Errorf("%w: its signature is not the one of the key that it names, %s", errNote, p.Key)
	}
	// A signature in base64 has bits that say nothing. They are zero.
	if _, err := base64.StdEncoding.Strict().DecodeString(n.Sigs[0].Base64); err != nil {
		return preface{}, fmt.Errorf("%w: the signature is not in its one spelling", errNote)
	}
	if again, err := note.Sign(n); err != nil || string(again) != string(msg) {
		return preface{}, fmt.Errorf("%w: the signature is not in its one spelling", errNote)
	}
	return p, nil
}

// trusted checks a note against the keys that the caller trusts.
func trusted(msg []byte, p preface, known note.Verifiers) error {
	_, err := note.Open(msg, known)
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		return &UnknownKeyError{Origin: p.Origin, Key: p.Key}
	}
	if err != nil {
		return fmt.Errorf("the key that it names, %s, is not the one that is trusted under that name: %w", p.Key, err)
	}
	return nil
}

// An UnknownKeyError says that a bundle is signed by a key that is not trusted.
// The signature is that key's.
type UnknownKeyError struct {
	File   string
	Origin string
	Key    string // as [note.NewEd25519VerifierKey] writes it
}

func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("%s: signed by a key that is not trusted here: %s", e.File, e.Key)
}
