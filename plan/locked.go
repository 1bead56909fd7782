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

// pick gives an offer if it is the file: one of its hashes is right, and none is
// wrong. What the lock file knows besides is added to it, so that the bytes are held
// against that too.
func (w wanted) pick(o catalog.Offer) (catalog.Offer, bool) {
	for _, f := range w {
		same, other := compare(f.Hashes, o.Hashes)
		named := f.Name == o.Filename
		switch {
		case other, f.Size >= 0 && o.Size >= 0 && f.Size != o.Size:
			continue
		case !named && !same, f.Name == "" && !same:
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

// byAddress adds to what is on offer what only a lock file has, by its address. What
// the upstream has under such a name and is not the file is taken out, because the
// lock file names the bytes.
func (in *Input) byAddress(all []candidate, describe func(*candidate)) []candidate {
	if in.Source == "" && !in.Nobody {
		return all
	}
	for _, want := range in.Wants {
		if !want.Locked() {
			continue
		}
		for _, w := range lockedFiles(want) {
			if slices.ContainsFunc(all, func(c candidate) bool { _, ok := w.pick(c.Offer); return ok }) {
				continue
			}
			for _, f := range w {
				o, ok := Located(f)
				name, err := packaging.ParseFilename(f.Name, in.Name)
				if !ok || err != nil || name.Project != in.Name {
					continue
				}
				taken := func(c candidate) bool { return c.Offer.Filename == o.Filename }
				if slices.ContainsFunc(all, func(c candidate) bool { return taken(c) && c.Source == catalog.Direct }) {
					continue // by another lock file
				}
				c := candidate{Choice: Choice{Source: catalog.Direct, Offer: o, Filename: name}}
				c.instead = slices.ContainsFunc(all, func(c candidate) bool { return taken(c) && !c.vanished })
				describe(&c)
				all = append(slices.DeleteFunc(all, taken), c)
				break
			}
		}
	}
	return all
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
	for _, w := range lockedFiles(want) {
		picked, against := w.picks(all), w.picks(out)
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

// picks gives the candidates that are the file.
func (w wanted) picks(from []candidate) (picked []candidate) {
	for _, c := range from {
		if o, ok := w.pick(c.Offer); ok {
			c.Offer = o
			picked = append(picked, c)
		}
	}
	return picked
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
	return slices.ContainsFunc(lockedFiles(want), func(w wanted) bool { _, ok := w.pick(o); return ok })
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
