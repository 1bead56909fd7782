package tilelog

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

const (
	// MaxCheckpoint is how many bytes a signed checkpoint may have. That is enough for
	// the 16 signatures of any kind that everybody has to accept (C2SP signed-note).
	MaxCheckpoint = 128 << 10

	maxLine       = 1024 // bytes of an origin or an extension line
	maxExtensions = 64
)

// A Checkpoint says what a log was at some size (C2SP tlog-checkpoint).
type Checkpoint struct {
	// Origin is the name of the log, which is also the name of the key that signs
	// for it: without spaces and plus signs.
	Origin string

	Size int64
	Root Hash

	// Extensions are further lines, of which the log proves nothing. There are none,
	// as a rule.
	Extensions []string
}

// Format gives the text of c, as it is signed. It does not look whether c may be signed;
// [Sign] does.
func (c Checkpoint) Format() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
	for _, line := range c.Extensions {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// ParseCheckpoint reads the text of a checkpoint, without signatures. It accepts what
// Format gives of a checkpoint that may be signed, and nothing else.
func ParseCheckpoint(text string) (Checkpoint, error) {
	body, ok := strings.CutSuffix(text, "\n")
	if !ok || len(text) > MaxCheckpoint {
		return Checkpoint{}, errors.New("checkpoint: does not end with its last line, or is too long")
	}
	lines := strings.SplitN(body, "\n", 3+maxExtensions+1)
	if len(lines) < 3 {
		return Checkpoint{}, fmt.Errorf("checkpoint: has %d lines, not origin, size and hash", len(lines))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("checkpoint:2: size %.40q: not a number in decimal", lines[1])
	}
	root, err := ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint:3: %w", err)
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root}
	if len(lines) > 3 {
		c.Extensions = lines[3:]
	}
	return c, c.check()
}

// check reports what forbids to sign c.
func (c Checkpoint) check() error {
	if c.Origin == "" || len(c.Origin) > maxLine || !plain(c.Origin) ||
		strings.ContainsFunc(c.Origin, unicode.IsSpace) || strings.Contains(c.Origin, "+") {
		return fmt.Errorf("checkpoint:1: origin %.100q: has to be the name of a key, without spaces and plus signs", c.Origin)
	}
	if err := checkSize(c.Size); err != nil {
		return fmt.Errorf("checkpoint:2: %w", err)
	}
	if c.Size == 0 && c.Root != emptyHash {
		return fmt.Errorf("checkpoint:3: %s is not the hash of an empty log", c.Root)
	}
	if len(c.Extensions) > maxExtensions {
		return fmt.Errorf("checkpoint: has more than %d extension lines", maxExtensions)
	}
	for i, line := range c.Extensions {
		if line == "" || len(line) > maxLine || !plain(line) {
			return fmt.Errorf("checkpoint:%d: extension %.100q: empty, too long or not text", 4+i, line)
		}
	}
	return nil
}

// plain reports whether s is one line that a signed note may hold.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 })
}

// Sign gives c with a signature of each signer (C2SP signed-note), of whom one at least
// has the name of the log. Nobody must sign a checkpoint of a log that does not begin
// with all that was signed before; Sign cannot know.
func Sign(c Checkpoint, signers ...note.Signer) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	own := false
	for _, s := range signers {
		own = own || s.Name() == c.Origin
	}
	if !own {
		return nil, fmt.Errorf("checkpoint of %s: no key of that name signs it", c.Origin)
	}
	signed, err := note.Sign(&note.Note{Text: c.Format()}, signers...)
	if err == nil && len(signed) > MaxCheckpoint {
		err = errors.New("signatures are too long")
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint of %s: %w", c.Origin, err)
	}
	return signed, nil
}

// Open reads a signed checkpoint and checks its signatures. A known key with the name of
// the log has to have signed it, and no signature of a known key may be wrong. Signatures
// of unknown keys are in the note, and mean nothing: who insists on further ones looks
// there. An error matches [*note.UnverifiedNoteError] if no known key signed it,
// [*note.InvalidSignatureError] if a signature is wrong.
//
// There is one way to write a checkpoint with its signatures: of one whose keys are all
// known, no byte can be changed.
func Open(signed []byte, known note.Verifiers) (Checkpoint, *note.Note, error) {
	if len(signed) > MaxCheckpoint {
		return Checkpoint{}, nil, fmt.Errorf("checkpoint: has %d bytes, more than %d", len(signed), MaxCheckpoint)
	}
	n, err := note.Open(signed, known)
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("checkpoint: %w", err)
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	if err := canonical(signed, n); err != nil {
		return Checkpoint{}, nil, err
	}
	for _, s := range n.Sigs {
		if s.Name == c.Origin {
			return c, n, nil
		}
	}
	// The text is signed by known keys, but none of them speaks for this log.
	return Checkpoint{}, nil, fmt.Errorf("checkpoint of %s: signed by %s, not by a known key of that name", c.Origin, n.Sigs[0].Name)
}

// canonical reports signatures that are spelled otherwise than they would be written, or
// come twice: the library decodes base64 generously, and passes over a second signature
// of a key without looking at it.
func canonical(signed []byte, n *note.Note) error {
	lines := strings.Count(string(signed[len(n.Text)+1:]), "\n")
	if lines != len(n.Sigs)+len(n.UnverifiedSigs) {
		return errors.New("checkpoint: a key signs it twice")
	}
	for _, sigs := range [][]note.Signature{n.Sigs, n.UnverifiedSigs} {
		for _, s := range sigs {
			if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
				return fmt.Errorf("checkpoint: signature of %s: not base64 as it is written", s.Name)
			}
		}
	}
	return nil
}
