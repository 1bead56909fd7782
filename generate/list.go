package generate

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"nestgen/packaging"
)

// A list is a page that has a section for each project: a line with its name,
// and then the anchors of its files. Where only few projects have changed, the
// sections of all others are taken over from the page as it was. A nil list
// takes nothing.
type list struct {
	*stream
	former *bufio.Reader // nil where no page was

	// next is the project whose section comes next in the former page, and
	// empty behind the last.
	next packaging.Name
}

// Nothing else on a page begins with "<!--": text is escaped.
const (
	sectionHead = "<!-- "
	sectionTail = " -->\n"
)

// ErrFormer is matched by the error for a page that was to be taken over in
// part and is not as it was published.
var ErrFormer = errors.New("not the page that was published last")

func appendSectionName(b []byte, n packaging.Name) []byte {
	b = append(b, sectionHead...)
	b = append(b, n...)
	return append(b, sectionTail...)
}

func (l *list) begin(title string) {
	if l == nil {
		return
	}
	l.write(func(b []byte) []byte { return appendTitle(append(b, htmlHead...), title) })
	l.pass(false)
}

// put gives a project its section, made of parts. One of nothing is no section.
func (l *list) put(n packaging.Name, parts ...[]byte) {
	if l == nil {
		return
	}
	l.takeOver(n)
	if l.next == n {
		l.pass(false)
	}
	named := false
	for _, p := range parts {
		if len(p) == 0 {
			continue
		}
		if !named {
			l.write(func(b []byte) []byte { return appendSectionName(b, n) })
			named = true
		}
		l.write(func(b []byte) []byte { return append(b, p...) })
	}
}

// takeOver copies the sections of the former page up to that of n, and all
// that are left if n is empty.
func (l *list) takeOver(n packaging.Name) {
	for l.err == nil && l.next != "" && (n == "" || l.next < n) {
		name := l.next
		l.write(func(b []byte) []byte { return appendSectionName(b, name) })
		l.pass(true)
	}
}

// pass reads the former page to where the next section begins, and copies what
// it reads if it is wanted.
func (l *list) pass(wanted bool) {
	if l.former == nil {
		return
	}
	was := l.next
	for l.err == nil {
		line, err := l.former.ReadSlice('\n')
		switch {
		case err == bufio.ErrBufferFull:
		case err == io.EOF:
			l.err = ErrFormer
			return
		case err != nil:
			l.err = err
			return
		case bytes.HasPrefix(line, []byte(sectionHead)):
			name, ok := bytes.CutSuffix(line[len(sectionHead):], []byte(sectionTail))
			if l.next = packaging.Name(name); !ok || l.next <= was {
				l.err = ErrFormer
			}
			return
		case string(line) == htmlFootLine:
			l.next, l.former = "", nil
			return
		}
		if wanted {
			_, l.err = l.buf.Write(line)
		}
	}
}

// htmlFootLine is the first line of the foot of a page.
const htmlFootLine = "</body>\n"

func (l *list) end() {
	if l == nil {
		return
	}
	l.takeOver("")
	l.write(func(b []byte) []byte { return append(b, htmlFoot...) })
}
