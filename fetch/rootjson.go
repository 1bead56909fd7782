package fetch

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"

	"nestgen/internal/strictjson"
	"nestgen/packaging"
)

// Limits on what a root page may hold.
const (
	maxProjects    = 20_000_000
	maxRootProject = 16 << 10 // bytes of what it says of one project
	maxRootMeta    = 64 << 10 // bytes of what it says of itself
)

// The keys that are looked at.
var (
	rootKeys    = []string{"meta", "projects"}
	projectKeys = []string{"name", "_last-serial"}
)

// A rootPage is a root page with what was seen of it.
type rootPage struct {
	Root
	said bool // it says the serial of a project
}

// readRoot reads the root page of an index in JSON (PEP 691) as it comes, piece
// by piece: that of the public index has tens of megabytes. Each piece that is
// looked into is read as strictly as a project's page; of the others only where
// they end is found out.
func readRoot(r io.Reader, of map[packaging.Name]bool) (rootPage, error) {
	in := &pieces{r: bufio.NewReaderSize(r, 64<<10)}
	root := rootPage{Root: Root{Serials: map[packaging.Name]int64{}}}
	p := jsonPage{}
	entry := rootEntry{of: of, root: &root, page: &p}
	var seen [2]bool
	err := in.members('{', func() error {
		text, err := in.value(maxRootProject)
		if err != nil {
			return err
		}
		p.Reset(text)
		name, err := p.Text()
		if err != nil {
			return err
		}
		key := -1
		for i, k := range rootKeys {
			if string(name) == k {
				key = i
			}
		}
		if c, err := in.next(); err != nil || c != ':' {
			return in.fail(err, "want ':'")
		}
		if key < 0 {
			return in.skip()
		}
		if seen[key] {
			return in.fail(nil, "key %q comes twice", rootKeys[key])
		}
		seen[key] = true
		if key == 0 {
			text, err := in.value(maxRootMeta)
			if err != nil {
				return err
			}
			p.Reset(text)
			err = cmp.Or(p.meta(), p.End())
			root.Serial = p.list.Serial
			return err
		}
		return in.members('[', func() error {
			text, err := in.value(maxRootProject)
			if err != nil {
				return err
			}
			return entry.read(text)
		})
	})
	switch {
	case err != nil:
		return root, err
	case !seen[0] || !seen[1]:
		return root, in.fail(nil, "not the root page of an index: it needs %q and %q", rootKeys[0], rootKeys[1])
	}
	if _, err := in.next(); err != io.EOF {
		return root, in.fail(err, "something after the end")
	}
	return root, nil
}

// A rootEntry reads what a root page says of one project after another.
type rootEntry struct {
	of   map[packaging.Name]bool // nil for all
	root *rootPage
	page *jsonPage
	name []byte
}

func (e *rootEntry) read(text []byte) error {
	p := e.page
	p.Reset(text)
	if p.Peek() != '{' {
		return p.Fail("a project is not an object")
	}
	if e.root.Projects++; e.root.Projects > maxProjects {
		return p.Fail("more than %d projects", maxProjects)
	}
	e.name, p.list.Serial = nil, 0
	if err := cmp.Or(p.Object(projectKeys, e.member), p.End()); err != nil {
		return err
	}
	serial := p.list.Serial
	e.root.said = e.root.said || serial > 0
	if serial == 0 || e.name == nil {
		return nil
	}
	n, ok := e.wanted()
	if ok {
		e.root.Serials[n] = max(serial, e.root.Serials[n])
	}
	return nil
}

func (e *rootEntry) member(key int) (err error) {
	switch {
	case key == 0 && e.page.Peek() == '"':
		e.name, err = e.page.Text()
		return err
	case key == 1:
		return e.page.serial()
	}
	return e.page.Skip()
}

// wanted gives the name of the project if it is one that was asked about. For
// the many others nothing is allocated.
func (e *rootEntry) wanted() (packaging.Name, bool) {
	if e.of != nil && !needsFolding(e.name) {
		if !e.of[packaging.Name(e.name)] {
			return "", false
		}
	}
	if !packaging.ValidName(string(e.name)) {
		return "", false
	}
	n := packaging.NormalizeName(string(e.name))
	return n, e.of == nil || e.of[n]
}

// needsFolding reports whether a name may not be in its normal form.
func needsFolding(name []byte) bool {
	for i, c := range name {
		if 'A' <= c && c <= 'Z' || c == '_' || c == '.' || c == '-' && i > 0 && name[i-1] == '-' {
			return true
		}
	}
	return false
}

// pieces cuts JSON that comes from elsewhere into its values.
type pieces struct {
	r   *bufio.Reader
	at  int64
	buf bytes.Buffer
}

// fail gives an error with the place, or the one that reading ended with.
func (p *pieces) fail(err error, format string, args ...any) error {
	switch err {
	case nil:
		return fmt.Errorf("%w: byte %d: %s", strictjson.ErrSyntax, p.at, fmt.Sprintf(format, args...))
	case io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return readError{err}
}

// A readError is one of reading, and not of what was read.
type readError struct{ error }

// next gives the next byte that is no space.
func (p *pieces) next() (byte, error) {
	for {
		c, err := p.r.ReadByte()
		if err != nil {
			return 0, err
		}
		p.at++
		switch c {
		case ' ', '\t', '\n', '\r':
		default:
			return c, nil
		}
	}
}

func (p *pieces) back() {
	p.at--
	p.r.UnreadByte() // never fails after a byte was read
}

// members calls member before each member of an array or an object, which begins
// with open. It has to read the whole of the member.
func (p *pieces) members(open byte, member func() error) error {
	end := open + 2 // ']' for '[', '}' for '{'
	if c, err := p.next(); err != nil || c != open {
		return p.fail(err, "want %q", open)
	}
	c, err := p.next()
	if err == nil && c == end {
		return nil
	}
	if err != nil {
		return p.fail(err, "")
	}
	p.back()
	for {
		if err := member(); err != nil {
			return err
		}
		switch c, err := p.next(); {
		case err != nil:
			return p.fail(err, "")
		case c == end:
			return nil
		case c != ',':
			return p.fail(nil, "want ',' or %q", end)
		}
	}
}

// value gives the text of the next value, of at most so many bytes. It is good
// until the next one.
func (p *pieces) value(most int) ([]byte, error) {
	p.buf.Reset()
	err := p.walk(func(c byte) error {
		if p.buf.Len() == most {
			return p.fail(nil, "a value of more than %d bytes", most)
		}
		return p.buf.WriteByte(c)
	})
	return p.buf.Bytes(), err
}

// skip passes over the next value.
func (p *pieces) skip() error { return p.walk(func(byte) error { return nil }) }

// walk goes through the next value.
func (p *pieces) walk(take func(byte) error) error {
	c, err := p.next()
	if err != nil {
		return p.fail(err, "")
	}
	depth, text, scalar := 0, false, true
	for first := true; ; first = false {
		if !first {
			if c, err = p.r.ReadByte(); err != nil {
				return p.fail(err, "")
			}
			p.at++
		}
		switch {
		case text && c == '\\':
			if err := take(c); err != nil {
				return err
			}
			if c, err = p.r.ReadByte(); err != nil {
				return p.fail(err, "")
			}
			p.at++
		case c == '"':
			text, scalar = !text, false
		case text:
		case c == '{' || c == '[':
			depth++
			scalar = false
		case depth == 0 && (c == ',' || c == '}' || c == ']' || c == ':' || c == ' ' || c == '\n' || c == '\r' || c == '\t'):
			if first {
				return p.fail(nil, "want a value")
			}
			p.back()
			return nil
		case c == '}' || c == ']':
			depth--
		}
		if depth > strictjson.MaxDepth {
			return p.fail(nil, "nested more than %d deep", strictjson.MaxDepth)
		}
		if err := take(c); err != nil {
			return err
		}
		if depth == 0 && !text && !scalar {
			return nil
		}
	}
}
