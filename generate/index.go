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

// Paths gives the paths of the pages, in their index.
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

// A Former gives a page as it was published last, for [Site.Index] to take
// over what has not changed.
type Former func(path string) (io.ReadCloser, error)

// Index makes the chosen pages about all projects in one pass over them, and
// keeps no more of a page in memory than a buffer. The projects come sorted by
// name, each once and whole, or just by their cards; those without pages
// ([HasPages]) have a zero card and are not listed.
//
// What the pages that list every file have of a project that comes by its card
// is taken over from those pages as former gives them. It may be nil if all
// projects are whole. The error matches [ErrFormer] if one of these pages is
// not as it was published.
//
// create is called once for each path before the pass, and former likewise, with
// the prefix of the index. Each writer that it
// gave is closed before Index returns. The pages are whole only if the error
// is nil; otherwise all of them are to be thrown away.
func (s *Site) Index(projects iter.Seq2[catalog.Entry, error], create func(path string) (io.WriteCloser, error), former Former, which IndexPages) (err error) {
	var open []*stream
	var formers []io.Closer
	defer func() {
		for _, st := range open {
			if cerr := st.close(err == nil); err == nil {
				err = cerr
			}
		}
		for _, f := range formers {
			f.Close()
		}
	}()
	pages := make(map[string]*stream)
	for _, path := range which.Paths() {
		w, err := create(s.at(path))
		if err != nil {
			return err
		}
		st := &stream{out: w, buf: bufio.NewWriterSize(w, 64<<10)}
		open = append(open, st)
		pages[path] = st
	}
	lists := map[string]*list{}
	for _, path := range (which & (Flat | Easy)).Paths() {
		l := &list{stream: pages[path]}
		if former != nil {
			old, err := former(s.at(path))
			if err != nil {
				return err
			}
			formers = append(formers, old)
			l.former = bufio.NewReaderSize(old, 64<<10)
		}
		lists[path] = l
	}
	flat, easy := lists[layout.Flat], lists[layout.Easy]
	rootHTML, rootJSON := pages[layout.RootHTML], pages[layout.RootJSON]

	flat.begin("All files")
	easy.begin("Files and development links for easy_install")
	rootHTML.write(func(b []byte) []byte { return appendTitle(append(b, htmlHead...), "Simple index") })
	rootJSON.write(func(b []byte) []byte { return append(b, jsonMeta+`"projects":[`...) })

	front := newFront(s)
	var last packaging.Name
	var anchors, more []byte // of one project
	listed := 0
	for e, err := range projects {
		if err != nil {
			return err
		}
		p := e.Project
		if p != nil {
			if err := check(p); err != nil {
				return err
			}
		}
		if e.Name <= last {
			return fmt.Errorf("project %s comes after %s: not sorted", e.Name, last)
		}
		last = e.Name

		if p != nil && len(lists) > 0 {
			anchors = s.appendFlat(anchors[:0], p)
			more = s.appendEasy(more[:0], p)
			flat.put(p.Name, anchors)
			easy.put(p.Name, anchors, more)
		}
		if card := &e.Shown; !card.IsZero() {
			rootHTML.write(func(b []byte) []byte { return appendRootHTML(b, e.Name, card.Display) })
			rootJSON.write(func(b []byte) []byte { return appendRootJSON(b, card.Display, listed == 0) })
			if which&Front != 0 {
				front.add(e.Name, card)
			}
			listed++
		}
		for _, st := range open {
			if st.err != nil {
				return st.err
			}
		}
	}

	flat.end()
	easy.end()
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
	base, up := s.secureBase(), s.way("../")
	for i := range files {
		if f := &files[i]; offered(f) {
			b = appendAnchor(b, f, up, base, false)
		}
	}
	return b
}

func appendRootHTML(b []byte, n packaging.Name, display string) []byte {
	b = append(b, `<a href="`...)
	b = append(b, n...)
	b = append(b, `/">`...)
	b = append(b, display...)
	return append(b, "</a><br>\n"...)
}

func appendRootJSON(b []byte, display string, first bool) []byte {
	if !first {
		b = append(b, ',')
	}
	b = append(b, "\n{\"name\":\""...)
	b = append(b, display...)
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
