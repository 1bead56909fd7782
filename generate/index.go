package generate

import (
	"bufio"
	"fmt"
	"io"
	"iter"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
)

// IndexPages says which of the pages about all projects to make.
type IndexPages uint8

// The pages about all projects.
const (
	Root  IndexPages = 1 << iota // layout.RootHTML and layout.RootJSON
	Flat                         // layout.Flat
	Easy                         // layout.Easy
	Front                        // layout.Front

	AllIndexPages = Root | Flat | Easy | Front
)

// Paths gives the paths of the pages.
func (w IndexPages) Paths() []string {
	var paths []string
	for _, page := range [...]struct {
		of   IndexPages
		path string
	}{
		{Flat, layout.Flat},
		{Easy, layout.Easy},
		{Root, layout.RootJSON},
		{Root, layout.RootHTML},
		{Front, layout.Front},
	} {
		if w&page.of != 0 {
			paths = append(paths, page.path)
		}
	}
	return paths
}

// Index makes the chosen pages about all projects in one pass over them, and
// keeps no more of a page in memory than a buffer. The projects come sorted by
// name, each once and whole. Those without pages ([HasPages]) are not listed.
//
// create is called once for each path before the pass. Each writer that it
// gave is closed before Index returns. The pages are whole only if the error
// is nil; otherwise all of them are to be thrown away.
func (s *Site) Index(projects iter.Seq2[*catalog.Project, error], create func(path string) (io.WriteCloser, error), which IndexPages) (err error) {
	var open []*stream
	defer func() {
		for _, st := range open {
			if cerr := st.close(err == nil); err == nil {
				err = cerr
			}
		}
	}()
	pages := make(map[string]*stream)
	for _, path := range which.Paths() {
		w, err := create(path)
		if err != nil {
			return err
		}
		st := &stream{out: w, buf: bufio.NewWriterSize(w, 64<<10)}
		open = append(open, st)
		pages[path] = st
	}
	flat, easy := pages[layout.Flat], pages[layout.Easy]
	rootHTML, rootJSON := pages[layout.RootHTML], pages[layout.RootJSON]

	flat.write(func(b []byte) []byte { return appendTitle(append(b, htmlHead...), "All files") })
	easy.write(func(b []byte) []byte {
		return appendTitle(append(b, htmlHead...), "Files and development links for easy_install")
	})
	rootHTML.write(func(b []byte) []byte { return appendTitle(append(b, htmlHead...), "Simple index") })
	rootJSON.write(func(b []byte) []byte { return append(b, jsonMeta+`"projects":[`...) })

	front := newFront(s)
	var last packaging.Name
	var anchors []byte // of one project, the same on the two pages that list every file
	listed := 0
	for p, err := range projects {
		if err != nil {
			return err
		}
		if err := check(p); err != nil {
			return err
		}
		if p.Name <= last {
			return fmt.Errorf("project %s comes after %s: not sorted", p.Name, last)
		}
		last = p.Name

		if flat != nil || easy != nil {
			anchors = s.appendFlat(anchors[:0], p)
			flat.write(func(b []byte) []byte { return append(b, anchors...) })
			easy.write(func(b []byte) []byte { return s.appendEasy(append(b, anchors...), p) })
		}
		if HasPages(p) {
			rootHTML.write(func(b []byte) []byte { return appendRootHTML(b, p) })
			rootJSON.write(func(b []byte) []byte { return appendRootJSON(b, p, listed == 0) })
			if which&Front != 0 {
				front.add(p)
			}
			listed++
		}
		for _, st := range open {
			if st.err != nil {
				return st.err
			}
		}
	}

	flat.write(func(b []byte) []byte { return append(b, htmlFoot...) })
	easy.write(func(b []byte) []byte { return append(b, htmlFoot...) })
	rootHTML.write(func(b []byte) []byte { return append(b, htmlFoot...) })
	rootJSON.write(func(b []byte) []byte { return append(b, "]}\n"...) })
	if st := pages[layout.Front]; st != nil {
		return front.execute(st.buf)
	}
	return nil
}

// appendFlat appends the anchors of one project for the page of all files.
// Whether any file of the page is signed is not known before its end, so the
// page says nothing of signatures.
func (s *Site) appendFlat(b []byte, p *catalog.Project) []byte {
	files := visible(p)
	base := s.secureBase()
	for i := range files {
		if f := &files[i]; offered(f) {
			b = appendAnchor(b, f, "../", base, false)
		}
	}
	return b
}

func appendRootHTML(b []byte, p *catalog.Project) []byte {
	b = append(b, `<a href="`...)
	b = append(b, p.Name...)
	b = append(b, `/">`...)
	b = append(b, display(p)...)
	return append(b, "</a><br>\n"...)
}

func appendRootJSON(b []byte, p *catalog.Project, first bool) []byte {
	if !first {
		b = append(b, ',')
	}
	b = append(b, "\n{\"name\":\""...)
	b = append(b, display(p)...)
	return append(b, `"}`...)
}

// A stream is one page on its way out. A nil stream takes no page.
type stream struct {
	out io.WriteCloser
	buf *bufio.Writer
	row []byte
	err error
}

// write lets render append to the page. The first error stays.
func (st *stream) write(render func([]byte) []byte) {
	if st == nil || st.err != nil {
		return
	}
	st.row = render(st.row[:0])
	_, st.err = st.buf.Write(st.row)
}

// close flushes a page that is whole, and closes it in any case.
func (st *stream) close(whole bool) error {
	err := st.err
	if whole && err == nil {
		err = st.buf.Flush()
	}
	if cerr := st.out.Close(); err == nil {
		err = cerr
	}
	return err
}
