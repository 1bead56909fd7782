package upload_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/blake2b"

	"nestgen/upload"
)

func sum(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// A field is one part of a form.
type field struct {
	name, value string
	filename    string // makes it a file
}

const boundary = "b0undary"

// encode makes a body of fields with the line ends of most clients.
func encode(fields ...field) []byte {
	var b bytes.Buffer
	for _, f := range fields {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"", boundary, f.name)
		if f.filename != "" {
			fmt.Fprintf(&b, "; filename=\"%s\"", f.filename)
		}
		fmt.Fprintf(&b, "\r\n\r\n%s\r\n", f.value)
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes()
}

func request(body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/legacy/", body)
	r.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	return r
}

// read reads a request into a fresh stage and gives what is there in the end.
func read(t testing.TB, r *http.Request, limits upload.Limits) (*upload.Form, []byte, error) {
	t.Helper()
	var stage memory
	form, err := upload.Read(r, func() (upload.Stage, error) { return &stage, nil }, limits)
	return form, stage.data, err
}

// memory is a stage without a file.
type memory struct {
	data []byte
	full int // bytes that fit, if not 0
	read int64
}

var errFull = errors.New("the disk is full")

func (m *memory) Write(p []byte) (int, error) {
	if m.full > 0 && len(m.data)+len(p) > m.full {
		return 0, errFull
	}
	m.data = append(m.data, p...)
	return len(p), nil
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	n, err := bytes.NewReader(m.data).ReadAt(p, off)
	m.read += int64(n)
	return n, err
}

// right is a form that nothing is wrong with, and change gives it with other
// fields: one of a name that it has takes its place, "-name" takes it out.
var content = "not really a wheel\r\n--not the boundary\r\n"

func right(change ...field) []field {
	fields := []field{
		{":action", "file_upload", ""},
		{"protocol_version", "1", ""},
		{"name", "Foo.Bar", ""},
		{"version", "1.0", ""},
		{"filetype", "bdist_wheel", ""},
		{"pyversion", "py3", ""},
		{"content", content, "foo_bar-1.0-py3-none-any.whl"},
	}
next:
	for _, c := range change {
		for i, f := range fields {
			if f.name == c.name {
				fields[i] = c
				continue next
			}
			if "-"+f.name == c.name {
				fields = append(fields[:i:i], fields[i+1:]...)
				continue next
			}
		}
		fields = append(fields, c)
	}
	return fields
}

func md5Of(s string) string      { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]) }
func sha256Of(s string) string   { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
func blake256Of(s string) string { h := blake2b.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
func blake512Of(s string) string { h := blake2b.Sum512([]byte(s)); return hex.EncodeToString(h[:]) }

func md5Base64(s string) string {
	h := md5.Sum([]byte(s))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// problem checks that an error is an answer with that status and those words.
func problem(t *testing.T, err error, status int, words ...string) {
	t.Helper()
	p, ok := errors.AsType[*upload.Problem](err)
	if !ok || p.Status != status {
		t.Fatalf("error %#v, want a problem with status %d", err, status)
	}
	for _, w := range words {
		if !strings.Contains(p.Text, w) {
			t.Errorf("says %q, want %q in it", p.Text, w)
		}
	}
}
