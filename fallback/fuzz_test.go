package fallback_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"nestgen/fallback"
	"nestgen/layout"
	"nestgen/packaging"
)

// Whatever is asked for, the site is asked for one thing at most: the normalized
// name of a project that is in the path, or the very path of a file of the store.
func FuzzPath(f *testing.F) {
	dir := siteDir(f)
	put(f, dir, layout.RootHTML, "all")
	for _, path := range []string{
		"/simple/foo/", "/simple/Foo_Bar", "/simple/foo/../bar/", "/project/a//", "/pypi/a/1!2/json", "/" + stored, "/" + stored + ".metadata",
		"/legacy/", "/legacy", "//x", "", "\x00", "/simple/%66oo/", "/packages/../simple/x/", `/simple\foo/`, "/simple/\xff/", "/RPC2",
	} {
		f.Add("GET", path, "text/xml")
		f.Add("POST", path, "text/xml")
		f.Add("HEAD", path, "multipart/form-data; boundary=b")
	}
	site := new(fake)
	h, _ := newHandler(f, fallback.Options{Site: site, Tree: dir})
	f.Fuzz(func(t *testing.T, method, path, kind string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Method, r.URL = method, &url.URL{Path: path}
		r.RequestURI = r.URL.RequestURI()
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)

		asked := site.taken()
		if len(asked) > 1 || len(asked) == 1 && method != "GET" && method != "HEAD" {
			t.Fatalf("%q %q: asked for %q", method, path, asked)
		}
		for _, what := range asked {
			if _, _, ok := layout.ParseFile(what); ok {
				if path != "/"+what {
					t.Errorf("%q: asked for the file %q", path, what)
				}
				continue
			}
			n, err := packaging.ParseName(what)
			if err != nil || string(n) != what || !strings.Contains(path+"/", "/"+what+"/") {
				t.Errorf("%q: asked for the project %q", path, what)
			}
		}
		switch w.Code {
		case 200, 301, 400, 404, 405, 410:
		case 403: // uploads, which this index does not take
			if method != "POST" || path != "/legacy" && path != "/legacy/" {
				t.Errorf("%q %q: 403", method, path)
			}
		default:
			t.Errorf("%q %q: %d", method, path, w.Code)
		}
		if to := w.Header().Get("Location"); strings.Contains(to, "//") || strings.HasPrefix(to, "/") || strings.ContainsAny(to, "\\\r\n") {
			t.Errorf("%q %q: to %q", method, path, to)
		}
	})
}
