package fallback_test

import (
	"encoding/xml"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/fallback"
)

func call(h http.Handler, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "text/xml")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// bomb is a document that would take all memory if entities were put in (reliability
// 3, row 25).
func bomb() string {
	b := `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "x">`
	for i := range 30 {
		b += `<!ENTITY a` + string(rune('b'+i)) + ` "` + strings.Repeat("&a0;", 10) + `">`
	}
	return b + `]><methodCall><methodName>changelog_last_serial&az;</methodName></methodCall>`
}

// Of XML-RPC there is nothing but the three methods for mirrors, and whatever else
// is posted is told so.
func TestXMLRPCIsOver(t *testing.T) {
	site := new(fake)
	h, _ := newHandler(t, fallback.Options{Site: site, Tree: siteDir(t)})
	for _, body := range []string{
		"<methodCall><methodName>search</methodName></methodCall>",
		"<methodCall><methodName>system.multicall</methodName></methodCall>",
		"<methodCall><methodName>changelog_last_serial</methodName>",
		"<methodCall><methodName>changelog_last_serial</methodName><params><param><value><int>1</int></value></param></params></methodCall>",
		"<methodCall><methodName>changelog_since_serial</methodName></methodCall>",
		"<methodCall><methodName>changelog_since_serial</methodName><params><param><value>x</value></param></params></methodCall>",
		"<methodCall><methodName>changelog_since_serial</methodName><params><param><value><int>99999999999999999999</int></value></param></params></methodCall>",
		bomb(),
		`<!DOCTYPE a SYSTEM "file:///etc/passwd"><methodCall><methodName>changelog_last_serial</methodName></methodCall>`,
		`<?xml version="1.0" encoding="UTF-7"?><methodCall><methodName>changelog_last_serial</methodName></methodCall>`,
		strings.Repeat("<a>", 10_000), "<methodCall><methodName>changelog_last_serial</methodName>" + strings.Repeat(" ", 20<<10) + "</methodCall>",
		"", "no XML",
	} {
		for _, path := range []string{"/", "/pypi", "/pypi/", "/RPC2"} {
			w := call(h, path, body)
			if w.Code != http.StatusGone || !strings.Contains(w.Body.String(), "/simple/NAME/") || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("POST %s of %.60q: %d %v %.200q", path, body, w.Code, w.Header(), w.Body)
			}
		}
	}
	// Elsewhere it is one more body that nobody takes.
	if w := call(h, "/simple/", "<methodCall/>"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /simple/: %d", w.Code)
	}
	if asked := site.taken(); len(asked) > 0 {
		t.Errorf("asked for %q", asked)
	}
}

// The clients of the standard library, which mirrors are made with, understand the
// answers, and show why there is none.
func TestXMLRPCClients(t *testing.T) {
	site := &fake{events: []catalog.Event{
		{Serial: 1, Time: 1_700_000_000_999_999, Verb: catalog.Add, Project: "foo", Filename: "foo-1.0.tar.gz", Reason: "line 3 of a list"},
		{Serial: 2, Time: 1_700_000_001_000_000, Verb: catalog.Withdraw, Project: "bar-<&>", Filename: "x"},
		{Serial: 3, Time: 5_000_000_000_000_000, Verb: catalog.Mark, Project: "foo"},
	}}
	h, _ := newHandler(t, fallback.Options{Site: site, Tree: siteDir(t)})
	srv := start(t, h)
	pythons := []string{"/usr/bin/python3"}
	if home, err := os.UserHomeDir(); err == nil {
		more, _ := filepath.Glob(filepath.Join(home, ".pyenv/versions/*/bin/python"))
		pythons = append(pythons, more...)
	}
	ran := 0
	for _, python := range pythons {
		cmd := exec.CommandContext(t.Context(), python, "-c", `
from __future__ import print_function
import sys
try:
    from xmlrpc.client import ServerProxy, ProtocolError
except ImportError:
    from xmlrpclib import ServerProxy, ProtocolError
s = ServerProxy(sys.argv[1])
print(s.changelog_last_serial())
for row in s.changelog_since_serial(1):
    print(row[0], row[1], row[2], row[3], row[4])
print(sorted(s.list_packages_with_serial().items()) == [("bar-<&>", 2), ("foo", 3)])
try:
    s.search({"name": "x"})
except ProtocolError as e:
    print(e.errcode, e.errmsg)
`, srv.URL+"/pypi")
		cmd.Env = []string{"PATH=/usr/bin:/bin"}
		cmd.WaitDelay = time.Minute
		out, err := cmd.CombinedOutput()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		ran++
		const want = "3\nbar-<&> None 1700000001 remove file x 2\nfoo None 5000000000 update 3\nTrue\n" +
			"410 XML-RPC is not supported: all projects are at /simple/, the files of one at /simple/NAME/, in JSON too\n"
		if err != nil || string(out) != want {
			t.Errorf("%s: %q, %v, want %q", python, out, err, want)
		}
	}
	if ran == 0 {
		t.Skip("there is no Python (Debian package python3)")
	}
}

// No answer has more changes than the public index gives at once; and a fault of the
// catalog is no short answer.
func TestXMLRPCLimits(t *testing.T) {
	site := new(fake)
	for i := range 50_001 {
		site.events = append(site.events, catalog.Event{Serial: int64(i + 1), Verb: catalog.Add, Project: "foo", Filename: "foo-1.0.tar.gz"})
	}
	h, _ := newHandler(t, fallback.Options{Site: site, Tree: siteDir(t)})
	const since = "<methodCall><methodName>changelog_since_serial</methodName><params><param><value><i8>0</i8></value></param></params></methodCall>"
	w := call(h, "/pypi", since)
	if n := strings.Count(w.Body.String(), "add file"); w.Code != http.StatusOK || n != 50_000 {
		t.Errorf("%d, %d changes", w.Code, n)
	}
	site.fault = errors.New("read catalog: broken")
	if w := call(h, "/pypi", since); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "broken") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func FuzzXMLRPC(f *testing.F) {
	f.Add("<methodCall><methodName>changelog_last_serial</methodName></methodCall>")
	f.Add("<methodCall><methodName>changelog_since_serial</methodName><params><param><value><int>1</int></value></param></params></methodCall>")
	f.Add("<?xml version='1.0'?><methodCall><methodName>list_packages_with_serial</methodName><params/></methodCall>")
	f.Add(bomb())
	f.Add("</a>")
	site := &fake{events: []catalog.Event{{Serial: 1, Verb: catalog.Add, Project: "foo", Filename: "foo-1.0.tar.gz"}}}
	h, _ := newHandler(f, fallback.Options{Site: site, Tree: siteDir(f)})
	f.Fuzz(func(t *testing.T, body string) {
		w := call(h, "/pypi", body)
		switch w.Code {
		case http.StatusGone:
		case http.StatusOK:
			if err := xml.Unmarshal(w.Body.Bytes(), new(struct {
				XMLName xml.Name `xml:"methodResponse"`
			})); err != nil {
				t.Errorf("%q: %v", body, err)
			}
		default:
			t.Errorf("%q: %d", body, w.Code)
		}
	})
}
