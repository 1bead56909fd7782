package nestgen

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"nestgen/catalog"
	"nestgen/intake"
	"nestgen/internal/secret"
	"nestgen/packaging"
	"nestgen/plan"
)

// A project that was imported belongs to the site that it came from. The catalog keeps
// what that site says of it; what the index lists is that, but for what the policy and
// the advisories here have against it. Upstreams are not asked for it, no drop folder
// gives files of it, and no line of the allowlist has it stay or go.

// A reconciled is what has to change so that the index lists a project as another site
// has it.
type reconciled struct {
	catalog.Imported
	current *catalog.Project // nil for one that is not here

	put      []catalog.File
	is       map[string]bool // those of them that are listed already
	leave    []plan.Withdrawal
	standing catalog.Standing
	restated bool
	links    []catalog.Link
	relink   bool
	display  string

	lacking []catalog.File // would be listed, if their bytes were here
	blocked []catalog.File // would be listed, if nothing here forbade it
	untrue  []untrue       // would be listed, if the other site said of it what it is
}

// An untrue is a file of which another site says what the file does not.
type untrue struct {
	catalog.File
	why error
}

// changes reports whether there is anything to do.
func (r *reconciled) changes() bool {
	return len(r.put)+len(r.leave) > 0 || r.restated || r.relink || r.current != nil && r.current.Display != r.display
}

// vanishes reports whether all files of a project leave the index that are not
// forbidden.
func (r *reconciled) vanishes() bool {
	if r.current == nil || len(r.current.Files) == 0 || len(r.leave) < len(r.current.Files) {
		return false
	}
	return len(r.put) == 0 && slices.ContainsFunc(r.leave, func(w plan.Withdrawal) bool { return !w.Blocked })
}

// reconcile finds out what has to change of a project. have says of a file whether its
// bytes are here, or come, and sure of one whether it is known to be what its record says.
func (s *site) reconcile(ctx context.Context, of catalog.Imported, reason string, sure func(*catalog.File) bool, have func(*catalog.File) (bool, error)) (*reconciled, error) {
	n := of.Name
	r := &reconciled{Imported: of, is: map[string]bool{}}
	current, err := s.catalog.Project(ctx, n)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		current = &catalog.Project{Name: n, Display: string(n)}
	case err != nil:
		return nil, storage(err)
	default:
		r.current = current
	}
	advice, err := s.advice(ctx, n, r.current)
	if err != nil {
		return nil, err
	}
	left := make(map[string]catalog.File, len(current.Files))
	for _, f := range current.Files {
		left[f.Filename] = f
	}
	var files []catalog.File
	for _, f := range of.Files {
		if f.Announced {
			continue // it comes when its bytes do
		}
		old, listed := left[f.Filename]
		if s.forbidden(f, advice) {
			r.blocked = append(r.blocked, f)
			if listed {
				delete(left, f.Filename)
				r.leave = append(r.leave, plan.Withdrawal{File: old, Reason: "the policy or an advisory blocks it", Blocked: true})
			}
			continue
		}
		why, err := s.misstated(&f, old, listed, sure)
		if err != nil {
			return nil, err
		}
		if why != nil {
			r.untrue = append(r.untrue, untrue{f, why})
			if listed {
				delete(left, f.Filename)
				files = append(files, old)
			}
			continue
		}
		if !listed || old.SHA256 != f.SHA256 {
			here, err := have(&f)
			if err != nil {
				return nil, err
			}
			if !here {
				r.lacking = append(r.lacking, f)
				if listed {
					delete(left, f.Filename)
					files = append(files, old) // what is here stays
				}
				continue
			}
		}
		delete(left, f.Filename)
		f.Yanked = s.yank(&f, advice)
		files = append(files, f)
		if listed && old == f {
			continue
		}
		r.put, r.is[f.Filename] = append(r.put, f), listed
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		r.leave = append(r.leave, plan.Withdrawal{File: left[name], Reason: reason})
	}
	r.links = slices.DeleteFunc(slices.Clone(of.Links), func(l catalog.Link) bool { return s.refusesLink(l) })
	r.relink = !sameLinkSet(current.Links, r.links)
	r.standing = catalog.Standing{Status: s.intent.policy.Status(n, of.Status), Note: cmp.Or(s.intent.policy.Note(n), of.Note)}
	if r.current == nil && len(files) == 0 && len(r.links) == 0 && of.Status == (catalog.Status{}) {
		r.standing = catalog.Standing{} // nothing of it is here
	}
	r.restated = r.standing != catalog.Standing{Status: current.Status, Note: current.Note}
	catalog.SortFiles(files)
	r.display = catalog.SpellingOf(n, r.links, files)
	return r, nil
}

// misstated says what another site says of a file that is not so. Of bytes that are
// still to come, what they hold is looked at when they do.
func (s *site) misstated(f *catalog.File, old catalog.File, listed bool, sure func(*catalog.File) bool) (why, err error) {
	name, err := packaging.ParseFilename(f.Filename, f.Project)
	if err != nil {
		return err, nil
	}
	switch {
	case name.Version != f.Version || name.Kind != f.Kind:
		return fmt.Errorf("it is a %s of version %s, and its record says a %s of version %s", name.Kind, name.Version, f.Kind, f.Version), nil
	case f.Spelling != "" && packaging.NormalizeName(f.Spelling) != f.Project:
		return fmt.Errorf("%q does not spell the name of the project", f.Spelling), nil
	case listed && old.Path != f.Path:
		return fmt.Errorf("it is listed here at %s, and there at %s", old.Path, f.Path), nil
	}
	if _, err := packaging.ParseSpecifiers(f.RequiresPython); err != nil {
		return err, nil
	}
	if f.Metadata.IsZero() || listed && old.Metadata == f.Metadata || sure(f) {
		return nil, nil
	}
	file, err := s.openStored(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, storage(err)
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return nil, storage(err)
	}
	facts, err := intake.Inspect(file, fi.Size(), f.Filename, f.Project, strictness(f))
	if reason := rejection(err); reason != nil {
		return reason, nil
	}
	if err == nil && sha256.Sum256(facts.Metadata) != f.Metadata {
		return errOtherMetadata, nil
	}
	return nil, storage(err)
}

// errOtherMetadata is what is wrong with a file whose metadata another site makes up.
var errOtherMetadata = errors.New("what the bundle has as its metadata is not what the file itself holds")

// strictness is how a file of another site is looked at: as it was there.
func strictness(f *catalog.File) intake.Strictness {
	if f.Public() {
		return intake.Mirrored
	}
	return intake.Drop
}

func sameLinkSet(a, b []catalog.Link) bool {
	set := make(map[catalog.Link]bool, len(a))
	for _, l := range a {
		set[l] = true
	}
	return len(a) == len(b) && !slices.ContainsFunc(b, func(l catalog.Link) bool { return !set[l] })
}

// linkSchemes are what the address of a development link may begin with, after the
// name of a version control system and a plus sign.
var linkSchemes = []string{"http", "https", "git", "ssh", "svn", "bzr", "lp", "sftp"}

// refusesLink reports whether a development link of another site is not listed here.
func (s *site) refusesLink(l catalog.Link) bool {
	u, err := url.Parse(l.URL)
	if err != nil || l.Egg != "" && packaging.NormalizeName(l.Egg) != l.Project {
		return true
	}
	scheme := u.Scheme[strings.LastIndexByte(u.Scheme, '+')+1:]
	if _, has := secret.Address(l.URL); has && s.LinkPasswords == "refuse" {
		return true
	}
	return !slices.Contains(linkSchemes, scheme)
}

// recordImported notes in the catalog what has to change of a project, and what the
// other site says of it.
func (s *site) recordImported(tx *catalog.Tx, r *reconciled, why string) error {
	n := r.Name
	owner, err := tx.Owner(n)
	if err != nil {
		return err
	}
	if owner != "" && owner != r.Origin {
		return &fault{ErrIncomplete, errors.New(string(n) + ": the name has gone to " + owner + " while this run was at work"), "run it again"}
	}
	if r.changes() {
		if err := tx.Claim(n, r.display, r.Origin); err != nil {
			return err
		}
	}
	for _, f := range r.put {
		if err := tx.Put(f, why); err != nil {
			return err
		}
	}
	for _, w := range r.leave {
		if err := tx.Withdraw(n, w.File.Filename, w.Reason, trueNow(), time.Duration(s.Grace)); err != nil {
			return err
		}
		if w.Blocked {
			if err := tx.Withhold(w.File.Path); err != nil {
				return err
			}
		}
	}
	if r.restated {
		if err := tx.SetStatus(n, r.standing.Status, r.standing.Note, r.Origin); err != nil {
			return err
		}
	}
	if r.relink {
		return tx.SetLinks(n, r.links)
	}
	return nil
}

// report puts what changes of a project into the report.
func (s *site) reportImported(r *reconciled, why string) {
	for _, f := range r.put {
		if r.is[f.Filename] {
			s.report.Changed.add(f, []string{why})
		} else {
			s.report.Added.add(f, []string{why})
		}
	}
	for _, w := range r.leave {
		s.report.Withdrawn.add(w.File, []string{w.Reason})
	}
	if r.relink {
		s.report.Relinked++
	}
}

// readImports finds out what was imported.
func (s *site) readImports(ctx context.Context) (err error) {
	s.imports, err = s.catalog.ImportedNames(ctx)
	return storage(err)
}

// keepImported has the projects that were imported listed as the policy and the
// advisories want them now.
func (s *site) keepImported(ctx context.Context) error {
	var changed []*reconciled
	for _, n := range slices.Sorted(maps.Keys(s.imports)) {
		if s.only != nil && !s.only[n] {
			continue
		}
		if !s.ofOtherSite(n) {
			continue // the settings have another mind of it
		}
		of, err := s.catalog.Imported(ctx, s.imports[n], n)
		if err != nil {
			return storage(err)
		}
		r, err := s.reconcile(ctx, of, "the policy here has it so", func(*catalog.File) bool { return false }, func(f *catalog.File) (bool, error) { return s.hasStored(f) })
		if err != nil {
			return err
		}
		if r.changes() {
			changed = append(changed, r)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if !s.opts.DryRun {
		err := s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
			for _, r := range changed {
				if err := s.recordImported(tx, r, "the policy here lets it in"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return storage(err)
		}
	}
	for _, r := range changed {
		s.reportImported(r, "the policy")
	}
	return nil
}

// hasStored reports whether the store has the bytes of a file, be they withheld.
func (s *site) hasStored(f *catalog.File) (bool, error) {
	file, err := s.openStored(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, storage(err)
	}
	defer file.Close()
	return isFile(file, f)
}

func isFile(file *os.File, f *catalog.File) (bool, error) {
	fi, err := file.Stat()
	if err != nil || fi.Size() != f.Size {
		return false, storage(err)
	}
	sums, err := intake.Digest(file)
	return err == nil && sums.SHA256 == f.SHA256 && sums.BLAKE2b == f.BLAKE2b, storage(err)
}
