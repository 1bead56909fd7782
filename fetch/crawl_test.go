package fetch_test

import (
	"fmt"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/fetch/fetchtest"
)

// elsewhere gives the address of a server under another name than the upstream
// has, as that of a third party.
func elsewhere(srv *fetchtest.Server) string {
	return strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
}

// crawlServers are an index and a third party.
func crawlServers(t *testing.T) (index, third *fetchtest.Server, src *fetch.Source) {
	index = fetchtest.New(t, fetchtest.File{Project: "a", Filename: "a-1.0.tar.gz", Data: []byte("one")})
	third = fetchtest.New(t)
	src = open(t, index.URL+fetchtest.HTML, func(u *fetch.Upstream, _ *fetch.Options) { u.Crawl = []string{"localhost"} })
	return index, third, src
}

func offered(l catalog.Listing) (names []string) {
	for _, o := range l.Offers {
		names = append(names, o.Filename)
	}
	return names
}

// The pages that a project's page names are read one level deep, and archives of
// the project taken from them (contract C-13, C-14).
func TestCrawl(t *testing.T) {
	index, third, src := crawlServers(t)
	at := elsewhere(third)
	index.SetPage("/html/a/", `<html><body>
		<a href="../../files/a/a-1.0.tar.gz">a-1.0.tar.gz</a>
		<a href="`+at+`/dev/a-1.1dev.tar.gz#egg=a-dev">one</a> <a href="`+at+`/dev/a-1.2dev.tar.gz#egg=A-dev">two</a>
		<a href="`+at+`/dev/a-1.3dev.tar.gz#egg=other-dev">three</a>
		<a href="`+at+`/home" rel="nofollow, HomePage">home</a> <a rel="download" href="`+at+`/files">files</a>
		<a rel="download" href="`+at+`/files#again">again</a> <a rel="download" href="`+at+`/a-0.5.tar.gz">an archive</a>
		<a rel="stylesheet" href="`+at+`/style">no</a>
		<table><tr><th>Home Page:</th><td><a href="`+at+`/table">table</a></td></tr>
		<tr><th>Download URL</th><td>none</td><td><a href="`+at+`/table2">table</a></td></tr>
		<tr><th>Home Page</th><td><a href="`+at+`/table3">the first counts</a></td></tr></table></body></html>`)
	third.SetPage("/home", `<a href="a-0.9.zip#md5=`+strings.Repeat("0", 32)+`">a</a> <a href="b-1.0.zip">b</a> <a href="a-1.0.tar.gz">the index has it</a>
		<a href="a-0.8.tar.gz#egg=a-dev">no eggs here</a> <a rel="homepage" href="/deeper">no further</a> <a href="a-b-0.8.zip">of another project</a>`)
	third.SetPage("/files", `<base href="/pub/"><a href="a-0.7.tar.gz" data-yanked="x" data-requires-python="&gt;=9">a</a><a href="a-0.9.zip">twice</a>`)
	third.SetPage("/table", `<a href="/a-0.6.tgz">a</a>`)
	third.SetPage("/table2", `<a href="/a-0.4.egg">no name of an egg</a><a href="/a-0.3.tar.bz2">a</a>`)
	l, err := src.Crawl(t.Context(), "a", []string{"localhost"}, fetch.Validators{})
	if err != nil {
		t.Fatal(err)
	}
	want := "[a-1.2dev.tar.gz a-1.1dev.tar.gz a-1.0.tar.gz a-1.3dev.tar.gz a-0.5.tar.gz a-0.9.zip a-0.7.tar.gz a-0.6.tgz a-0.4.egg a-0.3.tar.bz2]"
	if got := fmt.Sprint(offered(l)); got != want {
		t.Errorf("%s, want\n%s\n%q", got, want, l.Warnings)
	}
	if l.ETag != "" || l.LastModified != "" {
		t.Errorf("a listing with validators: %q", l.ETag)
	}
	for _, o := range l.Offers {
		switch o.Filename {
		case "a-1.0.tar.gz":
			if !strings.HasPrefix(o.URL, index.URL) {
				t.Errorf("%s comes from %s", o.Filename, o.URL)
			}
		case "a-0.9.zip":
			if o.URL != at+"/a-0.9.zip" || o.Hashes["md5"] == "" {
				t.Errorf("%+v", o)
			}
		case "a-0.7.tar.gz":
			if o.URL != at+"/pub/a-0.7.tar.gz" || o.Yanked.Yanked || o.RequiresPython != "" {
				t.Errorf("%+v", o)
			}
		}
	}
	for path, n := range map[string]int{"/home": 1, "/files": 1, "/table": 1, "/table2": 1, "/table3": 0, "/deeper": 0, "/style": 0, "/a-0.5.tar.gz": 0} {
		if got := len(third.Requests(path)); got != n {
			t.Errorf("%d requests for %s, want %d", got, path, n)
		}
	}
	for _, r := range third.Requests("") {
		if r.Header.Get("Accept") != "text/html" || r.Header.Get("Authorization") != "" {
			t.Errorf("%v", r)
		}
	}
	// Without the opt-in nothing of that is looked at.
	third.Forget()
	if l := list(t, src, "a"); len(third.Requests("")) != 0 || len(l.Offers) != 5 {
		t.Errorf("List: %q, %d requests", offered(l), len(third.Requests("")))
	}
}

// A page leads nowhere but to the hosts that the settings name.
func TestCrawlConfined(t *testing.T) {
	index, third, src := crawlServers(t)
	secret := fetchtest.New(t)
	secret.SetPage("/", `<a href="a-9.9.tar.gz">a</a>`)
	at := elsewhere(third)
	var links strings.Builder
	hostile := []string{
		"file:///etc/passwd", "file:///etc/", "javascript:alert(1)", "data:text/html,x", "ftp://localhost/x", "//", "http:", "http://",
		"//evil.example/x", "http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/", "http://0/", "http://0x7f.1/",
		"http://localhost.evil.example/", "http://evil.example#localhost", "http://localhost@evil.example/", "http://evil.example\\@localhost/",
		"http://10.0.0.1/", "gopher://localhost/", "http://[::1/", "http://localhost:99999/", strings.Repeat("http://x", 5000),
	}
	for _, h := range hostile {
		fmt.Fprintf(&links, "<a rel=\"homepage\" href=\"%s\">x</a>\n", h)
	}
	fmt.Fprintf(&links, `<a rel="homepage" href="%s/away">x</a><a rel="download" href="%s/loop">x</a><a rel="download" href="%s/good">x</a>`, at, at, at)
	index.SetPage("/html/a/", `<a href="../../files/a/a-1.0.tar.gz">a</a>`+links.String())
	third.Always("/away", fetchtest.RedirectInternal)
	third.Always("/loop", fetchtest.RedirectLoop)
	third.SetPage("/good", `<a href="a-2.0.tar.gz">a</a><a href="http://evil.example/a-3.0.tar.gz">a</a><a href="file:///etc/a-4.0.tar.gz">a</a>
		<a href="//evil.example/a-5.0.tar.gz">a</a><a href="http://user:pw@localhost/a-6.0.tar.gz">a</a><a href="http://10.0.0.1/a-7.0.tar.gz">a</a>`)
	l, err := src.Crawl(t.Context(), "a", []string{"localhost"}, fetch.Validators{})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(offered(l)); got != "[a-1.0.tar.gz a-2.0.tar.gz a-6.0.tar.gz]" {
		t.Errorf("%s\n%q", got, l.Warnings)
	}
	for _, o := range l.Offers {
		if strings.Contains(o.URL, "@") {
			t.Errorf("user information in %s", o.URL)
		}
	}
	if len(secret.Requests("")) != 0 {
		t.Errorf("a server that nobody named was asked")
	}
	for _, w := range l.Warnings {
		if strings.ContainsAny(w, "\n\r\x1b") {
			t.Errorf("warning %q", w)
		}
	}

	// What is not named at all is not asked, not even the third party.
	third.Forget()
	if l, err := src.Crawl(t.Context(), "a", []string{"*.example.net"}, fetch.Validators{}); err != nil || len(l.Offers) != 1 || len(third.Requests("")) != 0 {
		t.Errorf("%q, %v, %d requests", offered(l), err, len(third.Requests("")))
	}
}

// Redirects of pages and of files stay within the hosts.
func TestCrawlRedirects(t *testing.T) {
	index, third, src := crawlServers(t)
	at := elsewhere(third)
	index.SetPage("/html/a/", `<a href="../../files/a/a-1.0.tar.gz">a</a><a rel="homepage" href="`+at+`/old">x</a>`)
	third.Redirect("/old", "/new")
	third.SetPage("/new", `<a href="moved/a-2.0.tar.gz">a</a>`)
	crawl := func() catalog.Listing {
		t.Helper()
		l, err := src.Crawl(t.Context(), "a", []string{"localhost"}, fetch.Validators{})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := crawl()
	if len(l.Offers) != 2 || l.Offers[1].URL != at+"/moved/a-2.0.tar.gz" {
		t.Fatalf("%+v", l.Offers)
	}
	// 127.0.0.2 is another host on this machine, to which the rules for addresses
	// alone would let it.
	other := strings.Replace(third.URL, "127.0.0.1", "127.0.0.2", 1)
	third.Redirect("/moved/a-2.0.tar.gz", other+"/a-2.0.tar.gz")
	st := newStage(t)
	ctx := fetch.Within(t.Context(), l.Offers[1].URL, []string{"localhost"})
	if _, err := src.Download(ctx, l.Offers[1], st.dest); fetch.KindOf(err) != fetch.Refused {
		t.Errorf("a file redirected elsewhere: %v", err)
	}
	st.empty(false)
	third.Redirect("/old", other+"/new")
	if l := crawl(); len(l.Offers) != 1 || len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "redirect") {
		t.Errorf("a page redirected elsewhere: %q, %q", offered(l), l.Warnings)
	}
	// The index's own files go where they always went.
	ctx = fetch.Within(t.Context(), l.Offers[0].URL, []string{"localhost"})
	if _, err := src.Download(ctx, l.Offers[0], st.dest); err != nil {
		t.Errorf("the index's own file: %v", err)
	}
}

// A page that cannot be had now is no reason to think that its files are gone;
// one that is not there is.
func TestCrawlFaults(t *testing.T) {
	for _, tt := range []struct {
		fault fetchtest.Fault
		want  fetch.Kind // 0: the page is passed over
	}{
		{fetchtest.Status404, 0}, {fetchtest.Status410, 0}, {fetchtest.Status403, 0}, {fetchtest.Status418, 0},
		{fetchtest.WrongContentType, 0}, {fetchtest.RedirectLoop, 0}, {fetchtest.RedirectFile, 0}, {fetchtest.HugePage, 0}, {fetchtest.GzipBomb, 0},
		{fetchtest.Status500, fetch.Unreachable}, {fetchtest.EarlyClose, fetch.Unreachable}, {fetchtest.CutWithLength, fetch.Unreachable},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			t.Parallel()
			index, third, src := crawlServers(t)
			index.SetPage("/html/a/", `<a href="../../files/a/a-1.0.tar.gz">a</a><a rel="homepage" href="`+elsewhere(third)+`/x">x</a>`)
			third.SetPage("/x", `<a href="a-2.0.tar.gz">a</a>`)
			third.Always("/x", tt.fault)
			l, err := src.Crawl(t.Context(), "a", []string{"localhost"}, fetch.Validators{})
			if fetch.KindOf(err) != tt.want {
				t.Fatalf("kind %v, want %v: %v", fetch.KindOf(err), tt.want, err)
			}
			if err == nil && (len(l.Offers) != 1 || len(l.Warnings) == 0) {
				t.Errorf("%q, %q", offered(l), l.Warnings)
			}
			third.Heal()
			if l, err := src.Crawl(t.Context(), "a", []string{"localhost"}, fetch.Validators{}); err != nil || len(l.Offers) != 2 {
				t.Errorf("healthy again: %q, %v", offered(l), err)
			}
		})
	}
	// No more than fifty pages are looked at.
	index, third, src := crawlServers(t)
	var links strings.Builder
	for i := range 80 {
		fmt.Fprintf(&links, `<a rel="download" href="%s/p%d">x</a>`, elsewhere(third), i)
	}
	index.SetPage("/html/a/", `<a href="../../files/a/a-1.0.tar.gz">a</a>`+links.String())
	if _, err := src.Crawl(t.Context(), "a", []string{"localhost"}, fetch.Validators{}); err != nil || len(third.Requests("")) != 50 {
		t.Errorf("%d pages, %v", len(third.Requests("")), err)
	}
}

func TestHosts(t *testing.T) {
	for _, tt := range []struct {
		pattern, host string
		want          bool
	}{
		{"a.example", "A.Example", true}, {"a.example", "b.a.example", false}, {"*.a.example", "b.A.example", true},
		{"[::1]", "::1", true}, {"*.a.example", "a.example", false}, {"*.a.example", "xa.example", false}, {"*.a.example", ".a.example", false},
	} {
		if got := fetch.IsHost(tt.pattern, tt.host); got != tt.want {
			t.Errorf("IsHost(%q, %q) = %t", tt.pattern, tt.host, got)
		}
	}
	for _, good := range []string{"a.example", "localhost", "10.0.0.1", "[::1]", "*.a.example", "*.co.uk"} {
		if err := fetch.CheckHost(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "*", "*.", "*.example", "a*.example", "https://a.example", "a.example/", "a.example:80", "a b", "user@a.example", "a.*.example"} {
		if fetch.CheckHost(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
