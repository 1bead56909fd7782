package nestgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/drop"
	"nestgen/intake"
	"nestgen/internal/tame"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/publish"
)

// An Uploaded is a file that somebody has sent.
type Uploaded struct {
	// File comes from [Live.Stage] and has all bytes of the upload.
	File *os.File

	// Filename is its name, and Project what it is to be a file of.
	Filename string
	Project  packaging.Name

	// SHA256 is the digest of File in hexadecimal digits.
	SHA256 string

	// Signature is a detached OpenPGP signature, and Attestations a JSON array of
	// attestations (PEP 740); nil for none. Nobody has checked them.
	Signature    []byte
	Attestations []byte

	// By says who sent it, and from where, for the event log: "token ci-bot from
	// 192.0.2.7".
	By string
}

// Upload takes in a file that was uploaded, and publishes its project's pages
// before it returns. It closes and removes u.File, whatever comes of it.
//
// After nil the file is listed, on disk and on the pages; it may have been so
// before, with the same bytes. A [*Refusal] has one of these causes: Exists, for
// other bytes than the name stands for, or a name that clients cannot tell from
// another one, where Text goes on after "File already exists: NAME, "; NotAllowed;
// Invalid; NoSpace; Busy. What is not refused for good is done by the next upload of
// the same bytes, or the next build, if it was begun at all.
func (l *Live) Upload(ctx context.Context, u Uploaded) error {
	s, err := l.request()
	if err != nil {
		return errors.Join(err, u.File.Close(), os.Remove(u.File.Name()))
	}
	defer s.over()
	up := &uploading{site: s, Uploaded: u, staged: u.File.Name()}
	defer up.discard()
	return refusalFor(up.upload(ctx))
}

// An uploading is an uploaded file on its way into the index.
type uploading struct {
	*site
	Uploaded

	staged string // the path of File
	sha    catalog.Digest
	name   packaging.Filename
	copied string // the path of the copy in the site's stage, which is what is inspected
	read   bool   // the allowlist was read, for what it asks for
}

// discard removes what is left of it.
func (u *uploading) discard() {
	u.File.Close()
	for _, path := range []string{u.staged, u.copied} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			u.log.Warn("an uploaded file could not be removed", "error", err)
		}
	}
}

// upload is the walk of one file. It ends when that turns out to be refused; what
// costs least is looked at first.
func (u *uploading) upload(ctx context.Context) error {
	if err := u.identify(); err != nil {
		return err
	}
	if err := u.beginUpload(ctx); err != nil {
		return err
	}
	d, err := u.decide(ctx)
	if err != nil {
		return err
	}
	if !u.isHere(d) {
		a, err := u.inspect(ctx)
		if err != nil {
			return err
		}
		if err := u.list(ctx, a); err != nil {
			return err
		}
	}
	// Pages for all that came meanwhile are made at once, by one of those that wait
	// for their turn here. A client that is gone does not undo what it has done.
	return u.publish(context.WithoutCancel(ctx))
}

// identify reads what the upload is called.
func (u *uploading) identify() (err error) {
	if u.Uploads == "" {
		return noUploads()
	}
	if filepath.Dir(u.staged) != u.incoming() {
		return fmt.Errorf("%s: not a file for an upload", u.staged)
	}
	if u.sha, err = catalog.ParseDigest(u.SHA256); err != nil {
		return err
	}
	if u.name, err = packaging.ParseFilename(u.Filename, u.Project); err == nil {
		err = packaging.CheckFilename(u.Filename)
	}
	switch {
	case err != nil:
		return invalid("%v", err)
	case len(u.Filename) > longestName:
		return invalid("the file name has more than %d bytes", longestName)
	case len(u.Signature) > maxCompanion || len(u.Attestations) > maxCompanion:
		return invalid("the signature or the attestations have more than %d bytes", maxCompanion)
	case u.name.Project != u.Project:
		return invalid("%s is a file of the project %s, not of %s", u.Filename, u.name.Project, u.Project)
	case !packaging.ValidVersion(u.name.Version):
		return invalid("%s: %q is no version by PEP 440", u.Filename, u.name.Version)
	}
	return nil
}

// beginUpload makes sure that the site may be changed, and reads what it forbids.
func (u *uploading) beginUpload(ctx context.Context) error {
	if err := u.beginRequest(ctx); err != nil {
		return err
	}
	if err := u.mustBeTheUploads(ctx); err != nil {
		return err
	}
	return u.readRules(ctx)
}

// decide decides about the file as a build would that finds it where it will be
// put, and everything else as it was. Nothing leaves the index.
func (u *uploading) decide(ctx context.Context) (*decided, error) {
	if err := mustGoOn(u.catalog.Meta(ctx, metaBack)); err != nil {
		return nil, err
	}
	in, err := u.input(ctx, u.Project)
	if err != nil {
		return nil, err
	}
	owner := ""
	if in.Current != nil {
		owner = in.Current.Owner
	}
	upstream, err := u.mayOwn(ctx, owner)
	if err != nil {
		return nil, err
	}
	if upstream {
		in.Source = cmp.Or(owner, "upstream") // which is not asked
	}
	first, err := u.catalog.FirstSeen(ctx, u.Filename)
	switch {
	case err == nil && first.SHA256 != u.sha:
		return nil, exists(first.SHA256)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	old, _ := listedAs(in.Current, u.Filename)
	where := u.short(u.uploadPlace(u.Project, u.Filename))
	in.Wants, in.KeepLocal = nil, true
	in.Dropped = []plan.Dropped{{
		Where: where, File: u.Filename, Filename: u.name, SHA256: u.sha,
		Signed: old.Signed || u.Signature != nil, Provenance: old.Provenance,
	}}
	d := &decided{Project: plan.Decide(in), owner: cmp.Or(owner, catalog.Local)}
	d.Fetch, d.Announce, d.Withdraw = nil, nil, nil
	switch d.Status.State {
	case catalog.Archived, catalog.Quarantined:
		return nil, notAllowed(nil, "the project %s is %s, and takes no files", u.Project, d.Status.State)
	}
	if in.Current != nil {
		for _, f := range in.Current.Files {
			if plan.Alike(f.Filename, u.Filename) {
				return nil, &Refusal{Cause: Exists, Text: fmt.Sprintf("as %s, which differs only in case or in \"_\", \"-\" and \".\"", f.Filename)}
			}
		}
	}
	if len(d.Take) == 0 && !slices.ContainsFunc(d.Keep, func(k plan.Kept) bool { return slices.Contains(k.Why, where) }) {
		for _, p := range d.Problems {
			return nil, notAllowed(nil, "%s", p.Text)
		}
		return nil, fmt.Errorf("%s: neither taken nor refused", u.Filename)
	}
	return d, nil
}

// mayOwn refuses a name that is not this site's own. upstream says that an upstream
// may have files of it as well.
func (u *uploading) mayOwn(ctx context.Context, owner string) (upstream bool, err error) {
	local, upstream := u.sources(u.Project, owner, true)
	why := ""
	switch {
	case !local && owner != "" && owner != catalog.Local:
		why = "the name belongs to " + owner
	case !local:
		why = `a [[project]] table says sources = "upstream"`
	case owner == "" && u.intent.projects[u.Project].Sources == "" && !u.reserved(u.Project):
		if why, err = u.claimedOutside(ctx); err != nil {
			return false, err
		}
	}
	if why == "" {
		return upstream, nil
	}
	return false, notAllowed(fmt.Errorf(`%s; to take it over, give the project sources = "local" or "both" in a [[project]] table, or reserve a name that nobody has`, why),
		"%s is not one of this index's own projects, so that nothing can be uploaded to it", u.Project)
}

// claimedOutside says why a name that has no owner yet is an upstream's; empty if it
// is not. Nobody is asked: whoever could upload could find out by it what there is,
// and a private name must not be heard of outside.
func (u *uploading) claimedOutside(ctx context.Context) (string, error) {
	if !u.read {
		if err := u.readIntent(ctx); err != nil {
			return "", err
		}
		u.read, u.report = true, new(Report) // its lines are not the uploader's
	}
	o := u.intent.options
	upstreams := len(u.Upstreams) > 0 || o.IndexURL.URL != "" || len(o.ExtraIndexURLs)+len(o.FindLinks) > 0
	for _, w := range u.intent.wants[u.Project] {
		if w.Kind == allowlist.Archive || upstreams {
			return "the allowlist asks for it: " + w.Position.String(), nil
		}
	}
	if mode := u.onDemand(u.Project); upstreams && (mode == "fetch" || mode == "redirect") {
		return fmt.Sprintf("an [[on_demand]] table leaves it to the upstreams, by the mode %q", mode), nil
	}
	return "", nil
}

// isHere reports whether the upload adds nothing: a build that finds the file where
// it is has nothing to do.
func (u *uploading) isHere(d *decided) bool {
	f, listed := listedAs(d.Current, u.Filename)
	if !listed || f.Source != catalog.Local || len(d.Take) > 0 {
		return false
	}
	fi, err := os.Lstat(u.uploadPlace(u.Project, u.Filename))
	return err == nil && fi.Mode().IsRegular() && fi.Size() == f.Size
}

// inspect copies the file into the site's stage and passes the copy through the
// gate.
func (u *uploading) inspect(ctx context.Context) (*arrival, error) {
	f, err := os.Open(u.staged)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// What somebody has open for writing no build would take.
	if err := u.File.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := u.mustHaveRoom(u.State, fi.Size()); err != nil {
		return nil, err
	}
	tmp, err := u.tree.NewFile()
	if err != nil {
		return nil, err
	}
	u.copied = tmp.Name()
	defer tmp.Close()
	// Reading a closed file fails at once, whichever of them is being read.
	defer context.AfterFunc(ctx, func() { f.Close(); tmp.Close() })()
	a, err := u.throughGate(tmp, f)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return a, err
}

func (u *uploading) throughGate(tmp, f *os.File) (*arrival, error) {
	sums, err := intake.Copy(tmp, f, int64(u.MaxFile))
	if e, ok := errors.AsType[*intake.TooLarge](err); ok {
		return nil, invalid("%v", e)
	}
	if err != nil {
		return nil, err
	}
	if sums.SHA256 != u.sha {
		return nil, fmt.Errorf("%s: sha256 %s, but %s was received", u.staged, sums.SHA256, u.sha)
	}
	facts, err := intake.Inspect(tmp, sums.Size, u.Filename, u.Project, intake.Upload)
	if reason := rejection(err); reason != nil {
		return nil, invalid("%v", reason)
	}
	if err != nil {
		return nil, err
	}
	if facts.Filename.Project != u.Project {
		return nil, invalid("%s is a file of the project %s, not of %s", u.Filename, facts.Filename.Project, u.Project)
	}
	for _, w := range facts.Warnings {
		u.warn(u.Filename, "", "%s", w)
	}
	// Whoever has the turn is waited for: nothing is left to do then that takes long.
	if err := errors.Join(f.Sync(), tmp.Sync()); err != nil {
		return nil, err
	}
	a := newArrival(u.Project, u.Filename, sums, facts, u.copied)
	a.why = []string{tame.Text("uploaded by " + u.By)}
	a.file.Source = catalog.Local
	a.file.Yanked = u.intent.policy.Yank(u.Project, u.Filename, a.file.Version, catalog.Yank{})
	return a, nil
}

// list puts the file into the folder of the uploads, into the store and into the
// catalog. It has the turn: one upload does so at a time, and nobody deletes a file
// of the store that is about to be listed again.
func (u *uploading) list(ctx context.Context, a *arrival) error {
	turn, err := u.turn(ctx)
	if err != nil {
		return err
	}
	defer turn.Close()
	d, err := u.decide(ctx) // others had their turn meanwhile
	if err != nil {
		return err
	}
	// What has begun is done to its end: it takes milliseconds.
	ctx = context.WithoutCancel(ctx)
	ctime, isNew, err := u.place()
	if err != nil {
		return err
	}
	err = u.listPlaced(ctx, a, d, ctime)
	if _, refused := errors.AsType[*Refusal](err); refused && isNew {
		u.unplace()
	}
	return err
}

func (u *uploading) listPlaced(ctx context.Context, a *arrival, d *decided, ctime int64) error {
	if old, listed := listedAs(d.Current, u.Filename); listed {
		a.moveTo(old.Path)
	}
	a.file.Uploaded = firstSeen(ctime)
	a.beside(drop.Signature, u.Signature)
	if err := u.expose(ctx, []*arrival{a}); err != nil {
		return err
	}
	if a.refused {
		return &fault{ErrAlarm, fmt.Errorf("%s: the store has other bytes in its place", a.file.Path), `run "nestgen verify"`}
	}
	mark := uploadsMark(u.Uploads)
	seen, err := u.uploadsSeen(ctx)
	if err != nil {
		return err
	}
	return u.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		// Builds do not wait for their turn to write to the catalog.
		d, err := u.decide(ctx)
		if err != nil {
			return err
		}
		var arrivals []*arrival
		if len(d.Take) > 0 {
			arrivals = []*arrival{a}
		}
		d.arrived = slices.Clone(arrivals)
		if err := u.recordProject(tx, d, arrivals, true); err != nil {
			return err
		}
		if len(d.arrived) < len(arrivals) {
			return fmt.Errorf("%s: it could not be listed", u.Filename)
		}
		unseen, err := u.unseenUploads(ctx)
		if err != nil {
			return err
		}
		if unseen[u.Project], err = tx.Serial(u.Project); err != nil {
			return err
		}
		if err := setUnseenUploads(tx, unseen); err != nil {
			return err
		}
		if mark == seen {
			return nil
		}
		return tx.SetMeta(metaUploads, mark)
	})
}

// turn waits for the right to change pages. Who has asked for it by a request is
// told to come back before long.
func (s *site) turn(ctx context.Context) (*publish.Turn, error) {
	if !s.joined {
		return s.tree.Turn(ctx)
	}
	limit, stop := context.WithTimeout(ctx, time.Duration(s.Fallback.Deadline))
	defer stop()
	turn, err := s.tree.Turn(limit)
	if err != nil && limit.Err() != nil && ctx.Err() == nil {
		return nil, &Refusal{Cause: Busy, Text: "others are changing this index at the moment", After: comeBack, Err: err}
	}
	return turn, err
}

// comeBack is after what time a client may come back that found others at work.
const comeBack = 10 * time.Second

// refusalFor makes a refusal of an error that says that something is full.
func refusalFor(err error) error {
	if _, ok := errors.AsType[*Refusal](err); ok || err == nil {
		return err
	}
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) {
			return noSpace(err)
		}
	}
	if catalog.IsFull(err) {
		return noSpace(err)
	}
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return &Refusal{Cause: Busy, Text: "this index has too much to do at the moment", After: comeBack, Err: err}
	}
	return storage(err)
}

func invalid(format string, args ...any) error {
	return &Refusal{Cause: Invalid, Text: fmt.Sprintf(format, args...)}
}

func notAllowed(behind error, format string, args ...any) error {
	return &Refusal{Cause: NotAllowed, Text: fmt.Sprintf(format, args...), Err: behind}
}

func exists(first catalog.Digest) error {
	return &Refusal{Cause: Exists, Text: "with other bytes: sha256 " + first.String()}
}
