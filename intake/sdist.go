package intake

import (
	"bytes"

	"nestgen/packaging"
)

// A tree is what a source archive looks like from outside: its top folder and
// the PKG-INFO in it. It is a [tarVisitor].
type tree struct {
	*judge
	dumb    bool // an archive of installed files, which has no top folder
	members int

	top    level
	tops   int    // how many top folders there are
	name   []byte // of the first
	second []byte // of the next one

	// What lies beside the top folders. Without one, it is all of the source:
	// installers look there first.
	bare   level
	beside []byte // the first of it

	reading *level // whose PKG-INFO or, if project is set, pyproject.toml comes next
	project bool
}

// A level is a folder that a source can lie in.
type level struct {
	info  []byte
	infos int  // how many files are called PKG-INFO
	build bool // there is a setup.py or a pyproject.toml: an installer can build it

	project  []byte
	projects int // how many files are called pyproject.toml
}

// maxProject is how many bytes of a pyproject.toml are read. Larger ones are passed
// over: they are nobody's core metadata.
const maxProject = 1 << 20

func (t *tree) reset(j *judge, dumb bool) {
	*t = tree{judge: j, dumb: dumb,
		top: level{info: t.top.info[:0], project: t.top.project[:0]}, bare: level{info: t.bare.info[:0], project: t.bare.project[:0]},
		name: t.name[:0], second: t.second[:0], beside: t.beside[:0]}
}

func (t *tree) member(clean []byte, dir bool, size int64) (bool, error) {
	t.members++
	if t.dumb {
		return false, nil
	}
	top, rest, below := bytes.Cut(clean, []byte("/"))
	at := &t.top
	switch {
	case !below && !dir:
		at, rest = &t.bare, clean
		if len(t.beside) == 0 {
			t.beside = append(t.beside, clean...)
		}
	case t.tops == 0:
		t.tops, t.name = 1, append(t.name, top...)
	case t.tops == 1 && !bytes.Equal(top, t.name):
		t.tops, t.second = 2, append(t.second, top...)
	}
	if dir {
		return false, nil
	}
	switch string(rest) {
	case "setup.py":
		at.build = true
	case "pyproject.toml":
		at.build = true
		at.projects++
		t.reading, t.project = at, true
		return at.projects == 1 && size <= maxProject, nil
	case "PKG-INFO":
		t.reading, t.project = at, false
		return true, nil
	}
	return false, nil
}

func (t *tree) content(data []byte) error {
	if t.project {
		t.reading.project = append(t.reading.project, data...)
		return nil
	}
	if t.reading.infos++; t.reading.infos == 1 {
		t.reading.info = append(t.reading.info, data...)
	}
	return nil
}

// root is the folder that the source lies in.
func (t *tree) root() *level {
	if t.bare.build {
		return &t.bare
	}
	return &t.top
}

// source judges the whole and gives the PKG-INFO, or nil.
func (t *tree) source() ([]byte, error) {
	at := t.root()
	switch {
	case t.bare.build:
		if t.how == Upload {
			return nil, reject("no top folder")
		}
		t.warn("no top folder: it unpacks into where it lies")
	case len(t.beside) > 0:
		if err := t.minor("member %q lies beside the top folder of the source", t.beside); err != nil {
			return nil, err
		}
	case t.tops > 1:
		if err := t.minor("more than one top folder: %q and %q", t.name, t.second); err != nil {
			return nil, err
		}
	}
	if at.infos > 1 {
		return nil, reject("more than one PKG-INFO: which one holds is anybody's guess")
	}
	if at.infos == 1 {
		return at.info, nil
	}
	if t.how == Upload {
		return nil, reject("no PKG-INFO in the top folder")
	}
	if at.build {
		t.warn("no PKG-INFO in the top folder")
	} else {
		t.warn("neither PKG-INFO nor setup.py nor pyproject.toml in the top folder: no installer knows what to do with it")
	}
	return nil, nil
}

// sdist reads a source archive, or an archive of installed files, and gives its
// PKG-INFO or nil.
func (in *inspection) sdist(kind packaging.Kind, ext string) ([]byte, error) {
	t := &in.tree
	t.reset(&in.judge, kind == packaging.Dumb)
	how, err := in.packing(ext)
	if err != nil {
		return nil, err
	}
	if how == zipped {
		err = in.zipTree(t)
	} else {
		err = in.tarTree(t, how)
	}
	if err != nil {
		return nil, err
	}
	if t.members == 0 {
		return nil, reject("an archive without members")
	}
	if t.dumb {
		return nil, nil
	}
	if at := t.root(); at.projects == 1 && len(at.project) > 0 {
		in.facts.Project = bytes.Clone(at.project)
	}
	return t.source()
}

// packing says how the archive is packed, which its name should say too.
func (in *inspection) packing(ext string) (packing, error) {
	head, err := in.src.view(0, int(min(in.src.size, 64)))
	if err != nil {
		return 0, err
	}
	says, is := packingOf(ext), looksLike(head)
	if is == says {
		return is, nil
	}
	lzmas := func(p packing) bool { return p == xzipped || p == lzmaAlone || p == lzipped }
	if lzmas(says) && lzmas(is) {
		return is, nil // installers do not tell these apart by name either
	}
	if says == lzmaAlone && is == plainTar {
		return says, nil // it has no magic number: other settings, other bytes
	}
	if is == plainTar && says == zipped {
		return says, nil // an archive may begin with something else
	}
	if is == plainTar && !looksTar(in.src) {
		return 0, reject("not packed by %s", packings[says].name)
	}
	if err := in.minor("named %s and packed by %s", ext, packings[is].name); err != nil {
		return 0, err
	}
	return is, nil
}

// looksTar reports whether the file begins with a tar header.
func looksTar(src *source) bool {
	if src.size < tarBlock {
		return false
	}
	b, err := src.view(0, tarBlock)
	return err == nil && sumFits(b)
}

func (in *inspection) tarTree(t *tree, how packing) error {
	if err := in.notZip(); err != nil {
		return err
	}
	if err := in.tar.packed.open(how); err != nil {
		return err
	}
	return in.tar.walk(t)
}

// notZip refuses a tar file that is a zip file as well: old installers look for
// a zip's end before they look at the name.
func (in *inspection) notZip() error {
	size := in.src.size
	n := int(min(size, lenEnd+maxComment))
	b, err := in.src.view(size-int64(n), n)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		k := bytes.Index(b[i:], []byte("PK\x05\x06"))
		if k < 0 {
			return nil
		}
		if i += k; i+lenEnd > n {
			return nil
		}
		at := size - int64(n) + int64(i)
		length, offset := int64(le.Uint32(b[i+12:])), int64(le.Uint32(b[i+16:]))
		if at < length+offset {
			continue
		}
		if length == 0 {
			if le.Uint16(b[i+10:]) == 0 && i+lenEnd+int(le.Uint16(b[i+20:])) == n {
				return reject("a tar file and a zip file at once")
			}
			continue
		}
		// A directory too long to be in sight is taken for one.
		if d := int64(i) - length; d < 0 || d+4 <= int64(n) && le.Uint32(b[d:]) == sigCentral {
			return reject("a tar file and a zip file at once")
		}
	}
}

// notTar refuses a zip file that begins as a tar file does.
func (in *inspection) notTar() error {
	if looksTar(in.src) {
		return reject("a zip file and a tar file at once")
	}
	return nil
}

func (in *inspection) zipTree(t *tree) error {
	if err := in.walkZip(noPreamble); err != nil {
		return err
	}
	for i := range in.zip.members {
		m := &in.zip.members[i]
		clean, err := cleanPath(in.zip.clean[:0], m.name)
		in.zip.clean = clean[:0]
		if err != nil {
			return err
		}
		if len(clean) == 0 || m.again > 0 {
			continue
		}
		keep, err := t.member(clean, m.dir, m.size)
		if err != nil {
			return err
		}
		if !keep {
			continue
		}
		if in.text, err = in.zip.read(m, in.text[:0], maxMetadata); err != nil {
			return err
		}
		if err := t.content(in.text); err != nil {
			return err
		}
	}
	return in.zip.checkAll()
}

// walkZip walks the file as a zip file.
func (in *inspection) walkZip(before preamble) error {
	if before != aProgram {
		if err := in.notTar(); err != nil {
			return err
		}
	}
	return in.zip.walk(before)
}
