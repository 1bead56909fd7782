package intake

import (
	"fmt"
	"io"
	"sync"

	"nestgen/catalog"
	"nestgen/packaging"
)

// Strictness is how much is forgiven, by where a file comes from.
type Strictness uint8

const (
	// Mirrored is for a file whose hash an upstream announced: others serve
	// the same bytes already. It is refused where two readers could see
	// different content in it or where unpacking it is dangerous; what else is
	// wrong becomes a warning. Members that nobody asks for are not unpacked
	// from zip files.
	Mirrored Strictness = iota

	// Drop is for a file that somebody put into the drop directory or that was
	// built here. What is a warning for a mirrored file is a reason to refuse
	// it, and every member is unpacked and held against its checksum.
	Drop

	// Upload is Drop for a file that has no past: it must have core metadata,
	// and a wheel's members must have the hashes that RECORD gives them.
	Upload
)

// Facts are what a file says about itself.
type Facts struct {
	// Filename is the name taken apart. Where it can be read in two ways, the
	// metadata has decided (contract FN-4).
	Filename packaging.Filename

	// Display is the project's name as the metadata spells it, or as the file
	// name does where there is no metadata.
	Display string

	// RequiresPython is a valid specifier set as it was written, or empty.
	RequiresPython string

	// Metadata is the core metadata file of a wheel, byte for byte (PEP 658).
	// It is nil for other files.
	Metadata []byte

	// Core is the core metadata of a wheel, an sdist or an egg, and nil where
	// there is none. Pages take the summary and the like from it.
	Core *packaging.Metadata

	// Project is the pyproject.toml of an sdist, byte for byte, and nil where there
	// is none or more than one.
	Project []byte

	// Startup names the members that Python runs at every start once they are
	// installed: the usual hiding place of a stolen release.
	Startup []string

	// Warnings are what is odd about the file and not wrong enough to refuse
	// it, for the report.
	Warnings []string
}

// Inspect checks a file of size bytes and reads what it says about itself. The
// hint is the project that the file is known to belong to, or empty. An error
// that is a [Rejection] or a [*packaging.FilenameError] means that the file may
// not be listed; any other is a failure to read from r, which is used by this
// call alone until it returns.
func Inspect(r io.ReaderAt, size int64, filename string, hint packaging.Name, how Strictness) (Facts, error) {
	src, err := newSource(r, size)
	if err != nil {
		return Facts{}, err
	}
	defer src.release()
	return inspect(src, filename, hint, how)
}

// InspectSum is [Inspect] for a file of which nothing is known yet, and takes its
// SHA-256 as well, also of one that may not be listed. A small file is read once
// for both.
func InspectSum(r io.ReaderAt, size int64, filename string, hint packaging.Name, how Strictness) (catalog.Digest, Facts, error) {
	src, err := newSource(r, size)
	if err != nil {
		return catalog.Digest{}, Facts{}, err
	}
	defer src.release()
	sum, err := src.sha256()
	if err != nil {
		return catalog.Digest{}, Facts{}, err
	}
	facts, err := inspect(src, filename, hint, how)
	return sum, facts, err
}

func inspect(src *source, filename string, hint packaging.Name, how Strictness) (facts Facts, err error) {
	name, err := packaging.ParseFilename(filename, hint)
	if err != nil {
		return Facts{}, err
	}
	if src.size == 0 {
		return Facts{}, reject("empty file")
	}
	in := inspections.Get().(*inspection)
	in.begin(src, name, filename, hint, how)
	// A decompressor that trips over what it is given takes this file out, and
	// not the build. What it left behind is not used again.
	defer func() {
		if p := recover(); p != nil {
			facts, err = Facts{}, Rejection(fmt.Sprintf("reading it failed: %v", p))
			in.tar.packed.unlock()
		}
	}()
	err = in.inspect()
	facts = in.facts
	in.end()
	if err != nil {
		return Facts{}, err
	}
	return facts, nil
}

// An inspection is the inspection of one file. They are used again, for their
// buffers and decompressors.
type inspection struct {
	judge
	src      *source
	filename string
	hint     packaging.Name
	facts    Facts
	names    *nameSet
	zip      zipFile
	tar      tarFile
	tree     tree
	text     []byte // a member that is only looked at
	record   []byte
	sums     sums
}

var inspections = sync.Pool{New: func() any {
	in := &inspection{names: newNameSet()}
	in.zip.judge, in.zip.names = &in.judge, in.names
	in.tar.judge, in.tar.names = &in.judge, in.names
	in.tar.packed.judge = &in.judge
	return in
}}

func (in *inspection) begin(src *source, name packaging.Filename, filename string, hint packaging.Name, how Strictness) {
	in.judge = judge{how: how}
	in.src, in.zip.src, in.tar.packed.src = src, src, src
	in.filename, in.hint = filename, hint
	in.facts = Facts{Filename: name}
}

// tooLargeToKeep is the size from which on a buffer that one file needed is not
// kept for the next.
const tooLargeToKeep = 1 << 20

func (in *inspection) end() {
	in.tar.packed.close()
	in.names.reset()
	in.facts = Facts{}
	in.src, in.zip.src, in.tar.packed.src = nil, nil, nil
	in.zip.directory = nil
	for _, b := range []*[]byte{&in.text, &in.record, &in.zip.own, &in.tar.kept, &in.tree.top.info, &in.tree.bare.info} {
		if cap(*b) > tooLargeToKeep {
			*b = nil
		}
	}
	if cap(in.zip.members) > 4096 {
		in.zip.members, in.zip.order = nil, nil
	}
	clear(in.zip.members[:cap(in.zip.members)])
	inspections.Put(in)
}

// inspect reads the file by its kind and settles what it is called.
func (in *inspection) inspect() error {
	var core []byte
	var err error
	f := &in.facts.Filename
	switch f.Kind {
	case packaging.Wheel:
		core, err = in.wheel()
	case packaging.Sdist, packaging.Dumb:
		core, err = in.sdist(f.Kind, f.Ext)
	case packaging.Egg:
		core, err = in.egg()
	case packaging.Wininst:
		core, err = in.wininst()
	default:
		err = in.foreign(f.Kind)
	}
	if err != nil {
		return err
	}
	if err := in.agree(core); err != nil {
		return err
	}
	if f.Kind == packaging.Wheel {
		in.facts.Metadata = core
	}
	if f.Warning != "" {
		in.warn("%s", f.Warning)
	}
	in.facts.Warnings = in.report()
	return nil
}
