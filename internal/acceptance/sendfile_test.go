package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// A file that comes on demand because a client wants a part of it, or has some of
// it, is answered as the same file is from then on, by the server alone; where
// the server can be handed a file over, to the last field of the header (CGI-9,
// CGI-10, S-4).
func TestSendfile(t *testing.T) {
	for i, k := range new(liveSite).fallbacks() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			how := "none"
			switch _, err := os.Stat(xsendfile); {
			case strings.HasPrefix(k.name, "nginx"):
				how = "x-accel"
			case strings.HasPrefix(k.name, "Apache") && err == nil:
				how = "x-sendfile"
			}
			sendfile(t, i, how)
		})
	}
}

// xsendfile is mod_xsendfile of Apache, where Debian puts it.
const xsendfile = "/usr/lib/apache2/modules/mod_xsendfile.so"

func sendfile(t *testing.T, way int, how string) {
	cases := []struct{ about, method, field, value string }{
		{"HEAD", "HEAD", "Accept", "*/*"},
		{"beginning", "GET", "Range", "bytes=0-9"},
		{"end", "GET", "Range", "bytes=-10"},
		{"past the end", "GET", "Range", "bytes=99999999-"},
		{"has another", "GET", "If-None-Match", `"other"`},
		{"has an old one", "GET", "If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT"},
		{"has any", "GET", "If-None-Match", "*"},
		{"compressed", "GET", "If-Range", `"other"`},
	}
	// One file for each case, with a name that has to be escaped.
	var files []fetchtest.File
	for i := range cases {
		name, data := intaketest.Sdist("foo", fmt.Sprintf("1!%d.0+local.1", i), intaketest.Opts{Pad: 3000})
		files = append(files, fetchtest.File{Project: "foo", Filename: name, Data: data})
	}
	up := fetchtest.New(t, files...)
	s := newLiveSite(t, onDemand(up.URL+fetchtest.Index)+"sendfile = \""+how+"\"\n")
	k := s.fallbacks()[way]
	srv := k.start(t, k, s.dir)
	resp, data, err := ask(t, "GET", srv.URL+"/simple/foo/", nil, "Accept", "application/vnd.pypi.simple.v1+json")
	var page struct {
		Files []struct{ Filename, URL string }
	}
	if err != nil || json.Unmarshal(data, &page) != nil || len(page.Files) != len(cases) {
		t.Fatalf("%v, %v\n%s", resp, err, data)
	}
	for i, tt := range cases {
		at := slices.IndexFunc(page.Files, func(f struct{ Filename, URL string }) bool { return f.Filename == files[i].Filename })
		if at < 0 {
			t.Fatalf("%s is not on the page\n%s", files[i].Filename, data)
		}
		path := strings.TrimPrefix(page.Files[at].URL, "../..")
		first, firstBody, err := ask(t, tt.method, srv.URL+path, nil, tt.field, tt.value, "Accept-Encoding", "gzip")
		if err != nil {
			t.Fatalf("%s: %v", tt.about, err)
		}
		later, laterBody, err := ask(t, tt.method, srv.URL+path, nil, tt.field, tt.value, "Accept-Encoding", "gzip")
		if err != nil {
			t.Fatalf("%s: %v", tt.about, err)
		}
		if first.StatusCode != later.StatusCode || first.StatusCode < 300 && !bytes.Equal(firstBody, laterBody) {
			t.Errorf("%s of %s: %s with %d bytes, later %s with %d", tt.about, path, first.Status, len(firstBody), later.Status, len(laterBody))
		}
		// The program writes validators in another way than the server, and
		// mod_xsendfile takes the time of the program for the ETag.
		except := []string{"Date", "Accept-Ranges", "Etag", "Last-Modified"}
		if how == "x-accel" {
			except = except[:1]
		}
		if got, want := said(first.Header, except), said(later.Header, except); first.StatusCode < 400 && !slices.Equal(got, want) {
			t.Errorf("%s of %s: header\n%s\nlater\n%s", tt.about, path, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if tt.about == "HEAD" && first.Header.Get("Content-Length") != fmt.Sprint(len(files[i].Data)) {
			t.Errorf("HEAD: %v", first.Header)
		}
		// The first of the two has brought it, or there was nothing to see.
		if files, err := filepath.Glob(filepath.Join(s.dir, "packages/*/*/*", fmt.Sprintf("foo-1!%d.*", i))); err != nil || len(files) != 1 {
			t.Errorf("%s: %q in the tree, %v", tt.about, files, err)
		}
	}
	if _, data, err := ask(t, "GET", srv.URL+"/-nest-file/packages/", nil); err != nil || bytes.Contains(data, []byte("foo")) {
		t.Errorf("the folder of the files can be read: %q, %v", data, err)
	}
}

// said gives what a header says, but for some of its fields.
func said(h http.Header, except []string) []string {
	var lines []string
	for name, values := range h {
		if !slices.Contains(except, name) {
			lines = append(lines, fmt.Sprintf("%s: %q", name, values))
		}
	}
	slices.Sort(lines)
	return lines
}
