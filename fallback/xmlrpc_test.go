package fallback_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"nestgen/fallback"
)

// XML-RPC is over, whatever the call is, and nobody reads it: not even what would
// take all memory (reliability 3, row 25).
func TestXMLRPC(t *testing.T) {
	site := new(fake)
	h, _ := newHandler(t, fallback.Options{Site: site, Tree: siteDir(t)})
	bomb := `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "x">`
	for i := range 30 {
		bomb += `<!ENTITY a` + string(rune('b'+i)) + ` "` + strings.Repeat("&a0;", 10) + `">`
	}
	for _, body := range []string{
		"<?xml version='1.0'?><methodCall><methodName>changelog_last_serial</methodName></methodCall>",
		"<methodCall><methodName>search</methodName>",
		bomb + `]><a>&az;</a>`,
		`<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>`,
		"", "no XML",
	} {
		for _, path := range []string{"/", "/pypi", "/pypi/", "/RPC2"} {
			for _, kind := range []string{"text/xml", "text/xml; charset=utf-8", "application/xml"} {
				r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
				r.Header.Set("Content-Type", kind)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != http.StatusGone || !strings.Contains(w.Body.String(), "/simple/NAME/") || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
					t.Errorf("POST %s of %.40q: %d %v %q", path, body, w.Code, w.Header(), w.Body)
				}
			}
		}
	}
	// Elsewhere it is one more body that nobody takes.
	r := httptest.NewRequest(http.MethodPost, "/simple/", strings.NewReader("<methodCall/>"))
	r.Header.Set("Content-Type", "text/xml")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /simple/: %d", w.Code)
	}
	if asked := site.taken(); len(asked) > 0 {
		t.Errorf("asked for %q", asked)
	}
}

// The client of the standard library, which mirrors and "pip search" are made
// with, shows why.
func TestXMLRPCClient(t *testing.T) {
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		t.Skip("python3 is not installed (Debian package python3)")
	}
	h, _ := newHandler(t, fallback.Options{Site: new(fake), Tree: siteDir(t)})
	srv := start(t, h)
	cmd := exec.CommandContext(t.Context(), python, "-I", "-c", `
import sys, xmlrpc.client
try:
    xmlrpc.client.ServerProxy(sys.argv[1]).changelog_last_serial()
except xmlrpc.client.ProtocolError as e:
    print(e.errcode, e.errmsg)
`, srv.URL+"/pypi")
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if want := "410 XML-RPC is not supported: all projects are at /simple/, the files of one at /simple/NAME/, in JSON too\n"; err != nil || string(out) != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
}
