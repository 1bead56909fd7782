package serve

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
)

// A Site is a published tree. It is an [http.Handler]; behind
// [http.StripPrefix] it serves the tree below a prefix, because all links and
// redirects are relative.
type Site struct {
	root *os.Root
}

// Open opens the tree that stands in a folder.
func Open(dir string) (*Site, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Site{root}, nil
}

// Close gives the folder back. Requests that are being answered go on.
func (s *Site) Close() error { return s.root.Close() }

// ServeHTTP answers a request for a page or a file.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if target, _, _ := strings.Cut(r.RequestURI, "?"); r.URL.Path == "" && strings.HasPrefix(target, "/") && path.Base(target) != "/" {
		// All of the path was a prefix, and the links of the front page are
		// relative to the folder.
		redirect(w, path.Base(target)+"/")
		return
	}
	name, ok := clean(r.URL.Path)
	if !ok {
		http.Error(w, "400 bad request", http.StatusBadRequest)
		return
	}
	for _, a := range answers(name, formOf(r.Header)) {
		if a.redirect != "" {
			if a.file != "" && !s.Has(a.file) {
				continue
			}
			redirect(w, a.redirect)
			return
		}
		if s.send(w, r, a) {
			return
		}
	}
	http.Error(w, "404 page not found", http.StatusNotFound)
}

// redirect sends the client on. The target is relative, which no client in
// sight minds (RFC 9110, 10.2.2), and so can never be another host.
func redirect(w http.ResponseWriter, target string) {
	w.Header().Set("Cache-Control", pageCache)
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusMovedPermanently)
}

// Has reports whether the tree has a file at a path of package layout. A link is
// none, and neither is what a link to outside of the tree leads to.
func (s *Site) Has(name string) bool {
	fi, err := s.root.Lstat(name)
	return err == nil && fi.Mode().IsRegular()
}

// open opens a regular file of the tree. The tree has neither symbolic links
// nor devices; whatever else puts one there is not served. Opening does not
// wait, should a FIFO take the file's place in between.
func (s *Site) open(name string) (*os.File, fs.FileInfo, error) {
	if !s.Has(name) {
		return nil, nil, fs.ErrNotExist
	}
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, fi, nil
}

// send answers with a file, or with its compressed sibling when there is one
// that the client takes. It reports false, with nothing sent, when there is no
// such file.
func (s *Site) send(w http.ResponseWriter, r *http.Request, a answer) bool {
	f, fi, err := s.open(a.file)
	if err != nil {
		return false
	}
	defer func() { f.Close() }()

	h := w.Header()
	a.describe(h)
	if a.negotiated {
		h.Add("Vary", "Accept")
	}
	if a.compressed {
		if z, zi, err := s.open(a.file + ".gz"); err == nil {
			h.Add("Vary", "Accept-Encoding")
			if acceptsGzip(r.Header) {
				f.Close()
				f, fi = z, zi
				h.Set("Content-Encoding", "gzip")
				// A part of the compressed form has another length, and
				// ServeContent then says so.
				h.Set("Content-Length", strconv.FormatInt(fi.Size(), 10))
			} else {
				z.Close()
			}
		}
	}
	// A page that is replaced gets a later modification time, so this names
	// the bytes.
	h.Set("ETag", fmt.Sprintf(`"%x-%x"`, fi.ModTime().UnixNano(), fi.Size()))
	http.ServeContent(w, r, "", fi.ModTime(), f)
	return true
}
