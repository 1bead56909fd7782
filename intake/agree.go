package intake

import (
	"strings"

	"nestgen/packaging"
)

// agree reads the core metadata, if there is any, and holds it against the file
// name. Where the file name leaves a choice, the metadata takes it.
func (in *inspection) agree(core []byte) error {
	facts := &in.facts
	facts.Display = facts.Filename.Name
	if core == nil {
		return nil
	}
	m := packaging.ParseMetadata(core)
	facts.Core = m
	for _, field := range []string{"name", "version"} {
		if !m.Has(field) {
			if err := in.minor("the metadata gives no %s, or more than one", field); err != nil {
				return err
			}
		}
	}
	if err := in.agreeName(m); err != nil {
		return err
	}
	if f := &facts.Filename; !packaging.SameVersion(f.Version, m.Version) {
		if err := in.minor("the file name says version %q and the metadata %q", f.Version, m.Version); err != nil {
			return err
		}
	}
	if packaging.NormalizeName(m.Name) == facts.Filename.Project && packaging.ValidName(m.Name) {
		facts.Display = m.Name
	}
	if rp := strings.TrimSpace(m.RequiresPython); rp != "" {
		if _, err := packaging.ParseSpecifiers(rp); err != nil {
			in.warn("Requires-Python is left out: %v", err)
		} else {
			facts.RequiresPython = rp
		}
	}
	return nil
}

// agreeName decides to which project the file belongs (contract FN-4 a).
func (in *inspection) agreeName(m *packaging.Metadata) error {
	f := &in.facts.Filename
	if !packaging.ValidName(m.Name) {
		return in.minor("the metadata names the project %q, which is no valid name", m.Name)
	}
	name := packaging.NormalizeName(m.Name)
	if name == f.Project {
		if f.Ambiguous && packaging.SameVersion(f.Version, m.Version) {
			in.reread(name) // the doubt is gone, and the warning with it
		}
		return nil
	}
	if in.hint == "" {
		other, err := packaging.ParseFilename(in.filename, name)
		if err == nil && packaging.SameVersion(other.Version, m.Version) {
			*f = other
			return nil
		}
	}
	return in.minor("the file name says project %q and the metadata %q", string(f.Project), m.Name)
}

// reread reads the file name again, now that the project is known.
func (in *inspection) reread(name packaging.Name) {
	if f, err := packaging.ParseFilename(in.filename, name); err == nil {
		in.facts.Filename = f
	}
}
