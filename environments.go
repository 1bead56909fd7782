package nestgen

import (
	"fmt"
	"slices"

	"nestgen/internal/stricttoml"
	"nestgen/resolve"
	"nestgen/target"
)

// Dependencies says what a build adds to the allowlist: "resolve", "closure", or
// nothing.
type Dependencies string

// The values of the setting.
const (
	NoDependencies Dependencies = ""
	Resolve        Dependencies = "resolve"
	Closure        Dependencies = "closure"
)

// UnmarshalTOML reads true, false or one of the names.
func (d *Dependencies) UnmarshalTOML(v any) error {
	switch v {
	case true, string(Resolve):
		*d = Resolve
	case string(Closure):
		*d = Closure
	case false, "none":
		*d = NoDependencies
	default:
		return fmt.Errorf("dependencies = %v: want true, false, \"resolve\" or \"closure\"", v)
	}
	return nil
}

func (e *Environment) target() (target.Target, error) {
	return target.Spec{
		Name: e.Name, Like: e.Like, Python: e.Python, Glibc: e.Glibc, Musl: e.Musl, MacOS: e.MacOS, Tags: e.Tags, Markers: e.Markers,
	}.Target()
}

// Target gives an environment by its name: that of an [[environment]] table, or a
// preset.
func (c *Config) Target(name string) (target.Target, error) {
	for i := range c.Targets {
		if c.Targets[i].Name == name {
			return c.Targets[i].target()
		}
	}
	return target.Parse(name)
}

// targets gives the environments that the settings name, in their order. The
// settings must have been checked.
func (c *Config) targets() []*target.Target {
	var all []*target.Target
	for _, name := range c.Environments {
		if t, err := c.Target(name); err == nil {
			all = append(all, &t)
		}
	}
	return all
}

// pip gives the release of pip whose choice counts.
func (c *Config) pip() (resolve.Pip, error) {
	if c.Pip == "" {
		return resolve.Pip{}, nil
	}
	return resolve.ParsePip(c.Pip)
}

func (c *Config) resolveEnvironments() (faults []error) {
	fault := func(format string, args ...any) {
		faults = append(faults, &stricttoml.Error{File: c.File, Text: fmt.Sprintf(format, args...)})
	}
	named := map[string]bool{}
	for i := range c.Targets {
		e := &c.Targets[i]
		if _, err := e.target(); err != nil {
			fault("[[environment]] %q: %v", e.Name, err)
		} else if named[e.Name] {
			fault("[[environment]] %q: there are two of this name", e.Name)
		}
		named[e.Name] = true
	}
	for i, name := range c.Environments {
		if named[name] {
			continue // its faults are told above
		}
		if _, err := target.Parse(name); err != nil {
			fault("environments: %v", err)
		} else if slices.Contains(c.Environments[:i], name) {
			fault("environments: %s is named twice", name)
		}
	}
	if _, err := c.pip(); err != nil {
		fault("pip: %v", err)
	}
	if c.Dependencies != NoDependencies && len(c.Environments) == 0 {
		fault(`dependencies = %q: name the machines that install in environments, for example ["cp312-linux-x86_64", "cp312-windows-amd64"]`, c.Dependencies)
	}
	return faults
}
