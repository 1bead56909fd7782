package intake

import (
	"bytes"

	"nestgen/packaging"
)

// egg reads an egg and gives its PKG-INFO, or nil. An egg may begin with a
// script that a shell runs, as those of setuptools do: "sh setuptools-….egg" is
// how it was installed where there was none yet.
func (in *inspection) egg() ([]byte, error) {
	before := noPreamble
	if b, err := in.src.view(0, int(min(in.src.size, 2))); err != nil {
		return nil, err
	} else if string(b) == "#!" {
		before = aScript
	}
	if err := in.walkZip(before); err != nil {
		return nil, err
	}
	var core []byte
	i := in.names.find([]byte("EGG-INFO/PKG-INFO"))
	if i < 0 {
		if err := in.minor("an egg without EGG-INFO/PKG-INFO"); err != nil {
			return nil, err
		}
	} else {
		var err error
		if in.text, err = in.zip.read(&in.zip.members[i], in.text[:0], maxMetadata); err != nil {
			return nil, err
		}
		core = in.text
	}
	in.startup()
	return core, in.zip.checkAll()
}

// wininst reads an installer made by bdist_wininst: a program with a zip file
// behind it, in which the metadata lies where it would be installed.
func (in *inspection) wininst() ([]byte, error) {
	if err := in.magic("MZ", "a Windows program"); err != nil {
		return nil, err
	}
	if err := in.walkZip(aProgram); err != nil {
		return nil, err
	}
	var core []byte
	for i := range in.zip.members {
		m := &in.zip.members[i]
		// PURELIB/foo-1.0-py2.7.egg-info, or PKG-INFO in a folder of that name
		_, rest, ok := bytes.Cut(m.name, []byte("/"))
		if !ok || m.dir {
			continue
		}
		folder, file, below := bytes.Cut(rest, []byte("/"))
		if !bytes.HasSuffix(folder, []byte(".egg-info")) || below && string(file) != "PKG-INFO" {
			continue
		}
		if core != nil {
			return nil, reject("more than one .egg-info")
		}
		var err error
		if core, err = in.zip.read(m, nil, maxMetadata); err != nil {
			return nil, err
		}
	}
	return core, in.zip.checkAll()
}

// foreign checks that a file of another system's package format is one. Its
// content is that system's business.
func (in *inspection) foreign(kind packaging.Kind) error {
	switch kind {
	case packaging.MSI:
		return in.magic("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a Windows Installer package")
	case packaging.RPM:
		return in.magic("\xed\xab\xee\xdb", "an RPM package")
	case packaging.Deb:
		return in.magic("!<arch>\ndebian-binary", "a Debian package")
	case packaging.DMG:
		const trailer = 512
		if in.src.size >= trailer {
			b, err := in.src.view(in.src.size-trailer, trailer)
			if err != nil {
				return err
			}
			if bytes.HasPrefix(b, []byte("koly")) {
				return nil
			}
		}
		return in.minor("not a disk image")
	}
	return reject("a kind of file that is not known here: %s", kind)
}

// magic checks the file's first bytes.
func (in *inspection) magic(want, what string) error {
	b, err := in.src.view(0, int(min(in.src.size, int64(len(want)))))
	if err != nil {
		return err
	}
	if string(b) != want {
		return reject("not %s", what)
	}
	return nil
}

// startup notes the members that Python runs at every start.
func (in *inspection) startup() {
	for i := range in.zip.members {
		if m := &in.zip.members[i]; runsAtStart(m.name) && len(in.facts.Startup) < maxWarnings {
			in.facts.Startup = append(in.facts.Startup, string(m.name))
		}
	}
}

// runsAtStart reports whether a member at the root of a distribution is run by
// Python's site module, wheels' .data folders included.
func runsAtStart(name []byte) bool {
	if i := bytes.Index(name, []byte(".data/")); i > 0 && bytes.IndexByte(name[:i], '/') < 0 {
		rest := name[i+len(".data/"):]
		for _, scheme := range []string{"purelib/", "platlib/", "data/"} {
			if r, ok := bytes.CutPrefix(rest, []byte(scheme)); ok {
				name = r
				if scheme == "data/" {
					name = name[bytes.LastIndexByte(name, '/')+1:]
				}
			}
		}
	}
	if bytes.IndexByte(name, '/') >= 0 {
		return false
	}
	switch string(name) {
	case "sitecustomize.py", "usercustomize.py":
		return true
	}
	return bytes.HasSuffix(name, []byte(".pth"))
}
