package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/fcgi"
	"net/netip"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// patience is how long an answer may take; it only ends what hangs.
const patience = 5 * time.Minute

// A client is the web server's side of a connection.
type client struct {
	net.Conn
	br  *bufio.Reader
	rec record
}

// An answerOf is all that came for one request.
type answerOf struct {
	stdout string
	status protocolStatus
	ended  bool
}

func (a answerOf) header() (textproto.MIMEHeader, string) {
	h, body, _ := strings.Cut(a.stdout, "\r\n\r\n")
	m, _ := textproto.NewReader(bufio.NewReader(strings.NewReader(h + "\r\n\r\n"))).ReadMIMEHeader()
	return m, body
}

// records gives a request as a stream of records with up to size bytes each.
func records(id uint16, role uint16, flags byte, params map[string]string, body string, size int) []byte {
	b := appendHeader(nil, beginRequest, id, 8)
	b = append(b, byte(role>>8), byte(role), flags, 0, 0, 0, 0, 0)
	var list []byte
	for _, name := range slices.Sorted(maps.Keys(params)) {
		for _, s := range []string{name, params[name]} {
			if len(s) < 128 && len(s)%2 == 0 {
				list = append(list, byte(len(s)))
			} else {
				list = binary.BigEndian.AppendUint32(list, uint32(len(s))|1<<31) // short ones may be long
			}
		}
		list = append(list, name...)
		list = append(list, params[name]...)
	}
	return appendStream(appendStream(b, paramsStream, id, list, size), stdinStream, id, []byte(body), size)
}

// appendStream appends a stream with its end, each record with some padding.
func appendStream(b []byte, kind recordType, id uint16, data []byte, size int) []byte {
	for chunk := range slices.Chunk(data, size) {
		b = appendHeader(b, kind, id, len(chunk))
		b[len(b)-2] = byte(len(chunk) % 9)
		b = append(b, chunk...)
		b = append(b, make([]byte, len(chunk)%9)...)
	}
	return appendHeader(b, kind, id, 0)
}

func (c *client) send(t testing.TB, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// receive reads the records of one request to its end, or to that of the
// connection.
func (c *client) receive(t testing.TB, id uint16) answerOf {
	t.Helper()
	var a answerOf
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for {
		if err := c.rec.read(c.br); err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				t.Fatal(err)
			}
			return a
		}
		if c.rec.id != id {
			t.Fatalf("a record of request %d, want %d", c.rec.id, id)
		}
		switch c.rec.kind {
		case stdoutStream:
			a.stdout += string(c.rec.content)
		case endRequest:
			a.status, a.ended = protocolStatus(c.rec.content[4]), true
			return a
		default:
			t.Fatalf("a record of type %d", c.rec.kind)
		}
	}
}

// start serves until the test ends and gives what makes connections, and what
// ends the service and gives its error.
func start(t testing.TB, s *Server) (dial func() *client, stop func() error) {
	t.Helper()
	return startOn(t, s.Serve)
}

// inMemory serves as start does, but over connections that are in memory alone,
// so that in a bubble of synctest time passes only while nobody has anything to
// do.
func inMemory(t testing.TB, s *Server) (dial func() *client, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := wires{make(chan net.Conn), ctx}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	return func() *client {
		mine, its := wire{}, wire{}
		mine.Conn, its.out = net.Pipe()
		its.Conn, mine.out = net.Pipe()
		l.conns <- its
		return &client{Conn: mine, br: bufio.NewReader(mine)}
	}, stop
}

// wires listens for the ends of wires.
type wires struct {
	conns chan net.Conn
	ctx   context.Context
}

func (l wires) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}
func (wires) Close() error   { return nil }
func (wires) Addr() net.Addr { return nil }

// A wire is the end of a connection that can be closed for writing alone, as
// that of a socket can. It reads from one pipe and writes to another.
type wire struct {
	net.Conn
	out net.Conn
}

func (w wire) Write(p []byte) (int, error)         { return w.out.Write(p) }
func (w wire) SetWriteDeadline(at time.Time) error { return w.out.SetWriteDeadline(at) }
func (w wire) CloseWrite() error                   { return w.out.Close() }
func (w wire) Close() error                        { return errors.Join(w.Conn.Close(), w.out.Close()) }

func (w wire) SetDeadline(at time.Time) error {
	return errors.Join(w.SetReadDeadline(at), w.SetWriteDeadline(at))
}

func startOn(t testing.TB, serve func(context.Context, net.Listener) error) (dial func() *client, stop func() error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l) }()
	stop = sync.OnceValue(func() error {
		cancel()
		l.Close()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	return func() *client {
		c, err := net.Dial("unix", path)
		if err != nil {
			panic(err) // also for fuzz targets, which have a t of their own
		}
		return &client{Conn: c, br: bufio.NewReader(c)}
	}, stop
}

func get(path string) map[string]string {
	return map[string]string{"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "a", "REQUEST_URI": path}
}

func post(path string, length string) map[string]string {
	m := get(path)
	m["REQUEST_METHOD"], m["CONTENT_LENGTH"] = "POST", length
	return m
}

// echoing answers with what it was asked, in a way that is the same through
// every server.
func echoing(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("X-Two", "1")
	w.Header().Add("X-Two", "2")
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, "%s %s %q %s %s len %d\n", r.Method, r.URL.Path, r.URL.RawQuery, r.Host, r.Proto, max(r.ContentLength, 0))
	for _, k := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(w, "%s: %q\n", k, r.Header[k])
	}
	fmt.Fprintf(w, "%s\n%v %v\n%s\n", r.RemoteAddr, err, r.TLS != nil, data)
}

// Whatever the records are split into, a request is the same.
func TestSplitRecords(t *testing.T) {
	dial, _ := start(t, &Server{Handler: http.HandlerFunc(echoing)})
	params := post("/legacy", "1000")
	params["HTTP_X_LONG"] = strings.Repeat("long", 100)
	body := strings.Repeat("0123456789", 100)
	c := dial()
	var first string
	for i, size := range []int{1, 2, 3, 7, 8, 127, 128, 129, 1000, 65535} {
		c.send(t, records(uint16(i+1), responder, keepConn, params, body, size))
		a := c.receive(t, uint16(i+1))
		if first == "" {
			first = a.stdout
		}
		if a.stdout != first || !a.ended || !strings.Contains(a.stdout, body) || !strings.HasPrefix(a.stdout, "Status: 202 Accepted\r\n") {
			t.Errorf("records of %d bytes: %+v", size, a)
		}
	}
}

// Where net/http/fcgi is right, this package says the same.
func TestSameAsNetHTTP(t *testing.T) {
	ours, _ := start(t, &Server{Handler: http.HandlerFunc(echoing)})
	theirs, _ := startOn(t, func(_ context.Context, l net.Listener) error { return fcgi.Serve(l, http.HandlerFunc(echoing)) })
	full := map[string]string{
		"REQUEST_METHOD": "POST", "REQUEST_URI": "/simple/a%20b/?x=%2f&y", "QUERY_STRING": "x=%2f&y", "PATH_INFO": "/simple/a b/", "SCRIPT_NAME": "",
		"SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "index.example:8080", "CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "5", "HTTPS": "on",
		"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "4711", "HTTP_ACCEPT": "text/html", "HTTP_X_FORWARDED_FOR": "b", "HTTP_COOKIE": "a=b; c=d",
		"SERVER_NAME": "index.example", "SERVER_PORT": "8080", "GATEWAY_INTERFACE": "CGI/1.1", "HTTP_IF_NONE_MATCH": `"x"`, "HTTP_USER_AGENT": "pip/26.2 {}",
	}
	plain := map[string]string{"REQUEST_METHOD": "GET", "REQUEST_URI": "/", "PATH_INFO": "/", "SERVER_PROTOCOL": "HTTP/1.0", "HTTP_HOST": "a", "REMOTE_ADDR": "::1", "REMOTE_PORT": "1"}
	for _, tt := range []struct {
		params map[string]string
		body   string
	}{{full, "hello"}, {plain, ""}} {
		for _, size := range []int{3, 65535} {
			var got [2]answerOf
			for i, dial := range []func() *client{ours, theirs} {
				c := dial()
				c.send(t, records(1, responder, 0, tt.params, tt.body, size))
				got[i] = c.receive(t, 1)
			}
			h, body := got[0].header()
			want, wantBody := got[1].header()
			want.Del("Date") // the web server's own
			h.Del("Content-Length")
			if body != wantBody || fmt.Sprint(h) != fmt.Sprint(want) || got[0].status != got[1].status || !got[0].ended || !got[1].ended {
				t.Errorf("ours: %v\n%s\ntheirs: %v\n%s", h, body, want, wantBody)
			}
		}
	}
}

// A refused request is answered, and the connection goes on.
func TestRefusedRequests(t *testing.T) {
	dial, _ := start(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ok" {
			t.Errorf("the handler is asked for %q", r.URL.Path)
		}
	})})
	large := get("/x")
	large["HTTP_X"] = strings.Repeat("a", maxVariables)
	broken := records(1, responder, keepConn, nil, "", 100)
	broken = append(broken[:16], appendStream(nil, paramsStream, 1, []byte{3, 200, 'a'}, 10)...)
	c := dial()
	for _, tt := range []struct {
		about, want string
		b           []byte
	}{
		{"a bad path", "404 Not Found", records(1, responder, keepConn, get("//evil"), "", 100)},
		{"a bad length", "400 Invalid Content-Length", records(1, responder, keepConn, post("/x", "x"), "hello", 100)},
		{"too many variables", "431 Request header too large", records(1, responder, keepConn, large, "", 9999)},
		{"variables that are cut off", "400 Invalid FastCGI parameters", broken},
		{"no variables", "400 Invalid method", records(1, responder, keepConn, nil, "", 100)},
		{"a good one after all", "200 OK", records(1, responder, keepConn, get("/ok"), "", 100)},
	} {
		c.send(t, tt.b)
		if a := c.receive(t, 1); !strings.HasPrefix(a.stdout, "Status: "+tt.want+"\r\n") || !a.ended {
			t.Errorf("%s: %+v", tt.about, a)
		}
	}
}

func TestManagement(t *testing.T) {
	release := make(chan struct{})
	dial, _ := start(t, &Server{MaxRequests: 7, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-release })})
	c := dial()
	var list []byte
	for _, name := range []string{"FCGI_MAX_CONNS", "FCGI_MPXS_CONNS", "FCGI_MAX_REQS", "FCGI_NONE", "FCGI_MAX_REQS"} {
		list = appendPair(list, name, "")
	}
	c.send(t, append(appendHeader(nil, getValues, 0, len(list)), list...))
	if err := c.rec.read(c.br); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	if !pairs(c.rec.content, func(name, value string) { got[name] = value }) || c.rec.kind != getValuesResult ||
		!maps.Equal(got, map[string]string{"FCGI_MAX_CONNS": "7", "FCGI_MAX_REQS": "7", "FCGI_MPXS_CONNS": "0"}) {
		t.Errorf("type %d, %v", c.rec.kind, got)
	}

	c.send(t, appendHeader(nil, 42, 0, 0))
	if err := c.rec.read(c.br); err != nil || c.rec.kind != unknownType || c.rec.content[0] != 42 {
		t.Errorf("type %d, %v, %v", c.rec.kind, c.rec.content, err)
	}

	// Another role, and a second request at once.
	c.send(t, records(3, 2, keepConn, nil, "", 10)[:16])
	if a := c.receive(t, 3); !a.ended || a.status != unknownRole {
		t.Errorf("an authorizer: %+v", a)
	}
	c.send(t, records(4, responder, keepConn, get("/"), "", 100))
	c.send(t, records(5, responder, keepConn, get("/"), "body", 100))
	if a := c.receive(t, 5); !a.ended || a.status != cantMultiplex || a.stdout != "" {
		t.Errorf("a second request: %+v", a)
	}
	close(release)
	if a := c.receive(t, 4); !a.ended || a.status != requestComplete || !strings.HasPrefix(a.stdout, "Status: 200 OK") {
		t.Errorf("the first request: %+v", a)
	}
}

// Without FCGI_KEEP_CONN the connection ends with the request, and a body that
// nobody has read does not cost the answer.
func TestConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, _ := inMemory(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		})})
		c := dial()
		sent := make(chan error, 1)
		go func() {
			_, err := c.Write(records(1, responder, 0, post("/", "3000000"), strings.Repeat("x", 3_000_000), 65535))
			sent <- err
		}()
		if a := c.receive(t, 1); !a.ended || !strings.HasPrefix(a.stdout, "Status: 413 ") {
			t.Errorf("%+v", a)
		}
		if err := c.rec.read(c.br); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		if err := <-sent; err != nil {
			t.Errorf("the rest of the body: %v", err)
		}
		// It is not read for ever.
		begun := time.Now()
		synctest.Wait()
		time.Sleep(lingering)
		synctest.Wait()
		if _, err := c.Write([]byte{1}); err == nil {
			t.Errorf("the connection is still there after %v", time.Since(begun))
		}
	})
}

// An answer that cannot be whole ends the connection without an end of request.
func TestAnswerBrokenOff(t *testing.T) {
	var log locked
	dial, _ := start(t, &Server{ErrorLog: &log, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(make([]byte, 50_000))
		if r.URL.Path == "/panic" {
			panic("late")
		}
	})})
	for path, want := range map[string]string{"/short": "50000 of 100000", "/panic": `panic: "late"`} {
		c := dial()
		c.send(t, records(1, responder, keepConn, get(path), "", 100))
		if a := c.receive(t, 1); a.ended || !strings.HasPrefix(a.stdout, "Status: 200 OK\r\nContent-Length: 100000") {
			t.Errorf("%s: ended %v, %.100q", path, a.ended, a.stdout)
		}
		if s := log.String(); !strings.Contains(s, want) {
			t.Errorf("%s: log %q", path, s)
		}
	}
}

type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A request ends when the server aborts it, and when it goes away.
func TestAbort(t *testing.T) {
	started := make(chan struct{}, 1)
	got := make(chan error, 1)
	dial, _ := start(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		_, err := io.ReadAll(r.Body)
		<-r.Context().Done()
		got <- err
	})})
	begun := records(1, responder, keepConn, post("/", ""), "some", 100)
	begun = begun[:len(begun)-headerLen]
	c := dial()
	c.send(t, begun)
	<-started
	c.send(t, appendHeader(nil, abortRequest, 1, 0))
	if err := <-got; !errors.Is(err, errAborted) {
		t.Errorf("aborted: %v", err)
	}
	if a := c.receive(t, 1); !a.ended || a.status != requestComplete {
		t.Errorf("%+v", a)
	}

	// The connection goes on; aborted before its variables are complete.
	c.send(t, records(2, responder, keepConn, nil, "", 10)[:16])
	c.send(t, appendHeader(nil, abortRequest, 2, 0))
	if a := c.receive(t, 2); !a.ended || a.stdout != "" {
		t.Errorf("%+v", a)
	}

	c.send(t, begun)
	<-started
	c.Close()
	if err := <-got; !errors.Is(err, errGone) {
		t.Errorf("gone: %v", err)
	}
}

// A cut-short body is an error, and not the end of the body.
func TestBodyCutShort(t *testing.T) {
	got := make(chan error, 1)
	dial, _ := start(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		got <- err
	})})
	c := dial()
	c.send(t, records(1, responder, keepConn, post("/", "10"), "short", 100))
	c.receive(t, 1)
	if err := <-got; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// A handler that does not read does not make the service read: a body is not
// gathered in memory.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		dial, _ := inMemory(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-release
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
		})})
		c := dial()
		const size = 64 << 20
		var sent atomic.Int64
		go func() {
			b := records(1, responder, 0, post("/", fmt.Sprint(size)), "", 100)
			_, _ = c.Write(b[:len(b)-headerLen])
			rec := append(appendHeader(nil, stdinStream, 1, 32<<10), make([]byte, 32<<10)...)
			for sent.Load() < size {
				if _, err := c.Write(rec); err != nil {
					return
				}
				sent.Add(32 << 10)
			}
			_, _ = c.Write(appendHeader(nil, stdinStream, 1, 0))
		}()
		synctest.Wait()
		if n := sent.Load(); n > 256<<10 {
			t.Errorf("%d bytes were taken before the handler reads", n)
		}
		close(release)
		if a := c.receive(t, 1); !strings.HasSuffix(a.stdout, "\r\n\r\n67108864 <nil>") {
			t.Errorf("%+v", a)
		}
	})
}

// A connection that says nothing does not stay, and one that stops within a
// request neither.
func TestIdle(t *testing.T) {
	const idle = time.Hour
	whole := records(1, responder, keepConn, post("/", "10"), "0123456789", 5)
	for _, tt := range []struct {
		about string
		b     []byte
		want  time.Duration
	}{
		{"nothing", nil, idle},
		{"half a record", whole[:3], idle},
		{"no variables", whole[:16], paramsTimeout},
		{"half of the variables", whole[:40], paramsTimeout},
		{"half a body", whole[:len(whole)-2*headerLen-5], idle},
		{"a whole request", whole, idle},
	} {
		synctest.Test(t, func(t *testing.T) {
			dial, _ := inMemory(t, &Server{IdleTimeout: idle, Handler: http.HandlerFunc(echoing)})
			begun := time.Now()
			c := dial()
			c.send(t, tt.b)
			if _, err := io.Copy(io.Discard, c); err != nil || time.Since(begun) != tt.want {
				t.Errorf("%s: %v after %v, want %v", tt.about, err, time.Since(begun), tt.want)
			}
		})
	}
}

// As many handlers run at once as are allowed, and all requests are answered.
func TestMaxRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		dial, _ := inMemory(t, &Server{MaxRequests: 3, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(5 * time.Millisecond) // until nobody has anything else to do
			now.Add(-1)
		})})
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				c := dial()
				if _, err := c.Write(records(1, responder, 0, get("/"), "", 100)); err != nil {
					t.Error(err)
				}
				if a := c.receive(t, 1); !strings.HasPrefix(a.stdout, "Status: 200") {
					t.Errorf("%+v", a)
				}
				c.Close()
			})
		}
		wg.Wait()
		if m := most.Load(); m != 3 {
			t.Errorf("%d at once", m)
		}
	})
}

// A request that gets no place in time is told to come back.
func TestTooManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := inMemory(t, &Server{MaxRequests: 1, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { time.Sleep(8 * time.Second) })})
		got := make(chan answerOf, 2)
		for range 2 {
			go func() {
				c := dial()
				_, _ = c.Write(records(1, responder, 0, get("/"), "", 100)) // its answer tells
				got <- c.receive(t, 1)
				c.Close()
			}()
		}
		busy, served := <-got, <-got
		if h, _ := busy.header(); h.Get("Status") != "503 Too many requests at once" || h.Get("Retry-After") == "" || !busy.ended {
			t.Errorf("%+v", busy)
		}
		if !strings.HasPrefix(served.stdout, "Status: 200") {
			t.Errorf("%+v", served)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// What is being answered when the service ends is answered; idle connections
// end.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		dial, stop := inMemory(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-release
			_, _ = io.WriteString(w, "whole")
		})})
		idle, c := dial(), dial()
		c.send(t, records(1, responder, keepConn, get("/"), "", 100))
		synctest.Wait()
		ended := make(chan error, 1)
		go func() { ended <- stop() }()
		if _, err := idle.br.ReadByte(); err != io.EOF {
			t.Errorf("idle connection: %v", err)
		}
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("ended before the request: %v", err)
		default:
		}
		close(release)
		if a := c.receive(t, 1); !a.ended || !strings.HasSuffix(a.stdout, "whole") {
			t.Errorf("%+v", a)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestShutdownCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := inMemory(t, &Server{Grace: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		})})
		c := dial()
		c.send(t, records(1, responder, keepConn, get("/"), "", 100))
		synctest.Wait()
		begun := time.Now()
		if err := stop(); err == nil || !strings.Contains(err.Error(), "1 requests cut off") || time.Since(begun) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// Who may connect by TCP says who is authenticated.
func TestPeers(t *testing.T) {
	for _, tt := range []struct {
		peers []netip.Prefix
		env   string
		want  bool
	}{
		{nil, "", true},
		{nil, "127.0.0.1, ::1", true},
		{nil, "192.0.2.1", false},
		{[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "", false},
		{[]netip.Prefix{}, "127.0.0.1", false},
	} {
		t.Setenv("FCGI_WEB_SERVER_ADDRS", tt.env)
		l, err := Listen(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- (&Server{ErrorLog: io.Discard, Peers: tt.peers, Handler: http.HandlerFunc(echoing)}).Serve(ctx, l)
		}()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c := &client{Conn: conn, br: bufio.NewReader(conn)}
		_, _ = c.Write(records(1, responder, 0, get("/"), "", 100)) // it may be closed
		if a := c.receive(t, 1); a.ended != tt.want {
			t.Errorf("%+v: %+v", tt, a)
		}
		c.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Setenv("FCGI_WEB_SERVER_ADDRS", "example.org")
	if err := (&Server{}).Serve(t.Context(), nil); err == nil {
		t.Error("a name was taken for an address")
	}
	if welcome(&net.TCPAddr{IP: net.IPv4(8, 8, 8, 8)}, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}) {
		t.Error("8.8.8.8 is welcome")
	}
}

// A socket that nobody listens at is replaced; a file, or one that is in use,
// is not.
func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o660 {
		t.Error(fi.Mode(), err)
	}
	if second, err := Listen(t.Context(), path); err == nil {
		second.Close()
		t.Error("two listen at one socket")
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as if it was killed
	l.Close()
	l, err = Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(t.Context(), path); err == nil {
		l.Close()
		t.Error("a file was replaced")
	}
}

// Whatever comes over a connection: it is answered with records, and when the
// other side is done the connection ends.
func FuzzRecords(f *testing.F) {
	f.Add(records(1, responder, keepConn, get("/simple/"), "", 10))
	f.Add(records(1, responder, 0, post("/legacy", "5"), "hello", 3))
	f.Add(append(records(1, responder, keepConn, get("/"), "", 100), records(1, responder, 0, get("//"), "", 100)...))
	f.Add(append(records(1, responder, 0, post("/", ""), "x", 100)[:60], appendHeader(nil, abortRequest, 1, 0)...))
	f.Add(append(appendHeader(nil, getValues, 0, 16), append([]byte{14, 0}, "FCGI_MAX_CONNS"...)...))
	f.Add([]byte{1, 3, 0, 0, 0xff, 0xff, 0xff, 0})
	dial, _ := start(f, &Server{ErrorLog: io.Discard, Handler: http.HandlerFunc(echoing)})
	f.Fuzz(func(t *testing.T, b []byte) {
		c := dial()
		defer c.Close()
		go func() {
			_, _ = c.Write(b) // it may be closed before all is read
			_ = c.Conn.(*net.UnixConn).CloseWrite()
		}()
		_ = c.SetReadDeadline(time.Now().Add(patience))
		for {
			err := c.rec.read(c.br)
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errProtocol) {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			switch c.rec.kind {
			case stdoutStream, endRequest, getValuesResult, unknownType:
			default:
				t.Fatalf("a record of type %d", c.rec.kind)
			}
		}
	})
}

// What is decoded is the same when it is encoded and decoded again.
func FuzzPairs(f *testing.F) {
	f.Add([]byte{1, 1, 'a', 'b', 0, 0})
	f.Add([]byte{0x80, 0, 0, 1, 0x80, 0, 0, 0, 'a'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{1, 0x80, 0, 0})
	decode := func(b []byte) (list []string, ok bool) {
		ok = pairs(b, func(name, value string) { list = append(list, name, value) })
		return
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list, ok := decode(b)
		if !ok || len(b) > maxVariables {
			return
		}
		var again []byte
		for i := 0; i < len(list); i += 2 {
			for _, s := range list[i : i+2] {
				again = binary.BigEndian.AppendUint32(again, uint32(len(s))|1<<31)
			}
			again = append(append(again, list[i]...), list[i+1]...)
		}
		if got, ok := decode(again); !ok || !slices.Equal(got, list) {
			t.Errorf("%q becomes %q", list, got)
		}
	})
}

func BenchmarkFastCGI(b *testing.B) {
	dial, _ := start(b, &Server{Prefixes: []string{"/-nest"}, Handler: http.HandlerFunc(page)})
	params := map[string]string{}
	for line := range strings.SplitSeq(strings.Trim(apacheRewritten, "\n"), "\n") {
		name, value, _ := strings.Cut(line, "=")
		params[name] = value
	}
	ask := records(1, responder, keepConn, params, "", 65535)
	c := dial()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(ask); err != nil {
			b.Fatal(err)
		}
		for c.rec.kind = 0; c.rec.kind != endRequest; {
			if err := c.rec.read(c.br); err != nil {
				b.Fatal(err)
			}
		}
	}
}
