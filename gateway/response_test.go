package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

var t0 = context.Background()

// cgi runs one request of CGI and gives what the server reads and its log.
func cgi(method string, h http.HandlerFunc) (answer string, status int, log string) {
	var out, errs bytes.Buffer
	s := &Server{Handler: h, ErrorLog: &errs}
	status = s.cgi([]string{"REQUEST_METHOD=" + method, "PATH_INFO=/x"}, strings.NewReader(""), &out)
	return out.String(), status, errs.String()
}

func TestResponse(t *testing.T) {
	const octets = "Content-Type: application/octet-stream\r\n"
	write := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, s) }
	}
	with := func(status int, fields ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(fields); i += 2 {
				w.Header().Add(fields[i], fields[i+1])
			}
			w.WriteHeader(status)
		}
	}
	for _, tt := range []struct {
		about, method string
		h             http.HandlerFunc
		want          string
	}{
		{"nothing", "GET", func(http.ResponseWriter, *http.Request) {}, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"a body", "GET", write("hello"), "Status: 200 OK\r\n" + octets + "Content-Length: 5\r\n\r\nhello"},
		{"HEAD", "HEAD", write("hello"), "Status: 200 OK\r\n\r\n"},
		{"HEAD with a length", "HEAD", with(200, "Content-Length", "7", "Content-Type", "a/b"), "Status: 200 OK\r\nContent-Length: 7\r\nContent-Type: a/b\r\n\r\n"},
		{"a type given as none", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, "x")
		}, "Status: 200 OK\r\nContent-Length: 1\r\n\r\nx"},
		{"an own reason", "GET", func(w http.ResponseWriter, r *http.Request) {
			if !SetReason(unwrapping{w}, "File already exists") {
				t.Error("SetReason does not unwrap")
			}
			w.WriteHeader(400)
		}, "Status: 400 File already exists\r\nContent-Length: 0\r\n\r\n"},
		{"a status without a name", "GET", with(599), "Status: 599 Unknown\r\nContent-Length: 0\r\n\r\n"},
		{"early hints are passed over", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(404)
			w.WriteHeader(200)
		}, "Status: 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
		{"CGI-5: a redirect", "GET", with(301, "Location", "../foo/"), "Status: 301 Moved Permanently\r\nLocation: ../foo/\r\nContent-Length: 0\r\n\r\n"},
		{"CGI-5: no page of the server's own", "GET", with(200, "Location", "/etc"), "Status: 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"not modified", "GET", with(304, "Content-Type", "a/b", "Content-Length", "9", "Etag", `"x"`), "Status: 304 Not Modified\r\nEtag: \"x\"\r\n\r\n"},
		{"no content", "GET", with(204), "Status: 204 No Content\r\n\r\n"},
		{"fields of the connection", "GET", with(200, "Connection", "close", "Transfer-Encoding", "chunked", "Status", "500", "X-A", " a ", "X-A", "b"), "Status: 200 OK\r\nX-A: a\r\nX-A: b\r\nContent-Length: 0\r\n\r\n"},
		{"CGI-10: the server sends the file", "GET", with(200, "X-Accel-Redirect", "/-spool/x"), "Status: 200 OK\r\nX-Accel-Redirect: /-spool/x\r\n\r\n"},
		{"fields after the header", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.Header().Set("X-Late", "1")
		}, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"streamed", "GET", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "a")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			_, _ = io.WriteString(w, "b")
		}, "Status: 200 OK\r\n" + octets + "\r\nab"},
		{"more than is promised", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1")
			if _, err := io.WriteString(w, "ab"); !errors.Is(err, http.ErrContentLength) {
				t.Errorf("Write: %v", err)
			}
			_, _ = io.WriteString(w, "a")
		}, "Status: 200 OK\r\nContent-Length: 1\r\n" + octets + "\r\na"},
	} {
		got, status, log := cgi(tt.method, tt.h)
		if got != tt.want || status != 0 || log != "" {
			t.Errorf("%s: exit %d, log %q, answer\n%q, want\n%q", tt.about, status, log, got, tt.want)
		}
	}
}

type unwrapping struct{ http.ResponseWriter }

func (u unwrapping) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// Each fault gives a whole 500 and one line, as long as nothing is sent.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		about string
		h     http.HandlerFunc
		log   string
	}{
		{"a panic", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Secret", "1")
			_, _ = io.WriteString(w, "half")
			panic("oh\n\x1b[31m")
		}, `panic: "oh\n\x1b[31m" at nestgen/gateway.TestFaults.func1:`},
		{"a nil dereference", func(w http.ResponseWriter, r *http.Request) {
			var p *http.Request
			_ = p.Method
		}, "nil pointer dereference"},
		{"an invalid status", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(42) }, "invalid status 42"},
		{"CR LF in a field", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/a\r\nX-Evil: 1")
			w.WriteHeader(301)
			if _, err := io.WriteString(w, "x"); err == nil {
				t.Error("Write after a bad header succeeds")
			}
		}, `Location: "/a\r\nX-Evil: 1"`},
		{"a name that is none", func(w http.ResponseWriter, r *http.Request) { w.Header()["X Evil"] = []string{"1"} }, `field name "X Evil"`},
		{"a length that is none", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "-1") }, `Content-Length ["-1"]`},
		{"two lengths", func(w http.ResponseWriter, r *http.Request) { w.Header()["Content-Length"] = []string{"1", "1"} }, "Content-Length"},
		{"stopped short", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "half")
		}, "the answer ends after 4 of 10 bytes"},
	} {
		got, status, log := cgi("GET", tt.h)
		want := "Status: 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 22\r\n\r\nInternal Server Error\n"
		if got != want || status == 0 {
			t.Errorf("%s: exit %d, answer %q", tt.about, status, got)
		}
		if !strings.Contains(log, tt.log) || strings.Count(log, "\n") != 1 || strings.Contains(log, "\x1b") || !strings.HasSuffix(log, ": \"GET\" \"/x\"\n") {
			t.Errorf("%s: log %q", tt.about, log)
		}
	}
}

// After the header is sent nothing is added to it, and the status tells.
func TestFaultsAfterTheHeader(t *testing.T) {
	got, status, log := cgi("GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(make([]byte, 50_000))
		panic("late")
	})
	if status == 0 || !strings.Contains(log, "late") || strings.Contains(got, "500") {
		t.Errorf("exit %d, log %q", status, log)
	}
	_, status, log = cgi("GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(make([]byte, 50_000))
	})
	if status == 0 || !strings.Contains(log, "50000 of 100000") {
		t.Errorf("exit %d, log %q", status, log)
	}
	got, status, log = cgi("GET", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	if status == 0 || log != "" || got != "" {
		t.Errorf("given up: exit %d, log %q, answer %q", status, log, got)
	}
}

// The header is in the first write, never half of it, and a long body is not
// gathered.
func TestWritesOfALongAnswer(t *testing.T) {
	var sizes writes
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 1000)
		for range 100 {
			_, _ = w.Write(chunk)
		}
		_, _ = w.Write(make([]byte, 100_000))
	})}
	if got := s.cgi([]string{"REQUEST_METHOD=GET"}, nil, &sizes); got != 0 {
		t.Fatal(got)
	}
	total := 0
	for i, p := range sizes {
		if i == 0 && !strings.Contains(p, "\r\n\r\n") {
			t.Errorf("the first write is %q", p)
		}
		if len(p) > 100_000 {
			t.Errorf("a write of %d bytes", len(p))
		}
		total += len(p)
	}
	if _, body, _ := strings.Cut(strings.Join(sizes, ""), "\r\n\r\n"); len(body) != 200_000 || len(sizes) > 12 {
		t.Errorf("%d bytes in %d writes", len(body), len(sizes))
	}
}

type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

// A client that has gone ends the request's context, and nothing is logged.
func TestClientGone(t *testing.T) {
	var errs bytes.Buffer
	var err error
	s := &Server{ErrorLog: &errs, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for err == nil {
			_, err = w.Write(make([]byte, 20_000))
		}
		if r.Context().Err() == nil {
			t.Error("the context goes on")
		}
	})}
	if got := s.cgi([]string{"REQUEST_METHOD=GET"}, nil, broken{}); got == 0 || errs.Len() > 0 || err == nil {
		t.Errorf("exit %d, log %q, %v", got, errs.String(), err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Where the server takes no phrase, SetReason says so.
func TestSetReasonElsewhere(t *testing.T) {
	if SetReason(unwrapping{elsewhere{}}, "x") {
		t.Error("a server without phrases took one")
	}
}

type elsewhere struct{}

func (elsewhere) Header() http.Header         { return nil }
func (elsewhere) Write(p []byte) (int, error) { return len(p), nil }
func (elsewhere) WriteHeader(int)             {}
