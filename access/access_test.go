package access_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"nestgen/access"
	"nestgen/packaging"
)

var day = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func scope(t testing.TB, patterns ...string) access.Scope {
	t.Helper()
	s, err := access.ParseScope(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScope(t *testing.T) {
	for _, tt := range []struct {
		patterns string
		text     string // normalized; empty for an error
		in, out  string
	}{
		{"foo", "foo", "foo", "foo-bar fo fooo"},
		{"Foo.Bar foo_bar", "foo-bar", "foo-bar", "foo foo-barr"},
		{"acme-*", "acme-*", "acme-x acme-x-y", "acme acmex x-acme"},
		{"Acme__*", "acme-*", "acme-x", "acme"},
		{"acme*", "acme*", "acme acme-x acmex", "acm"},
		{"*", "*", "a acme-x", ""},
		{"b a*", "a*, b", "a ab b", "bc"},
		{"", "", "", ""},
		{"-x", "", "", ""},
		{"-*", "", "", ""},
		{"**", "", "", ""},
		{"a*b", "", "", ""},
		{"*a", "", "", ""},
		{"a/*", "", "", ""},
		{"é*", "", "", ""},
	} {
		s, err := access.ParseScope(strings.Fields(tt.patterns))
		if err != nil || tt.text == "" {
			if (err == nil) != (tt.text != "") {
				t.Errorf("%q: %v, %v", tt.patterns, s, err)
			}
			continue
		}
		if s.String() != tt.text {
			t.Errorf("%q: %q, want %q", tt.patterns, s, tt.text)
		}
		for _, n := range strings.Fields(tt.in) {
			if !s.Covers(packaging.Name(n)) {
				t.Errorf("%q does not cover %q", tt.patterns, n)
			}
		}
		for _, n := range append(strings.Fields(tt.out), "") {
			if s.Covers(packaging.Name(n)) {
				t.Errorf("%q covers %q", tt.patterns, n)
			}
		}
	}
	if (access.Scope{}).Covers("a") {
		t.Error("the zero Scope covers something")
	}
	// A pattern cannot be changed from outside.
	s := scope(t, "foo")
	s.Patterns()[0] = "*"
	if s.Covers("bar") {
		t.Error("the scope was changed through Patterns")
	}
}

// add makes a token in a file.
func add(t testing.TB, path string, tok access.Token) (access.Token, string) {
	t.Helper()
	tok, secret, err := access.Add(path, tok, day)
	if err != nil {
		t.Fatal(err)
	}
	return tok, secret
}

func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	if got, err := access.Load(path); err != nil || len(got) != 0 {
		t.Fatalf("without a file: %v, %v", got, err)
	}
	if _, err := access.Revoke(path, "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("revoke without a file: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("revoke made the file")
	}
	one, secret := add(t, path, access.Token{Note: `ci, "été" <x>`, Scope: scope(t, "Acme-*", "foo"), Expires: day.Add(time.Hour)})
	two, other := add(t, path, access.Token{Scope: scope(t, "*")})
	if !regexp.MustCompile(`^nestgen-[a-z2-7]{58}$`).MatchString(secret) || !access.IsToken(secret) || secret == other {
		t.Errorf("secrets %q, %q", secret, other)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte(secret[8:20])) || bytes.Contains(data, []byte(other[8:20])) {
		t.Errorf("the secret is in the file:\n%s", data)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	got, err := access.Load(path)
	if err != nil || len(got) != 2 || got[0].ID != one.ID || got[1].ID != two.ID {
		t.Fatalf("%+v, %v", got, err)
	}
	if g := got[0]; g.Note != one.Note || g.Scope.String() != "acme-*, foo" || !g.Created.Equal(day) || !g.Expires.Equal(day.Add(time.Hour)) || !got[1].Expires.IsZero() {
		t.Errorf("%+v", g)
	}
	if _, err := access.Revoke(path, "aaaaaaaa"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("revoke of none: %v", err)
	}
	if r, err := access.Revoke(path, one.ID); err != nil || r.Note != one.Note {
		t.Errorf("revoke: %+v, %v", r, err)
	}
	if got, err := access.Load(path); err != nil || len(got) != 1 || got[0].ID != two.ID {
		t.Errorf("%+v, %v", got, err)
	}
	if left, err := filepath.Glob(path + "?*"); len(left) > 0 || err != nil {
		t.Errorf("left over: %q, %v", left, err)
	}
}

func TestAddWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	all := scope(t, "*")
	for name, tok := range map[string]access.Token{
		"no scope":        {},
		"expired":         {Scope: all, Expires: day},
		"lines in a note": {Scope: all, Note: "a\nb"},
		"long note":       {Scope: all, Note: strings.Repeat("x", 201)},
		"year 10000":      {Scope: all, Expires: day.AddDate(8000, 0, 0)},
	} {
		if _, secret, err := access.Add(path, tok, day); err == nil || secret != "" {
			t.Errorf("%s: %q, %v", name, secret, err)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was made")
	}
}

// What others can write, or what is not a plain file, is refused, and with it
// any change.
func TestFileRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tokens")
	tok := access.Token{Scope: scope(t, "*")}
	made, _ := add(t, path, tok)
	refused := func(t *testing.T, path, says string) {
		t.Helper()
		if _, err := access.Load(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("Load: %v, want %q", err, says)
		}
		if _, _, err := access.Add(path, tok, day); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("Add: %v, want %q", err, says)
		}
		if _, err := access.Revoke(path, made.ID); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("Revoke: %v, want %q", err, says)
		}
	}
	for _, mode := range []fs.FileMode{0o620, 0o602, 0o666} {
		t.Run(fmt.Sprintf("mode %#o", mode), func(t *testing.T) {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			refused(t, path, "make it 0600")
		})
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	add(t, path, tok)
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("a group that may read loses that: %v, %v", fi.Mode(), err)
	}
	t.Run("link", func(t *testing.T) {
		link := filepath.Join(dir, "link")
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		refused(t, link, "a link")
	})
	t.Run("folder", func(t *testing.T) {
		if _, err := access.Load(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%v", err)
		}
	})
	t.Run("pipe", func(t *testing.T) {
		pipe := filepath.Join(dir, "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, pipe, "not a regular file")
	})
	t.Run("temporary file left over", func(t *testing.T) {
		if err := os.WriteFile(path+".new", []byte("half a li"), 0o000); err != nil {
			t.Fatal(err)
		}
		add(t, path, tok)
		if got, err := access.Load(path); err != nil || len(got) != 3 {
			t.Errorf("%d tokens, %v", len(got), err)
		}
	})
}

// When root makes the file, the user of the folder can read and change it.
func TestOwnerOfFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of others")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 1234, 5678); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tokens")
	for range 2 {
		add(t, path, access.Token{Scope: scope(t, "*")})
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if st := fi.Sys().(*syscall.Stat_t); st.Uid != 1234 || st.Gid != 5678 {
			t.Errorf("owner %d:%d", st.Uid, st.Gid)
		}
		if err := os.Chown(dir, 1, 1); err != nil { // from now on the file counts
			t.Fatal(err)
		}
	}
}

const someHash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func line(change ...string) string {
	s := `{"id":"abcdefgh","sha256":"` + someHash + `","note":"n","projects":["foo"],"created":"2026-01-01T00:00:00Z","expires":"2027-01-01T00:00:00Z"}`
	return strings.NewReplacer(change...).Replace(s)
}

func TestParseFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	for _, tt := range []struct {
		name, data string
		says       string // empty for a file that is right
	}{
		{"one", line() + "\n", ""},
		{"no line end, empty lines", "\n" + line() + "\n\n" + line("abcdefgh", "bbbbbbbb"), ""},
		{"no note, no end", line(`"note":"n",`, "", `,"expires":"2027-01-01T00:00:00Z"`, "") + "\n", ""},
		{"twice", line() + "\n" + line(), "tokens:2: second token with the id abcdefgh"},
		{"half a line", line()[:60], "tokens:1: the line ends early"},
		{"unknown field", line(`"note"`, `"admin"`), `unknown field "admin"`},
		{"two values", line() + line(), "more than one"},
		{"no object", "[]", "tokens:1"},
		{"null", "null", "id"},
		{"no id", line("abcdefgh", ""), "id"},
		{"id in capitals", line("abcdefgh", "ABCDEFGH"), "id"},
		{"short hash", line(someHash, someHash[:62]), "sha256"},
		{"no hash", line(someHash, ""), "sha256"},
		{"no projects", line(`["foo"]`, "[]"), "no projects"},
		{"projects left out", line(`"projects":["foo"],`, ""), "no projects"},
		{"wrong project", line("foo", "f/o"), "f/o"},
		{"no time", line(`"created":"2026-01-01T00:00:00Z",`, ""), "creation"},
		{"wrong time", line("2027-01-01T00:00:00Z", "soon"), "tokens:1"},
		{"wrong note", line(`"n"`, `"\u001b[2J"`), "note"},
	} {
		if err := os.WriteFile(path, []byte(tt.data), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := access.Load(path)
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || got != nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %+v, %v, want %q", tt.name, got, err, tt.says)
		}
		if err != nil && strings.Contains(err.Error(), someHash[:32]) {
			t.Errorf("%s: tells the hash: %v", tt.name, err)
		}
	}
}

func FuzzTokenFile(f *testing.F) {
	f.Add([]byte(line() + "\n" + line("abcdefgh", "bbbbbbbb")))
	f.Add([]byte("{}\n"))
	f.Add([]byte(line(`["foo"]`, `["*","a-*"]`)))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, fmt.Sprint("tokens", os.Getpid()))
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := access.Load(path)
		if err != nil {
			return
		}
		for _, b := range before {
			if b.ID == "" || b.Scope.String() == "" || b.Created.IsZero() {
				t.Fatalf("%+v", b)
			}
		}
		// What can be read can be written, and is the same then.
		if _, _, err := access.Add(path, access.Token{Scope: scope(t, "x")}, day); err != nil {
			t.Fatal(err)
		}
		after, err := access.Load(path)
		if err != nil || len(after) != len(before)+1 {
			t.Fatalf("%d tokens of %d, %v", len(after), len(before), err)
		}
		for i, b := range before {
			a := after[i]
			if a.ID != b.ID || a.Note != b.Note || a.Scope.String() != b.Scope.String() || !a.Created.Equal(b.Created) || !a.Expires.Equal(b.Expires) {
				t.Errorf("%+v became %+v", b, a)
			}
		}
	})
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// A gate with a token for acme-*, one that expired, one that was revoked, and a
// user who owns foo and bar.
func gate(t testing.TB) (g *access.Gate, valid, expired, revoked string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	_, expired = add(t, path, access.Token{Note: "old", Scope: scope(t, "*"), Expires: day.Add(time.Hour)})
	gone, revoked := add(t, path, access.Token{Scope: scope(t, "*")})
	_, valid = add(t, path, access.Token{Note: "ci", Scope: scope(t, "acme-*"), Expires: day.Add(48 * time.Hour)})
	if _, err := access.Revoke(path, gone.ID); err != nil {
		t.Fatal(err)
	}
	tokens, err := access.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return &access.Gate{
		Tokens:          tokens,
		Owners:          []access.Owner{{"alice", scope(t, "foo")}, {"bob", scope(t, "*")}, {"alice", scope(t, "bar")}},
		TrustRemoteUser: true,
		Now:             func() time.Time { return day.Add(time.Hour) },
	}, valid, expired, revoked
}

func TestDecide(t *testing.T) {
	g, valid, expired, revoked := gate(t)
	untrusting := *g
	untrusting.TrustRemoteUser = false
	public := *g
	public.Origins = []string{"https://index.example.org/python/"}
	const notRight = "The credentials are not right: a valid token is expected as the password"
	for _, tt := range []struct {
		name    string
		gate    *access.Gate
		request access.Request
		project packaging.Name
		who     string       // how the log names somebody; empty for a denial
		cause   access.Cause // of the denial
		text    string       // which the client is told
	}{
		{"token", g, access.Request{Authorization: basic("__token__", valid)}, "acme-x", "ci", 0, ""},
		{"any user name", g, access.Request{Authorization: basic("alice", valid)}, "acme-x", "ci", 0, ""},
		{"no user name", g, access.Request{Authorization: basic("", valid)}, "acme-x", "ci", 0, ""},
		{"blanks around it", g, access.Request{Authorization: basic("__token__", " "+valid+"\n")}, "acme-x", "ci", 0, ""},
		{"bearer", g, access.Request{Authorization: "bearer " + valid}, "acme-x", "ci", 0, ""},
		{"out of scope", g, access.Request{Authorization: basic("__token__", valid)}, "foo", "", access.OutOfScope, `You may not upload to the project "foo"`},
		{"no project", g, access.Request{Authorization: basic("__token__", valid)}, "", "", access.OutOfScope, ""},
		{"expired", g, access.Request{Authorization: basic("__token__", expired)}, "acme-x", "", access.Expired, notRight},
		{"revoked", g, access.Request{Authorization: basic("__token__", revoked)}, "acme-x", "", access.Unknown, notRight},
		{"not a token", g, access.Request{Authorization: basic("__token__", "secret")}, "acme-x", "", access.Unreadable, notRight},
		{"mistyped", g, access.Request{Authorization: basic("__token__", valid[:20]+"2"+valid[20:len(valid)-1])}, "acme-x", "", access.Unreadable, notRight},
		{"no base64", g, access.Request{Authorization: "Basic !"}, "acme-x", "", access.Unreadable, notRight},
		{"other scheme", g, access.Request{Authorization: "Digest " + valid}, "acme-x", "", access.Unreadable, notRight},
		{"long header", g, access.Request{Authorization: basic(strings.Repeat("x", 5000), valid)}, "acme-x", "", access.Unreadable, notRight},
		{"nobody", g, access.Request{}, "acme-x", "", access.Anonymous, ""},
		{"zero gate", &access.Gate{}, access.Request{Authorization: basic("__token__", valid), RemoteUser: "bob"}, "acme-x", "", access.Unknown, notRight},

		{"user", g, access.Request{RemoteUser: "alice"}, "foo", `user "alice"`, 0, ""},
		{"user, second entry", g, access.Request{RemoteUser: "alice"}, "bar", `user "alice"`, 0, ""},
		{"user of others", g, access.Request{RemoteUser: "alice"}, "baz", "", access.OutOfScope, ""},
		{"user in capitals", g, access.Request{RemoteUser: "Alice"}, "foo", "", access.NoOwner, ""},
		{"user and token", g, access.Request{RemoteUser: "alice", Authorization: basic("__token__", valid)}, "acme-x", "", access.OutOfScope, ""},
		{"user that nobody checked", &untrusting, access.Request{RemoteUser: "bob"}, "foo", "", access.Anonymous, ""},
		{"user that nobody checked, with a token", &untrusting, access.Request{RemoteUser: "bob", Authorization: basic("bob", valid)}, "foo", "", access.OutOfScope, ""},

		{"cross-site", g, access.Request{RemoteUser: "bob", FetchSite: "cross-site"}, "foo", "", access.CrossSite, ""},
		{"same site, other host", g, access.Request{RemoteUser: "bob", FetchSite: "same-site"}, "foo", "", access.CrossSite, ""},
		{"same origin", g, access.Request{RemoteUser: "bob", FetchSite: "same-origin", Origin: "https://Index.example.org", Host: "index.example.org:443"}, "foo", `user "bob"`, 0, ""},
		{"typed by the user", g, access.Request{RemoteUser: "bob", FetchSite: "none"}, "foo", `user "bob"`, 0, ""},
		{"foreign origin", g, access.Request{RemoteUser: "bob", Origin: "https://evil.example", Host: "index.example.org"}, "foo", "", access.CrossSite, ""},
		{"another port", g, access.Request{RemoteUser: "bob", Origin: "http://localhost:8001", Host: "localhost:8000"}, "foo", "", access.CrossSite, ""},
		{"origin null", g, access.Request{RemoteUser: "bob", Origin: "null", Host: "index.example.org"}, "foo", "", access.CrossSite, ""},
		{"origin with a user", g, access.Request{RemoteUser: "bob", Origin: "https://x@index.example.org", Host: "index.example.org"}, "foo", "", access.CrossSite, ""},
		{"the site's address", &public, access.Request{RemoteUser: "bob", Origin: "https://index.example.org", Host: "backend:8000"}, "foo", `user "bob"`, 0, ""},
		{"not the site's address, though its host", &public, access.Request{RemoteUser: "bob", Origin: "http://backend:8000", Host: "backend:8000"}, "foo", "", access.CrossSite, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.request
			r.Secure = true
			w, err := tt.gate.Decide(r, tt.project)
			if tt.who != "" {
				if err != nil || !strings.Contains(w.String(), tt.who) {
					t.Fatalf("%v, %v, want %s", w, err, tt.who)
				}
			} else {
				d, ok := errors.AsType[*access.Denial](err)
				if !ok || d.Cause != tt.cause || tt.text != "" && d.Text != tt.text {
					t.Fatalf("%v, %#v, want %v", w, err, tt.cause)
				}
				if want := map[bool]int{true: 401, false: 403}[d.Cause == access.Anonymous]; d.Status != want || d.Challenge != (want == 401) {
					t.Errorf("status %d, challenge %v", d.Status, d.Challenge)
				}
				if w.User+w.Token != "" || w.Scope.String() != "" {
					t.Errorf("a denial with %+v", w)
				}
				for _, s := range []string{valid, expired, revoked, "secret"} {
					if said := d.Error() + d.Text; strings.Contains(said, s) {
						t.Errorf("tells the secret: %q", said)
					}
				}
			}
			// Over plain HTTP nothing of that is even looked at.
			r.Secure = false
			_, err = tt.gate.Decide(r, tt.project)
			if d, ok := errors.AsType[*access.Denial](err); !ok || d.Status != 403 || d.Challenge || d.Cause != access.Insecure && d.Cause != access.CrossSite {
				t.Errorf("over plain HTTP: %#v", err)
			}
		})
	}
}

// The log tells causes apart and names who it was.
func TestDenialForTheLog(t *testing.T) {
	g, valid, expired, _ := gate(t)
	_, err := g.Decide(access.Request{Secure: true, Authorization: basic("x", expired)}, "foo")
	if s := err.Error(); !strings.Contains(s, "expired: token ") || !strings.Contains(s, "(old), on 2026-11-21 13:00:00") {
		t.Errorf("%q", s)
	}
	_, err = g.Decide(access.Request{Secure: true, Authorization: basic("x", valid)}, "foo")
	if s := err.Error(); !strings.Contains(s, "out of scope: token ") || !strings.Contains(s, `(ci), project "foo"`) {
		t.Errorf("%q", s)
	}
	seen := map[string]bool{}
	for c := access.CrossSite; c <= access.OutOfScope; c++ {
		if s := c.String(); s == "" || seen[s] {
			t.Errorf("cause %d: %q", c, s)
		}
		seen[c.String()] = true
	}
	if s := (access.OutOfScope + 1).String(); s != "" {
		t.Errorf("%q", s)
	}
}

func TestRequestOf(t *testing.T) {
	for _, tt := range []struct {
		addr, header string
		secure       bool
	}{
		{"127.0.0.1:1234", "", true},
		{"127.9.9.9:1234", "", true},
		{"[::1]:1234", "", true},
		{"::1", "", true}, // CGI
		{"127.0.0.1", "", true},
		{"[::ffff:127.0.0.1]:1", "", true},
		{"192.0.2.1:1234", "", false},
		{"", "", false},
		{"@", "", false},
		{"localhost:1", "", false},
		{"127.0.0.1:1234", "X-Forwarded-For", false},
		{"127.0.0.1:1234", "Forwarded", false},
		{"127.0.0.1:1234", "Via", false},
	} {
		r, err := http.NewRequest(http.MethodPost, "http://index.example.org:80/legacy/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = tt.addr
		if tt.header != "" {
			r.Header.Set(tt.header, "192.0.2.1")
		}
		r.Header.Set("Authorization", "a")
		r.Header.Set("Origin", "o")
		r.Header.Set("Sec-Fetch-Site", "s")
		want := access.Request{Authorization: "a", Origin: "o", FetchSite: "s", Host: "index.example.org:80", Secure: tt.secure}
		if got := access.RequestOf(r); got != want {
			t.Errorf("%q %q: %+v, want %+v", tt.addr, tt.header, got, want)
		}
	}
}

func TestIsToken(t *testing.T) {
	_, secret := add(t, filepath.Join(t.TempDir(), "tokens"), access.Token{Scope: scope(t, "*")})
	if !access.IsToken(secret) {
		t.Errorf("%q is none", secret)
	}
	for i := len("nestgen-"); i < len(secret); i++ {
		for _, c := range "a2" {
			if s := secret[:i] + string(c) + secret[i+1:]; s != secret && access.IsToken(s) {
				t.Errorf("%q is one, changed at %d", s, i)
			}
		}
	}
	for _, s := range []string{"", "nestgen-", secret[8:], secret + "a", secret[:len(secret)-1], strings.ToUpper(secret), secret + "\n"} {
		if access.IsToken(s) {
			t.Errorf("%q is one", s)
		}
	}
}

func FuzzAuthorization(f *testing.F) {
	g, valid, expired, _ := gate(f)
	for _, s := range []string{basic("__token__", valid), "Bearer " + valid, basic("", expired), "Basic", "Basic  Og==", "bearer\t" + valid, "Basic =", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		w, err := g.Decide(access.Request{Secure: true, Authorization: header}, "acme-x")
		if err == nil {
			// The token is there, in one of two forms.
			_, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
			plain, _ := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(rest), "="))
			if w.Note != "ci" || !strings.Contains(header, valid) && !strings.Contains(string(plain), valid) {
				t.Errorf("%q lets %v in", header, w)
			}
			return
		}
		d, ok := errors.AsType[*access.Denial](err)
		if !ok || d.Status != 401 && d.Status != 403 || d.Text == "" || (d.Status == 401) != (header == "") {
			t.Errorf("%q: %#v", header, err)
		}
	})
}

// How long a comparison takes tells nothing of a token: hashes are compared by
// crypto/subtle alone, and the loop that does it has no way out.
func TestConstantTime(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		mentions := func(n ast.Node) (found bool) {
			ast.Inspect(n, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "hash" {
					found = true
				}
				return true
			})
			return found
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				length, _ := n.Y.(*ast.CallExpr) // len(t.hash)
				if length == nil && (n.Op == token.EQL || n.Op == token.NEQ) && (mentions(n.X) || mentions(n.Y)) {
					t.Errorf("%s: compares a hash with %s", set.Position(n.Pos()), n.Op)
				}
			case *ast.CallExpr:
				s, ok := n.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if s.Sel.Name == "ConstantTimeCompare" {
					compared++
				} else if (s.Sel.Name == "Equal" || s.Sel.Name == "Compare") && mentions(n) {
					t.Errorf("%s: compares a hash with %s", set.Position(n.Pos()), s.Sel.Name)
				}
			case *ast.FuncDecl:
				if n.Name.Name != "find" {
					return true
				}
				ast.Inspect(n, func(n ast.Node) bool {
					loop, ok := n.(*ast.RangeStmt)
					if !ok {
						return true
					}
					ast.Inspect(loop.Body, func(n ast.Node) bool {
						switch n.(type) {
						case *ast.ReturnStmt, *ast.BranchStmt, *ast.IfStmt:
							t.Errorf("%s: the loop may end early", set.Position(n.Pos()))
						}
						return true
					})
					return false
				})
			}
			return true
		})
	}
	if compared != 1 {
		t.Errorf("%d comparisons, want 1", compared)
	}
}

// TestMain also is the process that others start, to add and revoke tokens.
func TestMain(m *testing.M) {
	path := os.Getenv("NESTGEN_TEST_TOKENS")
	if path == "" {
		os.Exit(m.Run())
	}
	s, err := access.ParseScope([]string{"*"})
	for i := 0; err == nil && i < 20; i++ {
		var keep, drop access.Token
		if keep, _, err = access.Add(path, access.Token{Scope: s, Note: "keep"}, day); err != nil {
			break
		}
		if drop, _, err = access.Add(path, access.Token{Scope: s, Note: "drop"}, day); err != nil {
			break
		}
		if _, err = access.Revoke(path, drop.ID); err != nil {
			break
		}
		fmt.Println(keep.ID)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// changer is a process that adds and revokes tokens.
func changer(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "NESTGEN_TEST_TOKENS="+path)
	return cmd
}

// Of several processes none undoes what another did, and a reader always finds
// a whole file.
func TestProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	const processes = 4
	var outs [processes]bytes.Buffer
	var cmds [processes]*exec.Cmd
	for i := range cmds {
		cmds[i] = changer(t, path)
		cmds[i].Stdout, cmds[i].Stderr = &outs[i], os.Stderr
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, cmd := range cmds {
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		}
	}()
	reads := 0
	for reading := true; reading; reads++ {
		if _, err := access.Load(path); err != nil {
			t.Error(err)
			break
		}
		select {
		case <-done:
			reading = false
		default:
		}
	}
	<-done
	got, err := access.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, g := range got {
		ids[g.ID] = true
	}
	for i := range outs {
		for id := range strings.FieldsSeq(outs[i].String()) {
			if !ids[id] {
				t.Errorf("token %s of process %d is lost", id, i)
			}
		}
	}
	if len(got) != 20*processes {
		t.Errorf("%d tokens, want %d (%d reads meanwhile)", len(got), 20*processes, reads)
	}
}

// A process that is killed leaves a whole file and every token that it has told
// of, and the next one goes on.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	told := map[string]bool{}
	for round := range 20 {
		cmd := changer(t, path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 1 + round%3 {
			if lines.Scan() {
				told[lines.Text()] = true
			}
		}
		time.Sleep(time.Duration(round) * 100 * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			told[lines.Text()] = true
		}
		_ = cmd.Wait() // killed
		got, err := access.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]bool{}
		for _, g := range got {
			have[g.ID] = true
		}
		for id := range told {
			if !have[id] {
				t.Fatalf("round %d: token %s is lost", round, id)
			}
		}
	}
	add(t, path, access.Token{Scope: scope(t, "*")})
	if left, err := filepath.Glob(path + "?*"); len(left) > 0 || err != nil {
		t.Errorf("left over: %q, %v", left, err)
	}
}

func BenchmarkAdmit(b *testing.B) {
	path := filepath.Join(b.TempDir(), "tokens")
	var secret string
	for range 200 {
		_, secret = add(b, path, access.Token{Scope: scope(b, "*")})
	}
	b.ReportAllocs()
	for b.Loop() {
		tokens, err := access.Load(path)
		if err != nil {
			b.Fatal(err)
		}
		g := access.Gate{Tokens: tokens}
		if _, err := g.Admit(access.Request{Secure: true, Authorization: basic("__token__", secret)}); err != nil {
			b.Fatal(err)
		}
	}
}
