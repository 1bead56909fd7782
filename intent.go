package nestgen

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/internal/secret"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/policy"
)

// An intent is what people want the index to have, as far as they write it
// down: the allowlist, the policy and the exceptions for projects.
type intent struct {
	options     allowlist.Options
	wants       map[packaging.Name][]allowlist.Want
	constraints map[packaging.Name][]allowlist.Want
	links       map[packaging.Name][]catalog.Link
	archives    map[string]archive // what the allowlist names by an address, by the address that is shown
	policy      *policy.Policy

	completion
	projects map[packaging.Name]ProjectConfig
	filters  filters

	// refiltered says that the filters are not those of the last build, so that
	// every project is looked through.
	refiltered bool

	// lists are the allowlists of indexes, by the names of these. Their lines are
	// among the wants, too.
	lists map[string]*ownList

	// faulty says that the allowlist could not be read whole. Then nothing that
	// came from an upstream leaves the index: the line that wants it may be the
	// one that cannot be read.
	faulty bool

	// partial says that even what could be read may ask for more than is meant,
	// because a constraint, an option or a whole list is missing. Then no name
	// is asked for anywhere that has no owner yet, and no file comes in new.
	partial bool
}

// readIntent reads the allowlist and the policy. A faulty line of an allowlist
// costs that line; a faulty policy stops the run, because it may forbid what
// would be published without it.
func (s *site) readIntent(ctx context.Context) error {
	if err := s.readRules(ctx); err != nil {
		return err
	}
	last, err := s.catalog.Meta(ctx, metaFilters)
	if err != nil {
		return storage(err)
	}
	in := &s.intent
	in.refiltered = last != s.filterRules()
	in.wants = map[packaging.Name][]allowlist.Want{}
	in.constraints = map[packaging.Name][]allowlist.Want{}
	in.links = map[packaging.Name][]catalog.Link{}
	in.archives = map[string]archive{}
	list := allowlist.Read(allowlist.Sources{}, s.Allowlist...)
	in.options = list.Options
	in.faulty, in.partial = list.Failed(), list.Partial()
	s.listProblems(list)
	own, err := s.readOwnLists()
	if err != nil {
		return err
	}
	if in.faulty {
		s.report.problem(plan.Warning, "", "", "because the allowlist has errors, nothing that came from an upstream leaves the index in this run")
	}
	if in.partial {
		s.report.problem(plan.Warning, "", "", "because a part of the allowlist cannot be read that the rest may depend on, nothing new is asked for or fetched in this run")
	}
	s.tellExpired()
	for _, w := range list.Constraints {
		in.constraints[w.Project] = append(in.constraints[w.Project], w)
	}
	for _, w := range append(list.Wants, own...) {
		s.want(w)
	}
	return nil
}

// listProblems tells what is wrong in an allowlist.
func (s *site) listProblems(l allowlist.List) {
	for _, p := range l.Problems {
		level := plan.Incomplete
		if p.Severity == allowlist.Warning {
			level = plan.Warning
		}
		s.report.problem(level, s.short(p.Position.String()), p.Hint, "%s", p.Text)
	}
}

// readRules reads the policy and the exceptions.
func (s *site) readRules(ctx context.Context) (err error) {
	s.intent.projects = map[packaging.Name]ProjectConfig{}
	for _, p := range s.Projects {
		s.intent.projects[packaging.NormalizeName(p.Name)] = p
	}
	s.intent.filters = s.Config.filters(Now())
	s.intent.policy, err = s.readPolicy(ctx, s.catalog)
	return err
}

// want sorts a line of the allowlist by what it asks for.
func (s *site) want(w allowlist.Want) {
	in := &s.intent
	where := s.short(w.Position.String())
	w.Position.File = s.short(w.Position.File)
	w.Via = slices.Clone(w.Via)
	for i := range w.Via {
		w.Via[i].File = s.short(w.Via[i].File)
	}
	switch w.Kind {
	case allowlist.FromIndex:
		in.wants[w.Project] = append(in.wants[w.Project], w)
		in.lists[w.List].want(w.Project, w)
		for _, f := range w.Files {
			if o, ok := plan.Located(f); ok {
				address, login := plan.Address(f.URL)
				in.archives[o.URL] = archive{address, login}
			}
		}
	case allowlist.Archive:
		o, f, err := plan.Direct(w)
		if err != nil {
			s.report.problem(plan.Incomplete, where, "", "%v", err)
			return
		}
		address, login := plan.Address(w.URL)
		in.archives[o.URL] = archive{address, login}
		in.wants[f.Project] = append(in.wants[f.Project], w)
		in.lists[w.List].want(f.Project, w)
	case allowlist.VCS:
		l, err := devLink(w)
		if err != nil {
			s.report.problem(plan.Incomplete, where, "", "%v", err)
			return
		}
		if l.secret && s.LinkPasswords == "refuse" {
			s.report.problem(plan.Incomplete, where, "", "the repository's address carries a password or a token, and link_passwords is \"refuse\": not listed")
			return
		}
		if l.secret {
			s.report.problem(plan.Warning, where, "set link_passwords = \"refuse\" to keep such links off the page", "the repository's address carries a password or a token, which the page will show to everybody")
		}
		in.links[w.Project] = append(in.links[w.Project], l.Link)
		s.report.problem(plan.Warning, where, "", "%s: a repository is not mirrored; it is listed as a development link for easy_install", strings.TrimSpace(w.Text))
	case allowlist.Path:
		s.report.problem(plan.Incomplete, where, "put the file into a drop folder", "%s: a path of this machine cannot be fetched", strings.TrimSpace(w.Text))
	}
}

// short gives a path relative to the settings, where that is how people know it.
func (s *site) short(path string) string {
	if rest, ok := strings.CutPrefix(path, s.home()+string(filepath.Separator)); ok {
		return rest
	}
	return path
}

// An archive is where the bytes of a line are that names them by an address,
// and the login for it. Neither is kept anywhere.
type archive struct {
	address string
	login   *url.Userinfo
}

// addressOf gives the address to fetch from, for one that is shown.
func (s *site) addressOf(shown string) string {
	if a, ok := s.intent.archives[shown]; ok {
		return a.address
	}
	return shown
}

// masked takes the address that stands behind a shown one out of a text. What
// package fetch says of an address has no query.
func (s *site) masked(text, shown string) string {
	address, _, _ := strings.Cut(s.addressOf(shown), "?")
	hidden, _, _ := strings.Cut(shown, "?")
	return strings.ReplaceAll(text, address, hidden)
}

type markedLink struct {
	catalog.Link
	secret bool
}

// devLink makes a development link of a line that names a repository.
func devLink(w allowlist.Want) (markedLink, error) {
	if w.Project == "" {
		return markedLink{}, errors.New("a repository needs its project's name: add #egg=NAME to the address")
	}
	address, _, _ := strings.Cut(w.URL, "#")
	egg := w.Egg
	if egg == "" {
		egg = w.Requirement.Name
	}
	if w.EggVersion != "" {
		egg = string(w.Project)
	}
	l := markedLink{Link: catalog.Link{Project: w.Project, URL: address, Egg: egg, Source: w.Position.String()}}
	if _, err := packaging.ParseVersion(w.EggVersion); err == nil {
		l.Version = w.EggVersion
	}
	_, l.secret = secret.Address(address)
	l.secret = l.secret || w.Expanded
	return l, nil
}

// keep gives how many versions of a project a line that is not pinned keeps.
func (s *site) keep(n packaging.Name) plan.Keep {
	if s.opts.Latest {
		return plan.Newest
	}
	if p, ok := s.intent.projects[n]; ok && p.Versions != 0 {
		return p.Versions
	}
	return s.Versions
}

// localRules is a digest of everything besides the files themselves that
// decides which files of the drop folders are listed, and how.
func (s *site) localRules() string {
	h := sha256.New()
	fmt.Fprintln(h, 1, s.LegacyFiles, s.LinkPasswords, s.Drop, s.Reserved)
	for _, n := range slices.Sorted(maps.Keys(s.intent.projects)) {
		fmt.Fprintf(h, "%s %q\n", n, s.intent.projects[n].Sources)
	}
	fmt.Fprintln(h, s.intent.policy.Digest(), s.intent.faulty)
	for _, n := range slices.Sorted(maps.Keys(s.intent.links)) {
		fmt.Fprintf(h, "%q\n", s.intent.links[n])
	}
	return hex.EncodeToString(h.Sum(nil))
}
