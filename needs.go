package nestgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/intake"
	"nestgen/internal/stricttoml"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/resolve"
)

// A needsReader finds out what distributions need, and remembers it: in the
// catalog for good what their bytes say, and for this run what could not be read.
type needsReader struct {
	s *site

	mu    sync.Mutex
	known map[string]*needed                  // by file name
	fresh map[catalog.Digest]catalog.Requires // not in the catalog yet

	refused []catalog.Refusal // files that did not pass the gate
}

// needed is what came of reading what one distribution needs.
type needed struct {
	once sync.Once
	catalog.Requires
	err error
}

func newNeedsReader(s *site) *needsReader {
	return &needsReader{s: s, known: map[string]*needed{}, fresh: map[catalog.Digest]catalog.Requires{}}
}

// of gives what a distribution needs. What cannot be read without running it is
// not an error: see [catalog.Requires].
func (r *needsReader) of(ctx context.Context, n packaging.Name, a plan.Available) (catalog.Requires, error) {
	name := a.Offer.Filename
	if a.File != nil {
		name = a.File.Filename
	}
	r.mu.Lock()
	k := r.known[name]
	if k == nil {
		k = &needed{}
		r.known[name] = k
	}
	r.mu.Unlock()
	k.once.Do(func() { k.Requires, k.err = r.find(ctx, n, a) })
	return k.Requires, k.err
}

func (r *needsReader) find(ctx context.Context, n packaging.Name, a plan.Available) (catalog.Requires, error) {
	var sha catalog.Digest
	if a.File != nil {
		sha = a.File.SHA256
	} else if d, err := catalog.ParseDigest(a.Offer.Hashes["sha256"]); err == nil {
		sha = d
	}
	here := a.File != nil && !a.File.Announced
	if !sha.IsZero() {
		got, err := r.s.catalog.Requires(ctx, sha)
		if err == nil && !(here && got.Claimed) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return got, storage(err)
		}
	}
	var got catalog.Requires
	var err error
	if here {
		got, err = r.s.needsOfOwn(*a.File)
	} else {
		got, err = r.s.needsOfOffer(ctx, n, a.Choice)
		if reason := rejection(err); reason != nil {
			refusal := refusalOf(a.Choice)
			refusal.Reason = reason.Error()
			r.mu.Lock()
			r.refused = append(r.refused, refusal)
			r.mu.Unlock()
		}
	}
	if err == nil && !sha.IsZero() && !(r.s.opts.DryRun && !got.Known) {
		r.mu.Lock()
		r.fresh[sha] = got
		r.mu.Unlock()
	}
	return got, err
}

// save keeps in the catalog what was found out.
func (r *needsReader) save(ctx context.Context) error {
	if len(r.fresh)+len(r.refused) == 0 || r.s.opts.DryRun {
		return nil
	}
	err := r.s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for sha, requires := range r.fresh {
			if err := tx.SetRequires(sha, requires); err != nil {
				return err
			}
		}
		for _, f := range r.refused {
			if err := tx.Refuse(f); err != nil {
				return err
			}
		}
		return nil
	})
	clear(r.fresh)
	r.refused = nil
	return storage(err)
}

// needsOfOwn reads what a file of the store needs, or one that is to get there.
func (s *site) needsOfOwn(f catalog.File) (catalog.Requires, error) {
	if t, ok := s.local.toTake[f.Project][f.Filename]; ok && f.Path == "" {
		file, err := s.local.view.Open(t.entry)
		if err != nil {
			return catalog.Requires{}, err
		}
		defer file.Close()
		return needsOfFile(file, f.Size, f.Filename, f.Project)
	}
	if !f.Metadata.IsZero() {
		data, err := os.ReadFile(s.file(f.Path + ".metadata"))
		if err == nil {
			return needsOf(f.Kind, packaging.ParseMetadata(data), nil), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return catalog.Requires{}, err
		}
	}
	file, err := s.openRegular(f.Path)
	if err != nil {
		return catalog.Requires{}, err
	}
	defer file.Close()
	return needsOfFile(file, f.Size, f.Filename, f.Project)
}

// needsOfFile reads what an archive needs.
func needsOfFile(r io.ReaderAt, size int64, filename string, n packaging.Name) (catalog.Requires, error) {
	facts, err := intake.Inspect(r, size, filename, n, intake.Mirrored)
	if err != nil {
		return catalog.Requires{}, err
	}
	return needsOf(facts.Filename.Kind, facts.Core, facts.Project), nil
}

// needsOfOffer reads what a file of an upstream needs, with as little of it as will
// do.
func (s *site) needsOfOffer(ctx context.Context, n packaging.Name, c plan.Choice) (catalog.Requires, error) {
	if s.opts.Offline {
		return catalog.Requires{}, fmt.Errorf("%s: not here yet, and this run is offline", c.Offer.Filename)
	}
	src, err := s.sourceOf(c.Source, c.Offer.URL)
	if err != nil {
		return catalog.Requires{}, err
	}
	if c.Filename.Kind == packaging.Wheel {
		o := c.Offer
		o.URL = s.addressOf(o.URL)
		data, err := src.CoreMetadata(fetch.Within(ctx, o.URL, s.intent.projects[n].Crawl), o)
		switch fetch.KindOf(err) {
		case 0:
			got := needsOf(packaging.Wheel, packaging.ParseMetadata(data), nil)
			got.Claimed = true
			return got, err
		case fetch.NotFound, fetch.Gone, fetch.Altered, fetch.Invalid:
			// The file itself has the last word.
		default:
			return catalog.Requires{}, err
		}
	}
	if s.opts.DryRun {
		return catalog.Requires{}, nil // no file is fetched
	}
	temp, sums, err := s.receive(ctx, src, n, c.Offer)
	if err != nil {
		return catalog.Requires{}, err
	}
	f, err := os.Open(temp)
	if err != nil {
		return catalog.Requires{}, err
	}
	defer f.Close()
	if err := allowed(f, intake.Digests{SHA256: sums.SHA256, BLAKE2b: sums.BLAKE2b, Size: sums.Size}, c.Allowed); err != nil {
		return catalog.Requires{}, err
	}
	got, err := needsOfFile(f, sums.Size, c.Offer.Filename, n)
	if reason := rejection(err); reason != nil {
		// Another version will do, perhaps, and this one would not be listed.
		s.report.problem(plan.Incomplete, string(n), "it is not fetched again unless the upstream changes it", "%s: %s: rejected: %v", c.Source, c.Offer.Filename, reason)
		return got, fmt.Errorf("%s: %w: %w", c.Offer.Filename, resolve.ErrUnusable, reason)
	}
	if err == nil {
		s.early.keep(c.Offer, temp, sums)
	}
	return got, err
}

// needsOf reads core metadata. Of an sdist it counts where the requirements are not
// dynamic (PEP 643, metadata 2.2); project is its pyproject.toml.
func needsOf(k packaging.Kind, m *packaging.Metadata, project []byte) catalog.Requires {
	var r catalog.Requires
	if k == packaging.Sdist {
		r.Build = buildRequires(project)
	}
	if m == nil || k == packaging.Sdist && !static(m) {
		return r
	}
	r.Known, r.Dist, r.Python, r.Extras = true, m.RequiresDist, strings.TrimSpace(m.RequiresPython), m.ProvidesExtra
	return r
}

// static reports whether the requirements that the metadata of an sdist has are
// those of what is built of it.
func static(m *packaging.Metadata) bool {
	v, err := packaging.ParseVersion(m.MetadataVersion)
	if err != nil || v.Compare(metadata22) < 0 {
		return false
	}
	return !slices.ContainsFunc(m.Dynamic, func(field string) bool {
		return strings.EqualFold(field, "Requires-Dist") || strings.EqualFold(field, "Provides-Extra")
	})
}

var metadata22, _ = packaging.ParseVersion("2.2")

// legacyBuild is what installers take for the requirements of a build that says
// nothing of them (PEP 517).
var legacyBuild = []string{"setuptools>=40.8.0"}

// buildRequires reads what a build takes (PEP 518). What cannot be read says
// nothing: no installer could build it either.
func buildRequires(project []byte) []string {
	doc, err := stricttoml.Tree("pyproject.toml", project)
	if err != nil {
		return legacyBuild
	}
	table, ok := doc.Root["build-system"].(map[string]any)
	if !ok {
		return legacyBuild
	}
	list, _ := table["requires"].([]any)
	var all []string
	for _, v := range list {
		if text, ok := v.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

// early is files that were fetched whole for what they need, and wait in the stage
// until they are wanted themselves.
type early struct {
	mu    sync.Mutex
	files map[string]earlyFile // by address
}

type earlyFile struct {
	temp string
	sums fetch.Result
}

func (e *early) keep(o catalog.Offer, temp string, sums fetch.Result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.files == nil {
		e.files = map[string]earlyFile{}
	}
	e.files[o.URL] = earlyFile{temp, sums}
}

// take gives a file that has come already. It is the caller's from then on.
func (e *early) take(o catalog.Offer) (earlyFile, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f, ok := e.files[o.URL]
	delete(e.files, o.URL)
	return f, ok
}
