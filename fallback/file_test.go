package fallback_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nestgen"
	"nestgen/fallback"
	"nestgen/gateway"
	"nestgen/layout"
)

const (
	half  = "the first half, "
	whole = half + "and the second"
)

// A file is sent while it comes: the client has the first half before the second
// is there (CGI-6).
func TestFileStreams(t *testing.T) {
	for _, path := range []string{stored, layout.CoreMetadata(stored), layout.Signature(stored), layout.Provenance(stored)} {
		dir := siteDir(t)
		halfRead := make(chan struct{})
		site := &fake{file: func(path string, begin func(int64) io.Writer) error {
			w := begin(int64(len(whole)))
			if _, err := io.WriteString(w, half); err != nil {
				t.Error(err)
			}
			select {
			case <-halfRead:
			case <-time.After(5 * time.Minute):
				t.Error("the client does not get the first half")
			}
			put(t, dir, path, whole)
			_, err := io.WriteString(w, whole[len(half):])
			return err
		}}
		h, log := newHandler(t, fallback.Options{Site: site, Tree: dir})
		srv := start(t, h)
		resp, err := srv.Client().Get(srv.URL + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, len(half))
		if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != half {
			t.Errorf("%q, %v", first, err)
		}
		close(halfRead)
		streamed, body := read(t, resp, nil)
		if resp.StatusCode != http.StatusOK || resp.ContentLength != int64(len(whole)) || string(first)+body != whole {
			t.Errorf("%s, %d bytes, %q", resp.Status, resp.ContentLength, body)
		}
		if asked := site.taken(); !slices.Equal(asked, []string{path}) {
			t.Errorf("asked for %q", asked)
		}

		// The next one has it from the tree, and under the same header but for
		// what is known only now.
		resp, err = srv.Client().Get(srv.URL + "/" + path)
		resp, body = read(t, resp, err)
		if body != whole || len(site.taken()) > 0 {
			t.Errorf("second time: %s %q", resp.Status, body)
		}
		for _, h := range []http.Header{resp.Header, streamed.Header} {
			for _, name := range []string{"Date", "Etag", "Last-Modified"} {
				h.Del(name)
			}
		}
		if got, want := fmt.Sprint(streamed.Header), fmt.Sprint(resp.Header); got != want || streamed.Header.Get("Content-Type") != "application/octet-stream" ||
			streamed.Header.Get("Cache-Control") != "max-age=31536000, immutable" || streamed.Header.Get("Content-Disposition") != "" {
			t.Errorf("header %s, later %s", got, want)
		}
		if lines := log.lines(t); len(lines) > 0 {
			t.Errorf("log %v", lines)
		}
	}
}

// breaking is what comes of a file that turns out to be bad, or short.
var breaking = map[string]func(begin func(int64) io.Writer) error{
	"error": func(begin func(int64) io.Writer) error {
		_, err := io.WriteString(begin(int64(len(whole))), half)
		return errors.Join(err, &nestgen.Refusal{Cause: nestgen.BadUpstream, Text: "wrong hash"})
	},
	"short": func(begin func(int64) io.Writer) error {
		_, err := io.WriteString(begin(int64(len(whole))), half)
		return err
	},
	"long": func(begin func(int64) io.Writer) error {
		w := begin(int64(len(half)))
		_, err := io.WriteString(w, half[1:])
		_, more := io.WriteString(w, whole)
		return errors.Join(err, more)
	},
	"panic": func(begin func(int64) io.Writer) error {
		if _, err := io.WriteString(begin(int64(len(whole))), half); err != nil {
			return err
		}
		panic(http.ErrAbortHandler)
	},
}

// An answer that cannot be finished breaks off, so that no client takes it for
// whole.
func TestFileBreaksOff(t *testing.T) {
	for name, come := range breaking {
		t.Run(name, func(t *testing.T) {
			h, log := newHandler(t, fallback.Options{Site: &fake{file: func(_ string, begin func(int64) io.Writer) error { return come(begin) }}, Tree: siteDir(t)})
			srv := start(t, h)
			resp, err := srv.Client().Get(srv.URL + "/" + stored)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			data, err := io.ReadAll(resp.Body)
			if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(whole, string(data)) && name != "long" || int64(len(data)) >= resp.ContentLength {
				t.Errorf("%d of %d bytes, %v", len(data), resp.ContentLength, err)
			}
			srv.Close() // waits for the handler
			if lines := log.lines(t); name != "panic" && (len(lines) != 1 || lines[0]["path"] != stored || lines[0]["level"] != "WARN") {
				t.Errorf("log %v", lines)
			}
		})
	}
}

// Through the gateway as well: there is a length, fewer bytes than that, and a
// process that says that something went wrong.
func TestFileBreaksOffThroughCGI(t *testing.T) {
	dir := siteDir(t)
	for name := range breaking {
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{"FALLBACK_TEST_BREAK=" + name, "FALLBACK_TEST_TREE=" + dir, "GATEWAY_INTERFACE=CGI/1.1", "REQUEST_METHOD=GET", "SCRIPT_NAME=/-nest", "PATH_INFO=/" + stored}
		out, err := cmd.Output()
		header, body, ok := strings.Cut(string(out), "\r\n\r\n")
		length := len(whole)
		if name == "long" {
			length = len(half)
		}
		if _, exit := errors.AsType[*exec.ExitError](err); !exit || !ok || !strings.HasPrefix(header, "Status: 200 OK\r\n") ||
			!strings.Contains(header+"\r\n", fmt.Sprintf("\r\nContent-Length: %d\r\n", length)) || len(body) >= length {
			t.Errorf("%s: %v, %q", name, err, out)
		}
	}
}

// The binary of the tests is a CGI program when it is told so.
func TestMain(m *testing.M) {
	come, ok := breaking[os.Getenv("FALLBACK_TEST_BREAK")]
	if !ok {
		os.Exit(m.Run())
	}
	h, err := fallback.New(fallback.Options{
		Site: &fake{file: func(_ string, begin func(int64) io.Writer) error { return come(begin) }},
		Tree: os.Getenv("FALLBACK_TEST_TREE"),
	})
	if err != nil {
		panic(err)
	}
	os.Exit((&gateway.Server{Handler: h, Prefixes: []string{"/-nest"}}).Run(context.Background()))
}

// Before the first byte a fault is answered like any other.
func TestFileFaultBeforeTheFirstByte(t *testing.T) {
	site := &fake{file: func(_ string, begin func(int64) io.Writer) error {
		if n, err := begin(100).Write(nil); n != 0 || err != nil {
			t.Error(n, err)
		}
		return &nestgen.Refusal{Cause: nestgen.BadUpstream, Text: "no answer"}
	}}
	h, _ := newHandler(t, fallback.Options{Site: site, Tree: siteDir(t)})
	if w := get(h, "/"+stored); w.Code != http.StatusBadGateway || w.Body.String() != "no answer\n" || strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
}

// A file of unknown size is sent once it is here: an answer without a length
// that is broken off looks whole behind a web server.
func TestFileOfUnknownSize(t *testing.T) {
	dir := siteDir(t)
	var fault error
	site := &fake{file: func(path string, begin func(int64) io.Writer) error {
		if n, err := io.WriteString(begin(-1), whole); n != len(whole) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if fault == nil {
			put(t, dir, path, whole)
		}
		return fault
	}}
	h, _ := newHandler(t, fallback.Options{Site: site, Tree: dir})
	fault = &nestgen.Refusal{Cause: nestgen.BadUpstream, Text: "wrong hash"}
	if w := get(h, "/"+stored); w.Code != http.StatusBadGateway || w.Body.String() != "wrong hash\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	fault = nil
	if w := get(h, "/"+stored); w.Code != http.StatusOK || w.Body.String() != whole || w.Header().Get("Content-Length") != fmt.Sprint(len(whole)) || w.Header().Get("ETag") == "" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
}

// An empty file, and one that somebody else has brought in the meantime, come
// from the tree.
func TestFileWithoutAByte(t *testing.T) {
	for _, begins := range []bool{true, false} {
		dir := siteDir(t)
		site := &fake{file: func(path string, begin func(int64) io.Writer) error {
			if begins {
				begin(0)
			}
			put(t, dir, path, "")
			return nil
		}}
		h, _ := newHandler(t, fallback.Options{Site: site, Tree: dir})
		if w := get(h, "/"+stored); w.Code != http.StatusOK || w.Body.Len() > 0 || w.Header().Get("Content-Length") != "0" || w.Header().Get("ETag") == "" {
			t.Errorf("begins %v: %d %q %v", begins, w.Code, w.Body, w.Header())
		}
	}
}

// What asks for a part of a file, or has some of it, is answered when all of it is
// here (S-4).
func TestFileInParts(t *testing.T) {
	for _, tt := range []struct {
		about, method, field, value string
		status                      int
		body                        string
	}{
		{"HEAD", "HEAD", "", "", 200, ""},
		{"beginning", "GET", "Range", "bytes=0-2", 206, whole[:3]},
		{"end", "GET", "Range", "bytes=-3", 206, whole[len(whole)-3:]},
		{"past the end", "GET", "Range", "bytes=1000-", 416, "invalid range: failed to overlap\n"},
		{"has another", "GET", "If-None-Match", `"other"`, 200, whole},
		{"must be another", "GET", "If-Match", `"other"`, 412, ""},
		{"has one of today", "GET", "If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT", 304, ""},
		{"must be old", "GET", "If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT", 412, ""},
		{"range of another", "GET", "If-Range", `"other"`, 200, whole},
	} {
		dir := siteDir(t)
		site := &fake{file: func(path string, begin func(int64) io.Writer) error {
			if begin != nil {
				t.Errorf("%s: it is to be streamed", tt.about)
			}
			put(t, dir, path, whole)
			return nil
		}}
		h, _ := newHandler(t, fallback.Options{Site: site, Tree: dir})
		r := request(tt.method, "/"+stored)
		if tt.field != "" {
			r.Header.Set(tt.field, tt.value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		body := w.Body.String()
		if tt.method == http.MethodHead {
			body = ""
		}
		if w.Code != tt.status || body != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.about, w.Code, body, tt.status, tt.body)
		}
		if tt.about == "HEAD" && w.Header().Get("Content-Length") != fmt.Sprint(len(whole)) {
			t.Errorf("HEAD: %v", w.Header())
		}
	}
}

// What the site takes for a file and is none, such as a link, is not served
// (row 54).
func TestFileThatIsNone(t *testing.T) {
	dir := siteDir(t)
	put(t, filepath.Dir(dir), "outside", "outside")
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(stored)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(filepath.Dir(dir), "outside"), filepath.Join(dir, stored)); err != nil {
		t.Fatal(err)
	}
	h, log := newHandler(t, fallback.Options{Site: &fake{file: func(string, func(int64) io.Writer) error { return nil }}, Tree: dir})
	if w := get(h, "/"+stored); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "outside") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if lines := log.lines(t); len(lines) != 1 || lines[0]["level"] != "ERROR" || lines[0]["path"] != stored {
		t.Errorf("log %v", lines)
	}
}

// A client that goes away stops its own answer: the site hears of it.
func TestFileWhenTheClientLeaves(t *testing.T) {
	wrote := make(chan error, 1)
	site := &fake{file: func(_ string, begin func(int64) io.Writer) error {
		w := begin(1 << 40)
		block := bytes.Repeat([]byte("x"), 1<<20)
		for {
			if _, err := w.Write(block); err != nil {
				wrote <- err
				return err
			}
		}
	}}
	h, log := newHandler(t, fallback.Options{Site: site, Tree: siteDir(t)})
	srv := start(t, h)
	resp, err := srv.Client().Get(srv.URL + "/" + stored)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	select {
	case <-wrote:
	case <-time.After(5 * time.Minute):
		t.Error("it is still being written to")
	}
	srv.Close() // waits for the handler
	if lines := log.lines(t); len(lines) > 0 {
		t.Errorf("log %v", lines)
	}
}

// A file of the tree is handed over to the web server with nothing of what that
// finds out itself (CGI-9, CGI-10).
func TestSendfile(t *testing.T) {
	dir := siteDir(t)
	folder := filepath.Dir(stored)
	var files []string
	for _, name := range []string{"a-1.0.tar.gz", "a-1!2.0+x~y.tar.gz", "a-1.0.tar.gz.metadata", "a-1.0.tar.gz.asc", "a-1.0.tar.gz.provenance", "evil-1.0.cgi.zip"} {
		files = append(files, folder+"/"+name)
		put(t, dir, folder+"/"+name, whole)
	}
	put(t, dir, layout.ProjectHTML("a"), "a page")
	put(t, filepath.Dir(dir), "outside.zip", "outside")
	link := folder + "/link-1.0.zip"
	if err := os.Symlink("../../../../../outside.zip", filepath.Join(dir, link)); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(layout.Packages, "00") // a folder that is one
	if err := os.Symlink("../..", filepath.Join(dir, linked)); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Dir(dir), strings.TrimPrefix(layout.File([32]byte{}, "out-1.0.zip"), linked+"/"), "outside")
	for _, tt := range []struct {
		how   fallback.Sendfile
		field string
		value func(path string) string
	}{
		{fallback.XSendfile, "X-Sendfile", func(path string) string { return filepath.Join(dir, path) }},
		{fallback.XAccel, "X-Accel-Redirect", func(path string) string { return "/-nest-file/" + layout.Escape(path) }},
	} {
		site := new(fake)
		h, _ := newHandler(t, fallback.Options{Site: site, Tree: dir, Sendfile: tt.how})
		for _, path := range files {
			for _, fields := range [][]string{nil, {"Range", "bytes=0-2"}, {"If-None-Match", "*"}, {"Accept-Encoding", "gzip"}} {
				w := get(h, "/"+path, fields...)
				if w.Code != http.StatusOK || w.Body.Len() > 0 || w.Header().Get(tt.field) != tt.value(path) ||
					w.Header().Get("Content-Type") != "application/octet-stream" || w.Header().Get("Cache-Control") != "max-age=31536000, immutable" ||
					w.Header().Get("Content-Security-Policy") == "" || w.Header().Get("X-Content-Type-Options") != "nosniff" || len(w.Header()) != 5 {
					t.Errorf("%s of %s with %q: %d %v", tt.how, path, fields, w.Code, w.Header())
				}
			}
		}
		if asked := site.taken(); len(asked) > 0 {
			t.Errorf("asked for %q", asked)
		}
		// A link is no file, wherever it leads (row 54), and pages are sent.
		for path, status := range map[string]int{link: 404, layout.File([32]byte{}, "out-1.0.zip"): 404, stored: 404, "simple/a/": 200} {
			if w := get(h, "/"+path); w.Code != status || w.Header().Get(tt.field) != "" {
				t.Errorf("%s of %s: %d %v", tt.how, path, w.Code, w.Header())
			}
		}
	}
}

// What was asked for in parts is handed over too once it is here, and what comes
// is streamed.
func TestSendfileOnDemand(t *testing.T) {
	dir := siteDir(t)
	site := &fake{file: func(path string, begin func(int64) io.Writer) error {
		if begin != nil {
			_, err := io.WriteString(begin(int64(len(whole))), whole)
			return err
		}
		put(t, dir, path, whole)
		return nil
	}}
	h, _ := newHandler(t, fallback.Options{Site: site, Tree: dir, Sendfile: fallback.XAccel})
	if w := get(h, "/"+stored); w.Body.String() != whole || w.Header().Get("X-Accel-Redirect") != "" {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
	if w := get(h, "/"+stored, "Range", "bytes=0-2"); w.Body.Len() > 0 || w.Header().Get("X-Accel-Redirect") != fallback.Internal+stored {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
}
