package acceptance

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nestgen/intake/intaketest"
	"nestgen/serve/servetest"
)

// With the fallback behind it every web server gives the same answers as without.
func TestFallbackHTTP(t *testing.T) {
	behind(t, (*liveSite).webFallbacks, "uploads = \"uploads\"\n", func(t *testing.T, s *liveSite, start func() *server) {
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		tree := servetest.NewTree(t, s.dir)
		srv := start()
		servetest.Run(t, servetest.Server{URL: srv.URL, Capitals: srv.capitals}, tree)
	})
}

// Other settings count without anybody starting anything anew. A program that stays
// goes on with the last ones that could be read.
func TestFallbackChangedSettings(t *testing.T) {
	behind(t, (*liveSite).webFallbacks, "title = \"one\"\n", func(t *testing.T, s *liveSite, start func() *server) {
		s.nestgen(t, "build", "-q")
		srv := start()
		post := func() string {
			t.Helper()
			resp, body, err := ask(t, "POST", srv.URL+"/legacy/", strings.NewReader(""))
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%d %s", resp.StatusCode, body)
		}
		want := func(answer string) {
			t.Helper()
			got := post()
			for end := time.Now().Add(time.Minute); !strings.HasPrefix(got, answer); got = post() {
				if time.Now().After(end) {
					t.Fatalf("%s, want %s", got, answer)
				}
				time.Sleep(50 * time.Millisecond)
			}
		}
		want("403 This index takes no uploads")
		s.configure(t, "uploads = \"uploads\"\n")
		want("401 Credentials are needed")
		s.configure(t, "site = \"")
		if s.stays {
			want("401 Credentials are needed")
		} else {
			want("500 This index is not set up")
		}
		s.configure(t, "title = \"one\"\n")
		want("403 This index takes no uploads")
	})
}

// withPasswords are the servers where the web server asks for passwords itself:
// alice has the password "secret".
func (s *liveSite) withPasswords() []kind {
	const nginxUsers, apacheUsers = "/etc/nginx/nestgen-users", "/etc/apache2/nestgen-users"
	kinds := s.webFallbacks()
	for i, k := range kinds {
		if strings.HasPrefix(k.name, "nginx") {
			kinds[i].edit = func(t *testing.T, conf []byte) []byte {
				conf = takeIn(t, conf, "Where nginx is to ask for passwords")
				return bytes.ReplaceAll(conf, []byte(nginxUsers), []byte(passwords(t)))
			}
			continue
		}
		kinds[i].fallback = func(t *testing.T, dir string) []byte {
			conf := takeIn(t, k.fallback(t, dir), "Or Apache asks for the passwords")
			return bytes.ReplaceAll(conf, []byte(apacheUsers), []byte(passwords(t)))
		}
	}
	return kinds
}

// A form is an upload of a wheel as a client sends it.
func wheelForm(t *testing.T, project string, o intaketest.Opts) (body []byte, contentType string) {
	t.Helper()
	name, data := intaketest.Wheel(project, "1.0", o)
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, field := range [][2]string{{":action", "file_upload"}, {"protocol_version", "1"}, {"name", project}, {"version", "1.0"}, {"filetype", "bdist_wheel"}} {
		if err := w.WriteField(field[0], field[1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("content", name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

// upload sends a wheel, as a user with a password unless that is empty, and gives
// the status line and the text of the answer.
func upload(t *testing.T, url, project, user, password string, fields ...string) (status, text string) {
	t.Helper()
	body, contentType := wheelForm(t, project, intaketest.Opts{})
	fields = append(fields, "Content-Type", contentType)
	if password != "" {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, password)
		fields = append(fields, "Authorization", r.Header.Get("Authorization"))
	}
	resp, said, err := ask(t, "POST", url, bytes.NewReader(body), fields...)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Status, strings.TrimSpace(string(said))
}

const byUsers = `uploads = "uploads"
[fallback]
remote_user = true
free = 1
deadline = "3m" # for slow machines
[[owner]]
user = "alice"
projects = ["by-*"]
`

// A user whom the web server has asked for a password uploads what is his.
func TestFallbackUsers(t *testing.T) {
	behind(t, (*liveSite).withPasswords, byUsers, func(t *testing.T, s *liveSite, start func() *server) {
		s.nestgen(t, "build", "-q")
		srv := start()
		for _, tt := range []struct{ about, path, project, user, password, status string }{
			{"nobody", "/legacy/", "by-alice", "", "", "401 "},
			{"a wrong password", "/legacy/", "by-alice", "alice", "wrong", "401 "},
			{"another name of the address", "/legacy", "by-alice", "alice", "wrong", "401 "},
			{"the program's own address", "/-nest/legacy/", "by-alice", "alice", "wrong", "40"},
			{"another project", "/legacy/", "other", "alice", "secret", "403 You may not upload to the project"},
			{"alice", "/legacy/", "by-alice", "alice", "secret", "200 "},
			{"alice, without the slash", "/legacy", "by-alice", "alice", "secret", "200 "},
		} {
			if got, text := upload(t, srv.URL+tt.path, tt.project, tt.user, tt.password); !strings.HasPrefix(got, tt.status) {
				t.Errorf("%s: %s, want %s\n%s", tt.about, got, tt.status, text)
			}
		}
		if !strings.Contains(s.nestgen(t, "show", "by-alice"), `uploaded by user "alice" from 127.0.0.1`) {
			t.Errorf("the history does not say who:\n%s", s.nestgen(t, "show", "by-alice"))
		}
	})
}

// Nobody is whom he says he is where nobody has asked for his password (CGI-4), and
// whoever could read along keeps nobody's.
func TestFallbackRefusals(t *testing.T) {
	behind(t, (*liveSite).fallbacks, byUsers, func(t *testing.T, s *liveSite, start func() *server) {
		s.nestgen(t, "build", "-q")
		srv := start()
		token := s.token(t, "by-*")
		for _, tt := range []struct {
			about, path, user, password, status string
			fields                              []string
		}{
			{"a user nobody has asked", "/legacy/", "alice", "secret", "403 The credentials are not right", nil},
			{"a user in a field", "/legacy/", "", "", "401 ", []string{"Remote-User", "alice", "Auth-Type", "Basic", "NESTGEN_AUTH", "server", "Nestgen-Auth", "server"}},
			{"a proxy in between", "/legacy/", "__token__", token, "403 Uploads over plain HTTP are refused", []string{"X-Forwarded-For", "192.0.2.7"}},
			{"a page of another site", "/legacy/", "__token__", token, "403 Uploads from pages of other sites", []string{"Origin", "https://evil.example"}},
			{"the program's own address", "/-nest/legacy/", "__token__", token, "40", nil},
			{"the address of pages", "/simple/", "__token__", token, "405 ", nil},
			{"the front page", "/", "__token__", token, "405 ", nil},
			{"nothing", "/nothing/", "__token__", token, "40", nil},
		} {
			if got, text := upload(t, srv.URL+tt.path, "by-x", tt.user, tt.password, tt.fields...); !strings.HasPrefix(got, tt.status) {
				t.Errorf("%s: %s, want %s\n%s", tt.about, got, tt.status, text)
			}
		}
		if got := status(t, srv.URL+"/simple/by-x/"); got != http.StatusNotFound {
			t.Errorf("by-x has a page: %d", got)
		}
		resp, _, err := ask(t, "POST", srv.URL+"/pypi", strings.NewReader("<?xml version='1.0'?><methodCall><methodName>list_packages</methodName></methodCall>"), "Content-Type", "text/xml")
		if err != nil || !strings.HasPrefix(resp.Status, "410 XML-RPC is not supported") {
			t.Errorf("XML-RPC: %v, %v", resp, err)
		}
		// It works for whoever may.
		if got, text := upload(t, srv.URL+"/legacy/", "by-x", "__token__", token); !strings.HasPrefix(got, "200 ") {
			t.Errorf("with a token: %s\n%s", got, text)
		}
	})
}

// A large upload is refused before it is read, and the client gets to know why.
func TestFallbackLargeUploads(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs a real client; run without -short")
	}
	const size = 24 << 20
	behind(t, (*liveSite).fallbacks, byUsers, func(t *testing.T, s *liveSite, start func() *server) {
		s.nestgen(t, "build", "-q")
		srv := start()
		url, token, u, dir := srv.URL+"/legacy/", s.token(t, "by-twine"), twineUploader(), t.TempDir()
		u.prepare(t, dir)
		name, data := intaketest.Wheel("by_twine", "1.0", intaketest.Opts{Pad: size})
		write(t, dir+"/dist/"+name, data)
		shows(t, u.call(t, dir, url, s.revoked(t)), true, "The credentials are not right")
		shows(t, u.call(t, dir, url, token), false, "")
		if got := s.nestgen(t, "show", "by-twine"); !strings.Contains(got, name) {
			t.Errorf("it is not listed:\n%s", got)
		}
	})
}

// systemd reads the units, and finds the service confined.
func TestUnits(t *testing.T) {
	t.Parallel()
	analyze := program(t, "systemd-analyze", "systemd")
	bin, err := livePrograms()
	if err != nil {
		t.Fatal(err)
	}
	dir := sharedDir(t)
	service, socket := filepath.Join(dir, "nestgen-fallback.service"), filepath.Join(dir, "nestgen-fallback.socket")
	write(t, service, contrib(t, "systemd/nestgen-fallback.service", "/usr/local/lib/nestgen/nestgen-cgi", filepath.Join(bin, "nestgen-cgi")))
	write(t, socket, contrib(t, "systemd/nestgen-fallback.socket"))
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", service, socket).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "security", "--no-pager", "--offline=true", "--threshold=20", service).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}
