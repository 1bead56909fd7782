package upload_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"nestgen/packaging"
	"nestgen/upload"
)

// What the clients sent once is read, each to the last byte (UP-3).
func TestRecorded(t *testing.T) {
	names, err := filepath.Glob("testdata/*.http")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d recorded requests, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".http"), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
			if err != nil {
				t.Fatal(err)
			}
			form, stage, err := read(t, r, upload.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if form.Project != "demo" || form.Version != "1.0" || form.Metadata.Name != form.Name {
				t.Errorf("project %q %q %q, version %q", form.Name, form.Project, form.Metadata.Name, form.Version)
			}
			if strings.Contains(name, "register") {
				if form.Action != upload.Register || form.Filename != "" || len(stage) > 0 {
					t.Errorf("%v, file %q of %d bytes", form.Action, form.Filename, len(stage))
				}
			} else {
				if form.Action != upload.FileUpload || form.File.Project != "demo" || form.Size != int64(len(stage)) || len(stage) < 300 {
					t.Errorf("%v, file %+v of %d bytes", form.Action, form.File, len(stage))
				}
				if d := form.Digests; d.SHA256 != sha256Of(string(stage)) || d.MD5 != "" && d.MD5 != md5Of(string(stage)) {
					t.Errorf("digests %+v", d)
				}
			}
			if strings.Contains(name, "python") && !strings.Contains(name, "setuptools-of-python-2.7") {
				m := form.Metadata
				if m.Summary != "été" || m.DownloadURL != "" || !slices.Equal(m.Keywords, []string{"one", "two"}) ||
					!slices.Equal(m.Classifiers, []string{"Programming Language :: Python", "Topic :: Utilities"}) {
					t.Errorf("metadata %+v", m)
				}
			}
			if strings.Contains(name, "twine-2") && !strings.Contains(string(form.Signature), "PGP SIGNATURE") {
				t.Errorf("signature %q", form.Signature)
			}
			if strings.Contains(name, "distutils-of-python-3.9") && form.Digests.BLAKE2b512 == "" {
				t.Error("it sends a BLAKE2b of 128 digits")
			}
		})
	}
}

// A form as uv sends it, written after what its source says: everything as
// text fields, the file last.
func TestReadUV(t *testing.T) {
	r := request(bytes.NewReader(encode(
		field{":action", "file_upload", ""}, field{"sha256_digest", sha256Of(content), ""}, field{"protocol_version", "1", ""},
		field{"metadata_version", "2.4", ""}, field{"name", "foo-bar", ""}, field{"version", "1.0", ""}, field{"filetype", "bdist_wheel", ""},
		field{"pyversion", "py3", ""}, field{"requires_python", ">=3.8", ""}, field{"license_expression", "MIT", ""},
		field{"requires_dist", "a>1", ""}, field{"requires_dist", "b", ""}, field{"project_urls", "Home, https://example.org/a,b", ""},
		field{"attestations", `[{"version": 1}]`, ""},
		field{"content", content, "foo_bar-1.0-py3-none-any.whl"})))
	form, stage, err := read(t, r, upload.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m := form.Metadata
	if string(stage) != content || m.RequiresPython != ">=3.8" || m.LicenseExpression != "MIT" || !slices.Equal(m.RequiresDist, []string{"a>1", "b"}) ||
		len(m.ProjectURLs) != 1 || m.ProjectURLs[0] != (packaging.ProjectURL{Label: "Home", URL: "https://example.org/a,b"}) {
		t.Errorf("%q %+v", stage, m)
	}
	if string(form.Attestations) != `[{"version": 1}]` || form.Digests != (upload.Digests{SHA256: sha256Of(content)}) {
		t.Errorf("%s %+v", form.Attestations, form.Digests)
	}
}

func TestReadRight(t *testing.T) {
	legacy := field{"content", "x", "foo_bar-1.0-beta_x.tar.gz"}
	for _, tt := range []struct {
		name   string
		change []field
		note   string // part of the notes; empty for none
	}{
		{"no digest (UP-8)", nil, "no digest"},
		{"md5 in capitals", []field{{"md5_digest", strings.ToUpper(md5Of(content)), ""}}, ""},
		{"md5 as base64", []field{{"md5_digest", md5Base64(content), ""}}, ""},
		{"sha256 in capitals", []field{{"sha256_digest", strings.ToUpper(sha256Of(content)), ""}}, ""},
		{"BLAKE2b-256", []field{{"blake2_256_digest", blake256Of(content), ""}}, ""},
		{"BLAKE2b-512 under the name of 256 (sharp corner 48)", []field{{"blake2_256_digest", blake512Of(content), ""}}, ""},
		{"empty values of distutils (UP-6)", []field{{"md5_digest", "UNKNOWN", ""}, {"sha256_digest", "None", ""}, {"attestations", "None", ""}}, "no digest"},
		{"misspelled protocol version (sharp corner 49)", []field{{"-protocol_version", "", ""}, {"protcol_version", "1", ""}}, "no digest"},
		{"both spellings", []field{{"protcol_version", "1", ""}}, "no digest"},
		{"no protocol version", []field{{"-protocol_version", "", ""}}, "no digest"},
		{"no file type", []field{{"-filetype", "", ""}}, "bdist_wheel, by the file's name"},
		{"the same twice", []field{{"x", "", ""}, {"-name", "", ""}, {"name", "foo-bar", ""}}, "no digest"},
		{"version in another spelling", []field{{"version", "v1.0-final", ""}, {"content", content, "foo_bar-1.0-py3-none-any.whl"}}, "FAIL"},
		{"version that normalizes to the same", []field{{"version", "1.0-RC1", ""}, {"content", content, "foo_bar-1.0rc1-py3-none-any.whl"}}, "no digest"},
		{"local version", []field{{"version", "1.0+ubuntu-1", ""}, {"content", content, "foo_bar-1.0+ubuntu_1-py3-none-any.whl"}}, "no digest"},
		{"version that is none", []field{{"version", "1.0-beta/x", ""}, legacy, {"filetype", "sdist", ""}}, "PEP 440"},
		{"signature of another file", []field{{"gpg_signature", "sig", "other.asc"}}, "left out"},
		{"signature that is no file", []field{{"gpg_signature", "sig", ""}}, "no digest"},
		{"dumb archive", []field{{"content", content, "foo.bar-1.0.linux-x86_64.tar.gz"}, {"filetype", "bdist_dumb", ""}}, "no digest"},
		{"installer", []field{{"content", content, "foo.bar-1.0.win32-py2.7.exe"}, {"filetype", "bdist_wininst", ""}}, "no digest"},
		{"RPM", []field{{"content", content, "foo.bar-1.0-1.noarch.rpm"}, {"filetype", "bdist_rpm", ""}}, "no digest"},
		{"unknown fields", []field{{"comment", "x", ""}, {"future", "x", ""}, {"future", "y", ""}}, "no digest"},
		{"text that is not UTF-8", []field{{"summary", "\xe9t\xe9", ""}}, "no digest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			form, stage, err := read(t, request(bytes.NewReader(encode(right(tt.change...)...))), upload.Limits{})
			if tt.note == "FAIL" {
				problem(t, err, 400, "version", "1.0")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(stage) != int(form.Size) || form.Project != "foo-bar" {
				t.Errorf("%d bytes of %q, size %d", len(stage), form.Project, form.Size)
			}
			if notes := strings.Join(form.Notes, "\n"); (notes == "") != (tt.note == "") || !strings.Contains(notes, tt.note) {
				t.Errorf("notes %q, want %q", notes, tt.note)
			}
		})
	}
}

func TestReadWrong(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change []field
		status int
		says   []string
	}{
		{"md5", []field{{"md5_digest", md5Of("x"), ""}}, 400, []string{"md5_digest does not match", md5Of("x"), md5Of(content)}},
		{"sha256", []field{{"sha256_digest", sha256Of("x"), ""}}, 400, []string{"sha256_digest does not match"}},
		{"BLAKE2b-256", []field{{"blake2_256_digest", blake256Of("x"), ""}}, 400, []string{"blake2_256_digest does not match"}},
		{"BLAKE2b-512", []field{{"blake2_256_digest", blake512Of("x"), ""}}, 400, []string{"blake2_256_digest does not match"}},
		{"one of two", []field{{"md5_digest", md5Of(content), ""}, {"sha256_digest", sha256Of("x"), ""}}, 400, []string{"sha256_digest"}},
		{"digest of a length that is none", []field{{"blake2_256_digest", "00", ""}}, 400, []string{"blake2_256_digest", "64 hex"}},
		{"digest that is no number", []field{{"sha256_digest", strings.Repeat("z", 64), ""}}, 400, []string{"sha256_digest", "64 hex"}},
		{"no action", []field{{"-:action", "", ""}}, 400, []string{"no :action"}},
		{"unknown action", []field{{":action", "password_reset", ""}}, 400, []string{`"password_reset"`}},
		{"user", []field{{":action", "user", ""}}, 400, []string{`"user"`}},
		{"list_classifiers with POST", []field{{":action", "list_classifiers", ""}}, 400, []string{"GET"}},
		{"protocol version 2", []field{{"protocol_version", "2", ""}}, 400, []string{"protocol_version"}},
		{"misspelled protocol version 2", []field{{"protcol_version", "2", ""}}, 400, []string{"protcol_version"}},
		{"no name", []field{{"name", "None", ""}}, 400, []string{"no name"}},
		{"no version", []field{{"-version", "", ""}}, 400, []string{"no version"}},
		{"no content", []field{{"-content", "", ""}}, 400, []string{"no content"}},
		{"content without a file name", []field{{"content", "x", ""}}, 400, []string{"content has no file name"}},
		{"name that is none", []field{{"name", "-x", ""}}, 400, []string{`invalid project name "-x"`}},
		{"file of another project (sharp corner 52)", []field{{"name", "Foo", ""}, {"content", "x", "bar-1.0.tar.gz"}}, 400, []string{"Invalid file name", "bar-1.0.tar.gz", `"foo"`}},
		{"wheel of another project", []field{{"name", "Foo", ""}}, 400, []string{`"foo-bar"`, `"foo"`}},
		{"another version", []field{{"version", "1.0.0", ""}}, 400, []string{"1.0.0", "1.0-py3"}},
		{"file type of another kind", []field{{"filetype", "sdist", ""}}, 400, []string{`filetype "sdist"`, "bdist_wheel"}},
		{"path (sharp corner 51)", []field{{"content", "x", "../../etc/foo_bar-1.0.tar.gz"}}, 400, []string{"Invalid file name"}},
		{"path of Windows", []field{{"content", "x", `C:\foo_bar-1.0.tar.gz`}}, 400, []string{"Invalid file name"}},
		{"hidden file", []field{{"content", "x", ".foo_bar-1.0.tar.gz"}}, 400, []string{"Invalid file name"}},
		{"percent sign", []field{{"content", "x", "foo_bar-1.0%2f.tar.gz"}}, 400, []string{"Invalid file name"}},
		{"no distribution", []field{{"content", "x", "foo_bar-1.0.txt"}}, 400, []string{"Invalid file name", "expected"}},
		{"wrong capitals (sharp corner 13)", []field{{"content", "x", "foo_bar-1.0-py3-none-any.WHL"}}, 400, []string{"rename to .whl"}},
		{"attestations that are an object", []field{{"attestations", `{"a": 1}`, ""}}, 400, []string{"attestations"}},
		{"attestations that are null", []field{{"attestations", `null`, ""}}, 400, []string{"attestations"}},
		{"attestations that end early", []field{{"attestations", `[1,`, ""}}, 400, []string{"attestations"}},
		{"nameless field", []field{{"", "x", ""}}, 400, []string{"field 8 of the form has no name"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := read(t, request(bytes.NewReader(encode(right(tt.change...)...))), upload.Limits{})
			problem(t, err, tt.status, tt.says...)
		})
	}
	t.Run("two names", func(t *testing.T) {
		_, _, err := read(t, request(bytes.NewReader(encode(append(right(), field{"name", "other", ""})...))), upload.Limits{})
		problem(t, err, 400, "more than one name")
	})
	t.Run("two files", func(t *testing.T) {
		_, _, err := read(t, request(bytes.NewReader(encode(append(right(), field{"content", "y", "foo_bar-1.0.tar.gz"})...))), upload.Limits{})
		problem(t, err, 400, "more than one content")
	})
	t.Run("two digests of one name, one of them wrong", func(t *testing.T) {
		_, _, err := read(t, request(bytes.NewReader(encode(append(right(field{"md5_digest", md5Of(content), ""}), field{"md5_digest", md5Of("y"), ""})...))), upload.Limits{})
		problem(t, err, 400, "md5_digest does not match")
	})
}

// Actions are values, and nothing is staged for those that bring no file.
func TestReadActions(t *testing.T) {
	for s, want := range map[string]upload.Action{
		"submit": upload.Register, "submit_pkg_info": upload.Register, "verify": upload.Verify, "doc_upload": upload.DocUpload,
	} {
		form, stage, err := read(t, request(bytes.NewReader(encode(right(field{":action", s, ""})...))), upload.Limits{})
		if err != nil || form.Action != want || len(stage) > 0 || form.Filename != "" {
			t.Errorf("%s: %+v, %d bytes, %v; want %v", s, form, len(stage), err, want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/legacy/?:action=list_classifiers", nil)
	if form, _, err := read(t, r, upload.Limits{}); err != nil || form.Action != upload.ListClassifiers {
		t.Errorf("list_classifiers: %+v, %v", form, err)
	}
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodGet, "/legacy/", nil),
		httptest.NewRequest(http.MethodGet, "/legacy/?:action=file_upload", nil),
		httptest.NewRequest(http.MethodPut, "/legacy/", nil),
	} {
		_, _, err := read(t, r, upload.Limits{})
		problem(t, err, 405, "POST")
		if err.(*upload.Problem).Allow != "POST" {
			t.Error("no Allow")
		}
	}
}

// Fields come in any order, and every digest counts wherever it stands (UP-2).
// Digests are computed on the way; only one that nobody expected is computed
// from the stage.
func TestReadOrder(t *testing.T) {
	digests := []field{{"md5_digest", md5Of(content), ""}, {"sha256_digest", sha256Of(content), ""}, {"blake2_256_digest", blake256Of(content), ""}}
	for at := range len(digests) + 1 {
		fields := right(field{"-content", "", ""})
		fields = append(fields, digests[:at]...)
		fields = append(fields, field{"content", content, "foo_bar-1.0-py3-none-any.whl"})
		fields = append(fields, digests[at:]...)
		for _, spoiled := range []bool{false, true} {
			if spoiled {
				for i, f := range fields {
					if f.name == "blake2_256_digest" {
						fields[i].value = blake256Of("x")
					}
				}
			}
			var stage memory
			form, err := upload.Read(request(bytes.NewReader(encode(fields...))), func() (upload.Stage, error) { return &stage, nil }, upload.Limits{})
			if spoiled {
				problem(t, err, 400, "blake2_256_digest")
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			want := upload.Digests{MD5: md5Of(content), SHA256: sha256Of(content), BLAKE2b256: blake256Of(content)}
			if at == 0 {
				want.BLAKE2b512 = blake512Of(content)
			}
			if form.Digests != want {
				t.Errorf("%d before: %+v, want %+v", at, form.Digests, want)
			}
			late := int64(0)
			if at > 0 {
				for _, d := range digests[at:] {
					if d.name != "sha256_digest" { // which is always expected
						late += int64(len(content))
					}
				}
			}
			if stage.read != late {
				t.Errorf("%d before: read %d bytes of the stage, want %d", at, stage.read, late)
			}
		}
	}
	fields := right()
	slices.Reverse(fields)
	if form, stage, err := read(t, request(bytes.NewReader(encode(fields...))), upload.Limits{}); err != nil || string(stage) != content || form.Size != int64(len(content)) {
		t.Errorf("reversed: %v", err)
	}
}

// The framings that are met (UP-3), and bodies that end early.
func TestReadFraming(t *testing.T) {
	body := string(encode(right()...))
	bare := strings.ReplaceAll(string(encode(right(field{"content", "a\nb", "foo_bar-1.0.tar.gz"}, field{"filetype", "sdist", ""})...)), "\r\n", "\n")
	for name, tt := range map[string]struct{ kind, body, stage string }{
		"CRLF before the first boundary": {"", "\r\n" + body, content},
		"preamble":                       {"", "something\r\n" + body, content},
		"epilogue":                       {"", body + "something", content},
		"no line end at the end":         {"", strings.TrimSuffix(body, "\r\n"), content},
		"no line feed at the end":        {"", strings.TrimSuffix(body, "\n"), content},
		"bare, no line end at the end":   {"", strings.TrimSuffix(bare, "\n"), "a\nb"},
		"charset":                        {"multipart/form-data; boundary=" + boundary + "; charset=utf-8", body, content},
		"charset first, capitals":        {`Multipart/Form-Data; charset=utf-8; Boundary="` + boundary + `"`, body, content},
		"bare line feeds":                {"", bare, "a\nb"},
	} {
		r := request(strings.NewReader(tt.body))
		if tt.kind != "" {
			r.Header.Set("Content-Type", tt.kind)
		}
		if _, stage, err := read(t, r, upload.Limits{}); err != nil || string(stage) != tt.stage {
			t.Errorf("%s: %q, %v", name, stage, err)
		}
		r.Body = io.NopCloser(strings.NewReader(tt.body))
		r.ContentLength = -1 // chunked (UP-5)
		if _, stage, err := read(t, r, upload.Limits{}); err != nil || string(stage) != tt.stage {
			t.Errorf("%s, chunked: %q, %v", name, stage, err)
		}
	}
	// Also where the part that is cut off has nothing that must be there.
	for _, body := range []string{body, string(encode(right(field{"summary", "x", ""})...)), bare} {
		for n := range len(body) - len("-\r\n") {
			form, _, err := read(t, request(strings.NewReader(body[:n])), upload.Limits{})
			if form != nil || err == nil {
				t.Fatalf("the first %d bytes are a form: %q", n, body[max(0, n-50):n])
			}
			problem(t, err, 400, "the form ")
		}
	}
	for kind, status := range map[string]int{
		"": 415, "application/x-www-form-urlencoded": 415, "multipart/mixed; boundary=x": 415, "multipart/form-data": 400, "multipart/form-data; boundary=": 415,
	} {
		r := request(strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		_, _, err := read(t, r, upload.Limits{})
		problem(t, err, status)
	}
}

func TestLimits(t *testing.T) {
	exact := upload.Limits{
		File: int64(len(content)), Field: int64(len("file_upload")), Text: int64(len("file_upload" + "1" + "Foo.Bar" + "1.0" + "bdist_wheel" + "py3")),
		Fields: 7, Body: int64(len(encode(right()...))),
	}
	if _, _, err := read(t, request(bytes.NewReader(encode(right()...))), exact); err != nil {
		t.Errorf("at the limits: %v", err)
	}
	if _, _, err := read(t, request(bytes.NewReader(encode(right()...))), upload.Limits{File: math.MaxInt64, Field: math.MaxInt64, Text: math.MaxInt64, Fields: math.MaxInt}); err != nil {
		t.Errorf("no limits: %v", err)
	}
	for name, tt := range map[string]struct {
		less func(*upload.Limits)
		says string
	}{
		"file":   {func(l *upload.Limits) { l.File-- }, "the file"},
		"field":  {func(l *upload.Limits) { l.Field-- }, `the field ":action"`},
		"text":   {func(l *upload.Limits) { l.Text-- }, "together"},
		"fields": {func(l *upload.Limits) { l.Fields-- }, "more than 6 fields"},
		"body":   {func(l *upload.Limits) { l.Body-- }, "the request"},
	} {
		for _, declared := range []bool{true, false} {
			limits := exact
			tt.less(&limits)
			r := request(bytes.NewReader(encode(right()...)))
			if !declared {
				r.ContentLength = -1
			}
			_, _, err := read(t, r, limits)
			if name == "body" && !declared && err == nil {
				continue // what is missing is behind the last boundary
			}
			problem(t, err, 413, "Too large", tt.says)
		}
	}
	t.Run("field that nobody knows", func(t *testing.T) {
		r := request(bytes.NewReader(encode(right(field{"future", strings.Repeat("x", 1000), ""})...)))
		_, _, err := read(t, r, upload.Limits{Field: 999})
		problem(t, err, 413, `the field "future"`)
	})
}

// endless is a body that does not end.
type endless struct {
	head io.Reader
	n    int64
}

func (e *endless) Read(p []byte) (int, error) {
	n, err := e.head.Read(p)
	if n == 0 && err == io.EOF {
		for i := range p {
			p[i] = 'x'
		}
		n = len(p)
	}
	e.n += int64(n)
	return n, nil
}

// What a client claims or sends costs bounded memory, and a claim that is too
// large is answered without reading.
func TestBounded(t *testing.T) {
	allocated := func(f func()) uint64 {
		var a, b runtime.MemStats
		runtime.ReadMemStats(&a)
		f()
		runtime.ReadMemStats(&b)
		return b.TotalAlloc - a.TotalAlloc
	}
	t.Run("10 GB declared", func(t *testing.T) {
		body := &endless{head: bytes.NewReader(nil)}
		r := request(body)
		r.ContentLength = 10 << 30
		n := allocated(func() {
			_, _, err := read(t, r, upload.Limits{})
			problem(t, err, 413, "10737418240 bytes")
		})
		if body.n > 0 || n > 1<<20 {
			t.Errorf("read %d bytes, allocated %d", body.n, n)
		}
	})
	head := encode(right(field{"-content", "", ""})...)
	head = head[:len(head)-len("--"+boundary+"--\r\n")]
	for name, part := range map[string]string{
		"content":     "name=\"content\"; filename=\"foo_bar-1.0.tar.gz\"\r\n\r\n",
		"description": "name=\"description\"\r\n\r\n",
		"unknown":     "name=\"future\"\r\n\r\n",
		"header":      "name=\"future\"; x=",
	} {
		t.Run("endless "+name, func(t *testing.T) {
			body := &endless{head: strings.NewReader(string(head) + "--" + boundary + "\r\nContent-Disposition: form-data; " + part)}
			r := request(body)
			r.ContentLength = -1
			n := allocated(func() {
				_, err := upload.Read(r, func() (upload.Stage, error) { return nowhere{}, nil }, upload.Limits{File: 200 << 20})
				if p, ok := errors.AsType[*upload.Problem](err); !ok || p.Status != 413 && name != "header" {
					t.Errorf("%v", err)
				}
			})
			if body.n > 201<<20 || n > 64<<20 {
				t.Errorf("read %d bytes, allocated %d", body.n, n)
			}
		})
	}
	t.Run("1,000 fields", func(t *testing.T) {
		var fields []field
		for i := range 1000 {
			fields = append(fields, field{"classifiers", fmt.Sprintf("Number :: %d", i), ""})
		}
		body := encode(append(fields, right()...)...)
		n := allocated(func() {
			form, _, err := read(t, request(bytes.NewReader(body)), upload.Limits{})
			if err != nil || len(form.Metadata.Classifiers) != 1000 {
				t.Fatalf("%v", err)
			}
		})
		if n > 8<<20 {
			t.Errorf("allocated %d", n)
		}
	})
}

// nowhere is a stage for what nobody will read.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error)             { return len(p), nil }
func (nowhere) ReadAt(p []byte, off int64) (int, error) { return 0, io.EOF }

// A fault of the stage is not the client's.
func TestStageFails(t *testing.T) {
	for name, stage := range map[string]func() (upload.Stage, error){
		"to open":  func() (upload.Stage, error) { return nil, errFull },
		"to write": func() (upload.Stage, error) { return &memory{full: 3}, nil },
	} {
		form, err := upload.Read(request(bytes.NewReader(encode(right()...))), stage, upload.Limits{})
		if _, ok := errors.AsType[*upload.Problem](err); form != nil || ok || !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A body that breaks off because the connection did is the client's, and the
// log has the reason.
func TestBodyFails(t *testing.T) {
	broken := errors.New("connection reset")
	body := encode(right()...)
	r := request(io.MultiReader(bytes.NewReader(body[:len(body)/2]), failing{broken}))
	_, _, err := read(t, r, upload.Limits{})
	problem(t, err, 400, "cannot be read")
	if !errors.Is(err, broken) {
		t.Error("the reason is lost")
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func BenchmarkRead(b *testing.B) {
	data := strings.Repeat("0123456789abcdef", 4<<20)
	body := encode(right(field{"-content", "", ""}, field{"md5_digest", md5Of(data), ""}, field{"sha256_digest", sha256Of(data), ""},
		field{"blake2_256_digest", blake256Of(data), ""}, field{"content", data, "foo_bar-1.0-py3-none-any.whl"})...)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := upload.Read(request(bytes.NewReader(body)), func() (upload.Stage, error) { return nowhere{}, nil }, upload.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzRead(f *testing.F) {
	body := encode(right(field{"md5_digest", md5Of(content), ""}, field{"attestations", "[]", ""}, field{"gpg_signature", "x", "foo_bar-1.0-py3-none-any.whl.asc"})...)
	f.Add("multipart/form-data; boundary="+boundary, body)
	f.Add("multipart/form-data; boundary="+boundary+"; charset=utf-8", bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=content; filename*=utf-8''%2e%2e%2fa-1.zip\r\n\r\n--x--"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		r := request(bytes.NewReader(body))
		r.Header.Set("Content-Type", kind)
		var stage memory
		form, err := upload.Read(r, func() (upload.Stage, error) { return &stage, nil }, upload.Limits{File: 1000, Field: 1000, Text: 2000, Fields: 50})
		if err != nil {
			p, ok := errors.AsType[*upload.Problem](err)
			if !ok || form != nil {
				t.Fatalf("%v", err)
			}
			if reason := p.Reason(); utf8.RuneCountInString(reason) > 200 || strings.ContainsAny(reason, "\r\n") || reason == "" {
				t.Errorf("reason %q", reason)
			}
			return
		}
		if form.Action == upload.FileUpload {
			if packaging.CheckFilename(form.Filename) != nil || form.File.Project != form.Project || form.Project == "" || form.Version == "" {
				t.Errorf("%+v", form)
			}
			if form.Size != int64(len(stage.data)) || form.Digests.MD5 != "" && form.Digests.MD5 != md5Of(string(stage.data)) {
				t.Errorf("size %d, %+v for %q", form.Size, form.Digests, stage.data)
			}
		} else if form.Filename != "" {
			t.Errorf("%v with file %q", form.Action, form.Filename)
		}
	})
}
