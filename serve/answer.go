package serve

import (
	"net/http"
	"path"
	"regexp"
	"strings"

	"nestgen/layout"
	"nestgen/packaging"
)

// What is said about how long an answer holds. A page is asked for anew each
// time, which costs a 304; the path of a file holds a digest of its content.
const (
	pageCache = "max-age=0, must-revalidate"
	fileCache = "max-age=31536000, immutable"
)

// PeoplePolicy is what a browser may do with a page for people: what these
// pages say of themselves, and besides that nobody may frame them, which only a
// header can say.
const PeoplePolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// What a browser may do with the rest.
const (
	assetPolicy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
	pagePolicy  = "default-src 'none'; frame-ancestors 'none'"
	filePolicy  = "sandbox; default-src 'none'"
)

// An answer is a file of the tree and what is said about it, or a redirect. A
// redirect with a file is given only if that file is there.
type answer struct {
	file       string
	mediaType  string
	cache      string
	policy     string
	compressed bool // a .gz sibling may be sent instead
	negotiated bool

	redirect string
}

// answers gives what a path may be answered with, best first; none for a path
// that is not of the tree. The path has no slash in front. Below a prefix there may be
// another index, with the pages that there are at the root; redirects, being relative,
// hold there as well.
func answers(p string, f form) []answer {
	if layout.ValidPrefix(p) {
		return folder(p, "")
	}
	prefix, rest := layout.CutPrefix(p)
	as := indexAnswers(rest, f)
	if prefix == "" {
		return as
	}
	switch top, _, _ := strings.Cut(rest, "/"); top {
	case layout.Static, layout.Packages, layout.Log, layout.Changes, layout.Stats, "held":
		return nil // those are at the root
	}
	for i := range as {
		if as[i].file != "" {
			as[i].file = layout.Below(prefix, as[i].file)
		}
	}
	return as
}

// indexAnswers is answers for a path of one index.
func indexAnswers(p string, f form) []answer {
	dir, isDir := strings.CutSuffix(p, "/")
	if p == "" {
		return []answer{people(layout.Front)}
	}
	top, rest, _ := strings.Cut(dir, "/")
	switch top {
	case layout.Simple:
		if !isDir {
			return folder(dir, rest)
		}
		if rest == "" {
			return simple(layout.RootHTML, layout.RootJSON, f)
		}
		page, ok := layout.ParseProject(dir + "/index.html")
		switch {
		case !ok:
			return nil
		case page.Form == layout.AliasHTML:
			return []answer{elsewhere(string(page.Project) + "/")}
		}
		return simple(layout.ProjectHTML(page.Project), layout.ProjectJSON(page.Project), f)
	case "flat", "easy":
		switch {
		case rest != "":
			return nil
		case !isDir:
			return folder(dir, "")
		}
		return []answer{page(dir + "/index.html")}
	case "held", layout.Stats:
		switch {
		case p == layout.HeldJSON, p == layout.StatsJSON:
			return []answer{{file: p, mediaType: "application/json", cache: pageCache, policy: pagePolicy}}
		case rest != "":
			return nil
		case !isDir:
			return folder(dir, "")
		}
		return []answer{people(dir + "/index.html")}
	case layout.Changes:
		return changes(p)
	case layout.People:
		n, err := packaging.ParseName(rest)
		switch {
		case err != nil:
			return nil
		case !isDir:
			return folder(dir, rest)
		case string(n) != rest:
			return []answer{elsewhere(string(n) + "/")}
		}
		return []answer{people(layout.PeopleProject(n))}
	case layout.Legacy:
		return legacy(p)
	case layout.Static:
		if strings.ContainsRune(rest, '/') || isDir || rest == "" || rest[0] == '.' {
			return nil
		}
		return []answer{{file: p, mediaType: assetType(rest), cache: pageCache, policy: assetPolicy, compressed: true}}
	case layout.Log:
		if !logFile.MatchString(p) {
			return nil
		}
		return []answer{{file: p, mediaType: "application/octet-stream", cache: pageCache, policy: pagePolicy}}
	case layout.Packages:
		if _, _, ok := layout.ParseFile(p); !ok {
			return nil
		}
		return []answer{stored(p)}
	}
	return nil
}

// logFile matches the files of the log.
var logFile = regexp.MustCompile(`^log/(?:checkpoint|keys|(?:pages/)?tile/(?:entries|[0-9]{1,2})/[0-9x/]+(?:\.p/[0-9]{1,3})?)$`)

// stored is the answer to a file of the store. Whatever it is called, it is bytes
// to be saved.
func stored(file string) answer {
	return answer{file: file, mediaType: "application/octet-stream", cache: fileCache, policy: filePolicy}
}

// DescribeStored sets what is said of a file of the store, whoever sends it: the
// fields that do not depend on its bytes.
func DescribeStored(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	stored("").describe(h)
}

// describe sets what is said of an answer's file.
func (a answer) describe(h http.Header) {
	h.Set("Content-Type", a.mediaType)
	h.Set("Cache-Control", a.cache)
	h.Set("Content-Security-Policy", a.policy)
}

// folder is the answer to a folder without its slash: the folder if it is
// there, and under another spelling of its name the project.
func folder(dir, name string) []answer {
	if n, err := packaging.ParseName(name); err == nil && string(n) != name {
		return []answer{{redirect: string(n) + "/"}}
	}
	return []answer{{redirect: path.Base(dir) + "/", file: dir + "/index.html"}}
}

// elsewhere is the answer to a folder of a name that is not normalized.
func elsewhere(name string) answer { return answer{redirect: "../" + name} }

// legacy are the answers of the legacy JSON API.
func legacy(p string) []answer {
	segments := strings.Split(p, "/")
	if len(segments) < 3 || len(segments) > 4 || segments[len(segments)-1] != "json" {
		return nil
	}
	n, err := packaging.ParseName(segments[1])
	switch {
	case err != nil || len(segments) == 4 && !layout.ReleaseFolder(segments[2]):
		return nil
	case string(n) != segments[1]:
		if len(segments) == 4 {
			return []answer{{redirect: "../../" + string(n) + "/" + layout.Escape(segments[2]) + "/json"}}
		}
		return []answer{{redirect: "../" + string(n) + "/json"}}
	}
	return []answer{{file: p, mediaType: "application/json", cache: pageCache, policy: pagePolicy}}
}

// changes are the answers of the pages of what changed, in the site or in a project,
// and of their feeds.
func changes(p string) []answer {
	switch dir, isDir := strings.CutSuffix(p, "/"); {
	case p == layout.ChangesAtom:
		return []answer{feed(p, atomType)}
	case p == layout.ChangesJSON:
		return []answer{feed(p, feedType)}
	case dir == layout.Changes && isDir:
		return []answer{people(layout.ChangesHTML)}
	case dir == layout.Changes:
		return folder(dir, "")
	}
	name, rest, slash := strings.Cut(strings.TrimPrefix(p, layout.Changes+"/"), "/")
	n, err := packaging.ParseName(name)
	switch {
	case err != nil:
		return nil
	case !slash:
		return folder(p, name)
	case string(n) != name:
		if rest == "" || rest == "atom.xml" || rest == "feed.json" {
			return []answer{elsewhere(string(n) + "/" + rest)}
		}
		return nil
	case rest == "":
		return []answer{people(layout.ProjectChangesHTML(n))}
	}
	switch p {
	case layout.ProjectChangesAtom(n):
		return []answer{feed(p, atomType)}
	case layout.ProjectChangesJSON(n):
		return []answer{feed(p, feedType)}
	}
	return nil
}

// The types of feeds (RFC 4287, JSON Feed 1.1).
const (
	atomType = "application/atom+xml"
	feedType = "application/feed+json"
)

func feed(file, mediaType string) answer {
	a := page(file)
	a.mediaType = mediaType
	return a
}

func simple(html, json string, f form) []answer {
	a := page(html)
	a.negotiated = true
	switch f {
	case v1HTML:
		a.mediaType = "application/vnd.pypi.simple.v1+html; charset=utf-8"
	case v1JSON:
		j := a
		j.file, j.mediaType = json, "application/vnd.pypi.simple.v1+json"
		return []answer{j, a}
	}
	return []answer{a}
}

func page(file string) answer {
	return answer{file: file, mediaType: "text/html; charset=utf-8", cache: pageCache, policy: pagePolicy, compressed: true}
}

func people(file string) answer {
	a := page(file)
	a.policy = PeoplePolicy
	return a
}

func assetType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".webp":
		return "image/webp"
	case ".ico":
		return "image/x-icon"
	case ".woff2":
		return "font/woff2"
	}
	return "application/octet-stream"
}

// clean resolves dots and double slashes in the path of a request, as web
// servers do, and takes the slash in front away. It refuses a path that climbs
// out, and one with a byte that no path of the tree has.
func clean(p string) (string, bool) {
	if !strings.HasPrefix(p, "/") && p != "" || strings.ContainsAny(p, "\x00\\") {
		return "", false
	}
	var out []string
	segments := strings.Split(p, "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case "", ".":
			if !last {
				continue
			}
			s = ""
		case "..":
			if len(out) == 0 {
				return "", false
			}
			out = out[:len(out)-1]
			if !last {
				continue
			}
			s = ""
		}
		if s != "" || len(out) > 0 {
			out = append(out, s)
		}
	}
	return strings.Join(out, "/"), true
}
