// Package intaketest makes valid distributions in memory, for the tests of
// every package. The same arguments give the same bytes. Nothing in it is for
// use outside tests: whatever goes wrong is a panic.
package intaketest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"nestgen/packaging"
)

// Opts are what may differ from the plainest distribution. All are optional.
type Opts struct {
	// RequiresPython, RequiresDist, ProvidesExtra and Summary go into the core metadata.
	RequiresPython string
	RequiresDist   []string
	ProvidesExtra  []string
	Summary        string

	// Metadata replaces the whole core metadata file if it is not empty.
	Metadata string

	// NoMetadata leaves the core metadata file out.
	NoMetadata bool

	// Spelling is the name in the metadata; empty for the name as given.
	Spelling string

	// Tag is a wheel's compatibility tag, and what follows the version in an
	// egg's name. If empty, "py3-none-any" and "py3.11".
	Tag string

	// Build is a wheel's build tag.
	Build string

	// Ext is an sdist's extension with its dot. If empty, ".tar.gz". The
	// others are .tgz, .zip, .tar, .tar.xz, .txz, .tar.zst, .tar.lzma and
	// .tar.Z.
	Ext string

	// Files are further members by path: from the root of a wheel or an egg,
	// from the top folder of an sdist.
	Files map[string]string

	// Pad is the size of one more member that does not compress.
	Pad int
}

// A file is one member.
type file struct {
	name string
	data []byte
}

// Wheel makes a wheel of a pure package and gives its file name and its bytes.
func Wheel(name, version string, o Opts) (string, []byte) {
	escaped := escape(name)
	tag := or(o.Tag, "py3-none-any")
	info := escaped + "-" + version + ".dist-info/"
	files := o.members("", importName(name), version)
	if !o.NoMetadata {
		files = append(files, file{info + "METADATA", o.metadata(name, version)})
	}
	wheel := "Wheel-Version: 1.0\nGenerator: intaketest\nRoot-Is-Purelib: true\n"
	for _, t := range expand(tag) {
		wheel += "Tag: " + t + "\n"
	}
	if o.Build != "" {
		wheel += "Build: " + o.Build + "\n"
	}
	files = append(files, file{info + "WHEEL", []byte(wheel)})
	files = append(files, file{info + "RECORD", record(files, info+"RECORD")})
	filename := escaped + "-" + version
	if o.Build != "" {
		filename += "-" + o.Build
	}
	return filename + "-" + tag + ".whl", Zip(files2zip(files)...)
}

// Sdist makes a source distribution and gives its file name and its bytes.
func Sdist(name, version string, o Opts) (string, []byte) {
	stem := escape(name) + "-" + version
	ext := or(o.Ext, ".tar.gz")
	var files []file
	if !o.NoMetadata {
		files = append(files, file{stem + "/PKG-INFO", o.metadata(name, version)})
	}
	files = append(files, file{stem + "/setup.py", fmt.Appendf(nil,
		"from setuptools import setup\nsetup(name=%q, version=%q, packages=[%q])\n", name, version, importName(name))})
	files = append(files, o.members(stem+"/", importName(name), version)...)
	if ext == ".zip" {
		return stem + ext, Zip(files2zip(files)...)
	}
	return stem + ext, Pack(ext, tarball(stem, files))
}

// Egg makes an egg and gives its file name and its bytes.
func Egg(name, version string, o Opts) (string, []byte) {
	files := o.members("", importName(name), version)
	if !o.NoMetadata {
		files = append(files, file{"EGG-INFO/PKG-INFO", o.metadata(name, version)})
	}
	files = append(files,
		file{"EGG-INFO/top_level.txt", []byte(importName(name) + "\n")},
		file{"EGG-INFO/zip-safe", []byte("\n")})
	under := strings.NewReplacer("-", "_")
	return under.Replace(name) + "-" + under.Replace(version) + "-" + or(o.Tag, "py3.11") + ".egg", Zip(files2zip(files)...)
}

// members are the package itself and what was asked for besides.
func (o Opts) members(below, module, version string) []file {
	files := []file{{below + module + "/__init__.py", fmt.Appendf(nil, "__version__ = %q\n", version)}}
	for _, name := range slices.Sorted(maps.Keys(o.Files)) {
		files = append(files, file{below + name, []byte(o.Files[name])})
	}
	if o.Pad > 0 {
		files = append(files, file{below + module + "/blob.bin", noise(o.Pad)})
	}
	return files
}

// noise gives n bytes that do not compress, the same for the same n.
func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	b := make([]byte, n)
	_, _ = r.Read(b) // does not fail
	return b
}

func (o Opts) metadata(name, version string) []byte {
	if o.Metadata != "" {
		return []byte(o.Metadata)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Metadata-Version: 2.1\nName: %s\nVersion: %s\n", or(o.Spelling, name), version)
	if o.Summary != "" {
		fmt.Fprintf(&b, "Summary: %s\n", o.Summary)
	}
	if o.RequiresPython != "" {
		fmt.Fprintf(&b, "Requires-Python: %s\n", o.RequiresPython)
	}
	for _, e := range o.ProvidesExtra {
		fmt.Fprintf(&b, "Provides-Extra: %s\n", e)
	}
	for _, r := range o.RequiresDist {
		fmt.Fprintf(&b, "Requires-Dist: %s\n", r)
	}
	b.WriteString("\nMade for a test.\n")
	return []byte(b.String())
}

// escape writes a project name as file names have it (PEP 625, PEP 427).
func escape(name string) string {
	return strings.ReplaceAll(string(packaging.NormalizeName(name)), "-", "_")
}

// importName makes a module's name out of a project's.
func importName(name string) string { return escape(name) }

// expand writes a compressed tag set out (PEP 425).
func expand(tag string) []string {
	parts := strings.SplitN(tag, "-", 3)
	if len(parts) < 3 {
		panic("intaketest: tag " + tag)
	}
	var tags []string
	for py := range strings.SplitSeq(parts[0], ".") {
		for abi := range strings.SplitSeq(parts[1], ".") {
			for plat := range strings.SplitSeq(parts[2], ".") {
				tags = append(tags, py+"-"+abi+"-"+plat)
			}
		}
	}
	return tags
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
