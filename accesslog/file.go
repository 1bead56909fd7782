package accesslog

import (
	"strings"

	"nestgen/layout"
)

// A File is a file of the store that was asked for.
type File struct {
	// Path is its place in the tree, as [layout.File] gives it.
	Path string

	// Filename is the last part of Path.
	Filename string

	// Companion says that not the file itself was asked for but what stands beside
	// it: its metadata, its signature or its provenance.
	Companion bool
}

// ParsePath finds out which file of the store a path is of, wherever the site lies
// below the root of the server. A path of anything else is not ok.
func ParsePath(path string) (f File, ok bool) {
	i := strings.LastIndex(path, "/"+layout.Packages+"/")
	if i < 0 {
		return File{}, false
	}
	path = path[i+1:]
	f.Path = layout.Owner(path)
	f.Companion = f.Path != path
	_, f.Filename, ok = layout.ParseFile(f.Path)
	if !ok {
		return File{}, false
	}
	return f, true
}

// Fetched reports whether somebody was given what the entry is about, or told that
// what they have is still right: by GET or HEAD, with status 200, 206 or 304.
func (e *Entry) Fetched() bool {
	return (string(e.Method) == "GET" || string(e.Method) == "HEAD") && (e.Status == 200 || e.Status == 206 || e.Status == 304)
}

// Download reports whether the entry counts as one download: a file that was sent
// whole, or the part of one from its beginning. What goes on from somewhere in it
// was counted when it began, and those who look into a wheel for its metadata begin
// elsewhere.
func (e *Entry) Download() bool {
	return string(e.Method) == "GET" && (e.Status == 200 || e.Status == 206 && e.Start == 0)
}
