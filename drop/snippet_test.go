package drop

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/packaging"
)

func TestParseSnippet(t *testing.T) {
	link := func(u, egg, version string) catalog.Link {
		return catalog.Link{Project: packaging.NormalizeName(egg), URL: u, Egg: egg, Version: version}
	}
	for _, tt := range []struct {
		name, file, text string
		want             []catalog.Link
		warn             string // in the first warning; empty for no warning
	}{
		{"anchor of the old lister", "topp.utils.svn", `<a href="http://svn.example.org/topp.utils/trunk#egg=topp.utils-dev">topp.utils-dev</a>`,
			[]catalog.Link{link("http://svn.example.org/topp.utils/trunk", "topp.utils", "")}, ""},
		{"upper case, unquoted, entity", "x.svn", "<html><BODY>\n<A HREF=http://h/x?a=1&amp;b=2#egg=foo-dev>x</A>",
			[]catalog.Link{link("http://h/x?a=1&b=2", "foo", "")}, ""},
		{"anchor after a comment", "x.svn", "# ours\n\n<a href='http://h/x'>x</a>", []catalog.Link{link("http://h/x", "x", "")}, ""},
		{"two anchors", "foo.git", `<a name="top"></a><a href="git+https://h/foo#egg=foo-dev">1</a> <a href="git+https://h/foo@1.x#egg=foo-1.5.dev0">2</a>`,
			[]catalog.Link{link("git+https://h/foo", "foo", ""), link("git+https://h/foo@1.x", "foo", "1.5.dev0")}, ""},
		{"address, named by the file", "foo.bar.git", "https://h/foo.git\n", []catalog.Link{link("https://h/foo.git", "foo.bar", "")}, ""},
		{"file name with dev", "foo-dev.svn", "svn://h/foo", []catalog.Link{link("svn://h/foo", "foo", "")}, ""},
		{"file name with version", "foo-1.5.dev0.svn", "svn://h/foo", []catalog.Link{link("svn://h/foo", "foo", "1.5.dev0")}, ""},
		{"keys", "x.link", "\ufeff# where it is\r\ngit+ssh://git@h/foo.git  # the main one\r\n\r\n EGG = foo_bar \r\nVersion=2.0\r\n",
			[]catalog.Link{link("git+ssh://git@h/foo.git", "foo_bar", "2.0")}, ""},
		{"version is dev", "foo.hg", "hg+https://h/foo\nversion=dev", []catalog.Link{link("hg+https://h/foo", "foo", "")}, ""},
		{"scheme in capitals", "foo.hg", "HTTPS://h/Foo", []catalog.Link{link("https://h/Foo", "foo", "")}, ""},
		{"shortcut", "foo.url", "[InternetShortcut]\r\nURL=https://h/foo\r\nIconFile=C:\\x.ico\r\nIconIndex=0\r\n",
			[]catalog.Link{link("https://h/foo", "foo", "")}, ""},
		{"revision in the path", "x.svn", "https://h/svn/x/trunk@16317#egg=x-dev", []catalog.Link{link("https://h/svn/x/trunk@16317", "x", "")}, ""},
		{"two equal signs", "x.svn", "http://h/x#egg=foo==dev", []catalog.Link{link("http://h/x", "foo", "")}, ""},
		{"old development version", "x.svn", "http://h/x#egg=OHM-0.1.1dev-r7031", []catalog.Link{link("http://h/x", "OHM", "0.1.1dev-r7031")}, "PEP 440"},
		{"egg with Python version and dev", "x.svn", "http://h/x#egg=oc_tt-0.1.2dev-py2.4-dev", []catalog.Link{link("http://h/x", "oc_tt", "0.1.2dev")}, ""},
		{"percent in the fragment", "x.svn", "http://h/x#egg=foo%2Dbar", []catalog.Link{link("http://h/x", "foo-bar", "")}, ""},
		{"more in the fragment", "x.git", "git+https://h/x#egg=foo&subdirectory=py", []catalog.Link{link("git+https://h/x", "foo", "")}, "dropped from the fragment"},
		{"line overrides fragment", "x.git", "git+https://h/x#egg=foo\negg=bar", []catalog.Link{link("git+https://h/x", "bar", "")}, "egg= of the line holds"},
		{"password", "x.svn", "https://joe:hunter2@h/x", []catalog.Link{link("https://joe:hunter2@h/x", "x", "")}, "https://***@h/x"},
		{"token as user", "x.git", "git+https://ghp_hunter2@h/x", []catalog.Link{link("git+https://ghp_hunter2@h/x", "x", "")}, "git+https://***@h/x"},
		{"token in the query", "x.git", "https://h/x?a=b&private_token=hunter2", []catalog.Link{link("https://h/x?a=b&private_token=hunter2", "x", "")}, "https://h/x?***"},
		{"password over ssh", "x.git", "ssh://git:hunter2@h/x", []catalog.Link{link("ssh://git:hunter2@h/x", "x", "")}, "ssh://***@h/x"},
		{"user over ssh", "x.git", "ssh://git@h/x", []catalog.Link{link("ssh://git@h/x", "x", "")}, ""},
		{"port and IPv6", "x.git", "git://[2001:db8::1]:9418/x", []catalog.Link{link("git://[2001:db8::1]:9418/x", "x", "")}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			links, warnings, err := ParseSnippet(tt.file, []byte(tt.text), LinkOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if len(links) != len(tt.want) {
				t.Fatalf("links %+v, want %+v", links, tt.want)
			}
			for i := range links {
				if links[i] != tt.want[i] {
					t.Errorf("link %+v, want %+v", links[i], tt.want[i])
				}
			}
			w := strings.Join(warnings, "\n")
			if (w != "") != (tt.warn != "") || !strings.Contains(w, tt.warn) || strings.Contains(w, "hunter2") {
				t.Errorf("warnings %q, want %q", warnings, tt.warn)
			}
			_, _, err = ParseSnippet(tt.file, []byte(tt.text), LinkOptions{RefuseSecrets: true})
			if errors.Is(err, ErrSecret) != strings.Contains(tt.text, "hunter2") || err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("refusing secrets: %v", err)
			}
		})
	}
}

func TestParseSnippetRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, err string }{
		{"empty", "", "no address"},
		{"comments only", "# x\n#y", "no address"},
		{"HTML without anchors", "<html><p>https://h/x</p>", "no address"},
		{"binary", "\x00https://h/x", "not UTF-8"},
		{"latin-1", "https://h/\xe9", "not UTF-8"},
		{"long", strings.Repeat("#\n", maxSnippet), "longer than 64 KiB"},
		{"ftp", "ftp://h/x", "line 1: scheme is not allowed"},
		{"javascript", "\n\njavascript:alert(1)", "line 3: not an address with a scheme"},
		{"javascript with slashes", "<a href='javascript://h/%0aalert(1)'>", "scheme is not allowed"},
		{"data", "data://h/x", "scheme is not allowed"},
		{"ext transport", "git+ext://sh", "scheme is not allowed"},
		{"two tools", "git+svn://h/x", "scheme is not allowed"},
		{"tool over tool over http", "git+svn+http://h/x", "scheme is not allowed"},
		{"http over http", "http+http://h/x", "scheme is not allowed"},
		{"file", "file:///srv/x", "scheme is not allowed"},
		{"git over file", "git+file:///srv/x", "scheme is not allowed"},
		{"as scp", "git@example.org:me/x.git", "write ssh://"},
		{"no host", "http:///x", "without a host"},
		{"host as option", "ssh://-oProxyCommand=x/y", "begins with a dash"},
		{"user as option", "ssh://-oProxyCommand=x@h/y", "begins with a dash"},
		{"blank inside", "https://h/x y", "percent-encoded"},
		{"quote", `https://h/x"onclick=`, "percent-encoded"},
		{"not ASCII", "https://h/é", "percent-encoded"},
		{"bad port", "https://h:hunter2/", "not a valid address"},
		{"long address", "https://h/" + strings.Repeat("x", maxURL), "address longer"},
		{"key first", "egg=x\nhttps://h/x", "before any address"},
		{"key twice", "https://h/x\negg=a\negg=b", "line 3: egg= is empty or there twice"},
		{"empty key", "https://h/x\negg=", "is empty"},
		{"bad egg", "https://h/x#egg=-foo", "not a project name"},
		{"bad version", "https://h/x\nversion=1.0 beta", "version"},
		{"two projects", "https://h/x#egg=a\nhttps://h/x#egg=b", "line 2: link for b after one for a"},
		{"very many", strings.Repeat("https://h/x\n", maxLinks+1), "more than 256 links"},
	} {
		links, _, err := ParseSnippet("x.svn", []byte(tt.text), LinkOptions{})
		if err == nil || !strings.Contains(err.Error(), tt.err) || links != nil {
			t.Errorf("%s: %v, %v; want an error with %q", tt.name, links, err, tt.err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows a secret: %v", tt.name, err)
		}
	}
	for _, s := range []string{"file:///srv/x", "svn+file:///srv/x", "file://localhost/srv/x"} {
		if _, _, err := ParseSnippet("x.svn", []byte(s), LinkOptions{AllowFile: true}); err != nil {
			t.Errorf("%s, allowed: %v", s, err)
		}
	}
	for _, s := range []string{"file://h/srv/x", "hg+git+file:///x", "http+file:///x"} {
		if _, _, err := ParseSnippet("x.svn", []byte(s), LinkOptions{AllowFile: true}); err == nil {
			t.Errorf("%s: accepted", s)
		}
	}
}

func TestReadLinks(t *testing.T) {
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "c")
	put(t, dir, "dev/foo.git", "https://joe:hunter2@h/foo.git")
	put(t, dir, "bar.svn", "ftp://h/bar")
	put(t, dir, "huge.url", strings.Repeat("#\n", maxSnippet))
	v := scanned(t, cache, dir)
	for e, err := range v.Changed() {
		check(t, err)
		links, err := v.ReadLinks(e)
		check(t, err)
		if e.Path != "dev/foo.git" {
			if links != nil {
				t.Errorf("%s: %+v", e.Path, links)
			}
			continue
		}
		exp := catalog.Link{Project: "foo", URL: "https://joe:hunter2@h/foo.git", Egg: "foo", Source: "dev/foo.git"}
		if len(links) != 1 || links[0] != exp {
			t.Errorf("links %+v, want %+v", links, exp)
		}
	}
	check(t, v.Save())
	v.Close()
	v = scanned(t, cache, dir)
	r := v.Report()
	want(t, "rejected", short(dir, r.Rejected), "bar.svn: line 1: scheme is not allowed: http, https, ssh, svn, git, hg, or one of the last three with '+' and a transport",
		"huge.url: longer than 64 KiB")
	want(t, "warned", short(dir, r.Warned), "dev/foo.git: line 1: link carries a password or token, which everybody can read on the page: https://***@h/foo.git")
	b, err := os.ReadFile(cache)
	check(t, err)
	if strings.Contains(string(b), "hunter2") {
		t.Error("the cache holds a password")
	}
	for e, err := range v.Of(map[packaging.Name]bool{"foo": true}) {
		check(t, err)
		if e.Kind != Snippet || e.Project != "foo" {
			t.Errorf("entry %+v", e)
		}
		// A catalog that was lost is filled again from what is known.
		if links, err := v.ReadLinks(e); len(links) != 1 || err != nil {
			t.Errorf("read again: %+v, %v", links, err)
		}
	}
}

func FuzzParseSnippet(f *testing.F) {
	for _, s := range []string{
		`<a href="http://svn.example.org/x/trunk#egg=x-dev">x</a>`,
		"https://CANARY:CANARY@h/x?token=CANARY#egg=a-1.0-py2.7-dev\nversion=1.0",
		"[InternetShortcut]\nURL=git+ssh://git@[::1]:22/x", "https://h:CANARY/x", "git@h:CANARY", "<a href=//h>", "#\n<",
		"https://a:CANARY@b:CANARY@h/", "ssh://CANARY%40x:y@h", "file:///x",
	} {
		f.Add("x.svn", s, true, false)
		f.Add("y-1.0.git", s, false, true)
	}
	f.Fuzz(func(t *testing.T, name, text string, file, refuse bool) {
		o := LinkOptions{AllowFile: file, RefuseSecrets: refuse}
		links, _, err := ParseSnippet(name, []byte(text), o)
		if (err == nil) != (len(links) > 0) {
			t.Fatalf("%d links and error %v", len(links), err)
		}
		for _, l := range links {
			u, err := url.Parse(l.URL)
			if err != nil || u.Fragment != "" || strings.Contains(l.URL, "#") || strings.ContainsAny(l.URL, "\"<> \r\n") {
				t.Fatalf("link with URL %q: %v", l.URL, err)
			}
			if _, ok := allowedScheme(u.Scheme, file); !ok || strings.HasPrefix(u.Hostname(), "-") {
				t.Fatalf("link with URL %q", l.URL)
			}
			if _, has := u.User.Password(); has && refuse {
				t.Fatalf("link with a password: %q", l.URL)
			}
			if !packaging.ValidName(l.Egg) || l.Project != packaging.NormalizeName(l.Egg) || l.Project != links[0].Project {
				t.Fatalf("link for %q, project %q", l.Egg, l.Project)
			}
			if _, err := url.PathUnescape(l.Version); err != nil || strings.ContainsAny(l.Version, " \n\"<>&#") {
				t.Fatalf("link with version %q", l.Version)
			}
		}
	})
}

// Wherever the parser stops, what stands between ":" and "@" is not shown.
func FuzzSnippetSecret(f *testing.F) {
	f.Add("https", "joe", "h/x")
	f.Add("git+ssh", "%zz", "h:port/x#egg=-")
	f.Add("ftp", "", "@h")
	f.Add("<a href=svn+http", "a@b", "h/x?token=1>")
	f.Fuzz(func(t *testing.T, scheme, user, rest string) {
		if strings.ContainsAny(scheme+user, "/?#\r\n\t ") && !strings.HasPrefix(scheme, "<a href=") || strings.ContainsAny(user, "/?#") {
			return
		}
		text := scheme + "://" + user + ":CANARY@" + rest
		for _, refuse := range []bool{false, true} {
			_, warnings, err := ParseSnippet("x.svn", []byte(text), LinkOptions{RefuseSecrets: refuse, AllowFile: true})
			if shown := strings.Join(warnings, "\n"); strings.Contains(shown, "CANARY") {
				t.Fatalf("%q: warning shows a secret: %q", text, shown)
			}
			if err != nil && strings.Contains(err.Error(), "CANARY") {
				t.Fatalf("%q: error shows a secret: %v", text, err)
			}
		}
	})
}
