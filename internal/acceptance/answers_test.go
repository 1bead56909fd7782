package acceptance

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What the fallback says reaches the client as it was said, through every server:
// status, reason, and the fields that clients go by (contract 3.5, CGI-5, UP-13).
func TestFallbackAnswers(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/broken/") {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(upstream.Close)
	settings := `uploads = "uploads"
[[upstream]]
name = "up"
url = "` + upstream.URL + `/simple/"
form = "index"
[[on_demand]]
pattern = "else-*"
mode = "redirect"
[[on_demand]]
pattern = "*"
mode = "fetch"
[fallback]
free = "1MB"
`
	for i, k := range new(liveSite).fallbacks() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := newLiveSite(t, settings)
			s.nestgen(t, "build", "-q")
			k := s.fallbacks()[i]
			srv := k.start(t, k, s.dir)
			for _, tt := range []struct {
				about, method, path, kind string
				status                    string
				words                     string // in the body
				header                    [2]string
			}{
				{"XML-RPC", "POST", "/pypi", "text/xml", "410 XML-RPC is not supported: all projects are at /simple/, the files of one at /simple/NAME/, in JSON too", "/simple/NAME/", [2]string{}},
				{"XML-RPC with a slash", "POST", "/pypi/", "text/xml; charset=utf-8", "410 XML-RPC is not supported: all projects are at /simple/, the files of one at /simple/NAME/, in JSON too", "/simple/NAME/", [2]string{}},
				{"form to a page that is not here", "POST", "/simple/nope/", "multipart/form-data; boundary=b", "405 ", "Nothing is taken at this address: uploads go to /legacy/", [2]string{"Allow", "GET, HEAD"}},
				{"no page", "GET", "/simple/nope/", "", "404 Not Found", "", [2]string{}},
				{"elsewhere", "GET", "/simple/else-where/", "", "302 Found", "", [2]string{"Location", upstream.URL + "/simple/else-where/"}},
				{"elsewhere, for now", "GET", "/simple/else-where/", "", "302 Found", "", [2]string{"Cache-Control", "no-store"}},
				{"elsewhere, not for people", "GET", "/project/else-where/", "", "404 Not Found", "", [2]string{}},
				{"upstream that fails", "GET", "/simple/broken/", "", "503 it cannot be had at the moment", "it cannot be had at the moment", [2]string{"Retry-After", "15"}},
				{"upstream that has failed", "HEAD", "/simple/broken/", "", "503 it cannot be had at the moment", "", [2]string{}},
				{"classifiers", "GET", "/legacy/?:action=list_classifiers", "", "200 OK", "", [2]string{}},
				{"looks at uploads", "GET", "/legacy/", "", "405 This is the address for uploads: send a form with POST", "POST", [2]string{"Allow", "POST"}},
				{"upload of a stranger", "POST", "/legacy/", "multipart/form-data; boundary=b", "401 Credentials are needed: a token as the password", "token", [2]string{"Www-Authenticate", `Basic realm="pypi"`}},
			} {
				resp, data, err := ask(t, tt.method, srv.URL+tt.path, strings.NewReader(""), "Content-Type", tt.kind)
				if err != nil {
					t.Errorf("%s: %v", tt.about, err)
					continue
				}
				if !strings.HasPrefix(resp.Status, tt.status) || !strings.Contains(string(data), tt.words) || tt.header[0] != "" && resp.Header.Get(tt.header[0]) != tt.header[1] {
					t.Errorf("%s: %s %s: %q with %v\n%s", tt.about, tt.method, tt.path, resp.Status, resp.Header, data)
				}
			}
		})
	}
}
