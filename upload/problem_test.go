package upload_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"nestgen/upload"
)

func TestParseAction(t *testing.T) {
	for _, a := range []upload.Action{upload.FileUpload, upload.Register, upload.Verify, upload.DocUpload, upload.ListClassifiers} {
		if got, err := upload.ParseAction(a.String()); got != a || err != nil {
			t.Errorf("ParseAction(%q) = %v, %v", a, got, err)
		}
	}
	for _, s := range []string{"", "FILE_UPLOAD", "unknown", "user"} {
		if a, err := upload.ParseAction(s); err == nil || a != 0 || !strings.Contains(err.Error(), s) {
			t.Errorf("ParseAction(%q) = %v, %v", s, a, err)
		}
	}
}

// The reason phrase is one line of ISO-8859-1 of at most 200 bytes (UP-13).
func TestReason(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"plain", "no such thing", "no such thing"},
		{"Latin-1", "façade", "façade"},
		{"beyond Latin-1", "名 – x", "? ? x"},
		{"line ends", "a\r\nX-Evil: 1\nb", "a  X-Evil: 1 b"},
		{"controls", "a\x00\x1b\x7f\u0085b", "a    b"},
		{"not UTF-8", "a\xffb", "a?b"},
		{"ellipsis", "a…", "a..."},
		{"long", strings.Repeat("x", 300), strings.Repeat("x", 197) + "..."},
		{"as long as may be", strings.Repeat("é", 200), strings.Repeat("é", 200)},
		{"none", "", "Bad Request"},
	} {
		if got := (&upload.Problem{Status: 400, Text: tt.text}).Reason(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Only the answer for a duplicate has the words by which clients know one, and
// none has those on which poetry registers (UP-9, UP-14).
func TestTakenWrong(t *testing.T) {
	const jinx = "already exist"
	for _, p := range []*upload.Problem{
		{Status: 400, Text: `version "It ALREADY Existſ" is not`},
		{Status: 400, Text: `name "updating asset, cannot be updated, has already been taken" is not`},
		{Status: 403, Text: `name "overwrite artifact" is not yours`},
		{Status: 400, Text: `name "x was ever registered" is not`},
		upload.Exists("x", "was ever registered, overwrite artifact"),
	} {
		for _, accept := range []string{"", "application/json", "application/problem+json"} {
			w := &recorder{ResponseRecorder: httptest.NewRecorder()}
			r := httptest.NewRequest(http.MethodPost, "/legacy/", nil)
			r.Header.Set("Accept", accept)
			p.Write(w, r)
			said := strings.ToLower(w.reason + "\n" + w.Body.String())
			for _, words := range []string{"updating asset", "cannot be updated", "already been taken", "overwrite artifact", "was ever registered"} {
				if strings.Contains(said, words) {
					t.Errorf("%q: says %q", said, words)
				}
			}
			if exists := strings.HasPrefix(p.Text, "File already exists"); strings.Contains(said, jinx) != exists {
				t.Errorf("%q: says that it exists: %v, want %v", said, !exists, exists)
			}
		}
	}
}

// recorder is a ResponseWriter with a reason phrase.
type recorder struct {
	*httptest.ResponseRecorder
	reason string
}

func (r *recorder) SetReason(phrase string) { r.reason = phrase }

// wrapped is one around another.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestWrite(t *testing.T) {
	exists := upload.Exists("foo-1.0.tar.gz", "with other bytes")
	for _, tt := range []struct {
		name, accept string
		problem      *upload.Problem
		kind, body   string
	}{
		{"no Accept", "", exists, "text/plain; charset=utf-8", "File already exists: foo-1.0.tar.gz, with other bytes\n"},
		{"requests", "*/*", exists, "text/plain; charset=utf-8", ""},
		{"pip's", "application/vnd.pypi.simple.v1+json", exists, "text/plain; charset=utf-8", ""},
		{"browser", "text/html,application/xhtml+xml,*/*;q=0.8", exists, "text/plain; charset=utf-8", ""},
		{
			"uv (UP-12)", "application/json;q=0.9, text/plain;q=0.8, text/html;q=0.7", exists, "application/json",
			`{"message":"File already exists: foo-1.0.tar.gz, with other bytes","code":"400 File already exists: foo-1.0.tar.gz, with other bytes","title":"Bad Request"}` + "\n",
		},
		{"text before JSON", "application/json;q=0.5, text/plain", exists, "text/plain; charset=utf-8", ""},
		{"JSON refused", "application/json;q=0", exists, "text/plain; charset=utf-8", ""},
		{"q that is none", "application/json;q=high", exists, "text/plain; charset=utf-8", ""},
		{"capitals", "Application/JSON ; Q=1", exists, "application/json", ""},
		{
			"RFC 9457", "application/problem+json, application/json", exists, "application/problem+json",
			`{"type":"about:blank","title":"Bad Request","status":400,"detail":"File already exists: foo-1.0.tar.gz, with other bytes"}` + "\n",
		},
		{"RFC 9457 second", "application/problem+json;q=0.1, application/json", exists, "application/json", ""},
		{"forbidden", "", upload.Forbidden("not yours"), "text/plain; charset=utf-8", "not yours\n"},
		{"documentation", "", upload.NoDocs(), "text/plain; charset=utf-8", "Uploading documentation is not supported\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &recorder{ResponseRecorder: httptest.NewRecorder()}
			r := httptest.NewRequest(http.MethodPost, "/legacy/", strings.NewReader("left over"))
			if tt.accept != "" {
				r.Header.Set("Accept", tt.accept)
			}
			tt.problem.Write(wrapped{wrapped{w}}, r)
			if got := w.Header().Get("Content-Type"); got != tt.kind {
				t.Errorf("Content-Type %q, want %q", got, tt.kind)
			}
			if tt.body != "" && w.Body.String() != tt.body {
				t.Errorf("body %q, want %q", w.Body, tt.body)
			}
			if strings.Contains(tt.kind, "json") && !json.Valid(w.Body.Bytes()) {
				t.Errorf("body %q", w.Body)
			}
			if w.Code != tt.problem.Status || w.reason != tt.problem.Text || w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
				t.Errorf("%d %q, %v", w.Code, w.reason, w.Header())
			}
			if w.Header().Get("WWW-Authenticate") != "" || w.Header().Get("Allow") != "" {
				t.Errorf("%v", w.Header())
			}
			if n, _ := r.Body.Read(make([]byte, 1)); n > 0 {
				t.Error("the body was not read to its end")
			}
		})
	}
	t.Run("401 (UP-11)", func(t *testing.T) {
		w := httptest.NewRecorder() // no Reasoner
		upload.Unauthorized("who?").Write(w, httptest.NewRequest(http.MethodPost, "/", nil))
		if w.Code != 401 || w.Header().Get("WWW-Authenticate") != `Basic realm="pypi"` || w.Body.String() != "who?\n" {
			t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
		}
	})
	t.Run("405", func(t *testing.T) {
		w := httptest.NewRecorder()
		(&upload.Problem{Status: 405, Text: "no", Allow: "POST"}).Write(w, httptest.NewRequest(http.MethodPut, "/", nil))
		if w.Code != 405 || w.Header().Get("Allow") != "POST" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	})
	t.Run("OK", func(t *testing.T) {
		w := httptest.NewRecorder()
		upload.WriteOK(w, "taken")
		if w.Code != 200 || w.Body.String() != "taken\n" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
		}
	})
}

// A client that sends all of a large body before it looks sees the answer, and
// one that waits to be told to continue is told at once.
func TestWriteReadsTheRest(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upload.Forbidden("not yours").Write(w, r)
	}))
	defer srv.Close()
	for _, tt := range []struct {
		name, expect string
		size         int
	}{
		{"sends all", "", 32 << 20},
		{"waits", "Expect: 100-continue\r\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "POST /legacy/ HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n", tt.expect, 32<<20)
			if _, err := io.Copy(conn, bytes.NewReader(make([]byte, tt.size))); err != nil {
				t.Fatalf("send: %v", err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); resp.StatusCode != 403 || string(body) != "not yours\n" {
				t.Errorf("%s %q, %v", resp.Status, body, err)
			}
		})
	}
}

// The server of net/http sends reason phrases where it is helped, also through
// another writer, and keeps its connection for answers without one.
func TestReasons(t *testing.T) {
	srv := httptest.NewServer(upload.Reasons(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ok" {
			upload.WriteOK(wrapped{w}, "fine")
			return
		}
		w.Header().Set("X-Before", "1")
		upload.Unauthorized("façade\r\nX-Evil: 1").Write(wrapped{w}, r)
	})))
	defer srv.Close()
	for range 2 {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		br := bufio.NewReader(conn)
		post := func(path string) (*http.Response, string) {
			t.Helper()
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", path)
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp, string(body)
		}
		for range 2 {
			if resp, body := post("/ok"); resp.Status != "200 OK" || body != "fine\n" || resp.Close {
				t.Errorf("%s %q, close %v", resp.Status, body, resp.Close)
			}
		}
		resp, body := post("/no")
		if resp.Status != "401 fa\xe7ade  X-Evil: 1" || body != "façade  X-Evil: 1\n" || resp.Header.Get("X-Evil") != "" || !resp.Close ||
			resp.Header.Get("X-Before") != "1" || resp.Header.Get("WWW-Authenticate") != `Basic realm="pypi"` || resp.Header.Get("Date") == "" {
			t.Errorf("%s %q %v", resp.Status, body, resp.Header)
		}
		if _, err := br.ReadByte(); err != io.EOF {
			t.Errorf("after the answer: %v, want the end", err)
		}
	}
}

// An answer with a phrase has no body where the client wants none.
func TestReasonsHEAD(t *testing.T) {
	srv := httptest.NewServer(upload.Reasons(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upload.Forbidden("not yours").Write(w, r)
	})))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 403 not yours\r\n") || !strings.Contains(string(answer), "\r\nContent-Length: 10\r\n") ||
		!strings.HasSuffix(string(answer), "\r\n\r\n") {
		t.Errorf("%q, %v", answer, err)
	}
}

// HTTP/2 has no reason phrase, and no connection that could be taken over.
func TestReasonsHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(upload.Reasons(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upload.Forbidden("not yours").Write(w, r)
	})))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	resp, err := srv.Client().Post(srv.URL, "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.ProtoMajor != 2 || resp.StatusCode != 403 || string(body) != "not yours\n" {
		t.Errorf("%s %s %q, %v", resp.Proto, resp.Status, body, err)
	}
}
