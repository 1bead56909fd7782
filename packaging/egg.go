package packaging

import "strings"

// ParseEgg takes the file name of an egg apart as setuptools does:
// "name-version-pyX.Y-platform.egg", with a dash nowhere but between the parts
// and in the platform. Later parts may be missing and are empty then; only a
// name is needed. Name and Version stand as in the file name; Project is not
// set. An error is a [*FilenameError].
func ParseEgg(s string) (Filename, error) {
	stem, ext, kind := splitExt(s)
	if kind != Egg {
		return Filename{}, &FilenameError{Filename: s, Fault: `extension is neither ".egg" nor ".egg.zip"`}
	}
	f := Filename{Kind: Egg, Ext: ext}
	f.cutEgg(stem)
	if f.Name == "" {
		return Filename{}, &FilenameError{Filename: s, Fault: "no project name"}
	}
	return f, nil
}

// cutEgg sets the parts of an egg's name. It reports whether there was nothing
// left over.
func (f *Filename) cutEgg(stem string) (whole bool) {
	name, rest, more := strings.Cut(stem, "-")
	f.Name = name
	if !more {
		return true
	}
	version, rest, more := strings.Cut(rest, "-")
	f.Version = version
	if !more || version == "" {
		return !more
	}
	python, platform, more := strings.Cut(rest, "-")
	if len(python) < len("py")+1 || !strings.EqualFold(python[:2], "py") {
		return false
	}
	f.Python = python[2:]
	f.Platform = platform
	return !more || platform != ""
}

// readEgg reads an egg's name (contract FN-5). A number behind the version, as
// in "nose-1.3.4-1.egg", tells builds of one version apart: easy_install stops
// reading there. A name that was not escaped, so that there is a dash inside
// project or version, is split as an sdist's is.
func (f *Filename) readEgg(stem string, hint Name) (fault string) {
	whole := f.cutEgg(stem)
	if !whole && ValidVersion(f.Version) {
		if build := stem[len(f.Name)+1+len(f.Version)+1:]; build != "" && strings.Trim(build, "0123456789") == "" {
			f.Build, whole = build, true
		}
	}
	if !whole || !ValidVersion(f.Version) || hint != "" && !hint.Spells(f.Name) {
		head, python, platform := stem, "", ""
		if i := pythonAt(stem); i >= 0 {
			head, python = stem[:i], eggPython(stem[i:])
			platform = strings.TrimPrefix(stem[i+len("-py")+len(python):], "-")
		}
		if strings.Count(head, "-") > 1 {
			*f = Filename{Kind: f.Kind, Ext: f.Ext, Python: python, Platform: platform}
			if fault := f.splitStem(head, hint); fault != "" {
				return fault
			}
			f.warn("an egg's name has no dash inside project or version: easy_install may misread it")
			return ""
		}
	}
	f.Version = strings.ReplaceAll(f.Version, "_", "-")
	return ""
}
