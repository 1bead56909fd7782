package target

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"nestgen/packaging"
)

// A Spec describes a target: a preset and what is different, or everything.
type Spec struct {
	// Name is what people call it: letters, digits, dots, dashes and
	// underscores. Required.
	Name string

	// Like is the name of a preset; see [Parse]. Without it Tags and Markers
	// must say everything.
	Like string

	// Python is the full version ("3.9.2"), of the minor version that Like has.
	// If empty, the last one known.
	Python string

	// Glibc, Musl and MacOS are versions such as "2.31" of what Like's system
	// is made of; for another system they are an error. If empty, Like's.
	Glibc, Musl, MacOS string

	// Tags are all compatibility tags, the most wanted first; one may be a
	// compressed set. If empty, those of Like.
	Tags []string

	// Markers are single environment markers by their names (PEP 508), which
	// replace what follows from the rest.
	Markers map[string]string
}

// maxTags is how many tags a target may have: a multiple of what any machine
// has.
const maxTags = 50_000

// Target makes the target. An error names the key by its name in the settings.
func (s Spec) Target() (Target, error) {
	if s.Like == "" {
		return s.whole()
	}
	m, err := parse(s.Like)
	if err != nil {
		return Target{}, err
	}
	if err := checkName(s.Name); err != nil {
		return Target{}, err
	}
	if err := s.adapt(&m); err != nil {
		return Target{}, fmt.Errorf("environment %q: %w", s.Name, err)
	}
	t := Target{Name: s.Name, Markers: m.markers()}
	if err := s.finish(&t); err != nil {
		return Target{}, fmt.Errorf("environment %q: %w", s.Name, err)
	}
	if len(s.Tags) == 0 {
		t.setTags(m.python.tags(m.platforms()))
	}
	return t, nil
}

func checkName(name string) error {
	ok := name != "" && len(name) <= 100
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '.' || c == '-' || c == '_'
	}
	if !ok {
		return fmt.Errorf("environment %s: want a name of letters, digits, dots, dashes and underscores", quoted(name))
	}
	return nil
}

// adapt replaces what is different from the preset.
func (s Spec) adapt(m *machine) error {
	for _, v := range []struct {
		key, text, system string
		to                *version
	}{
		{"glibc", s.Glibc, "linux", &m.glibc},
		{"musl", s.Musl, "musllinux", &m.musl},
		{"macos", s.MacOS, "macos", &m.macos},
	} {
		if v.text == "" {
			continue
		}
		if m.system != v.system {
			return fmt.Errorf("%s = %s: %s is no %s", v.key, quoted(v.text), s.Like, v.system)
		}
		var err error
		if *v.to, err = parseVersion(v.text); err != nil {
			return fmt.Errorf("%s = %s: %w", v.key, quoted(v.text), err)
		}
	}
	if fault := m.checkVersions(); fault != "" {
		return errors.New(fault)
	}
	full := s.Python
	if given := s.Markers["python_full_version"]; given != "" {
		if full != "" && full != given {
			return fmt.Errorf("python = %s, but markers have python_full_version = %s", quoted(full), quoted(given))
		}
		full = given
	}
	if full == "" {
		return nil
	}
	minor, _, err := pythonOf(full)
	if err != nil {
		return fmt.Errorf("python = %s: %w", quoted(full), err)
	}
	if want := fmt.Sprintf("%d.%d", m.python.major, m.python.minor); minor != want {
		return fmt.Errorf("python = %s: %s is Python %s", quoted(full), s.Like, want)
	}
	m.full = full
	return nil
}

// parseVersion reads "2.31", and "13" for "13.0".
func parseVersion(s string) (version, error) {
	first, second, dot := strings.Cut(s, ".")
	if !dot {
		second = "0"
	}
	major, err1 := strconv.ParseUint(first, 10, 16)
	minor, err2 := strconv.ParseUint(second, 10, 16)
	if err1 != nil || err2 != nil {
		return version{}, errors.New("want two numbers with a dot between them")
	}
	return version{int(major), int(minor)}, nil
}

// pythonOf gives what follows from the full version of a Python: its
// python_version, and what Requires-Python is held against.
func pythonOf(full string) (minor string, plain packaging.Version, err error) {
	v, err := packaging.ParseVersion(strings.TrimSuffix(full, "+"))
	if err != nil || strings.Count(v.Release(), ".") != 2 || v.Epoch() != "0" {
		return "", packaging.Version{}, errors.New("want three numbers such as 3.9.2")
	}
	plain, err = packaging.ParseVersion(v.Release())
	if err != nil {
		return "", packaging.Version{}, err
	}
	release := v.Release()
	return release[:strings.LastIndexByte(release, '.')], plain, nil
}

// whole makes a target of which everything is said.
func (s Spec) whole() (Target, error) {
	if err := checkName(s.Name); err != nil {
		return Target{}, err
	}
	fail := func(format string, args ...any) (Target, error) {
		return Target{}, fmt.Errorf("environment %q: "+format, append([]any{s.Name}, args...)...)
	}
	for _, v := range []struct{ key, text string }{{"glibc", s.Glibc}, {"musl", s.Musl}, {"macos", s.MacOS}} {
		if v.text != "" {
			return fail("%s needs like, the name of a preset that it changes", v.key)
		}
	}
	if len(s.Tags) == 0 {
		return fail("without like, the name of a preset, tags must give every tag (%s)", Grammar)
	}
	full := s.Python
	if full == "" {
		full = s.Markers["python_full_version"]
	} else if given, ok := s.Markers["python_full_version"]; ok && given != full {
		return fail("python = %s, but markers have python_full_version = %s", quoted(full), quoted(given))
	}
	minor, _, err := pythonOf(full)
	if err != nil {
		return fail("python = %s: %w", quoted(full), err)
	}
	t := Target{Name: s.Name, Markers: packaging.Environment{PythonVersion: minor, PythonFullVersion: full, ImplementationVersion: full}}
	for _, name := range []string{"os_name", "sys_platform", "platform_machine", "platform_python_implementation", "platform_system", "implementation_name"} {
		if _, ok := s.Markers[name]; !ok {
			return fail("without like, the name of a preset, markers must have %s", name)
		}
	}
	if err := s.finish(&t); err != nil {
		return fail("%w", err)
	}
	return t, nil
}

// finish puts in the single markers and the tags.
func (s Spec) finish(t *Target) error {
	for name, value := range s.Markers {
		field := markerOf(&t.Markers, name)
		switch {
		case field == nil:
			return fmt.Errorf("markers: there is no %s that describes a machine: want one of %s", quoted(name), strings.Join(markerNames, ", "))
		case len(value) > 1000 || strings.ContainsAny(value, "\r\n") || strings.Contains(value, `"`) && strings.Contains(value, "'"):
			return fmt.Errorf("markers: %s = %s: want one short line without both kinds of quotes", name, quoted(value))
		}
		*field = value
	}
	minor, plain, err := pythonOf(t.Markers.PythonFullVersion)
	if err != nil {
		return fmt.Errorf("python_full_version = %s: %w", quoted(t.Markers.PythonFullVersion), err)
	}
	if t.Markers.PythonVersion != minor {
		return fmt.Errorf("markers: python_version = %s does not go with Python %s", quoted(t.Markers.PythonVersion), t.Markers.PythonFullVersion)
	}
	t.python = plain
	t.marker = t.describe(s.Markers)

	var tags []packaging.Tag
	for _, set := range s.Tags {
		n := 1
		for part := range strings.SplitSeq(set, "-") {
			n *= strings.Count(part, ".") + 1
			if n+len(tags) > maxTags {
				return fmt.Errorf("tags: more than %d", maxTags)
			}
		}
		more, err := packaging.ParseTags(set)
		if err != nil {
			return fmt.Errorf("tags: %w", err)
		}
		if slices.ContainsFunc(more, func(t packaging.Tag) bool { return t.Python == "" || t.ABI == "" || t.Platform == "" }) {
			return fmt.Errorf("tags: %s has an empty part", quoted(set))
		}
		tags = append(tags, more...)
	}
	t.setTags(tags)
	return nil
}
