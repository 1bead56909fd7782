package nestgen

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/packaging"
)

// A root page says by one request which projects have changed. It is long: it
// names all projects of the upstream. A request for the page of a project that
// has not changed costs the network about aRequest bytes, so that a root page
// that takes more than all of them together is not worth it, nor is any for
// fewer than fewProjects.
const (
	aRequest    = 1 << 10
	fewProjects = 50
)

// wholeAfter is how long serials are believed: after that all projects are asked
// about one by one once, in case something changed that made no serial. A root
// page that was of no use is looked at again after the same time.
const wholeAfter = 7 * 24 * time.Hour

// askRoots asks the upstreams for the serials of their projects, where that saves
// more than it costs. What comes of it only ever saves requests: whatever a root
// page does not say, or cannot be believed about, is asked for page by page.
func (s *site) askRoots(ctx context.Context, names []packaging.Name) error {
	if s.only != nil {
		return nil // few are asked about, or the page is known already
	}
	wanted := make(map[packaging.Name]bool, len(names))
	for _, n := range names {
		wanted[n] = true
	}
	for _, src := range s.upstream.list {
		how := s.serials(src.Name())
		if src.Local() {
			continue
		}
		key := listingKey(src)
		row, err := s.catalog.Root(ctx, key)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return storage(err)
		}
		if how == "never" {
			if row.Serial != 0 {
				s.upstream.keepRoot(key, catalog.Root{}) // it may have begun anew
			}
			continue
		}
		have, err := s.catalog.ListingSerials(ctx, key)
		if err != nil {
			return storage(err)
		}
		known := 0
		for n := range have {
			if wanted[n] {
				known++
			}
		}
		if known == 0 {
			continue
		}
		now := trueNow()
		most := int64(0) // any number
		if how != "always" {
			most = int64(known) * aRequest
			recent := now.Sub(time.UnixMicro(row.Tried)) < wholeAfter
			if known < fewProjects || recent && (row.Useless != "" || row.Size > most) {
				continue
			}
		}
		switch {
		case row.Whole == 0:
			row.Whole = now.UnixMicro()
		case now.Sub(time.UnixMicro(row.Whole)) >= wholeAfter:
			row.Whole = now.UnixMicro()
			s.upstream.keepRoot(key, row)
			s.log.Info("all projects are asked about one by one, as once a week", "upstream", src.Name())
			continue
		}
		root, err := src.Serials(ctx, wanted, fetch.Validators{ETag: row.ETag, LastModified: row.LastModified, Serial: row.Serial}, most)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			row = catalog.Root{
				ETag: root.ETag, LastModified: root.LastModified, Serial: root.Serial, Size: root.Size,
				Tried: now.UnixMicro(), Whole: row.Whole, Serials: root.Serials,
			}
			s.upstream.keepRoot(key, row)
		}
		switch kind := fetch.KindOf(err); {
		case err == nil, errors.Is(err, fetch.ErrNotModified):
			if newest := newestSerial(row); olderThan(newest, have) {
				s.log.Warn("the root page is older than a project's, so that all are asked about one by one", "upstream", src.Name(), "serial", newest)
				continue
			}
			s.upstream.setSerials(src, row.Serials)
		case kind == fetch.Refused:
			row.Size, row.Tried = 2*most, now.UnixMicro() // how long it is is not known
			s.upstream.keepRoot(key, row)
		case kind == fetch.NotFound, kind == fetch.Gone, kind == fetch.Invalid:
			row.Useless, row.Tried = err.Error(), now.UnixMicro()
			s.upstream.keepRoot(key, row)
			s.log.Info("no serials", "upstream", src.Name(), "why", err)
		default:
			s.log.Warn("no serials in this run, so that all projects are asked about one by one", "upstream", src.Name(), "error", err)
		}
	}
	return nil
}

// serials gives the setting of an upstream.
func (s *site) serials(upstream string) string {
	for i := range s.Upstreams {
		if s.Upstreams[i].Name == upstream {
			return s.Upstreams[i].Serials
		}
	}
	return "" // one that the allowlist names
}

// newestSerial gives the highest serial that a root page says.
func newestSerial(r catalog.Root) int64 {
	newest := r.Serial
	for _, n := range r.Serials {
		newest = max(newest, n)
	}
	return newest
}

// olderThan reports whether a project's page had a higher serial.
func olderThan(newest int64, have map[packaging.Name]int64) bool {
	for _, n := range have {
		if n > newest {
			return true
		}
	}
	return false
}

// keepRoot keeps what is known of a root page for the end of the run.
func (u *upstreams) keepRoot(key string, r catalog.Root) {
	if u.roots == nil {
		u.roots = map[string]catalog.Root{}
	}
	u.roots[key] = r
}

func (u *upstreams) setSerials(src *fetch.Source, serials map[packaging.Name]int64) {
	if u.serials == nil {
		u.serials = map[*fetch.Source]map[packaging.Name]int64{}
	}
	u.serials[src] = serials
}

// rememberRoots notes in the catalog what is known of root pages. That they are
// noted last, and the serial of a project with its listing, has a project that
// failed asked about again, and nothing else with it.
func (s *site) rememberRoots(ctx context.Context) error {
	if len(s.upstream.roots) == 0 {
		return nil
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for key, r := range s.upstream.roots {
			if err := tx.SetRoot(key, r); err != nil {
				return err
			}
		}
		return nil
	}))
}
