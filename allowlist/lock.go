package allowlist

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"nestgen/lockfile"
	"nestgen/packaging"
)

// readLock reads a lock file: each of its packages is a want, and what cannot be
// mirrored is one as it would be on a line of its own. The locked project itself is
// nothing that anybody wants from an index.
func (r *reader) readLock(f *file, form lockfile.Form) {
	if f.constraint {
		r.report(f, 0, Problem{Severity: Error, Pip: PipRefusesFile, Text: "a lock file cannot be a constraint file", Hint: "include it with -r, or name it as a list"})
		return
	}
	b, err := r.contents(f)
	if err != nil {
		r.notRead(f, err)
		return
	}
	lock, problems := lockfile.Read(form, f.key, b)
	verdict := PipReads
	if form == lockfile.Pylock {
		verdict = PipRefusesFile
	}
	for _, p := range problems {
		severity := Error
		if p.Warning {
			severity = Warning
		}
		r.report(f, p.Line, Problem{Severity: severity, Text: redact(p.Text), Hint: p.Hint, Pip: verdict})
	}
	seen := map[string]bool{}
	for _, p := range lock.Packages {
		if r.lines++; r.lines > r.most.lines {
			r.overflow(f, p.Line, fmt.Sprintf("more than %d lines in all lists together", r.most.lines))
			return
		}
		// An entry for each of several extras has the same files.
		key := fmt.Sprintf("%q %q %d %q %v", p.Project, p.Version, p.Source, p.Address, p.Files)
		if p.Source == lockfile.Itself || seen[key] {
			continue
		}
		seen[key] = true
		l := &line{r: r, f: f, n: p.Line, text: p.Name, asks: true}
		l.locked(p)
	}
}

// locked reads one package of a lock file.
func (l *line) locked(p lockfile.Package) {
	w := Want{
		Project:     p.Project,
		Requirement: packaging.Requirement{Name: p.Name},
		Position:    Position{l.f.name, l.n},
		Text:        lockedText(p),
		Via:         l.f.via,
	}
	switch p.Source {
	case lockfile.FromIndex:
		if !l.lockedFiles(&w, p) {
			return
		}
	case lockfile.FromURL:
		u := parseLink(p.Address)
		if k, ok := u.kind(); !ok || k != Archive || u.host == "" {
			l.fail(PipReads, "", "%s: not an address that can be fetched", bare(w.Text))
			return
		}
		l.setLink(&w, u)
		if !l.archiveHashes(&w, p) {
			return
		}
	case lockfile.FromVCS:
		u := parseLink(p.Address)
		if !slices.Contains(vcsSchemes, u.scheme) {
			l.fail(PipReads, "", "%s: unknown scheme %s", bare(w.Text), quote(u.scheme))
			return
		}
		l.setLink(&w, u)
	default:
		w.Kind = Path
		w.Path = p.Address
		if !filepath.IsAbs(w.Path) && l.f.dir != "" {
			w.Path = filepath.Join(filepath.Dir(l.f.key), filepath.FromSlash(strings.ReplaceAll(w.Path, `\`, "/")))
		}
		w.URL = fileURL(w.Path)
	}
	l.r.list.Wants = append(l.r.list.Wants, w)
}

// lockedText writes a package so that people know it from the file.
func lockedText(p lockfile.Package) string {
	text := strings.TrimRight(p.Name+" "+p.Version, " ")
	if p.Source != lockfile.FromIndex {
		text += " at " + p.Address
	}
	return bare(text)
}

// lockedFiles takes over the files of a package of an index, and pins it to its
// version. It is false if that asks for nothing.
func (l *line) lockedFiles(w *Want, p lockfile.Package) bool {
	unhashed := 0
	for _, file := range p.Files {
		if bad := badDigest(file.Hashes); bad != "" {
			l.fail(PipReads, "lock again", "%s: %s: %s, so no file can have it", bare(w.Text), bare(orHash(file)), bad)
			continue
		}
		if len(file.Hashes) == 0 {
			unhashed++
		}
		if u := parseLink(file.URL); u.scheme != "http" && u.scheme != "https" || u.host == "" {
			file.URL = ""
		}
		w.Files = append(w.Files, file)
	}
	version := p.Version
	for _, file := range w.Files {
		if version != "" {
			break
		}
		if name, err := packaging.ParseFilename(file.Name, p.Project); err == nil && name.Project == p.Project {
			version = name.Version
		}
	}
	if version != "" {
		pin := "=="
		if !packaging.ValidVersion(version) {
			pin = "==="
		}
		spec, err := packaging.ParseSpecifiers(pin + version)
		if err != nil {
			l.fail(PipReads, "", "%s: not a version that can be pinned: %s", bare(w.Text), bare(err.Error()))
			return false
		}
		w.Requirement.Specifiers = spec
	}
	switch {
	case len(w.Files) < len(p.Files) && len(w.Files) == 0:
		return false // told
	case len(w.Files) == 0 && version == "":
		l.fail(PipReads, "lock again", "%s: the lock file names neither a version nor a file of it", bare(w.Text))
		return false
	case len(w.Files) == 0:
		l.warn(PipReads, "lock again with a current release of the tool", "%s: the lock file names no files of it, so that all of this version are taken", bare(w.Text))
	case unhashed > 0:
		l.warn(PipReads, "lock again with a current release of the tool", "%s: the lock file has no hash for %d of its files, so that what the upstream has under these names is taken", bare(w.Text), unhashed)
	}
	return true
}

// archiveHashes takes over the hashes of the one archive of a package: what is said
// of one file must all be true, and of several hashes for one file one must be. It is
// false if that asks for nothing.
func (l *line) archiveHashes(w *Want, p lockfile.Package) bool {
	for _, file := range p.Files {
		if bad := badDigest(file.Hashes); bad != "" {
			l.fail(PipReads, "lock again", "%s: %s, so no file can have it", bare(w.Text), bad)
			return false
		}
		if len(p.Files) == 1 {
			w.URLHashes = file.Hashes
			continue
		}
		for alg, digest := range file.Hashes {
			if hashSizes[alg] == 0 {
				continue
			}
			if w.Hashes == nil {
				w.Hashes = make(map[string][]string)
			}
			if !slices.Contains(w.Hashes[alg], digest) {
				w.Hashes[alg] = append(w.Hashes[alg], digest)
				slices.Sort(w.Hashes[alg])
			}
		}
	}
	if len(w.Hashes)+len(w.URLHashes) == 0 {
		l.warn(PipReads, "lock again with a current release of the tool", "%s: the lock file has no hash for it", bare(w.Text))
	}
	return true
}

// orHash gives the name of a file, or its hash where it has none.
func orHash(f lockfile.File) string {
	if f.Name != "" {
		return f.Name
	}
	for alg, digest := range f.Hashes {
		return alg + ":" + digest
	}
	return "a file"
}

// badDigest tells what is wrong with the first digest that no file can have.
func badDigest(hashes map[string]string) string {
	for _, alg := range []string{"sha256", "sha512", "sha384", "sha224", "sha1", "md5"} {
		digest, given := hashes[alg]
		if size := digestSizes[alg]; given && (len(digest) != size || !isHex(digest)) {
			return fmt.Sprintf("its %s digest is not %d hexadecimal digits", alg, size)
		}
	}
	return ""
}

// digestSizes are the lengths of digests in hexadecimal.
var digestSizes = map[string]int{"sha256": 64, "sha512": 128, "sha384": 96, "sha224": 56, "sha1": 40, "md5": 32}
