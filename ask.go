package nestgen

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/lockfile"
	"nestgen/packaging"
	"nestgen/plan"
)

func asksIndex(wants []allowlist.Want) bool {
	return slices.ContainsFunc(wants, func(w allowlist.Want) bool { return w.Kind == allowlist.FromIndex })
}

// asksOpen reports whether a line asks an index for more than a lock file names,
// which may be had elsewhere.
func asksOpen(wants []allowlist.Want) bool {
	return slices.ContainsFunc(wants, func(w allowlist.Want) bool { return w.Kind == allowlist.FromIndex && !w.Locked() })
}

// located reports whether a lock file has the address of a file.
func located(wants []allowlist.Want) bool {
	return slices.ContainsFunc(wants, func(w allowlist.Want) bool {
		return w.Locked() && slices.ContainsFunc(w.Files, func(f lockfile.File) bool { return f.URL != "" })
	})
}

// An asked is what came of asking the upstreams for a project.
type asked struct {
	source   string
	listing  *catalog.Listing // nil if the source could not be asked
	answers  []answer
	problems []plan.Problem
	nobody   bool  // every upstream was asked and none has the project
	fault    error // why the source could not be asked, if it was tried

	// before is what the source said when it was asked last; nil if it never was, or
	// says the same.
	before *catalog.Listing

	// absent says that, too, of a project that has files from there still.
	absent bool
}

// An answer is a listing to keep.
type answer struct {
	upstream string
	listing  catalog.Listing
}

// ask asks the upstreams in order until one has the project. A name that has
// an owner is asked for there alone, and so is one of which files of an
// upstream are here. An upstream that does not answer is not passed over, nor
// is one that says that it had the project: another one might have something
// else under the same name.
func (s *site) ask(ctx context.Context, n packaging.Name, owner string, in plan.Input) (a asked, err error) {
	where := string(n)
	if len(in.Wants) > 0 {
		where = in.Wants[0].Position.String()
	}
	problem := func(hint, format string, args ...any) {
		a.problems = append(a.problems, plan.Problem{Level: plan.Incomplete, Where: where, Text: fmt.Sprintf(format, args...), Hint: hint})
	}
	a.source = cmp.Or(owner, "upstream")
	if s.opts.Offline {
		if in.Current == nil || len(in.Current.Files) == 0 {
			problem("run again without --offline", "%s: not here yet, and this run is offline", n)
		}
		return a, nil
	}
	list := s.upstream.of(s.intent.projects[n].Upstream)
	home := homeUpstream(owner, in.Current, s.upstream.names())
	if home != "" && s.intent.projects[n].Upstream == "" {
		a.source = home
		list = s.upstream.of(home)
		if len(list) == 0 {
			problem("put the upstream back, or move the project with upstream = \"…\" in a [[project]] table",
				"%s: it belongs to the upstream %q, which the settings no longer have; its files stay", n, home)
			return a, nil
		}
	}
	if len(list) == 0 && in.Current != nil && len(in.Current.Files) > 0 {
		problem("put the upstream back", "%s: there is no upstream to ask; its files stay", n)
		return a, nil
	}
	if len(list) == 0 {
		problem("add an [[upstream]] table to the settings, or put files into a drop folder", "%s: there is no upstream to ask, and no drop folder has it", n)
		a.source, a.nobody = "", true
		return a, nil
	}
	for _, src := range list {
		l, before, fresh, err := s.list(ctx, src, n)
		switch {
		case err == nil:
			a.source, a.listing, a.before = src.Name(), l, before
			if fresh {
				a.answers = append(a.answers, answer{listingKey(src), *l})
			}
			for _, w := range l.Warnings {
				s.log.Warn("odd page", "upstream", src.Name(), "project", n, "warning", w)
			}
			return a, nil
		case ctx.Err() != nil:
			return a, ctx.Err()
		}
		kind := fetch.KindOf(err)
		if kind == fetch.NotFound {
			continue
		}
		a.source, a.fault = cmp.Or(home, src.Name()), err
		if kind == fetch.Gone {
			problem("if another upstream shall have the name, give the project upstream = \"…\" in a [[project]] table",
				"%s: %v; no other upstream is asked, and what is here of it stays", n, err)
			return a, nil
		}
		problem(fetchHint(err), "%s: %v; what is here of it stays", n, err)
		s.upstream.failed(err)
		return a, nil
	}
	fromThere := func(f catalog.File) bool { return f.Source != catalog.Local && f.Source != catalog.Direct }
	if in.Current != nil && slices.ContainsFunc(in.Current.Files, fromThere) {
		problem("its files stay until the allowlist or the policy says otherwise", "%s: %s no longer has it", n, cmp.Or(home, "the upstream"))
		a.absent = true
		return a, nil
	}
	if asksOpen(in.Wants) || !asksIndex(in.Wants) {
		problem("", "%s: no upstream has a project of this name", n)
	}
	a.source, a.nobody = "", true
	return a, nil
}

// homeUpstream gives the upstream that alone is asked for a project: its owner,
// or, where that is none, the first in list that files of it came from. It is
// empty if there is none.
func homeUpstream(owner string, current *catalog.Project, list []string) string {
	if owner != catalog.Local && owner != catalog.Direct {
		return owner
	}
	if current == nil {
		return ""
	}
	from := map[string]bool{}
	for _, f := range current.Files {
		if f.Source != catalog.Local && f.Source != catalog.Direct {
			from[f.Source] = true
		}
	}
	for _, name := range list {
		if from[name] {
			return name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(from)) {
		return name // the settings have it no more
	}
	return ""
}

// listingKey names an upstream for its listings. What another address once
// said must not be held for what this one says. There may be a token in it.
func listingKey(src *fetch.Source) string {
	return fmt.Sprintf("%s %x", src.Name(), sha256.Sum256([]byte(src.URL())))
}

// list gives an upstream's listing of a project, and whether it is a new one. Before
// it was another, or nil.
func (s *site) list(ctx context.Context, src *fetch.Source, n packaging.Name) (l, before *catalog.Listing, fresh bool, err error) {
	old, err := s.catalog.Listing(ctx, listingKey(src), n)
	had := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, false, storage(err)
	}
	s.upstream.ask()
	if hosts := s.intent.projects[n].Crawl; len(hosts) > 0 {
		// What pages elsewhere have no serial and no condition tells.
		now, err := src.Crawl(ctx, n, hosts, fetch.Validators{Serial: old.Serial})
		return s.compared(&now, &old, had, err)
	}
	serial := s.upstream.serials[src][n] // 0 where no root page says it
	if had && serial != 0 && serial == old.Serial {
		s.upstream.unchanged()
		return &old, nil, false, nil
	}
	v := fetch.ValidatorsOf(old)
	if serial > old.Serial {
		// That the page is still the same only a stale cache can say.
		v = fetch.Validators{Serial: serial}
	}
	now, err := src.List(ctx, n, v)
	if errors.Is(err, fetch.ErrNotModified) && had {
		s.upstream.unchanged()
		return &old, nil, false, nil
	}
	if err == nil && now.Serial == 0 {
		now.Serial = serial // the page says nothing, and is believed
	}
	return s.compared(&now, &old, had, err)
}

// compared gives a listing that came whole, the one before it if that said
// something else, and whether it says anything new: the upstream may know no
// conditions.
func (s *site) compared(now, old *catalog.Listing, had bool, err error) (*catalog.Listing, *catalog.Listing, bool, error) {
	switch {
	case err != nil:
		return nil, nil, false, err
	case !had:
		return now, nil, true, nil
	case now.Same(old):
		s.upstream.unchanged()
		return now, nil, false, nil
	}
	return now, old, true, nil
}
