package nestgen

import (
	"context"
	"slices"

	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/packaging"
	"nestgen/plan"
)

// meant reports whether this run is about a project: about all, unless somebody
// asked for some.
func (s *site) meant(n packaging.Name) bool { return s.only == nil || s.only[n] }

// narrow confines the run to the projects that somebody asked for. It is called
// once the drop folders are listed.
func (s *site) narrow(ctx context.Context) error {
	if len(s.opts.Packages) == 0 {
		return nil
	}
	s.only = map[packaging.Name]bool{}
	owners, err := s.catalog.Owners(ctx)
	if err != nil {
		return storage(err)
	}
	for _, n := range s.opts.Packages {
		s.only[n] = true
		_, owned := owners[n]
		_, dropped := s.local.counts[n]
		if !owned && !dropped && len(s.intent.wants[n])+len(s.intent.links[n]) == 0 {
			s.report.problem(plan.Incomplete, string(n), "add a line for it to the allowlist, or put its files into a drop folder",
				"nothing asks for a project of this name, and the index has none")
		}
	}
	for n, files := range s.local.counts {
		if s.only[n] {
			continue
		}
		// What is new there stays unlooked at, and is held back all the same: it
		// may be what somebody needs, and must not come from outside then.
		s.local.mine[n] = owners[n] == "" && files > 0
		delete(s.local.counts, n)
		s.local.failed.Store(true) // the next whole run looks at everything again
	}
	return nil
}

// askedOf gives those of some projects that upstreams are asked about in this run:
// those that it is about, and what they need.
func (s *site) askedOf(names []packaging.Name) []packaging.Name {
	if s.only == nil {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(n packaging.Name) bool {
		return !s.meant(n) && len(s.intent.needs[n]) == 0
	})
}

// narrowBySerial confines the run, as far as it is about files of upstreams, to the
// projects that have changed there since a serial.
func (s *site) narrowBySerial(ctx context.Context, names []packaging.Name) error {
	if s.opts.Since == nil || s.opts.Offline {
		return nil
	}
	wanted := make(map[packaging.Name]bool, len(names))
	for _, n := range names {
		wanted[n] = s.meant(n)
	}
	s.only = map[packaging.Name]bool{}
	for _, src := range s.upstream.list {
		root, err := src.Serials(ctx, wanted, fetch.Validators{}, 0)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			hint := fetchHint(err)
			if fetch.KindOf(err) == fetch.NotFound {
				hint = "build without --since: every project is then asked about, which costs little for one that has not changed"
			}
			s.report.problem(plan.Incomplete, "--since", hint, "%v; nothing of this upstream is asked for in this run", err)
			s.upstream.failed(err)
			continue
		}
		for n, serial := range root.Serials {
			if serial > *s.opts.Since && wanted[n] {
				s.only[n] = true
			}
		}
		s.upstream.setSerials(src, root.Serials)
		s.log.Info("changed since the serial", "upstream", src.Name(), "since", *s.opts.Since, "serial", newestSerial(catalog.Root{Serial: root.Serial, Serials: root.Serials}), "projects", len(s.only))
	}
	return nil
}
