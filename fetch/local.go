package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"nestgen/catalog"
	"nestgen/packaging"
)

// A folder is a local upstream: a folder of files, a tree with a folder or a
// page for each project as an index has it, or one page.
type folder struct {
	path string

	mu      sync.Mutex
	entries []entry             // of the folder itself, nil until it was read
	names   map[string][]string // its folders by the names that they spell
	page    *flatPage           // for an upstream that is one page
}

// An entry is a file of a folder.
type entry struct {
	name string
	size int64
	time int64 // for validators only
}

// listLocal gives the files of a project.
func (s *Source) listLocal(n packaging.Name, prev Validators) (catalog.Listing, error) {
	f := s.local
	f.mu.Lock()
	defer f.mu.Unlock()
	if hasPageName(f.path) {
		return s.listLocalPage(n, prev)
	}
	if f.names == nil {
		if err := f.read(); err != nil {
			return catalog.Listing{}, err
		}
	}
	var l catalog.Listing
	paged := false // there is a page of the project
	state := sha256.New()
	for _, dir := range f.names[string(n)] {
		page, err := s.listDir(&l, state, filepath.Join(f.path, dir))
		if err != nil {
			return catalog.Listing{}, err
		}
		paged = paged || page
	}
	links := len(l.Offers)
	keep(&l, n, false)
	// As at an index: a page may have no files, but not only those of others.
	if paged && links > 0 && len(l.Offers) == 0 {
		return catalog.Listing{}, fault(Invalid, "none of the page's %d links is a file of the project", links)
	}
	var flat catalog.Listing
	for _, e := range f.entries {
		addEntry(&flat, f.path, e)
	}
	keep(&flat, n, true)
	for i := range flat.Offers {
		o := &flat.Offers[i]
		fmt.Fprintf(state, "%s %d %v %v\n", o.Filename, o.Size, o.Metadata.Offered, o.Signed)
	}
	l.Offers = append(l.Offers, flat.Offers...)
	if len(l.Offers) == 0 && !paged {
		return catalog.Listing{}, fault(NotFound, "no file of the project is in %s", f.path)
	}
	l.FinalURL = fileURL(f.path) + "/"
	l.ETag = `"` + hex.EncodeToString(state.Sum(nil)[:16]) + `"`
	if l.ETag == prev.ETag {
		return catalog.Listing{}, ErrNotModified
	}
	return l, nil
}

// read lists the folder itself. That it is not there is no answer to whether it
// has a project: a disk that is not mounted must not empty an index.
func (f *folder) read() error {
	list, err := os.ReadDir(f.path)
	if err != nil {
		return fault(Unreachable, "%w", err)
	}
	if len(list) == 0 {
		return fault(Unreachable, "%s is empty, as a folder is on which a disk is to be mounted", f.path)
	}
	f.names = map[string][]string{}
	for _, d := range list {
		info, err := os.Stat(filepath.Join(f.path, d.Name()))
		switch {
		case err != nil:
		case info.IsDir():
			n := string(packaging.NormalizeName(d.Name()))
			f.names[n] = append(f.names[n], d.Name())
		case info.Mode().IsRegular():
			f.entries = append(f.entries, entry{d.Name(), info.Size(), info.ModTime().UnixNano()})
		}
	}
	return nil
}

// listDir adds what the folder of one project has: the links of its page, if
// it has one, or else its files. It reports whether there was a page.
func (s *Source) listDir(l *catalog.Listing, state io.Writer, dir string) (page bool, err error) {
	for _, name := range []string{"index.html", "index.htm"} {
		data, err := readLocal(filepath.Join(dir, name), s.opts.MaxPage)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, fault(Unreachable, "%w", err)
		}
		state.Write(data)
		base := &url.URL{Scheme: "file", Path: filepath.ToSlash(dir) + "/"}
		got, err := ReadHTML(data, "", base)
		if err != nil {
			return false, fault(Invalid, "%s: %w", name, err)
		}
		for i := range got.Offers {
			s.complete(&got.Offers[i])
		}
		l.Offers = append(l.Offers, got.Offers...)
		l.Warnings = append(l.Warnings, got.Warnings...)
		l.Serial = max(l.Serial, got.Serial)
		l.Status = got.Status
		return true, nil
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return false, fault(Unreachable, "%w", err)
	}
	for _, d := range list {
		info, err := os.Stat(filepath.Join(dir, d.Name()))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		fmt.Fprintf(state, "%s %d %d\n", d.Name(), info.Size(), info.ModTime().UnixNano())
		addEntry(l, dir, entry{d.Name(), info.Size(), info.ModTime().UnixNano()})
	}
	return false, nil
}

// listLocalPage gives the files of a project on a page that is a local file.
func (s *Source) listLocalPage(n packaging.Name, prev Validators) (catalog.Listing, error) {
	f := s.local
	if f.page == nil {
		data, err := readLocal(f.path, s.opts.MaxPage)
		if err != nil {
			return catalog.Listing{}, fault(Unreachable, "%w", err)
		}
		l, err := ReadHTML(data, "", &url.URL{Scheme: "file", Path: filepath.ToSlash(f.path)})
		if err != nil {
			return catalog.Listing{}, fault(Invalid, "%w", err)
		}
		for i := range l.Offers {
			s.complete(&l.Offers[i])
		}
		sum := sha256.Sum256(data)
		l.ETag = `"` + hex.EncodeToString(sum[:16]) + `"`
		f.page = &flatPage{}
		f.page.set(&l)
	}
	if prev.ETag == f.page.list.ETag {
		return catalog.Listing{}, ErrNotModified
	}
	return f.page.of(n)
}

// complete adds what the disk knows of a file that a local page links to.
func (s *Source) complete(o *catalog.Offer) {
	name, ok := s.localPath(o.URL)
	if !ok {
		return
	}
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		o.Size = info.Size()
	}
}

func addEntry(l *catalog.Listing, dir string, e entry) {
	l.Offers = append(l.Offers, catalog.Offer{Filename: e.name, URL: fileURL(filepath.Join(dir, e.name)), Size: e.size})
}

func fileURL(name string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(name)}).String()
}

// localPath gives the file that an address of a local upstream stands for. It
// must lie in the upstream's folder, or beside it where that is the "simple"
// of a whole tree.
func (s *Source) localPath(address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "file" || u.Host != "" || s.local == nil {
		return "", false
	}
	root := s.local.path
	if hasPageName(root) {
		root = filepath.Dir(root)
	}
	if filepath.Base(root) == "simple" {
		root = filepath.Dir(root)
	}
	name := filepath.FromSlash(path.Clean(u.Path))
	if root != "/" && !strings.HasPrefix(name, root+string(filepath.Separator)) {
		return "", false
	}
	return name, true
}

// readLocal reads a page from the disk, up to a limit.
func readLocal(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s: more than %d bytes", name, limit)
	}
	return data, err
}
