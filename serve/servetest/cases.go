package servetest

import (
	"net/http"
	"slices"
	"strings"

	"nestgen/layout"
)

// The content types of the forms (S-2).
const (
	textHTML = "text/html; charset=utf-8"
	v1HTML   = "application/vnd.pypi.simple.v1+html; charset=utf-8"
	v1JSON   = "application/vnd.pypi.simple.v1+json"
	binary   = "application/octet-stream"
)

// How long answers hold (S-8).
const (
	pageCache = "max-age=0, must-revalidate"
	fileCache = "max-age=31536000, immutable"
)

// What clients send (contract.md, 3.1).
const (
	acceptPip    = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
	acceptUV     = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
	acceptPoetry = "application/vnd.pypi.simple.v1+json, */*;q=0.1"
)

// A request is one that gets a page or a file.
type request struct {
	about  string
	path   string
	accept string // none is sent if empty
	coding string // Accept-Encoding; none is sent if empty

	file      string // the answer's bytes, after decoding
	mediaType string
	cache     string
	vary      []string
	gzipped   bool
	policy    string // what the Content-Security-Policy begins with
}

const (
	forPeople = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	forPages  = "default-src 'none'; frame-ancestors 'none'"
	forFiles  = "sandbox; default-src 'none'"
	forAssets = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
)

// negotiation are the fourteen cases of choosing a form (S-1, S-2, S-3). Each
// is tried on the list of projects, on a page with a compressed sibling and on
// one without.
var negotiation = []struct {
	about, accept, coding string
	mediaType             string
	gzipped               bool
}{
	{"no Accept: easy_install", "", "", textHTML, false},
	{"anything: poetry before 2.3", "*/*", "gzip, deflate", textHTML, true},
	{"HTML: pip to 22.1", "text/html", "gzip, deflate", textHTML, true},
	{"pip from 22.2", acceptPip, "gzip, deflate", v1JSON, true},
	{"uv", acceptUV, "gzip, deflate, zstd", v1JSON, true},
	{"poetry from 2.3", acceptPoetry, "identity", v1JSON, false},
	{"latest, in capitals", "APPLICATION/vnd.pypi.simple.LATEST+json", "", v1JSON, false},
	{"versioned HTML", "application/vnd.pypi.simple.v1+html, text/html;q=0.5", "gzip", v1HTML, true},
	{"JSON refused", "application/vnd.pypi.simple.v1+json;q=0, text/html", "gzip;q=0", textHTML, false},
	{"JSON refused at length", "text/html , application/vnd.pypi.simple.v1+json ; foo=bar ; Q=0.000", "gzip;q=1.0, identity;q=0", textHTML, true},
	{"JSON refused, versioned HTML taken", "application/vnd.pypi.simple.v1+json;q=0.0, application/vnd.pypi.simple.v1+html", "", v1HTML, false},
	{"JSON with a small weight", "text/html, application/vnd.pypi.simple.v1+json;q=0.01", "", v1JSON, false},
	{"a type that only begins like it", "application/vnd.pypi.simple.v1+jsonl, application/vnd.pypi.simple.v2+json, x-application/vnd.pypi.simple.v1+json", "x-deflate", textHTML, false},
	{"nothing that there is", "application/xml", "br", textHTML, false},
}

// requests are those that a tree has an answer to.
func requests(tree *Tree) []request {
	var rs []request
	for _, n := range negotiation {
		for _, page := range []struct {
			path, html, json string
			zipped           bool
		}{
			{"/simple/", layout.RootHTML, layout.RootJSON, true},
			{"/simple/foo-bar/", layout.ProjectHTML("foo-bar"), layout.ProjectJSON("foo-bar"), true},
			{"/simple/plus/", layout.ProjectHTML("plus"), layout.ProjectJSON("plus"), false},
		} {
			r := request{about: n.about, path: page.path, accept: n.accept, coding: n.coding, file: page.html,
				mediaType: n.mediaType, cache: pageCache, vary: []string{"Accept"}, gzipped: n.gzipped && page.zipped, policy: forPages}
			if n.mediaType == v1JSON {
				r.file = page.json
			}
			if page.zipped {
				r.vary = append(r.vary, "Accept-Encoding")
			}
			rs = append(rs, r)
		}
	}
	page := func(about, path, file string, zipped bool) {
		r := request{about: about, path: path, accept: acceptPip, file: file, mediaType: textHTML, cache: pageCache, policy: forPages}
		if zipped {
			r.coding, r.gzipped, r.vary = "gzip", true, []string{"Accept-Encoding"}
		}
		rs = append(rs, r)
	}
	page("flat page (API-17)", "/flat/", layout.Flat, true)
	page("easy page (1.6)", "/easy/", layout.Easy, false)
	rs = append(rs,
		request{about: "project named index (row 34)", path: "/simple/index/", accept: acceptPip, file: layout.ProjectJSON("index"),
			mediaType: v1JSON, cache: pageCache, vary: []string{"Accept"}, policy: forPages},
		request{about: "project named index for easy_install", path: "/simple/index/", file: layout.ProjectHTML("index"),
			mediaType: textHTML, cache: pageCache, vary: []string{"Accept"}, policy: forPages},
		request{about: "query is ignored", path: "/simple/plus/?format=json&x=%2e%2e", file: layout.ProjectHTML("plus"),
			mediaType: textHTML, cache: pageCache, vary: []string{"Accept"}, policy: forPages},
		request{about: "dots and double slashes", path: "/simple/x/..//./plus/", file: layout.ProjectHTML("plus"),
			mediaType: textHTML, cache: pageCache, vary: []string{"Accept"}, policy: forPages},
		request{about: "escaped letters", path: "/%73imple/%70lus/", file: layout.ProjectHTML("plus"),
			mediaType: textHTML, cache: pageCache, vary: []string{"Accept"}, policy: forPages},
		request{about: "legacy JSON", path: "/pypi/foo-bar/json", accept: "*/*", coding: "gzip", file: layout.LegacyProject("foo-bar"),
			mediaType: "application/json", cache: pageCache, policy: forPages},
		request{about: "legacy JSON of a release", path: "/pypi/plus/1%212.0%2Blocal.1/json", file: layout.LegacyRelease("plus", "1!2.0+local.1"),
			mediaType: "application/json", cache: pageCache, policy: forPages},
		request{about: "front page", path: "/", accept: "text/html", coding: "gzip", file: layout.Front,
			mediaType: textHTML, cache: pageCache, vary: []string{"Accept-Encoding"}, gzipped: true, policy: forPeople},
		request{about: "front page of a browser that sends everything", path: "/", accept: acceptPip, file: layout.Front,
			mediaType: textHTML, cache: pageCache, vary: []string{"Accept-Encoding"}, policy: forPeople},
		request{about: "project's page for people", path: "/project/foo-bar/", accept: "text/html", coding: "gzip", file: layout.PeopleProject("foo-bar"),
			mediaType: textHTML, cache: pageCache, policy: forPeople},
		request{about: "what is held", path: "/held/", accept: "text/html", coding: "gzip", file: layout.HeldHTML,
			mediaType: textHTML, cache: pageCache, policy: forPeople},
		request{about: "what is held, for programs", path: "/held/index.json", accept: "*/*", coding: "gzip", file: layout.HeldJSON,
			mediaType: "application/json", cache: pageCache, policy: forPages},
		request{about: "what changed", path: "/changes/", accept: "text/html", coding: "gzip", file: layout.ChangesHTML,
			mediaType: textHTML, cache: pageCache, vary: []string{"Accept-Encoding"}, gzipped: true, policy: forPeople},
		request{about: "what changed, as Atom", path: "/changes/atom.xml", accept: "*/*", coding: "gzip", file: layout.ChangesAtom,
			mediaType: "application/atom+xml", cache: pageCache, policy: forPages},
		request{about: "what changed, as JSON Feed", path: "/changes/feed.json", accept: "*/*", coding: "gzip", file: layout.ChangesJSON,
			mediaType: "application/feed+json", cache: pageCache, policy: forPages},
		request{about: "what changed in a project", path: "/changes/foo-bar/", accept: "text/html", coding: "gzip", file: layout.ProjectChangesHTML("foo-bar"),
			mediaType: textHTML, cache: pageCache, policy: forPeople},
		request{about: "what changed in a project, as Atom", path: "/changes/foo-bar/atom.xml", accept: "*/*", coding: "gzip", file: layout.ProjectChangesAtom("foo-bar"),
			mediaType: "application/atom+xml", cache: pageCache, vary: []string{"Accept-Encoding"}, gzipped: true, policy: forPages},
		request{about: "what changed in a project, as JSON Feed", path: "/changes/foo-bar/feed.json", accept: "*/*", file: layout.ProjectChangesJSON("foo-bar"),
			mediaType: "application/feed+json", cache: pageCache, policy: forPages},
		request{about: "statistics", path: "/stats/", accept: "text/html", coding: "gzip", file: layout.StatsHTML,
			mediaType: textHTML, cache: pageCache, policy: forPeople},
		request{about: "statistics for programs", path: "/stats/index.json", accept: "*/*", coding: "gzip", file: layout.StatsJSON,
			mediaType: "application/json", cache: pageCache, policy: forPages},
		request{about: "style sheet", path: "/static/site.css", coding: "gzip", file: layout.Asset("site.css"),
			mediaType: "text/css; charset=utf-8", cache: pageCache, vary: []string{"Accept-Encoding"}, gzipped: true, policy: forAssets},
		request{about: "script", path: "/static/site.js", coding: "gzip", file: layout.Asset("site.js"),
			mediaType: "text/javascript; charset=utf-8", cache: pageCache, policy: forAssets},
		request{about: "picture", path: "/static/icon.svg", coding: "gzip", file: layout.Asset("icon.svg"),
			mediaType: "image/svg+xml", cache: pageCache, policy: forAssets},
	)
	// An index below a prefix has the same pages; what these load is at the root, and
	// so is what is held, and what changed.
	for _, q := range rs {
		if strings.HasPrefix(q.file, layout.Static+"/") || strings.HasPrefix(q.file, "held/") || strings.HasPrefix(q.file, layout.Stats+"/") || strings.HasPrefix(q.file, layout.Changes+"/") {
			continue
		}
		for i, prefix := range prefixes {
			if i > 0 && q.accept != acceptPip {
				continue // once is enough for each form
			}
			there := q
			there.about, there.path, there.file = q.about+", below "+prefix, "/"+prefix+q.path, layout.Below(prefix, q.file)
			rs = append(rs, there)
		}
	}
	// Files are never encoded, whatever a client takes (rule 14).
	for _, f := range []struct{ about, path, file string }{
		{"wheel", tree.Wheel, tree.Wheel},
		{"sdist", tree.Sdist, tree.Sdist},
		{"core metadata", layout.CoreMetadata(tree.Wheel), layout.CoreMetadata(tree.Wheel)},
		{"signature", layout.Signature(tree.Wheel), layout.Signature(tree.Wheel)},
		{"plus and epoch, escaped (API-14)", layout.Escape(tree.Plus), tree.Plus},
		{"plus and epoch, as they are", tree.Plus, tree.Plus},
	} {
		rs = append(rs, request{about: f.about, path: "/" + f.path, accept: "*/*", coding: "gzip, deflate, br", file: f.file,
			mediaType: binary, cache: fileCache, policy: forFiles})
	}
	for _, path := range LogFiles {
		rs = append(rs, request{about: "log", path: "/" + path, accept: "*/*", coding: "gzip, deflate, br", file: path,
			mediaType: binary, cache: pageCache, policy: forPages})
	}
	for _, path := range tree.Odd {
		rs = append(rs, request{about: "odd name", path: "/" + layout.Escape(path), accept: "*/*", coding: "gzip, deflate, br", file: path,
			mediaType: binary, cache: fileCache, policy: forFiles})
	}
	return rs
}

// A move is a request that ends elsewhere.
type move struct {
	about, path string

	// to is the path that it ends at, and file the bytes there.
	to, file string

	// capital says that the name has capital letters: a server that cannot
	// make letters small and has no map of names answers with 404.
	capital bool

	// alias says that the tree has a page under that spelling, for old clients.
	// A server may answer with it at once.
	alias bool
}

func moves() []move {
	foo, people := layout.ProjectHTML("foo-bar"), layout.PeopleProject("foo-bar")
	ms := []move{
		{"list without slash (S-5)", "/simple", "/simple/", layout.RootHTML, false, false},
		{"project without slash (S-5)", "/simple/foo-bar", "/simple/foo-bar/", foo, false, false},
		{"flat page without slash", "/flat", "/flat/", layout.Flat, false, false},
		{"easy page without slash", "/easy", "/easy/", layout.Easy, false, false},
		{"what is held without slash", "/held", "/held/", layout.HeldHTML, false, false},
		{"statistics without slash", "/stats", "/stats/", layout.StatsHTML, false, false},
		{"what changed without slash", "/changes", "/changes/", layout.ChangesHTML, false, false},
		{"what changed in a project without slash", "/changes/foo-bar", "/changes/foo-bar/", layout.ProjectChangesHTML("foo-bar"), false, false},
		{"what changed in a project, underscore", "/changes/foo_bar/", "/changes/foo-bar/", layout.ProjectChangesHTML("foo-bar"), false, false},
		{"what changed in a project, capitals, no slash", "/changes/FOO.bar", "/changes/foo-bar/", layout.ProjectChangesHTML("foo-bar"), true, false},
		{"page for people without slash", "/project/foo-bar", "/project/foo-bar/", people, false, false},
		{"underscore", "/simple/foo_bar/", "/simple/foo-bar/", foo, false, false},
		{"dot, no slash", "/simple/foo.bar", "/simple/foo-bar/", foo, false, false},
		{"run of separators (row 2)", "/simple/foo.-_.--bar/", "/simple/foo-bar/", foo, false, false},
		{"display name", "/simple/Foo.Bar/", "/simple/foo-bar/", foo, true, true},
		{"dashes and capitals", "/simple/Foo-Bar/", "/simple/foo-bar/", foo, true, false},
		{"all capitals, no slash", "/simple/FOO__BAR", "/simple/foo-bar/", foo, true, false},
		{"page for people, underscore", "/project/foo_bar/", "/project/foo-bar/", people, false, false},
		{"page for people, capitals", "/project/FOO_bar/", "/project/foo-bar/", people, true, false},
		{"legacy JSON, underscore", "/pypi/foo_bar/json", "/pypi/foo-bar/json", layout.LegacyProject("foo-bar"), false, false},
		{"legacy JSON, capitals", "/pypi/Foo.Bar/json", "/pypi/foo-bar/json", layout.LegacyProject("foo-bar"), true, false},
		{"legacy JSON of a release, capitals", "/pypi/Foo_Bar/1.0/json", "/pypi/foo-bar/1.0/json", layout.LegacyRelease("foo-bar", "1.0"), true, false},
	}
	root := slices.Clone(ms)
	for _, prefix := range prefixes {
		for _, m := range root {
			if m.file == layout.HeldHTML || m.file == layout.StatsHTML || strings.HasPrefix(m.file, layout.Changes+"/") {
				continue
			}
			m.about, m.path, m.to, m.file = m.about+", below "+prefix, "/"+prefix+m.path, "/"+prefix+m.to, layout.Below(prefix, m.file)
			ms = append(ms, m)
		}
		ms = append(ms, move{"index without slash", "/" + prefix, "/" + prefix + "/", layout.Below(prefix, layout.Front), false, false})
	}
	return ms
}

// misses are paths that end in 404, and in nothing else (S-14), after a
// redirect at most.
func misses(tree *Tree) []string {
	paths := []string{
		"/simple/nope/", "/simple/nope", "/simple/No_Pe/", "/simple/no_pe", "/simple/empty/", "/simple/empty",
		"/simple/foo-bar/index.html", "/simple/foo-bar/index.v1_json", "/simple/foo-bar/stray.txt", "/simple/foo-bar/nope/",
		"/simple/index.html", "/simple/stray.html", "/simple/.hidden/", "/simple/-foo/", "/simple/foo-/", "/simple/f%20o/", "/simple/foo%0A/",
		"/simple/foo-bar/%0A", "/simple/foo-bar%0A", "/simple/a_b_c_d_e_f_g_h_i_j_k_l_m_n_o_p_q_r_s_t/",
		"/project/", "/project", "/project/nope/", "/project/empty/", "/project/foo-bar/stray.html",
		"/pypi/", "/pypi", "/pypi/foo-bar/", "/pypi/foo-bar", "/pypi/nope/json", "/pypi/foo-bar/9/json", "/pypi/empty/json", "/pypi/stray",
		"/packages/", "/packages", "/packages/stray", "/packages/ab/", "/packages/ab/stray.html", "/packages/nope",
		"/" + tree.Wheel + ".nope", "/" + tree.Wheel + "/",
		"/static/", "/static", "/static/nope.css", "/static/.hidden",
		"/flat/nope", "/easy/nope", "/held/nope", "/held/index.html", "/held/index.json/", "/stats/nope", "/stats/index.html", "/stats/index.json/", "/index.html",
		"/changes/index.html", "/changes/nope", "/changes/nope/", "/changes/nope/atom.xml", "/changes/atom.xml/", "/changes/foo-bar/index.html", "/changes/foo-bar/nope", "/changes/foo-bar/atom.xml/",
		"/prod/changes/", "/prod/changes", "/prod/changes/atom.xml", "/prod/changes/foo-bar/",
		"/log", "/log/", "/log/tile/", "/log/tile/0/", "/log/tile/0/000.p", "/log/nope", "/log/pages/", "/prod/log/checkpoint", "/nope", "/stray.html", "/.htaccess", "/.git/config", "/.git/", "/state/catalog.db",
	}
	for _, path := range paths {
		switch room, _, _ := strings.Cut(path[1:], "/"); room {
		case layout.Simple, layout.People, layout.Legacy, "flat", "easy":
			paths = append(paths, "/prod"+path)
		}
	}
	return append(paths,
		"/prod/"+tree.Wheel, "/prod/static/site.css", "/prod/static/", "/prod/packages/", "/prod/held/", "/prod/held", "/prod/held/index.json", "/prod/stats/", "/prod/stats/index.json", "/prod/index.html", "/prod/nope", "/prod/nope/", "/prod/prod/",
		"/snapshots/", "/snapshots", "/snapshots/simple/", "/snapshots/a/b/", "/snapshots/a/b/simple/", "/snapshots/b/simple/", "/nope/", "/nope/simple/",
		"/nope/simple/foo-bar/", "/Prod/simple/", "/.prod/simple/", "/prod.d/simple/", "/simple/prod/simple/", "/legacy/simple/", "/static/simple/",
	)
}

// traps are requests that may be refused in any way, but must neither give a
// byte from outside the tree, nor lead to another host, nor be taken for a
// fault of the server.
func traps(tree *Tree) []string {
	return []string{
		"//evil.example/", "//evil.example/../x", "/simple//evil.example/..//x_y", "/simple//evil.example", "/%2F%2Fevil.example/%2e%2e/x",
		"/%5cevil.example/", "/simple/%5cevil.example/", "/simple/%5c%5cevil.example", "/simple/https:%2f%2fevil.example/", "/simple/http:/evil.example",
		"/simple/foo_bar%0d%0aLocation:%20https:%2f%2fevil.example/", "/simple/Foo%0d%0aX-Evil:%20yes", "/pypi/foo_bar/%0d%0aX-Evil:%20yes/json",
		"/project//evil.example/_/", "/project/@evil.example_x/",
		"/../outside.txt", "/..%2foutside.txt", "/%2e%2e/outside.txt", "/packages/../../outside.txt", "/packages/%2e%2e/%2e%2e/outside.txt",
		"/packages../outside.txt", "/static../outside.txt", "/static/..%2f..%2foutside.txt", "/static/..%5coutside.txt", "/static%2fsite.css%00",
		"/simple/..%2f..%2foutside.txt/", "/%252e%252e/outside.txt", "/simple/foo-bar/..%252f..%252foutside.txt",
		"/" + tree.Link, "/static/link.css", "/" + tree.Wheel + "%00", "/" + tree.Wheel + "%3fx", "/pypi/../../outside.txt/json",
		"/prod/../../outside.txt", "/prod/..%2f..%2foutside.txt", "/prod//evil.example/", "//evil.example/simple/x_y/", "/prod/simple//evil.example/..//x_y",
		"/simple/" + long + "/", "/" + long + "/simple/", "/simple/a" + dots + "z/", "/project/" + long, "/pypi/A" + dots + "z/json",
	}
}

var (
	long = repeat("x", 3000)
	dots = repeat("_.x", 1000)
)

func repeat(s string, n int) string {
	b := make([]byte, 0, len(s)*n)
	for range n {
		b = append(b, s...)
	}
	return string(b)
}

// methods are what nothing here answers to.
var methods = []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodTrace, "PROPFIND"}
