package access

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// An entry is a token as the file has it, one JSON object a line.
type entry struct {
	ID       string    `json:"id"`
	SHA256   string    `json:"sha256"`
	Note     string    `json:"note,omitempty"`
	Projects []string  `json:"projects"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`
}

// idBytes is the length of an ID before its encoding, which makes 8 letters.
const idBytes = 5

// maxNote is how long a note may be, in bytes.
const maxNote = 200

// parse reads the content of a token file. A file with one fault is refused
// whole: a line that cannot be read may have been meant to restrict something.
func parse(name string, data []byte) ([]Token, error) {
	var tokens []Token
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		t, err := parseLine(text)
		if err == nil && slices.ContainsFunc(tokens, func(u Token) bool { return u.ID == t.ID }) {
			err = fmt.Errorf("second token with the id %s", t.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}

func parseLine(text []byte) (t Token, err error) {
	var e entry
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the line ends early")
		}
		return t, err
	}
	if _, err := d.Token(); err != io.EOF {
		return t, errors.New("more than one JSON value")
	}
	t = Token{ID: e.ID, Note: e.Note, Created: e.Created, Expires: e.Expires}
	if b, err := encoding.DecodeString(e.ID); err != nil || len(b) != idBytes || encoding.EncodeToString(b) != e.ID {
		return t, fmt.Errorf("id %q is not 8 letters and digits", e.ID)
	}
	h, err := hex.DecodeString(e.SHA256)
	if err != nil || len(h) != len(t.hash) {
		return t, errors.New("sha256 is not 64 hexadecimal digits")
	}
	copy(t.hash[:], h)
	if err := checkNote(e.Note); err != nil {
		return t, err
	}
	if e.Created.IsZero() {
		return t, errors.New("no time of creation")
	}
	t.Scope, err = ParseScope(e.Projects)
	return t, err
}

// checkNote keeps notes to what can be shown in a list and in a log.
func checkNote(s string) error {
	if len(s) > maxNote || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("a note is one line of at most %d bytes, not %.40q", maxNote, s)
	}
	return nil
}

// format writes the content of a token file.
func format(tokens []Token) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, t := range tokens {
		e := entry{
			ID: t.ID, SHA256: hex.EncodeToString(t.hash[:]), Note: t.Note,
			Projects: t.Scope.patterns, Created: t.Created, Expires: t.Expires,
		}
		if err := enc.Encode(e); err != nil {
			panic(err) // of times beyond the year 9999, which Add refuses
		}
	}
	return b.Bytes()
}

// Load reads a token file. One that is not there has no tokens. One that others
// than its owner can write is refused, because they could let anybody in.
func Load(path string) ([]Token, error) {
	f, err := open(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return load(f)
}
