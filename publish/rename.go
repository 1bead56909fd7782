package publish

import (
	"cmp"
	"context"
	"fmt"
	"os"
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
// batch is empty afterwards, whatever came of it.
//
// current is asked about each project just before its pages change, and about
// the empty name for the pages that list others, at a time when nobody else
// can publish: false means that newer pages than these are or will be there,
// and leaves the old ones. If nil, all are current. It must not take long and
// must not use the Tree.
//
// After an error some projects may have their new pages and others not. The
// caller keeps all of them marked as not yet published, and the next run
// does them again.
func (b *Batch) Publish(ctx context.Context, current func(packaging.Name) bool) (Stats, error) {
	err := b.publish(ctx, current)
	stats := b.stats
	if derr := b.Discard(); err == nil {
		err = derr
	}
	return stats, err
}

func (b *Batch) publish(ctx context.Context, current func(packaging.Name) bool) error {
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
		if err := b.rename(ctx, current); err != nil {
			return err
		}
	}
	return t.syncFolders(b.touched)
}

// A step is one thing that happens to the site: the pages of one folder
// change, or a folder appears, or, with folder nil, the named pages of a folder
// go, or all of it when none is named.
type step struct {
	group  packaging.Name
	folder *folder
	path   string
	names  []string
}

// rename changes the site.
func (b *Batch) rename(ctx context.Context, current func(packaging.Name) bool) error {
	steps, err := b.steps()
	if err != nil {
		return err
	}
	r := renamer{b: b, t: b.t, current: current, asked: map[packaging.Name]bool{}, skipped: map[packaging.Name]bool{}, shelves: map[string]int{}}
	defer r.close()
	for len(steps) > 0 {
		n := min(namesPerLock, len(steps))
		for n < len(steps) && steps[n].group == steps[n-1].group {
			n++ // all of a project under one hold
		}
		if err := b.t.locked(ctx, func() error { return r.run(steps[:n]) }); err != nil {
			return err
		}
		steps = steps[n:]
	}
	return nil
}

// The ranks of pages: one links to those of lower rank only. The one exception
// cannot be avoided, and shows only while a site appears or its pages for
// people go: these link back to the front page.
const (
	rankStatic  = iota // what pages are shown with
	rankProject        // a project's pages for programs
	rankLists          // pages that list projects or files
	rankPeople         // a project's pages for people
	rankFront
)

// rank gives that of a folder's pages.
func rank(dir string) int {
	top, _, below := strings.Cut(dir, "/")
	switch {
	case dir == ".":
		return rankFront
	case top == layout.Static:
		return rankStatic
	case top == layout.People:
		return rankPeople
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
	if path == layout.Simple {
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
	}
	return 2
}

// A renamer holds what the steps of one batch share.
type renamer struct {
	b       *Batch
	t       *Tree
	current func(packaging.Name) bool
	asked   map[packaging.Name]bool // of the hold that runs
	skipped map[packaging.Name]bool // for good
	shelves map[string]int          // open folders
}

func (r *renamer) close() {
	for _, fd := range r.shelves {
		unix.Close(fd)
	}
}

// isCurrent asks once for each group and hold of the lock. What was not current
// once never is again.
func (r *renamer) isCurrent(g packaging.Name) bool {
	if r.current == nil {
		return true
	}
	if r.skipped[g] {
		return false
	}
	ok, seen := r.asked[g]
	if !seen {
		ok = r.current(g)
		r.asked[g] = ok
		if !ok {
			r.skipped[g] = true
			r.b.stats.Skipped++
		}
	}
	return ok
}

// run takes steps under the lock.
func (r *renamer) run(steps []step) error {
	clear(r.asked)
	for _, s := range steps {
		if !r.isCurrent(s.group) {
			continue
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
			err = r.replace(s.folder, s.folder.pages)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
	if err := r.keepBack(f); err != nil {
		return err
	}
	above, name := splitPath(f.path)
	dir, done, err := r.open(above)
	if err != nil {
		return err
	}
	defer done()
	err = unix.Renameat(r.t.stage, f.stage, dir, name)
	if err == unix.ENOTEMPTY || err == unix.EEXIST {
		// Somebody else has made it since.
		return r.merge(f.path, f.stage)
	}
	if err != nil {
		return storage("rename", r.t.livePath(f.path), err)
	}
	r.b.touched.add(above)
	r.b.stats.Written += f.files
	r.b.stats.Bytes += f.bytes
	return nil
}

// keepBack takes the projects that are not current out of a shelf which is
// built in the stage.
func (r *renamer) keepBack(f *folder) error {
	if r.current == nil || !shelf(f.path) {
		return nil
	}
	for path, in := range r.b.folders {
		if above, _ := splitPath(path); above != f.path || r.isCurrent(group(path)) {
			continue
		}
		files, bytes, err := r.t.measure(in.stage)
		if err != nil {
			return storage("read", r.t.tempPath(in.stage), err)
		}
		if err := unix.Renameat(r.t.stage, in.stage, r.t.stage, r.b.temp()); err != nil {
			return storage("rename", r.t.tempPath(in.stage), err)
		}
		f.files -= files
		f.bytes -= bytes
	}
	return nil
}

// merge moves the pages of a folder in the stage into a live one, and whole
// folders inside it where the live one has none.
func (r *renamer) merge(path, stage string) error {
	names, err := readFolder(r.t.stage, stage)
	if err != nil {
		return storage("read", r.t.tempPath(stage), err)
	}
	var pages []page
	for _, name := range names {
		temp := stage + "/" + name
		var st unix.Stat_t
		if err := unix.Fstatat(r.t.stage, temp, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return storage("stat", r.t.tempPath(temp), err)
		}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			f := &folder{path: path + "/" + name, stage: temp}
			if f.files, f.bytes, err = r.t.measure(temp); err != nil {
				return storage("read", r.t.tempPath(temp), err)
			}
			if err := r.appear(f); err != nil {
				return err
			}
			continue
		}
		pages = append(pages, page{name: name, temp: temp, mtime: st.Mtim.Sec, size: st.Size})
	}
	slices.SortFunc(pages, comparePages)
	return r.replace(&folder{path: path}, pages)
}

// replace renames pages over those of a live folder.
func (r *renamer) replace(f *folder, pages []page) error {
	dir, done, err := r.open(f.path)
	if err != nil {
		return err
	}
	defer done()
	for _, p := range pages {
		if p.temp == "" {
			continue
		}
		path := r.t.livePath(f.path + "/" + p.name)
		if err := r.raise(dir, p); err != nil {
			return err
		}
		if !strings.HasSuffix(p.name, ".gz") && !slices.ContainsFunc(pages, func(q page) bool { return q.name == p.name+".gz" }) {
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

// raise sees to it, now that nobody else publishes, that a page's time is later
// than that of the page it replaces.
func (r *renamer) raise(dir int, p page) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, p.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.ENOENT || err == nil && st.Mtim.Sec < p.mtime {
		return nil
	}
	if err != nil {
		return storage("stat", p.name, err)
	}
	_, err = r.t.setTime(p.temp, st.Mtim.Sec)
	return err
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

// measure counts the files below a folder of the stage, and their bytes.
func (t *Tree) measure(stage string) (files int, size int64, err error) {
	names, err := readFolder(t.stage, stage)
	if err != nil {
		return 0, 0, err
	}
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Fstatat(t.stage, stage+"/"+name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return 0, 0, err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			n, s, err := t.measure(stage + "/" + name)
			if err != nil {
				return 0, 0, err
			}
			files, size = files+n, size+s
			continue
		}
		files, size = files+1, size+st.Size
	}
	return files, size, nil
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
