package nestgen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nestgen/catalog"
	"nestgen/intake"
	"nestgen/packaging"
)

// incoming is the folder, in that of the uploads, that uploads are written to
// while they come. A scan passes over it, because it is hidden.
const incoming = ".incoming"

// abandoned is the age at which an upload that is still coming is left over from
// a process that died.
const abandoned = 24 * time.Hour

// Stage makes an empty file for the bytes of an upload, which nobody else can
// read. [Live.Upload] takes it over; a caller who has no use for it closes and
// removes it. The error may be a [*Refusal]: NotAllowed if the settings name no
// folder for uploads, NoSpace if the disk is too full.
func (l *Live) Stage(ctx context.Context) (*os.File, error) {
	if l.config.Uploads == "" {
		return nil, noUploads()
	}
	s, err := l.request()
	if err != nil {
		return nil, err
	}
	defer s.over()
	f, err := s.stageUpload(ctx)
	return f, refusalFor(err)
}

func noUploads() error {
	return &Refusal{Cause: NotAllowed, Text: "this index takes no uploads", Err: errors.New(`the settings have no folder "uploads"`)}
}

func (s *site) stageUpload(ctx context.Context) (*os.File, error) {
	if err := s.mustBeTheUploads(ctx); err != nil {
		return nil, err
	}
	dir := s.incoming()
	if err := makeDurable(dir); err != nil {
		return nil, err
	}
	s.sweepUploads()
	for _, disk := range []string{dir, s.State} {
		if err := s.mustHaveRoom(disk, 0); err != nil {
			return nil, err
		}
	}
	return os.CreateTemp(dir, "*")
}

func (s *site) incoming() string { return filepath.Join(s.Uploads, incoming) }

// uploadPlace is where a file is put that was uploaded.
func (s *site) uploadPlace(n packaging.Name, filename string) string {
	return filepath.Join(s.Uploads, string(n), filename)
}

// sweepUploads removes what uploads left behind that died. What cannot be removed
// only takes room.
func (s *site) sweepUploads() {
	entries, err := os.ReadDir(s.incoming())
	if err != nil {
		return
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil || time.Since(fi.ModTime()) < abandoned {
			continue
		}
		if err := os.Remove(filepath.Join(s.incoming(), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("an upload that was broken off could not be removed", "error", err)
		}
	}
}

// mustHaveRoom refuses to write so many bytes more to a disk of which less would
// stay free than the settings want.
func (c *Config) mustHaveRoom(path string, bytes int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	free := int64(st.Bavail) * st.Bsize
	if free-bytes >= int64(c.Fallback.Free) {
		return nil
	}
	return noSpace(fmt.Errorf("%s: %d bytes are free, %d would be written, and [fallback] free is %d", path, free, bytes, int64(c.Fallback.Free)))
}

func noSpace(err error) error {
	return &Refusal{Cause: NoSpace, Text: "the disk of this index is too full to take more", Err: err}
}

// metaUploads is the key under which the catalog keeps which folder the uploads
// are in: its inode and its path. What is left at a mount point when the file
// system is not mounted is another one.
const metaUploads = "uploads.folder"

// uploadsMark names the folder that is there now; empty for none.
func uploadsMark(path string) string {
	var st unix.Stat_t
	if path == "" || unix.Stat(path, &st) != nil {
		return ""
	}
	return strconv.FormatUint(st.Ino, 10) + " " + path
}

// uploadsSeen gives the mark of the folder that the uploads were in last; empty if
// there is none, or the settings name another path now.
func (s *site) uploadsSeen(ctx context.Context) (string, error) {
	mark, err := s.catalog.Meta(ctx, metaUploads)
	if _, path, _ := strings.Cut(mark, " "); path != s.Uploads {
		mark = ""
	}
	return mark, storage(err)
}

// mustBeTheUploads refuses to put a file where the uploads seem to be gone: the
// next build would take the rest of them for removed. A folder that was never
// there is made.
func (s *site) mustBeTheUploads(ctx context.Context) error {
	seen, err := s.uploadsSeen(ctx)
	if err != nil {
		return err
	}
	if seen == "" {
		return makeDurable(s.Uploads)
	}
	if now := uploadsMark(s.Uploads); now != seen {
		return &fault{ErrAlarm, fmt.Errorf("%s: not the folder that the uploads were in: is a file system not mounted?", s.Uploads),
			`if it has all that is to be listed, run "nestgen build"`}
	}
	return nil
}

// dropFolders gives the folders to scan. That of the uploads need not be there
// before the first of them: it is made, or passed over where nothing may be made.
func (s *site) dropFolders(ctx context.Context) ([]string, error) {
	if s.Uploads == "" {
		return s.Drop, nil
	}
	if !s.opts.DryRun {
		s.sweepUploads()
	}
	if _, err := os.Lstat(s.Uploads); !errors.Is(err, fs.ErrNotExist) {
		return s.Drop, nil
	}
	seen, err := s.uploadsSeen(ctx)
	if err != nil || seen != "" {
		return s.Drop, err
	}
	if !s.opts.DryRun {
		return s.Drop, storage(makeDurable(s.Uploads))
	}
	var others []string
	for _, d := range s.Drop {
		if filepath.Clean(d) != s.Uploads {
			others = append(others, d)
		}
	}
	return others, nil
}

// metaUnseen is the key under which the catalog keeps the projects to which
// something was uploaded since the drop folders were read last, each with the serial
// that it had then. What is taken away again before a scan has ever seen it would
// stay in the index, if the next build did not look at its project.
const metaUnseen = "uploads.unseen"

func (s *site) unseenUploads(ctx context.Context) (map[packaging.Name]int64, error) {
	text, err := s.catalog.Meta(ctx, metaUnseen)
	if err != nil {
		return nil, storage(err)
	}
	unseen := map[packaging.Name]int64{}
	for entry := range strings.FieldsSeq(text) {
		name, serial, _ := strings.Cut(entry, "=")
		if unseen[packaging.Name(name)], err = strconv.ParseInt(serial, 10, 64); err != nil {
			return nil, fmt.Errorf("catalog: %s: %w", metaUnseen, err)
		}
	}
	return unseen, nil
}

// setUnseenUploads keeps them.
func setUnseenUploads(tx *catalog.Tx, unseen map[packaging.Name]int64) error {
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(unseen)) {
		fmt.Fprintf(&b, "%s=%d ", n, unseen[n])
	}
	return tx.SetMeta(metaUnseen, b.String())
}

// sawUploads notes that the folders were read after the uploads up to a serial.
func (s *site) sawUploads(ctx context.Context, serial int64) error {
	seen := func(_ packaging.Name, at int64) bool { return at <= serial }
	unseen, err := s.unseenUploads(ctx)
	if err != nil {
		return err
	}
	before := len(unseen)
	if maps.DeleteFunc(unseen, seen); len(unseen) == before {
		return nil
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		unseen, err := s.unseenUploads(ctx) // by now; nobody writes but this
		if err != nil {
			return err
		}
		maps.DeleteFunc(unseen, seen)
		return setUnseenUploads(tx, unseen)
	}))
}

// place puts the file, and what came with it, where the next build looks for it,
// and never in place of another one. Who does so has the turn. It gives when the
// file came there, in nanoseconds since 1970 UTC, and tells whether it is new: it
// may have been put there before, by somebody who died then.
func (u *uploading) place() (ctime int64, isNew bool, err error) {
	dir, to := filepath.Join(u.Uploads, string(u.Project)), u.uploadPlace(u.Project, u.Filename)
	if err := makeDurable(dir); err != nil {
		return 0, false, err
	}
	if fi, err := os.Lstat(dir); err != nil {
		return 0, false, err
	} else if !fi.IsDir() {
		return 0, false, fmt.Errorf("%s: not a folder, so that no build would find what is in it", dir)
	}
	_, err = os.Lstat(to)
	switch {
	case err == nil:
		err = u.mustBeSame(to)
	case errors.Is(err, fs.ErrNotExist):
		isNew = true
		if err = u.placeBeside(to); err == nil {
			// Another drop folder may be this one, so that somebody may be putting a
			// file there by hand: link(2) never replaces.
			err = os.Link(u.staged, to)
		}
		if errors.Is(err, fs.ErrExist) {
			isNew, err = false, u.mustBeSame(to)
		}
	}
	if err != nil {
		return 0, isNew, err
	}
	// From now on nothing changes the file's times.
	if err := os.Remove(u.staged); err != nil {
		return 0, isNew, err
	}
	if !isNew {
		if err := u.besideLater(to); err != nil {
			return 0, false, err
		}
	}
	var st unix.Stat_t
	if err := unix.Lstat(to, &st); err != nil {
		return 0, isNew, &fs.PathError{Op: "stat", Path: to, Err: err}
	}
	return st.Ctim.Nano(), isNew, errors.Join(syncPath(to), syncPath(dir))
}

// unplace takes away a file that was put there and may not be listed after all.
func (u *uploading) unplace() {
	to := u.uploadPlace(u.Project, u.Filename)
	for _, path := range []string{to, to + attestations, to + ".asc"} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			u.log.Warn("an upload that was refused could not be removed", "error", err)
		}
	}
}

// mustBeSame refuses other bytes than those that lie in a place already.
func (u *uploading) mustBeSame(place string) error {
	fi, err := os.Lstat(place)
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", place)
	}
	f, err := os.Open(place)
	if err != nil {
		return err
	}
	defer f.Close()
	is, err := intake.Digest(f)
	if err != nil {
		return err
	}
	if is.SHA256 != u.sha {
		return exists(is.SHA256)
	}
	return nil
}

// attestations is what a file's name has after it for the attestations that came
// with it. They are kept as they came and not published: a provenance object (PEP
// 740) names the publisher that an index has made sure of, and a token is none.
const attestations = ".attestations.json"

// longestName is how long a file's name may be, so that what stands beside it has
// one as well.
const longestName = 255 - len(attestations)

// placeBeside puts what came with a new file beside it. What is there already was
// left by an upload that died, and is not of this one.
func (u *uploading) placeBeside(to string) error {
	for ending, data := range map[string][]byte{".asc": u.Signature, attestations: u.Attestations} {
		if data == nil {
			if err := os.Remove(to + ending); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		temp, err := u.tempWith(data)
		if err != nil {
			return err
		}
		if err := os.Rename(temp, to+ending); err != nil {
			return err
		}
	}
	return nil
}

// besideLater puts what came with a file beside it that has lain there without.
// What is there already stays, and stands for what came.
func (u *uploading) besideLater(to string) error {
	for ending, data := range map[string]*[]byte{".asc": &u.Signature, attestations: &u.Attestations} {
		if *data != nil {
			temp, err := u.tempWith(*data)
			if err != nil {
				return err
			}
			err = os.Link(temp, to+ending)
			os.Remove(temp)
			if err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
		is, err := readCompanionAt(to + ending)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		*data = is
	}
	return nil
}

// tempWith makes a durable file with some bytes.
func (u *uploading) tempWith(data []byte) (path string, err error) {
	f, err := os.CreateTemp(u.incoming(), "*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}

// makeDurable makes a folder for this user alone, and its parents as others are.
func makeDurable(path string) error { return makeFolders(path, 0o700) }

func makeFolders(path string, mode fs.FileMode) error {
	err := os.Mkdir(path, mode)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeFolders(filepath.Dir(path), 0o755); err == nil {
			err = os.Mkdir(path, mode)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncPath(filepath.Dir(path))
}

// syncPath makes a file, or the names in a folder, durable.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
