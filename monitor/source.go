package monitor

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/crypto/blake2b"

	"nestgen/catalog"
	"nestgen/layout"
)

// A source is where the files of a site are had from.
type source interface {
	// ways gives how one may ask for a path of the tree, the most usual first.
	ways(path string) []request

	// get asks once. An error that matches [fs.ErrNotExist] says that nothing is there,
	// a [*refusal] that there is no such file to be had, and any other that it could not
	// be found out.
	get(ctx context.Context, r request, limit int64) (*answer, error)

	// name is the site for people.
	name() string

	// close ends it all.
	close()
}

// A request is one way to ask for a path of the tree.
type request struct {
	path   string // with a slash at its end for a folder
	accept string // the media type that is asked for; empty for any
	gzip   bool   // whether a compressed answer is asked for
}

// An answer is the beginning of one.
type answer struct {
	io.ReadCloser
	encoded bool // whether it is compressed
}

// A refusal is an answer that is no file, and does not pass either.
type refusal struct{ text string }

func (e *refusal) Error() string { return e.text }

// plainOf gives the page that a path is the compressed copy of. There is nothing else in
// the tree, besides the store, that has such a name.
func plainOf(path string) (plain string, ok bool) { return strings.CutSuffix(path, ".gz") }

// A folder is a site as files.
type folder struct {
	dir  string
	root *os.Root
}

// openFolder opens a site that lies in a folder.
func openFolder(dir string) (*folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &folder{dir, root}, nil
}

func (f *folder) name() string { return f.dir }
func (f *folder) close()       { f.root.Close() }

func (f *folder) ways(path string) []request { return []request{{path: path}} }

func (f *folder) get(_ context.Context, r request, _ int64) (*answer, error) {
	// The tree has neither links nor devices, and nobody waits for a FIFO.
	name := filepath.FromSlash(r.path)
	fi, err := f.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fs.ErrNotExist
	case errors.Is(err, syscall.ENOTDIR):
		return nil, &refusal{"one of the folders that it should lie in is a file"}
	case err != nil:
		return nil, withoutPath(err)
	case !fi.Mode().IsRegular():
		return nil, &refusal{"it is not a regular file"}
	}
	h, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutPath(err)
	}
	return &answer{ReadCloser: h}, nil
}

// withoutPath gives what went wrong without the place, which is told anyway.
func withoutPath(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// walk calls each for everything in the tree that is no folder.
func (f *folder) walk(ctx context.Context, each func(path string, regular bool)) error {
	return fs.WalkDir(f.root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil && errors.Is(err, fs.ErrNotExist):
			return nil // it went meanwhile
		case err != nil:
			return withoutPath(err)
		case !e.IsDir():
			each(path, e.Type().IsRegular())
		}
		return ctx.Err()
	})
}

// isPlaced reports whether there is a file at a place of the store that is made of a digest
// of its bytes.
func (f *folder) isPlaced(path string) bool {
	place, _, ok := layout.ParseFile(path)
	if !ok {
		return false
	}
	a, err := f.get(context.Background(), request{path: path}, 0)
	if err != nil {
		return false
	}
	defer a.Close()
	sum := sha256.New()
	blake, err := blake2b.New256(nil)
	if err == nil {
		_, err = io.Copy(io.MultiWriter(sum, blake), a)
	}
	return err == nil && (catalog.Digest(place) == catalog.Digest(blake.Sum(nil)) || catalog.Digest(place) == catalog.Digest(sum.Sum(nil)))
}

// open gives the source of a site: that of an address, or of a folder.
func open(site string, o *Options) (source, error) {
	u, err := url.Parse(site)
	if err != nil || u.Scheme == "" || len(u.Scheme) == 1 {
		return openFolder(site)
	}
	switch u.Scheme {
	case "file":
		if u.Host != "" && u.Host != "localhost" {
			return nil, fmt.Errorf("%s: file:// addresses are of this machine", site)
		}
		return openFolder(filepath.FromSlash(u.Path))
	case "http", "https":
		if u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("%s: want the address of the root of a site", u.Redacted())
		}
		return newWeb(u, o), nil
	}
	return nil, fmt.Errorf("%s: want an address of http or https, or a folder", site)
}
