package plan

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"nestgen/allowlist"
	"nestgen/catalog"
	"nestgen/lockfile"
	"nestgen/packaging"
)

// A lock file asks for files, not for versions: for just those that it names, by
// name and hash, and for no other of the same version. Each is taken from the
// project's upstream where that has it with these hashes, and else from where the
// lock file says that it is.

// A wanted is one file that a lock file asks for. Of one name there may be several
// hashes, of which the file must have one set; without a name the hash decides.
type wanted []lockfile.File

// lockedFiles gives what a want of a lock file asks for, in its order.
func lockedFiles(want allowlist.Want) []wanted {
	var all []wanted
	at := map[string]int{}
	for _, f := range want.Files {
		if i, ok := at[f.Name]; ok && f.Name != "" {
			all[i] = append(all[i], f)
			continue
		}
		at[f.Name] = len(all)
		all = append(all, wanted{f})
	}
	return all
}

// String gives the file as the lock file has it, for people.
func (w wanted) String() string {
	var parts []string
	for _, f := range w {
		for _, alg := range slices.Sorted(maps.Keys(f.Hashes)) {
			parts = append(parts, alg+":"+f.Hashes[alg])
		}
	}
	hashes := strings.Join(parts, " or ")
	switch name := w[0].Name; {
	case name == "":
		return "the file with " + hashes
	case hashes == "":
		return name
	default:
		return name + " (" + hashes + ")"
	}
}

// pick gives an offer if it is the file. What the lock file knows besides is added to
// it, so that the bytes are held against that too.
func (w wanted) pick(o catalog.Offer) (catalog.Offer, bool) {
	for i := range w {
		f := &w[i]
		if !is(f, &o) {
			continue
		}
		if len(f.Hashes) > 0 {
			all := maps.Clone(f.Hashes)
			maps.Copy(all, o.Hashes)
			o.Hashes = all
		}
		if o.Size < 0 {
			o.Size = f.Size
		}
		return o, true
	}
	return o, false
}

// is reports whether an offer is a file of a lock file: nothing that both say of it
// contradicts, and it has the name or a hash that nothing else has.
func is(f *lockfile.File, o *catalog.Offer) bool {
	same, other := compare(f.Hashes, o.Hashes)
	return !other && (same || f.Name == o.Filename) && (f.Size < 0 || o.Size < 0 || f.Size == o.Size)
}

// strong are the digests by which a file is known under whatever name.
var strong = []string{"sha256", "sha384", "sha512", "blake2b", "blake2b_256"}

// compare reports whether two sets of digests have a strong one in common, and
// whether they contradict each other.
func compare(a, b map[string]string) (same, other bool) {
	for alg, digest := range a {
		switch have := b[alg]; {
		case have == "":
		case !strings.EqualFold(have, digest):
			return false, true
		case slices.Contains(strong, alg):
			same = true
		}
	}
	return same, false
}

// A shelf finds candidates by their names and by strong digests.
type shelf struct {
	all []candidate
	at  map[string][]int
}

func newShelf(all []candidate) shelf {
	s := shelf{all, make(map[string][]int, 2*len(all))}
	for i := range all {
		o := &all[i].Offer
		s.at[o.Filename] = append(s.at[o.Filename], i)
		for _, alg := range strong {
			if digest := o.Hashes[alg]; digest != "" {
				key := alg + ":" + strings.ToLower(digest)
				s.at[key] = append(s.at[key], i)
			}
		}
	}
	return s
}

// picks gives the candidates that are a file, as it picks them.
func (s shelf) picks(w wanted) (picked []candidate) {
	var at []int
	for _, f := range w {
		at = append(at, s.at[f.Name]...)
		for alg, digest := range f.Hashes {
			at = append(at, s.at[alg+":"+digest]...)
		}
	}
	slices.Sort(at)
	for _, i := range slices.Compact(at) {
		c := s.all[i]
		if o, ok := w.pick(c.Offer); ok {
			c.Offer = o
			picked = append(picked, c)
		}
	}
	return picked
}

// byAddress adds to what is on offer what only a lock file has, by its address. What
// the upstream has under such a name and is not the file is taken out, because the
// lock file names the bytes.
func (in *Input) byAddress(all []candidate, describe func(*candidate)) []candidate {
	if in.Source == "" && !in.Nobody || !slices.ContainsFunc(in.Wants, allowlist.Want.Locked) {
		return all
	}
	offered := newShelf(all)
	direct := map[string]bool{}
	var more []candidate
	for _, want := range in.Wants {
		if !want.Locked() {
			continue
		}
		for _, w := range lockedFiles(want) {
			if len(offered.picks(w)) > 0 {
				continue
			}
			for _, f := range w {
				o, ok := Located(f)
				name, err := packaging.ParseFilename(f.Name, in.Name)
				if !ok || err != nil || name.Project != in.Name {
					continue
				}
				if direct[o.Filename] {
					break // another lock file has it, and perhaps other bytes
				}
				direct[o.Filename] = true
				c := candidate{Choice: Choice{Source: catalog.Direct, Offer: o, Filename: name}}
				c.instead = slices.ContainsFunc(offered.at[o.Filename], func(i int) bool { return !all[i].vanished })
				describe(&c)
				more = append(more, c)
				break
			}
		}
	}
	all = slices.DeleteFunc(all, func(c candidate) bool { return direct[c.Offer.Filename] })
	return append(all, more...)
}

// Located gives the file that a lock file has an address of, as something on offer
// there. The URL is fit to be shown, as that of [Direct]. When it was uploaded is not
// taken from a lock file: nobody's word counts for that but an upstream's. It is
// false without an address, or without a name.
func Located(f lockfile.File) (catalog.Offer, bool) {
	if f.URL == "" || f.Name == "" || packaging.CheckFilename(f.Name) != nil {
		return catalog.Offer{}, false
	}
	u, err := url.Parse(f.URL)
	if err != nil || u.Host == "" {
		return catalog.Offer{}, false
	}
	return catalog.Offer{Filename: f.Name, URL: shown(u), Size: f.Size, Hashes: maps.Clone(f.Hashes)}, true
}

// answerLock gives the candidates that a lock file names, and tells which of its
// files nobody has.
func (p *Project) answerLock(in *Input, want allowlist.Want, all, out []candidate) (found []candidate) {
	where, line := want.Position.String(), strings.TrimSpace(want.Text)
	var objected []candidate
	var missing, nameless []wanted
	free, against := newShelf(all), newShelf(out)
	for _, w := range lockedFiles(want) {
		picked, against := free.picks(w), against.picks(w)
		found = append(found, picked...)
		switch {
		case len(picked) > 0 || in.hasLocal(w):
		case len(against) > 0:
			objected = append(objected, against...)
		case w[0].Name == "":
			nameless = append(nameless, w)
		default:
			missing = append(missing, w)
		}
	}
	if left := in.unsaid(want, nameless, all); len(left) > 0 {
		found = append(found, left...)
	} else {
		missing = append(missing, nameless...)
	}
	for _, w := range missing {
		p.tellMissing(in, where, line, w)
	}
	refused := false
	set := allowedDigests(allowlist.Want{}, in.Constraints)
	found = slices.DeleteFunc(found, func(c candidate) bool {
		if !in.fits(&c) {
			return true
		}
		right, known := hashed(set, c.Offer)
		if known && !right || !in.specifiers(allowlist.Want{}).MatchesString(c.Filename.Version, packaging.AllowPrereleases) {
			p.problem(Incomplete, where, "", "%s: the constraints of the allowlist do not allow %s", line, c.Offer.Filename)
			return true
		}
		if !c.listed && !c.local && !p.vet(in, c.Choice) {
			refused = true
			return true
		}
		return false
	})
	for i := range found {
		c := &found[i]
		c.vetted = true
		if _, known := hashed(set, c.Offer); !known {
			c.Allowed = set
		}
		if c.yanked.Yanked {
			p.problem(Warning, where, "lock again without it", "%s: version %s is yanked%s; it is listed because the lock file names it", line, c.Filename.Version, because(c.yanked.Reason))
		}
		if c.instead {
			p.problem(Warning, where, "", "%s: %s offers other bytes under the name %s; those of the lock file are taken from the address that it gives", line, in.Source, c.Offer.Filename)
		}
	}
	switch {
	case len(found) > 0:
	case refused:
		p.Lacks = true
	case len(objected) > 0:
		p.tellLeftOut(want, objected)
	}
	return found
}

// unsaid gives the candidates that may be one of the nameless files which nobody
// else is, because the upstream gives no such hash of them: only the bytes can tell.
func (in *Input) unsaid(want allowlist.Want, files []wanted, all []candidate) (left []candidate) {
	spec := want.Requirement.Specifiers
	if len(files) == 0 || spec.Len() == 0 {
		return nil
	}
	set := map[string][]string{}
	for _, w := range files {
		for alg, digest := range w[0].Hashes {
			set[alg] = append(set[alg], digest)
		}
	}
	for _, c := range all {
		if _, known := hashed(set, c.Offer); known || !spec.MatchesString(c.Filename.Version, packaging.AllowPrereleases) {
			continue
		}
		c.Allowed = set
		left = append(left, c)
	}
	return left
}

// hasLocal reports whether a drop folder has the file.
func (in *Input) hasLocal(w wanted) bool {
	is := func(filename string, sha catalog.Digest) bool {
		_, ok := w.pick(catalog.Offer{Filename: filename, Size: -1, Hashes: map[string]string{"sha256": sha.String()}})
		return ok
	}
	if slices.ContainsFunc(in.Dropped, func(d Dropped) bool { return is(d.File, d.SHA256) }) {
		return true
	}
	return in.Current != nil && (in.SkipLocal || in.KeepLocal) && slices.ContainsFunc(in.Current.Files, func(f catalog.File) bool {
		return f.Source == catalog.Local && !in.Leaving[f.Filename] && is(f.Filename, f.SHA256)
	})
}

// names reports whether a want of a lock file asks for an offer.
func names(want allowlist.Want, o catalog.Offer) bool {
	return slices.ContainsFunc(want.Files, func(f lockfile.File) bool { return is(&f, &o) })
}

// tellMissing tells of a file of a lock file that nobody has.
func (p *Project) tellMissing(in *Input, where, line string, w wanted) {
	name := w[0].Name
	if name != "" {
		f, err := packaging.ParseFilename(name, in.Name)
		if err == nil {
			err = packaging.CheckFilename(name)
		}
		if err != nil {
			p.problem(Incomplete, where, "", "%s: %v", line, err)
			return
		}
		if f.Project != in.Name {
			p.problem(Incomplete, where, "", "%s: %s is a file of %s", line, name, f.Project)
			return
		}
	}
	if slices.ContainsFunc(w, func(f lockfile.File) bool { _, ok := Located(f); return ok }) {
		p.problem(Incomplete, where, "lock again, or take one of the two out", "%s: another lock file has an address for other bytes than %s", line, w)
		return
	}
	hint := ""
	if w[0].Path != "" {
		hint = "the lock file has it at " + w[0].Path + ": put it into a drop folder"
	}
	if in.Source == "" {
		p.problem(Incomplete, where, hint, "%s: no upstream has the project, and the lock file has no address of %s", line, w)
		return
	}
	if in.Listing != nil {
		for _, o := range in.Listing.Offers {
			if o.Filename == name {
				p.problem(Incomplete, where, "find out which of the two is right, and lock again", "%s: %s has other bytes than %s", line, in.Source, w)
				return
			}
		}
	}
	p.problem(Incomplete, where, hint, "%s: %s does not have %s, and the lock file has no address of it", line, in.Source, w)
}

// checkLocked tells which files of a lock file no local file is: the name is not
// asked for outside.
func (p *Project) checkLocked(in *Input, want allowlist.Want) {
	for _, w := range lockedFiles(want) {
		if !in.hasLocal(w) {
			p.problem(Incomplete, want.Position.String(), "put it in a drop folder, or give the project sources = \"both\" in a [[project]] table",
				"%s: the drop folders do not have %s, and the name belongs to this site, so that no upstream is asked", strings.TrimSpace(want.Text), w)
		}
	}
}
