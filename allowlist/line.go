package allowlist

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// A line is a logical line being read.
type line struct {
	r    *reader
	f    *file
	n    int
	text string // as written
	subs []substitution

	// asks is set for a requirement: what is wrong with it concerns it alone.
	asks bool
}

// problem adds a problem of the line.
func (l *line) problem(p Problem) { l.r.report(l.f, l.n, p) }

func (l *line) warn(pip Verdict, hint, format string, args ...any) {
	l.problem(Problem{Severity: Warning, Text: fmt.Sprintf(format, args...), Hint: hint, Pip: pip})
}

func (l *line) fail(pip Verdict, hint, format string, args ...any) {
	l.problem(Problem{Severity: Error, Text: fmt.Sprintf(format, args...), Hint: hint, Pip: pip, Partial: !l.asks})
}

// mask puts the names of the variables back for their values, which are often
// secrets.
func (l *line) mask(s string) string {
	for _, sub := range l.subs {
		if len(sub.value) > 2 {
			s = strings.ReplaceAll(s, sub.value, sub.variable)
		}
	}
	return s
}

// masked is mask for an address, empty if there is nothing to mask.
func (l *line) masked(s string) string {
	if len(l.subs) == 0 {
		return ""
	}
	return l.mask(s)
}

// quote is [quote] without the values of variables.
func (l *line) quote(s string) string { return quote(l.mask(s)) }

// quoteBare is quote without the quotation marks.
func (l *line) quoteBare(s string) string { return bare(l.mask(s)) }

// readLine reads one logical line.
func (r *reader) readLine(f *file, logical logicalLine) {
	l := &line{r: r, f: f, n: logical.number, text: logical.text}
	text, subs := expand(logical.text, r.src.Env)
	l.subs = subs
	if grown := len(text) - len(logical.text); grown > 0 && !r.grow(f, logical.number, grown) {
		return
	}
	requirement, opts := splitArguments(text)
	l.asks = requirement != ""
	words, err := shellSplit(opts)
	if err != nil {
		l.fail(PipRefusesFile, "", "options %s: %v", l.quote(opts), err)
		return
	}
	settings, stray, err := parseOptions(words)
	if err != nil {
		e := err.(*optionError)
		l.fail(PipRefusesFile, l.mask(e.hint), "%s", l.mask(e.text))
		return
	}
	editable := slices.IndexFunc(settings, func(s setting) bool { return s.option.id == optEditable })
	l.asks = l.asks || editable >= 0
	if !l.checkSettings(settings) {
		return
	}
	l.noteStray(requirement, settings, stray)

	if requirement == "" && editable >= 0 {
		requirement = settings[editable].value
		settings = slices.Delete(settings, editable, editable+1)
	}
	if requirement != "" || editable >= 0 {
		l.readRequirement(requirement, editable >= 0, settings)
		return
	}
	for _, id := range []optionID{optRequirement, optConstraint} {
		if i := slices.IndexFunc(settings, func(s setting) bool { return s.option.id == id }); i >= 0 {
			for j, s := range settings {
				if j != i {
					l.warn(PipReads, "give each include a line of its own", "%s beside %s is ignored, as pip does", s.name, settings[i].name)
				}
			}
			l.include(settings[i].value, id == optConstraint)
			return
		}
	}
	l.readOptions(settings)
}

// checkSettings reports the values that pip gives up on, and the options of
// old. It is false if the line cannot be used.
func (l *line) checkSettings(settings []setting) bool {
	for _, s := range settings {
		switch s.option.id {
		case optHash:
			alg, digest, ok := strings.Cut(s.value, ":")
			size, known := hashSizes[alg]
			switch {
			case !ok:
				l.fail(PipRefusesFile, "write --hash=sha256:HEX", "--hash %s: no algorithm", l.quote(s.value))
				return false
			case !known:
				l.fail(PipRefusesFile, "", "--hash: algorithm %s is not sha256, sha384 or sha512", l.quote(alg))
				return false
			case len(digest) != size || !isHex(digest):
				l.warn(PipReads, "", "--hash: %s digest %s is not %d hexadecimal digits, so no file can have it", alg, l.quote(digest), size)
			}
		case optConfigSettings:
			if !strings.Contains(s.value, "=") {
				l.fail(PipRefusesFile, "", "%s %s: not KEY=VALUE", s.name, l.quote(s.value))
				return false
			}
		case optNoBinary, optOnlyBinary, optAllReleases, optOnlyFinal:
			if strings.HasPrefix(s.value, "-") {
				l.fail(PipRefusesFile, "", "%s: %s is not the name of a project", s.name, l.quote(s.value))
				return false
			}
		case optUseFeature:
			if !slices.Contains(features, s.value) {
				l.warn(PipRefusesFile, "", "--use-feature: pip of today knows no feature %s; ignored", l.quote(s.value))
			}
		case optFormer:
			l.warn(PipRefusesFile, "take the option out", "%s is an option of old, which pip has given up; ignored", s.name)
		}
	}
	return true
}

// features are the values of --use-feature that pip of today takes.
var features = []string{
	"fast-deps", "inprocess-build-deps", "venv-isolation",
	"truststore", "no-binary-enable-wheel-cache", "build-constraint",
}

// hashSizes are the algorithms of --hash and the length of their digests in
// hexadecimal.
var hashSizes = map[string]int{"sha256": 64, "sha384": 96, "sha512": 128}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdefABCDEF") == "" }

// noteStray warns about words among the options that belong to none: pip drops
// them, and often they were meant to be read.
func (l *line) noteStray(requirement string, settings []setting, stray []string) {
	if len(stray) == 0 && (requirement != "" || len(settings) > 0) {
		return
	}
	hint := ""
	if requirement == "" && len(settings) == 1 && settings[0].option.id == optEditable {
		hint = "put quotes around what follows -e if there is a space in it"
	}
	words := strings.Join(stray, " ")
	if words == "" {
		words = l.text
	}
	l.warn(PipReads, hint, "%s is neither an option nor its value; ignored, as pip does", l.quote(words))
}

// readOptions takes the options of a line without a requirement.
func (l *line) readOptions(settings []setting) {
	o := &l.r.list.Options
	at := Position{l.f.name, l.n}
	findLinks := 0
	// The order is pip's, not that of the line: --no-index, -i and
	// --extra-index-url of one line count in that order.
	for _, s := range settings {
		if s.option.id == optNoIndex {
			o.NoIndex = true
			o.IndexURL, o.ExtraIndexURLs = Place{}, nil
		}
	}
	index, extra := Place{}, []Place(nil)
	for _, s := range settings {
		switch s.option.id {
		case optIndexURL:
			index = Place{URL: s.value, Position: at, masked: l.masked(s.value)}
		case optExtraIndexURL:
			extra = append(extra, Place{URL: s.value, Position: at, masked: l.masked(s.value)})
		case optFindLinks:
			if findLinks++; findLinks > 1 {
				l.warn(PipReads, "give each -f a line of its own", "%s: only the first of a line is read, as pip does", s.name)
				continue
			}
			if p := l.findLinks(s.value); l.usable(s.name, p) {
				o.FindLinks = append(o.FindLinks, p)
			}
		case optPre:
			o.Pre = true
			o.AllReleases.All = true
		case optAllReleases:
			o.AllReleases.apply(s.value, &o.OnlyFinal)
		case optOnlyFinal:
			o.OnlyFinal.apply(s.value, &o.AllReleases)
		case optNoBinary:
			o.NoBinary.apply(s.value, &o.OnlyBinary)
		case optOnlyBinary:
			o.OnlyBinary.apply(s.value, &o.NoBinary)
		case optPreferBinary:
			o.PreferBinary = true
			l.warn(PipReads, "", "--prefer-binary means nothing to an index, which keeps every file of a release; ignored")
		case optRequireHashes:
			o.RequireHashes = true
		case optNoRequireHashes:
			o.RequireHashes = false
		case optTrustedHost:
			l.warn(PipReads, "", "--trusted-host %s: a list cannot switch the check of a certificate off; ignored", l.quote(s.value))
		case optUseFeature:
			if slices.Contains(features, s.value) {
				l.warn(PipReads, "", "--use-feature means nothing to an index; ignored")
			}
		case optConfigSettings:
			l.warn(PipReads, "", "%s means nothing to an index; ignored", s.name)
		case optHash:
			l.warn(PipReads, "is a backslash missing at the end of the line before?", "--hash without a requirement; ignored")
		}
	}
	if o.NoIndex {
		for _, s := range settings {
			if s.option.id == optIndexURL || s.option.id == optExtraIndexURL {
				l.warn(PipReads, "", "%s has no effect with --no-index", s.name)
			}
		}
		return
	}
	if index.URL != "" && l.usable("-i", index) {
		for _, e := range o.ExtraIndexURLs {
			l.warn(PipReads, "put -i first", "-i takes the place of the --extra-index-url at %s, as in pip", e.Position)
		}
		o.IndexURL, o.ExtraIndexURLs = index, nil
	}
	for _, e := range extra {
		if l.usable("--extra-index-url", e) {
			o.ExtraIndexURLs = append(o.ExtraIndexURLs, e)
		}
	}
}

// findLinks makes the place of a -f.
func (l *line) findLinks(value string) Place {
	p := Place{URL: value, Position: Position{l.f.name, l.n}, masked: l.masked(value)}
	if !isURL(value) && !isRemote(l.f.key) {
		path := value
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(l.f.key), path)
		}
		if _, err := l.r.src.Stat(path); err == nil {
			p.URL = path
		}
	}
	if raw, ok := parseLink(value).parameter("egg"); ok {
		if e, ok := parseEgg(raw); ok {
			p.Egg, p.EggVersion = e.name, e.version
			l.warn(PipReads, "", "-f with #egg=%s: easy_install takes the address for one file, pip for a page of links", l.quoteBare(raw))
		}
	}
	return p
}

// usable reports a variable that is left over in an address.
func (l *line) usable(option string, p Place) bool {
	v, left := leftover(p.URL)
	if left {
		l.fail(PipReads, "set it where nestgen runs", "%s: variable %s is not set", option, v)
	}
	return !left
}

// leftover gives the first variable that was not replaced.
func leftover(s string) (variable string, ok bool) {
	start, end := nextVariable(s)
	if start < 0 {
		return "", false
	}
	return s[start:end], true
}

// isDir reports whether there is a directory of that name.
func (r *reader) isDir(name string) bool {
	info, err := r.src.Stat(name)
	return err == nil && info.IsDir()
}

// isFile reports whether there is a regular file of that name.
func (r *reader) isFile(name string) bool {
	info, err := r.src.Stat(name)
	return err == nil && info.Mode()&fs.ModeType == 0
}
