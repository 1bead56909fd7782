package lockfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"nestgen/internal/tame"
	"nestgen/packaging"
)

// A Frozen is the answer to a question at one moment: which files a set of
// environments installs. [WritePylock] and [WriteConstraints] write it down.
type Frozen struct {
	// Environments are those that it is the answer for, at least one. No machine
	// may fit the markers of two.
	Environments []Environment

	// RequiresPython narrows the whole answer to versions of Python; it may be
	// empty.
	RequiresPython string

	// Pins are the packages, in any order.
	Pins []Pin
}

// An Environment is a kind of machine, as a marker tells it from others (PEP 508).
type Environment struct{ Name, Marker string }

// A Pin is one version of a project that environments install.
type Pin struct {
	Project packaging.Name
	Version string

	// Environments are the names of those that install it, at least one.
	Environments []string

	// RequiresPython is what the files say of themselves, and Index the address of
	// the index that has them; both may be empty.
	RequiresPython, Index string

	// Dependencies are the projects that it directly depends on, in any of its
	// environments. Those that are no pin are left out.
	Dependencies []packaging.Name

	// Files are the wheels and the sdist to choose from, in any order: each with a
	// name, an address or a path, and a hash.
	Files []File
}

// WritePylock gives a frozen answer as a pylock.toml (PEP 751). The same answer
// gives the same bytes. What the form cannot say is an error: a pin without a file
// that current installers take, a file without hash, one of another project.
func WritePylock(f Frozen) ([]byte, error) {
	pins, err := f.check()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "lock-version = \"1.0\"\n")
	b.WriteString("environments = [\n")
	for _, e := range f.Environments {
		fmt.Fprintf(&b, "    %s, # %s\n", quoted(e.Marker), tame.Text(e.Name))
	}
	b.WriteString("]\n")
	entry(&b, "requires-python", f.RequiresPython)
	b.WriteString("created-by = \"nestgen\"\n")
	if len(pins) == 0 {
		b.WriteString("packages = []\n")
	}
	versions := map[packaging.Name][]Pin{}
	for _, p := range pins {
		versions[p.Project] = append(versions[p.Project], p)
	}
	for _, p := range pins {
		b.WriteString("\n[[packages]]\n")
		entry(&b, "name", string(p.Project))
		entry(&b, "version", p.Version)
		entry(&b, "marker", f.marker(p))
		entry(&b, "requires-python", p.RequiresPython)
		writeDependencies(&b, p, versions)
		entry(&b, "index", p.Index)
		var wheels []File
		for _, file := range p.Files {
			if packaging.KindOf(file.Name) != packaging.Sdist {
				wheels = append(wheels, file)
				continue
			}
			b.WriteString("sdist = ")
			writeFile(&b, file)
			b.WriteByte('\n')
		}
		if len(wheels) > 0 {
			b.WriteString("wheels = [\n")
			for _, w := range wheels {
				b.WriteString("    ")
				writeFile(&b, w)
				b.WriteString(",\n")
			}
			b.WriteString("]\n")
		}
	}
	return b.Bytes(), nil
}

// WriteConstraints gives a frozen answer as a constraints file for pip -c and its
// like, each line with a marker where not every environment has it.
func WriteConstraints(f Frozen) ([]byte, error) {
	pins, err := f.check()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("# Written by nestgen, for:\n")
	for _, e := range f.Environments {
		fmt.Fprintf(&b, "#   %s: %s\n", tame.Text(e.Name), tame.Text(e.Marker))
	}
	for _, p := range pins {
		fmt.Fprintf(&b, "%s==%s", p.Project, p.Version)
		if m := f.marker(p); m != "" {
			b.WriteString(" ; " + m)
		}
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// check looks whether a frozen answer can be written down, and gives its pins in
// order, each version of a project once.
func (f *Frozen) check() ([]Pin, error) {
	if len(f.Environments) == 0 {
		return nil, errors.New("no environment")
	}
	known := map[string]bool{}
	for _, e := range f.Environments {
		if known[e.Name] {
			return nil, fmt.Errorf("environment %q comes twice", e.Name)
		}
		known[e.Name] = true
		if _, err := packaging.ParseMarker(e.Marker); err != nil {
			return nil, fmt.Errorf("environment %q: %w", e.Name, err)
		}
	}
	if _, err := packaging.ParseSpecifiers(f.RequiresPython); err != nil {
		return nil, fmt.Errorf("requires-python: %w", err)
	}
	pins := slices.Clone(f.Pins)
	for i := range pins {
		p := &pins[i]
		if err := p.check(known); err != nil {
			return nil, fmt.Errorf("%s %s: %w", p.Project, p.Version, err)
		}
	}
	slices.SortStableFunc(pins, func(a, b Pin) int {
		return cmp.Or(strings.Compare(string(a.Project), string(b.Project)), packaging.CompareVersionStrings(a.Version, b.Version), strings.Compare(a.Version, b.Version))
	})
	merged := pins[:0]
	for _, p := range pins {
		if n := len(merged); n > 0 && merged[n-1].Project == p.Project && merged[n-1].Version == p.Version {
			if err := merged[n-1].add(p); err != nil {
				return nil, err
			}
			continue
		}
		merged = append(merged, p)
	}
	pins = merged
	has := map[[2]string]string{}
	for i := range pins {
		p := &pins[i]
		p.Files = slices.SortedFunc(slices.Values(p.Files), func(a, b File) int { return strings.Compare(a.Name, b.Name) })
		p.Dependencies = slices.Compact(slices.Sorted(slices.Values(p.Dependencies)))
		p.Environments = slices.Compact(slices.Sorted(slices.Values(p.Environments)))
		for _, e := range p.Environments {
			key := [2]string{e, string(p.Project)}
			if other, twice := has[key]; twice {
				return nil, fmt.Errorf("environment %q has %s twice: %s and %s", e, p.Project, other, p.Version)
			}
			has[key] = p.Version
		}
	}
	return pins, nil
}

// add takes in what another pin of the same version has.
func (p *Pin) add(other Pin) error {
	p.Environments = slices.Concat(p.Environments, other.Environments)
	p.Dependencies = slices.Concat(p.Dependencies, other.Dependencies)
	p.Files = slices.Clone(p.Files)
	for _, f := range other.Files {
		i := slices.IndexFunc(p.Files, func(g File) bool { return g.Name == f.Name })
		if i < 0 {
			p.Files = append(p.Files, f)
		} else if !maps.Equal(p.Files[i].Hashes, f.Hashes) {
			return fmt.Errorf("%s %s: %s comes with different hashes", p.Project, p.Version, f.Name)
		}
	}
	return nil
}

// check looks at what a pin says by itself.
func (p *Pin) check(environments map[string]bool) error {
	if n, err := packaging.ParseName(string(p.Project)); err != nil || n != p.Project {
		return errors.New("not a normalized project name")
	}
	version, err := packaging.ParseVersion(p.Version)
	if err != nil {
		return err
	}
	if _, err := packaging.ParseSpecifiers(p.RequiresPython); err != nil {
		return fmt.Errorf("requires-python: %w", err)
	}
	if len(p.Environments) == 0 {
		return errors.New("no environment")
	}
	for _, e := range p.Environments {
		if !environments[e] {
			return fmt.Errorf("environment %q is not known", e)
		}
	}
	if len(p.Files) == 0 {
		return errors.New("no file")
	}
	seen, sdists := map[string]bool{}, 0
	for _, file := range p.Files {
		name, err := packaging.ParseWheel(file.Name)
		if packaging.KindOf(file.Name) == packaging.Sdist {
			sdists++
			name, err = packaging.ParseSdist(file.Name)
		}
		if err != nil {
			return err
		}
		if v, _ := packaging.ParseVersion(name.Version); name.Project != p.Project || v.Compare(version) != 0 {
			return fmt.Errorf("%s is not a file of it", file.Name)
		}
		switch {
		case seen[file.Name]:
			return fmt.Errorf("%s comes twice", file.Name)
		case len(file.Hashes) == 0:
			return fmt.Errorf("%s has no hash", file.Name)
		case file.URL == "" && file.Path == "":
			return fmt.Errorf("%s has neither an address nor a path", file.Name)
		}
		if _, err := url.Parse(file.URL); err != nil {
			return err
		}
		seen[file.Name] = true
	}
	if sdists > 1 {
		return errors.New("more than one sdist")
	}
	return nil
}

// marker gives the marker of the environments that a pin is for, empty for all.
func (f *Frozen) marker(p Pin) string {
	var markers []string
	all := true
	for _, e := range f.Environments {
		if !slices.Contains(p.Environments, e.Name) {
			all = false
		} else if !slices.Contains(markers, e.Marker) {
			markers = append(markers, e.Marker)
		}
	}
	if all {
		return ""
	}
	return alternatives(markers)
}

// writeDependencies writes which other pins a pin depends on, by as much as tells
// them apart: the version too where there are several.
func writeDependencies(b *bytes.Buffer, p Pin, pins map[packaging.Name][]Pin) {
	var lines []string
	for _, d := range p.Dependencies {
		for _, other := range pins[d] {
			switch shared := slices.ContainsFunc(other.Environments, func(e string) bool { return slices.Contains(p.Environments, e) }); {
			case !shared:
			case len(pins[d]) == 1:
				lines = append(lines, fmt.Sprintf("    { name = %s },\n", quoted(string(d))))
			default:
				lines = append(lines, fmt.Sprintf("    { name = %s, version = %s },\n", quoted(string(d)), quoted(other.Version)))
			}
		}
	}
	if len(lines) > 0 {
		b.WriteString("dependencies = [\n" + strings.Join(lines, "") + "]\n")
	}
}

// writeFile writes a file as a table in one line.
func writeFile(b *bytes.Buffer, f File) {
	fmt.Fprintf(b, "{ name = %s", quoted(f.Name))
	if f.Uploaded != 0 {
		b.WriteString(", upload-time = " + time.UnixMicro(f.Uploaded).UTC().Format("2006-01-02T15:04:05.999999Z"))
	}
	if f.URL != "" {
		b.WriteString(", url = " + quoted(f.URL))
	}
	if f.Path != "" {
		b.WriteString(", path = " + quoted(f.Path))
	}
	if f.Size >= 0 {
		fmt.Fprintf(b, ", size = %d", f.Size)
	}
	b.WriteString(", hashes = { ")
	for i, alg := range slices.Sorted(maps.Keys(f.Hashes)) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(tomlKey(alg) + " = " + quoted(f.Hashes[alg]))
	}
	b.WriteString(" } }")
}

// tomlKey writes a key, bare where that is allowed.
func tomlKey(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == "" {
		return s
	}
	return quoted(s)
}

// entry writes a key with a text, unless that is empty.
func entry(b *bytes.Buffer, key, value string) {
	if value != "" {
		b.WriteString(key + " = " + quoted(value) + "\n")
	}
}

// quoted writes a string of TOML: a literal one where that reads better.
func quoted(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if strings.Contains(s, `"`) && !strings.ContainsFunc(s, func(r rune) bool { return r == '\'' || r < ' ' || r == 0x7f }) {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
