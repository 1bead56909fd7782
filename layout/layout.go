// Package layout names every path of a published tree, and reads names back.
// A path is relative to the root of the site, uses forward slashes and has no
// leading slash. The package opens nothing.
package layout

import (
	"encoding/hex"
	"strings"

	"nestgen/packaging"
)

// The pages that stand for the whole site.
const (
	Front    = "index.html"           // for people
	RootHTML = "simple/index.html"    // every project (PEP 503)
	RootJSON = "simple/index.v1_json" // every project (PEP 691)
	Flat     = "flat/index.html"      // every file on one page, for find-links
	Easy     = "easy/index.html"      // the same with development links, for easy_install
	HeldHTML = "held/index.html"      // what may not come in yet, for people
	HeldJSON = "held/index.json"      // the same for programs

	StatsHTML = "stats/index.html" // what was downloaded, for people
	StatsJSON = "stats/index.json" // the same for programs

	ChangesHTML   = "changes/index.html"   // what changed last, for people
	ChangesAtom   = "changes/atom.xml"     // the same as Atom (RFC 4287)
	ChangesJSON   = "changes/feed.json"    // the same as JSON Feed 1.1
	SnapshotsHTML = "snapshots/index.html" // what snapshots there are, for people
)

// The folders that hold one folder for each project, and the store.
const (
	Simple   = "simple"
	People   = "project"
	Legacy   = "pypi"
	Packages = "packages"
	Static   = "static" // style sheet, script and pictures of the pages for people
)

// Snapshots is the folder that the indexes of snapshots lie below, each in a folder of
// its own.
const Snapshots = "snapshots"

// Snapshot is the prefix of the index of a snapshot.
func Snapshot(tag string) string { return Snapshots + "/" + tag }

// The folders of what is told of the index besides.
const (
	Changes = "changes" // what changed, in the site and in each project
	Stats   = "stats"   // what was downloaded
	Log     = "log"     // the history, and the proof of it
)

// The files of the logs that are no tiles.
const (
	LogCheckpoint = "log/checkpoint" // of the events, signed
	LogKeys       = "log/keys"       // how the key of the site came to be another
)

// EventTile and PageTile are the places of tiles of the two logs, as C2SP tlog-tiles
// calls them.
func EventTile(tile string) string { return Log + "/" + tile }

// PageTile is the place of a tile of the log of pages.
func PageTile(tile string) string { return Log + "/pages/" + tile }

// Asset is the place of a file that the pages for people load.
func Asset(name string) string { return Static + "/" + name }

// ProjectHTML is the page of a project as HTML (PEP 503).
func ProjectHTML(n packaging.Name) string { return Simple + "/" + string(n) + "/index.html" }

// ProjectJSON is the page of a project as JSON (PEP 691).
func ProjectJSON(n packaging.Name) string { return Simple + "/" + string(n) + "/index.v1_json" }

// Alias is the page of a project under another spelling of its name, for old
// clients that ask for the name as they know it.
func Alias(spelling string) string { return Simple + "/" + spelling + "/index.html" }

// PeopleProject is the page of a project for people.
func PeopleProject(n packaging.Name) string { return People + "/" + string(n) + "/index.html" }

// ProjectChangesHTML is what changed last in a project, for people.
func ProjectChangesHTML(n packaging.Name) string { return Changes + "/" + string(n) + "/index.html" }

// ProjectChangesAtom is the same as Atom (RFC 4287).
func ProjectChangesAtom(n packaging.Name) string { return Changes + "/" + string(n) + "/atom.xml" }

// ProjectChangesJSON is the same as JSON Feed 1.1.
func ProjectChangesJSON(n packaging.Name) string { return Changes + "/" + string(n) + "/feed.json" }

// LegacyProject is the project's document of the legacy JSON API.
func LegacyProject(n packaging.Name) string { return Legacy + "/" + string(n) + "/json" }

// LegacyRelease is the document of one release of the legacy JSON API.
func LegacyRelease(n packaging.Name, version string) string {
	return Legacy + "/" + string(n) + "/" + version + "/json"
}

// File is the place of a file in the store, made of the 32 bytes of a digest
// of its content: two, two and sixty hexadecimal digits.
func File(digest [32]byte, filename string) string {
	b := make([]byte, 0, len(Packages)+68+len(filename))
	b = append(b, Packages...)
	b = append(b, '/')
	b = hex.AppendEncode(b, digest[:1])
	b = append(b, '/')
	b = hex.AppendEncode(b, digest[1:2])
	b = append(b, '/')
	b = hex.AppendEncode(b, digest[2:])
	b = append(b, '/')
	b = append(b, filename...)
	return string(b)
}

// CoreMetadata, Signature and Provenance are the companions of a file of the
// store.
func CoreMetadata(file string) string { return file + ".metadata" }

// Signature is the detached OpenPGP signature of a file.
func Signature(file string) string { return file + ".asc" }

// Provenance holds the attestations of a file (PEP 740).
func Provenance(file string) string { return file + ".provenance" }

// Up gives the way from a page to the root of the site: "../" for each folder
// that the page stands in.
func Up(page string) string { return strings.Repeat("../", strings.Count(page, "/")) }
