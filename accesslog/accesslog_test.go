package accesslog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"nestgen/accesslog"
	"nestgen/layout"
)

const wheel = "packages/ab/cd/ef0000000000000000000000000000000000000000000000000000000001/foo-1.0-py3-none-any.whl"

// when is the time that the lines of these tests have.
var when = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).Unix()

// pipAgent is a user agent of pip as it sends it.
const pipAgent = `pip/24.2 {"ci":null,"cpu":"x86_64","distro":{"id":"noble","libc":{"lib":"glibc","version":"2.39"},"name":"Ubuntu","version":"24.04"},"implementation":{"name":"CPython","version":"3.12.3"},"installer":{"name":"pip","version":"24.2"},"openssl_version":"OpenSSL 3.0.13 30 Jan 2024","python":"3.12.3","setuptools_version":"68.1.2","system":{"name":"Linux","release":"6.8.0-45-generic"}}`

// asNginx and asApache escape a user agent as those servers do.
func asNginx(s string) string { return strings.ReplaceAll(s, `"`, `\x22`) }
func asApache(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `"`, `\"`)
}

// read reads all entries of a log.
func read(t *testing.T, log string) (all []string, bad int64) {
	t.Helper()
	r := accesslog.NewReader(strings.NewReader(log))
	var e accesslog.Entry
	for {
		err := r.Next(&e)
		if err == io.EOF {
			return all, r.Bad()
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%d %s %q %d %d %d %q", e.Time-when, e.Method, e.Path, e.Status, e.Bytes, e.Start, e.Agent))
	}
}

func TestLines(t *testing.T) {
	path := "/" + wheel
	tests := []struct{ about, line, want string }{
		{"nginx combined",
			`203.0.113.7 - - [22/Nov/2026:10:00:00 +0000] "GET ` + path + ` HTTP/1.1" 200 1234 "-" "` + asNginx(pipAgent) + `"`,
			fmt.Sprintf("0 GET %q 200 1234 0 %q", path, pipAgent)},
		{"Apache combined, another time zone",
			`203.0.113.7 - frank [22/Nov/2026:12:30:05 +0230] "GET ` + path + ` HTTP/1.1" 304 - "-" "` + asApache(pipAgent) + `"`,
			fmt.Sprintf("5 GET %q 304 0 0 %q", path, pipAgent)},
		{"common", `2001:db8::1 - - [22/Nov/2026:05:00:00 -0500] "HEAD / HTTP/1.0" 200 -`, `0 HEAD "/" 200 0 0 ""`},
		{"vhost_combined", `pypi.example.org:443 203.0.113.7 - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/2.0" 200 9 "https://a/" "curl/8.5.0"`, `0 GET "/x" 200 9 0 "curl/8.5.0"`},
		{"request time behind", `203.0.113.7 - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 9 "-" "-" 0.004 "up:1"`, `0 GET "/x" 200 9 0 ""`},
		{"request time in front of the quotes", `203.0.113.7 - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 9 0.004 "-" "a"`, `0 GET "/x" 200 9 0 "a"`},
		{"request time behind the common form", `203.0.113.7 - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 9 0.004`, `0 GET "/x" 200 9 0 ""`},
		{"part of a file", `h - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 206 9 "-" "-"`, `0 GET "/x" 206 9 -1 ""`},
		{"part of a file, from its beginning", `h - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 206 9 "-" "-" 0.1 "a" "bytes=0-8"`, `0 GET "/x" 206 9 0 ""`},
		{"part of a file, from elsewhere", `h - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 206 9 "-" "-" "bytes 500-508/1000"`, `0 GET "/x" 206 9 500 ""`},
		{"end of a file", `h - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 206 9 "-" "-" "bytes=-9"`, `0 GET "/x" 206 9 -1 ""`},
		{"query and fragment", `h - - [22/Nov/2026:10:00:00 +0000] "GET /x?a=/y#z HTTP/1.1" 200 9`, `0 GET "/x" 200 9 0 ""`},
		{"decoded once", `h - - [22/Nov/2026:10:00:00 +0000] "GET /a%2Bb%2541 HTTP/1.1" 200 9`, `0 GET "/a+b%41" 200 9 0 ""`},
		{"faulty encoding", `h - - [22/Nov/2026:10:00:00 +0000] "GET /a%2 HTTP/1.1" 400 9`, `0 GET "" 400 9 0 ""`},
		{"absolute form", `h - - [22/Nov/2026:10:00:00 +0000] "GET http://a.example/x HTTP/1.1" 200 9`, `0 GET "/x" 200 9 0 ""`},
		{"no host behind the scheme", `h - - [22/Nov/2026:10:00:00 +0000] "GET http:// HTTP/1.1" 400 9`, `0 GET "" 400 9 0 ""`},
		{"tunnel", `h - - [22/Nov/2026:10:00:00 +0000] "CONNECT a:443 HTTP/1.1" 400 9`, `0 CONNECT "" 400 9 0 ""`},
		{"space in the path", `h - - [22/Nov/2026:10:00:00 +0000] "GET /a b HTTP/1.1" 400 9`, `0 GET "/a b" 400 9 0 ""`},
		{"HTTP/0.9", `h - - [22/Nov/2026:10:00:00 +0000] "GET /a" 200 9`, `0 GET "/a" 200 9 0 ""`},
		{"nothing was sent", `h - - [22/Nov/2026:10:00:00 +0000] "-" 408 -`, `0  "" 408 0 0 ""`},
		{"TLS to a plain port", `h - - [22/Nov/2026:10:00:00 +0000] "\x16\x03\x01\x02" 400 157 "-" "-"`, `0  "" 400 157 0 ""`},
		{"quotes in the request, nginx", `h - - [22/Nov/2026:10:00:00 +0000] "GET /\x22 HTTP/1.1" 404 9`, `0 GET "/\"" 404 9 0 ""`},
		{"quotes in the request, Apache", `h - - [22/Nov/2026:10:00:00 +0000] "GET /\" 200 1 \"a\" HTTP/1.1" 404 9 "-" "x\\"`, `0 GET "/\" 200 1 \"a\"" 404 9 0 "x\\"`},
		{"user name that looks as a time does", `h - a [01/Jan/1999:00:00:00 +0000] \x22 [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 9`, `0 GET "/x" 200 9 0 ""`},
		{"user name with a quote", `h - a \"GET [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 9`, `0 GET "/x" 200 9 0 ""`},
		{"line break in the user agent, Apache", `h - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 9 "-" "a\nb\qc\x2"`, `0 GET "/x" 200 9 0 "a b\\qc\\x2"`},
		{"leap second", `h - - [22/Nov/2026:09:59:60 +0000] "GET /x HTTP/1.1" 200 9`, `0 GET "/x" 200 9 0 ""`},
		{"no status", `h - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" - 9`, `0 GET "/x" 0 9 0 ""`},
		{"ends as in Windows", `h - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 9` + "\r", `0 GET "/x" 200 9 0 ""`},
		{"no address", ` [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 9`, `0 GET "/x" 200 9 0 ""`},
	}
	for _, tt := range tests {
		got, bad := read(t, tt.line+"\n")
		if len(got) != 1 || got[0] != tt.want || bad != 0 {
			t.Errorf("%s: %q, %d bad, want %s", tt.about, got, bad, tt.want)
		}
	}
}

func TestBadLines(t *testing.T) {
	good := `h - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 9`
	for about, line := range map[string]string{
		"zero bytes":          strings.Repeat("\x00", 500),
		"zero bytes in front": "\x00" + good,
		"JSON":                `{"time":"2026-11-22T10:00:00Z","status":200}`,
		"no time":             `h - - "GET /x HTTP/1.1" 200 9`,
		"time without its [":  `22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 9`,
		"thirtieth February":  strings.Replace(good, "22/Nov", "30/Feb", 1),
		"month":               strings.Replace(good, "Nov", "anF", 1),
		"hour":                strings.Replace(good, ":10:", ":24:", 1),
		"zone":                strings.Replace(good, "+0000", "+9999", 1),
		"sign":                strings.Replace(good, "+0000", "*0000", 1),
		"year":                strings.Replace(good, "2026", "1066", 1),
		"letters in the time": strings.Replace(good, "2026", "2o26", 1),
		"open request":        `h - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1 200 9`,
		"open user agent":     good + ` "-" "curl`,
		"status":              strings.Replace(good, "200", "2000", 1),
		"size":                good + "e9",
		"huge size":           good + strings.Repeat("0", 30),
		"no size":             strings.TrimSuffix(good, " 9"),
		"too long":            good + ` "-" "` + strings.Repeat("a", accesslog.MaxLine) + `"`,
		"far too long":        strings.Repeat("a", 3*accesslog.MaxLine),
	} {
		got, bad := read(t, good+"\n"+line+"\n"+good+"\n")
		if len(got) != 2 || bad != 1 {
			t.Errorf("%s: %q, %d bad, want the two lines around it, and one bad", about, got, bad)
		}
	}
}

// A blank line tells of no request.
func TestBlankLines(t *testing.T) {
	good := `h - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 9`
	if got, bad := read(t, "\n"+good+"\n \t\r\n\n"+good+"\n"); len(got) != 2 || bad != 0 {
		t.Errorf("%q, %d bad", got, bad)
	}
}

// A line that is about to be written is left for the next time.
func TestOffset(t *testing.T) {
	line := `h - - [22/Nov/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 9` + "\n"
	log := line + "bad\n" + strings.Repeat("x", 2*accesslog.MaxLine) + "\n" + line
	for _, tail := range []string{"", "h - - [22/Nov", strings.Repeat("x", 2*accesslog.MaxLine)} {
		r := accesslog.NewReader(iotest.HalfReader(strings.NewReader(log + tail)))
		var e accesslog.Entry
		n := 0
		for ; ; n++ {
			if err := r.Next(&e); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if n != 2 || r.Bad() != 2 || r.Offset() != int64(len(log)) || r.FirstBad() != int64(len(line+"bad\n")) {
			t.Errorf("tail of %d bytes: %d lines, %d bad, the first up to %d, offset %d, want 2, 2, %d, %d", len(tail), n, r.Bad(), r.FirstBad(), r.Offset(), len(line+"bad\n"), len(log))
		}
		r.End()
		want := int64(2)
		if tail != "" {
			want = 3
		}
		if r.End(); r.Bad() != want || r.Offset() != int64(len(log+tail)) {
			t.Errorf("the end of a tail of %d bytes: %d bad, offset %d, want %d, %d", len(tail), r.Bad(), r.Offset(), want, len(log+tail))
		}
	}
	r := accesslog.NewReader(iotest.ErrReader(errors.New("broken disk")))
	if err := r.Next(new(accesslog.Entry)); err == nil || err.Error() != "broken disk" {
		t.Errorf("error %v", err)
	}
}

func TestParsePath(t *testing.T) {
	for path, want := range map[string]accesslog.File{
		"/" + wheel:                                 {Path: wheel, Filename: "foo-1.0-py3-none-any.whl"},
		"/mirror/python/" + wheel:                   {Path: wheel, Filename: "foo-1.0-py3-none-any.whl"},
		"/packages/" + wheel:                        {Path: wheel, Filename: "foo-1.0-py3-none-any.whl"},
		"/" + layout.CoreMetadata(wheel):            {Path: wheel, Filename: "foo-1.0-py3-none-any.whl", Companion: true},
		"/" + layout.Signature(wheel):               {Path: wheel, Filename: "foo-1.0-py3-none-any.whl", Companion: true},
		"/" + layout.Provenance(wheel):              {Path: wheel, Filename: "foo-1.0-py3-none-any.whl", Companion: true},
		wheel:                                       {},
		"/simple/foo/":                              {},
		"/packages/":                                {},
		"/packages/ab/cd/foo-1.0.tar.gz":            {},
		"/" + wheel + "/x":                          {},
		"/" + strings.Replace(wheel, "ab", "..", 1): {},
		"": {},
	} {
		if got, ok := accesslog.ParsePath(path); got != want || ok != (want.Path != "") {
			t.Errorf("ParsePath(%q) = %+v, %v, want %+v", path, got, ok, want)
		}
	}
}

func TestFetchedAndDownload(t *testing.T) {
	tests := []struct {
		method            string
		status            int
		start             int64
		fetched, download bool
	}{
		{"GET", 200, 0, true, true},
		{"GET", 206, 0, true, true},
		{"GET", 206, 500, true, false},
		{"GET", 206, -1, true, false},
		{"GET", 304, 0, true, false},
		{"HEAD", 200, 0, true, false},
		{"GET", 404, 0, false, false},
		{"GET", 301, 0, false, false},
		{"POST", 200, 0, false, false},
	}
	for _, tt := range tests {
		e := accesslog.Entry{Method: []byte(tt.method), Status: tt.status, Start: tt.start}
		if e.Fetched() != tt.fetched || e.Download() != tt.download {
			t.Errorf("%s %d from %d: fetched %v, download %v", tt.method, tt.status, tt.start, e.Fetched(), e.Download())
		}
	}
}

func TestParseAgent(t *testing.T) {
	tests := []struct {
		agent string
		want  accesslog.Client
	}{
		{pipAgent, accesslog.Client{Name: "pip", Version: "24.2", Python: "3.12", System: "Linux"}},
		{`pip/9.0.1 {"cpu":"AMD64","implementation":{"name":"CPython","version":"2.7.13"},"python":"2.7.13","system":{"name":"Windows","release":"10"}}`,
			accesslog.Client{Name: "pip", Version: "9.0.1", Python: "2.7", System: "Windows"}},
		{`pip/23.0 {"implementation":{"name":"PyPy","version":"7.3.9"},"python":"3.9.12","system":{"name":"Haiku"}}`, accesslog.Client{Name: "pip", Version: "23.0", Python: "3.9", System: "other"}},
		{"pip/1.5.6 CPython/2.7.6 Linux/3.13.0-24-generic", accesslog.Client{Name: "pip", Version: "1.5.6", Python: "2.7", System: "Linux"}},
		{`uv/0.4.1 {"installer":{"name":"uv","version":"0.4.1"},"python":"3.12.2","implementation":{"name":"CPython","version":"3.12.2"},"distro":{"name":"macOS","version":"14.4","id":null,"libc":null},"system":{"name":"Darwin","release":"23.2.0"},"cpu":"arm64","openssl_version":null,"setuptools_version":null,"rustc_version":null,"ci":null}`,
			accesslog.Client{Name: "uv", Version: "0.4.1", Python: "3.12", System: "macOS"}},
		{`uv/0.9.2 {"installer":{"name":"uv","version":"0.9.2","subcommand":["pip","install"]},"python":null,"system":null}`, accesslog.Client{Name: "uv", Version: "0.9.2"}},
		{`Hatch/1.9.4 {"python":"3.11.8","system":{"name":"Linux"}} HTTPX/0.27.0`, accesslog.Client{Name: "hatch", Version: "1.9.4", Python: "3.11", System: "Linux"}},
		{"poetry/1.8.3 CPython/3.11.9 Darwin/23.5.0", accesslog.Client{Name: "poetry", Version: "1.8.3", Python: "3.11", System: "macOS"}},
		{"pdm/2.1.6.dev32+g1e5dc62 CPython/3.11.0", accesslog.Client{Name: "pdm", Version: "2.1.6.dev32+g1e5dc62", Python: "3.11"}},
		{"twine/3.8.0 pkginfo/1.9.6 readme-renderer/34.0 requests/2.27.1 tqdm/4.64.1 rfc3986/1.5.0 colorama/0.4.5 CPython/3.9.16", accesslog.Client{Name: "twine", Version: "3.8.0", Python: "3.9"}},
		{"setuptools/65.5.0 Python-urllib/3.11", accesslog.Client{Name: "setuptools", Version: "65.5.0", Python: "3.11"}},
		{"Python-urllib/2.7 setuptools/18.0.1", accesslog.Client{Name: "setuptools", Version: "18.0.1", Python: "2.7"}},
		{"Python-urllib/2.6 distribute/0.6.24", accesslog.Client{Name: "distribute", Version: "0.6.24", Python: "2.6"}},
		{"Python-urllib/3.9", accesslog.Client{Name: "Python-urllib", Python: "3.9"}},
		{"bandersnatch/5.0.0 (cpython 3.8.2-final0, Linux x86_64) (aiohttp 3.6.2)", accesslog.Client{Name: "bandersnatch", Version: "5.0.0", Python: "3.8", System: "Linux"}},
		{"devpi-server/6.2.0 (py3.9.2; linux)", accesslog.Client{Name: "devpi", Version: "6.2.0", System: "Linux"}},
		{"python-requests/2.31.0", accesslog.Client{Name: "requests", Version: "2.31.0"}},
		{"curl/8.5.0", accesslog.Client{Name: "curl", Version: "8.5.0"}},
		{"Wget/1.21.4", accesslog.Client{Name: "Wget", Version: "1.21.4"}},
		{"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", accesslog.Client{Name: "browser"}},
		{"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", accesslog.Client{Name: "crawler"}},
		{"", accesslog.Client{Name: "unknown"}},
		{"evil<script>/1", accesslog.Client{Name: "unknown"}},

		// What is made up is not shown.
		{`pip/<script> {"python":"3.<b>","system":{"name":"<i>"}}`, accesslog.Client{Name: "pip", System: "other"}},
		{`pip/24.0 {"python":"99999.1","system":{"name":5}}`, accesslog.Client{Name: "pip", Version: "24.0"}},
		{`pip/24.0 {"python":"3.012"}`, accesslog.Client{Name: "pip", Version: "24.0"}},
		{`pip/24.0 {"python":"3.12.1","python":"2.7"}`, accesslog.Client{Name: "pip", Version: "24.0"}},
		{`pip/24.0 {"python":"3.12.1"`, accesslog.Client{Name: "pip", Version: "24.0"}},
		{"pip/" + strings.Repeat("1", 41), accesslog.Client{Name: "pip"}},
		{"pip/24.0 " + strings.Repeat("{", 3000), accesslog.Client{Name: "pip", Version: "24.0"}},
		{"pip/24.0 " + strings.Repeat(" ", 5000), accesslog.Client{Name: "unknown"}},
		{"curl/8.5.0\x1b[31m", accesslog.Client{Name: "curl"}},
	}
	for _, tt := range tests {
		if got := accesslog.ParseAgent(tt.agent); got != tt.want {
			t.Errorf("ParseAgent(%q) = %+v, want %+v", tt.agent, got, tt.want)
		}
	}
}

func FuzzParseAgent(f *testing.F) {
	f.Add(pipAgent)
	f.Add("Python-urllib/2.7 setuptools/18.0.1")
	f.Add("bandersnatch/5.0.0 (cpython 3.8.2-final0, Linux x86_64) (aiohttp 3.6.2)")
	f.Fuzz(func(t *testing.T, agent string) {
		c := accesslog.ParseAgent(agent)
		if c.Name == "" {
			t.Errorf("ParseAgent(%q) gives no name", agent)
		}
		for _, s := range []string{c.Name, c.Version, c.Python, c.System} {
			if len(s) > 40 || strings.ContainsAny(s, " \"'<>&\\/\x00\x1b\n\u202e") {
				t.Errorf("ParseAgent(%q) = %+v", agent, c)
			}
		}
	})
}

// Whatever stands in a log, each line is read or counted as bad, and nothing is read
// twice.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`h - - [22/Nov/2026:10:00:00 +0000] "GET /` + wheel + ` HTTP/1.1" 206 9 "-" "` + asNginx(pipAgent) + `" "bytes=0-8"` + "\nbad\n"))
	f.Add([]byte(`h - a\" [22/Nov/2026:10:00:00 +0000] "GET /%41\x22?x HTTP/1.1" 200 - "\\" "\x\n"` + "\r\n\n"))
	f.Fuzz(func(t *testing.T, log []byte) {
		r := accesslog.NewReader(bytes.NewReader(log))
		var e accesslog.Entry
		var n int64
		for r.Next(&e) == nil {
			n++
			if e.Bytes < 0 || e.Status < 0 || e.Status > 999 || e.Start < -1 || len(e.Path) > 0 && e.Path[0] != '/' {
				t.Errorf("%q gives %+v", log, e)
			}
			if file, ok := accesslog.ParsePath(string(e.Path)); ok {
				if _, _, ok := layout.ParseFile(file.Path); !ok {
					t.Errorf("ParsePath(%q) = %+v", e.Path, file)
				}
			}
		}
		end := int64(bytes.LastIndexByte(log, '\n') + 1)
		var blank int64
		for line := range bytes.Lines(log[:end]) {
			if len(bytes.TrimSpace(line)) == 0 && len(line) < accesslog.MaxLine {
				blank++
			}
		}
		if r.Offset() != end || n+r.Bad()+blank != int64(bytes.Count(log, []byte{'\n'})) {
			t.Errorf("%q: %d entries, %d bad, offset %d, want %d", log, n, r.Bad(), r.Offset(), end)
		}
	})
}

func TestReaderDoesNotAllocate(t *testing.T) {
	log := strings.Repeat(benchLine, 100)
	in := strings.NewReader(log)
	r := accesslog.NewReader(in)
	var e accesslog.Entry
	if n := testing.AllocsPerRun(10, func() {
		in.Reset(log)
		r.Reset(in)
		for r.Next(&e) == nil {
		}
	}); n != 0 || e.Status != 200 {
		t.Errorf("reading 100 lines allocates %v times", n)
	}
}

var benchLine = `203.0.113.7 - - [22/Nov/2026:10:00:00 +0000] "GET /` + wheel + ` HTTP/1.1" 200 1234 "-" "` + asNginx(pipAgent) + `"` + "\n"

func BenchmarkReader(b *testing.B) {
	const lines = 10_000
	log := strings.Repeat(benchLine, lines)
	in := strings.NewReader(log)
	r := accesslog.NewReader(in)
	var e accesslog.Entry
	b.ReportAllocs()
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		in.Reset(log)
		r.Reset(in)
		for r.Next(&e) == nil {
		}
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkParseAgent(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		accesslog.ParseAgent(pipAgent)
	}
}
