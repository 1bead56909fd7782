package publish

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nestgen/layout"
	"nestgen/packaging"
)

// Publish makes the staged pages durable and then renames them into place, each
// after the pages that it links to: what pages are shown with; project by
// project the pages for programs; those that list projects or files; the
// projects' pages for people; the front page. Removals come last, in the
// opposite order. When it returns without an error all of it is durable. The
// batch can only be closed afterwards, whatever came of it. The checkpoint of a log appears
// when all that it is about is durable.
//
// After an error some projects may have their new pages and others not. The
// caller keeps all of them marked as not yet published, and the next run
// does them again.
func (b *Batch) Publish(ctx context.Context) (Stats, error) {
	err := b.publish(ctx)
	if derr := b.drop(); err == nil {
		err = derr
	}
	return b.stats, err
}

func (b *Batch) publish(ctx context.Context) error {
	t := b.t
	if err := t.usable(); err != nil {
		return err
	}
	if b.made {
		if err := ctx.Err(); err != nil {
			return err
		}
		if b.files > 0 {
			if err := t.syncStaged([]string{b.name}, b.files); err != nil {
				return err
			}
		}
		if err := b.rename(); err != nil {
			return err
		}
	}
	return t.syncFolders(b.touched)
}

// A step is one thing that happens to the site: the pages of one folder
// change, or a folder appears, or, with folder nil, the named pages of a folder
// go, or all of it when none is named. The group is the project, if it is one's.
type step struct {
	group  packaging.Name
	folder *folder
	path   string
	names  []string
}

// rename changes the site.
func (b *Batch) rename() error {
	steps, err := b.steps()
	if err != nil {
		return err
	}
	r := renamer{b: b, t: b.t, shelves: map[string]int{}}
	defer r.close()
	for _, s := range steps {
		if s.folder != nil && rank(s.folder.path) == rankCheckpoint {
			// Not every file system keeps the order of renames over a power cut.
			if err := b.t.syncFolders(b.touched); err != nil {
				return err
			}
			clear(b.touched)
		}
		var err error
		switch {
		case s.folder == nil && s.names == nil:
			err = r.takeOut(s.path)
		case s.folder == nil:
			err = r.remove(s.path, s.names)
		case s.folder.stage != "":
			err = r.appear(s.folder)
		default:
			err = r.replace(s.folder)
		}
		if err != nil {
			return err
		}
	}
	for _, path := range b.empty {
		if err := r.takeOutEmpty(path); err != nil {
			return err
		}
	}
	return nil
}

// The ranks of pages: one links to those of lower rank only. The one exception
// cannot be avoided, and shows only while a site appears or its pages for
// people go: these link back to the front page, and on to what changed in the
// project.
const (
	rankStatic  = iota // what pages are shown with
	rankProject        // a project's pages for programs
	rankLists          // pages that list projects or files
	rankPeople         // a project's pages for people
	rankChanges        // what changed, for people
	rankFront
	rankTiles      // of the log
	rankCheckpoint // which counts on them, and on their being on disk
)

// rank gives that of a folder's pages.
func rank(dir string) int {
	prefix, rest := layout.CutPrefix(dir + "/")
	dir = strings.TrimSuffix(rest, "/")
	top, _, below := strings.Cut(dir, "/")
	switch {
	case dir == "." || dir == "" && prefix != "":
		return rankFront
	case dir == layout.Log:
		return rankCheckpoint
	case top == layout.Log:
		return rankTiles
	case top == layout.Static:
		return rankStatic
	case top == layout.People, top == layout.Changes && below:
		return rankPeople
	case top == layout.Changes:
		return rankChanges
	case below && shelf(top):
		return rankProject
	}
	return rankLists
}

// steps puts the work in order.
func (b *Batch) steps() ([]step, error) {
	var put, gone []step
	for _, f := range b.folders {
		if f.top != nil || f.stage == "" && len(f.pages) == 0 {
			continue
		}
		slices.SortFunc(f.pages, comparePages)
		put = append(put, step{group: group(f.path), folder: f})
	}
	slices.Sort(b.gone)
	for _, path := range slices.Compact(b.gone) {
		if b.staged(path) {
			return nil, fmt.Errorf("page %s: put and removed at once", path)
		}
		if path, ok := strings.CutSuffix(path, "/"); ok {
			gone = append(gone, step{group: group(path), path: path})
			continue
		}
		dir, name := splitPath(path)
		if n := len(gone) - 1; n >= 0 && gone[n].path == dir && gone[n].names != nil {
			gone[n].names = append(gone[n].names, name)
			continue
		}
		gone = append(gone, step{group: group(dir), path: dir, names: []string{name}})
	}
	slices.SortFunc(put, func(x, y step) int {
		return cmp.Or(
			cmp.Compare(rank(x.folder.path), rank(y.folder.path)), cmp.Compare(x.group, y.group),
			cmp.Compare(listOrder(x.folder.path), listOrder(y.folder.path)), cmp.Compare(x.folder.path, y.folder.path),
		)
	})
	slices.SortStableFunc(gone, func(x, y step) int {
		return cmp.Or(cmp.Compare(rank(y.path), rank(x.path)), cmp.Compare(x.group, y.group))
	})
	return append(put, gone...), nil
}

// staged reports whether something that is to go, a page or a folder with a
// slash behind, was put as well.
func (b *Batch) staged(path string) bool {
	if path, ok := strings.CutSuffix(path, "/"); ok {
		f := b.folders[path]
		return f != nil && (f.stage != "" || len(f.pages) > 0)
	}
	dir, name := splitPath(path)
	f := b.folders[dir]
	return f != nil && (f.stage != "" || slices.ContainsFunc(f.pages, func(p page) bool { return p.name == name }))
}

// listOrder has the pages that installers begin with before the other lists.
func listOrder(path string) int {
	if _, rest := layout.CutPrefix(path + "/"); rest == layout.Simple+"/" {
		return 0
	}
	return 1
}

// comparePages has compressed siblings before the pages, and HTML just before
// JSON.
func comparePages(x, y page) int {
	return cmp.Or(cmp.Compare(pageOrder(x.name), pageOrder(y.name)), cmp.Compare(x.name, y.name))
}

func pageOrder(name string) int {
	switch {
	case strings.HasSuffix(name, ".gz"):
		return 0
	case strings.HasSuffix(name, ".html"):
		return 1
	case name == path.Base(layout.LogCheckpoint):
		return 3 // after the keys
	}
	return 2
}

// A renamer holds what the steps of one batch share.
type renamer struct {
	b       *Batch
	t       *Tree
	shelves map[string]int // open folders
}

func (r *renamer) close() {
	for _, fd := range r.shelves {
		unix.Close(fd)
	}
}

// open opens a live folder. Shelves stay open.
func (r *renamer) open(path string) (fd int, done func(), err error) {
	stays := func() {}
	if path == "." {
		return r.t.root, stays, nil
	}
	if fd, ok := r.shelves[path]; ok {
		return fd, stays, nil
	}
	fd, err = openBeneath(r.t.root, path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, nil, storage("open", r.t.livePath(path), err)
	}
	if shelf(path) {
		r.shelves[path] = fd
		return fd, stays, nil
	}
	return fd, func() { unix.Close(fd) }, nil
}

// appear gives a folder that was built in the stage its place.
func (r *renamer) appear(f *folder) error {
	above, name := splitPath(f.path)
	dir, done, err := r.open(above)
	if err != nil {
		return err
	}
	defer done()
	if err := unix.Renameat(r.t.stage, f.stage, dir, name); err != nil {
		return storage("rename", r.t.livePath(f.path), err)
	}
	r.b.touched.add(above)
	r.b.stats.Written += f.files
	r.b.stats.Bytes += f.bytes
	return nil
}

// replace renames pages over those of a live folder.
func (r *renamer) replace(f *folder) error {
	dir, done, err := r.open(f.path)
	if err != nil {
		return err
	}
	defer done()
	for _, p := range f.pages {
		if p.temp == "" {
			continue
		}
		path := r.t.livePath(f.path + "/" + p.name)
		if !strings.HasSuffix(p.name, ".gz") && !slices.ContainsFunc(f.pages, func(q page) bool { return q.name == p.name+".gz" }) {
			// An old sibling would be served in place of the new page.
			err := unix.Unlinkat(dir, p.name+".gz", 0)
			if err == nil {
				r.b.stats.Removed++
			} else if err != unix.ENOENT {
				return storage("remove", path+".gz", err)
			}
		}
		if err := unix.Renameat(r.t.stage, p.temp, dir, p.name); err != nil {
			return storage("rename", path, err)
		}
		r.b.stats.Written++
		r.b.stats.Bytes += p.size
		r.b.touched.add(f.path)
	}
	return nil
}

// remove takes pages out of a folder, and the folder with the last of them: web
// servers answer 403 for an empty one, and uv stops there (contract rule 12).
func (r *renamer) remove(path string, names []string) error {
	if !shelf(path) {
		live, err := r.list(path)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(live, func(name string) bool { return slices.Contains(names, name) })
		if live != nil && len(left) == 0 {
			return r.takeOut(path)
		}
	}
	// A sibling without its page would be served all the same.
	slices.SortStableFunc(names, func(x, y string) int { return cmp.Compare(pageOrder(x), pageOrder(y)) })
	for _, name := range names {
		if path != "." {
			name = path + "/" + name
		}
		if err := r.takeOut(name); err != nil {
			return err
		}
	}
	return nil
}

// list gives the names in a live folder; none if there is no such folder.
func (r *renamer) list(path string) ([]string, error) {
	dir, err := openBeneath(r.t.root, path, unix.O_PATH|unix.O_DIRECTORY)
	if err == unix.ENOENT {
		return nil, nil
	}
	if err != nil {
		return nil, storage("open", r.t.livePath(path), err)
	}
	defer unix.Close(dir)
	names, err := readFolder(dir, ".")
	return names, storage("read", r.t.livePath(path), err)
}

// takeOut moves a page or a folder out of the site into the stage, where it
// goes with the batch. That takes one rename, whatever is in the folder.
func (r *renamer) takeOut(path string) error {
	above, name := splitPath(path)
	dir := r.t.root
	if above != "." {
		var err error
		dir, err = openBeneath(r.t.root, above, unix.O_PATH|unix.O_DIRECTORY)
		if err == unix.ENOENT {
			return nil
		}
		if err != nil {
			return storage("open", r.t.livePath(above), err)
		}
		defer unix.Close(dir)
	}
	err := unix.Renameat(dir, name, r.t.stage, r.b.temp())
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return storage("remove", r.t.livePath(path), err)
	}
	r.b.stats.Removed++
	r.b.touched.add(above)
	return nil
}

// takeOutEmpty removes a folder that nothing is in.
func (r *renamer) takeOutEmpty(path string) error {
	names, err := r.list(path)
	if err != nil || names == nil || len(names) > 0 {
		return err
	}
	return r.takeOut(path)
}

// readFolder gives the names in a folder.
func readFolder(dir int, name string) ([]string, error) {
	fd, err := openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}
