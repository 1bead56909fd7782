package nestgen

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/packaging"
)

// A name that is this site's own is never asked for outside, however it is
// spelled and wherever in an allowlist it stands.
func TestNoSpellingOfAPrivateNameLeavesTheSite(t *testing.T) {
	t.Parallel()
	srv := fetchtest.New(t, wheel("acme-secret", "9.0", plain), wheel("house-lib", "9.0", plain))
	w := newWorld(t, srv)
	w.Reserved = []string{"ACME_*", "exact.name"}
	mine := w.drop("house-lib", "1.0", plain)
	r := rand.New(rand.NewPCG(1, 2))
	spell := func(name string) string {
		var b strings.Builder
		for _, c := range name {
			switch {
			case c == '-':
				for range 1 + r.IntN(3) {
					b.WriteByte("-_."[r.IntN(3)])
				}
			case r.IntN(2) == 0:
				b.WriteRune(c - 'a' + 'A')
			default:
				b.WriteRune(c)
			}
		}
		return b.String()
	}
	forms := []func(n string) string{
		func(n string) string { return n },
		func(n string) string { return n + "==9.0" },
		func(n string) string { return n + " [extra] >= 1, <10" },
		func(n string) string { return n + " ; python_version > '2'" },
		func(n string) string { return n + "===9.0 --hash=sha256:" + strings.Repeat("ab", 32) },
		func(n string) string { return n + " @ " + srv.URL + "/files/x/acme_secret-9.0-py3-none-any.whl" },
		func(n string) string {
			return srv.URL + "/" + strings.ReplaceAll(string(packaging.NormalizeName(n)), "-", "_") + "-9.0-py3-none-any.whl"
		},
		func(n string) string { return srv.URL + "/" + n + "-9.0.tar.gz#egg=" + n },
		func(n string) string { return "-e git+" + srv.URL + "/x.git#egg=" + n },
		func(n string) string { return "git+" + srv.URL + "/x.git@main#egg=" + n + "-dev" },
	}
	names := []string{"acme-secret", "acme-a-b-c", "exact-name", "house-lib"}
	var main, nested, constraints strings.Builder
	for i := range 10_000 {
		n := spell(names[r.IntN(len(names))])
		line := forms[i%len(forms)](n) + "\n"
		switch r.IntN(3) {
		case 0:
			main.WriteString(line)
		case 1:
			nested.WriteString(line)
		default:
			main.WriteString(n + "\n")
			constraints.WriteString(n + "<10\n")
		}
	}
	w.write("allowlist.txt", "-r nested.txt\n-c constraints.txt\n--extra-index-url "+srv.URL+"/simple/\n-f "+srv.URL+"/links/page.html\n"+main.String())
	w.write("nested.txt", nested.String())
	w.write("constraints.txt", constraints.String())
	for range 2 {
		w.build(3)
		w.lists(mine)
	}
	for _, q := range srv.Requests("") {
		t.Errorf("%s %s", q.Method, q.Path)
	}
}

func TestReserved(t *testing.T) {
	t.Parallel()
	s := &site{Config: Config{Reserved: []string{"Acme_*", "fox*", "Exact.Name", "x-x*"}}}
	for _, tt := range []struct {
		name packaging.Name
		want bool
	}{
		{"acme-lib", true}, {"acme", false}, {"acmelib", false}, {"fox", true}, {"foxglove", true}, {"fo", false},
		{"exact-name", true}, {"exact-name-more", false}, {"x-x", true}, {"x-xy", true}, {"x", false},
	} {
		if got := s.reserved(tt.name); got != tt.want {
			t.Errorf("reserved(%s) = %v", tt.name, got)
		}
	}
}

// A project may have one upstream alone, and one that the settings have lost
// loses nothing.
func TestTheUpstreamOfAProject(t *testing.T) {
	t.Parallel()
	first := fetchtest.New(t, wheel("a", "1.0", plain), wheel("b", "1.0", plain))
	second := fetchtest.New(t, wheel("a", "2.0", plain))
	w := newWorld(t, first, second)
	w.Projects = []ProjectConfig{{Name: "a", Upstream: "up2"}}
	w.write("allowlist.txt", "a\nb\n")
	w.build(0)
	w.lists("a-2.0-py3-none-any.whl", "b-1.0-py3-none-any.whl")
	if n := len(first.Requests(first.Page(fetchtest.Index, "a"))); n != 0 {
		t.Errorf("up1 was asked for a %d times", n)
	}
	w.Upstreams = w.Upstreams[1:]
	w.tells(w.build(3), "incomplete", `the upstream "up1", which the settings no longer have`)
	w.lists("a-2.0-py3-none-any.whl", "b-1.0-py3-none-any.whl")
	w.Upstreams, w.Projects = nil, nil
	w.build(3)
	w.lists("a-2.0-py3-none-any.whl", "b-1.0-py3-none-any.whl")
}

// A status in the policy for a project that could not be had yet gives its
// name to nobody.
func TestAStatusDoesNotClaimAName(t *testing.T) {
	t.Parallel()
	first := fetchtest.New(t)
	second := fetchtest.New(t, wheel("a", "1.0", plain))
	w := newWorld(t, first, second)
	w.write("allowlist.txt", "a\n")
	w.write("policy.toml", "[[status]]\nproject = \"a\"\nstatus = \"deprecated\"\n")
	w.build(3, Options{Offline: true})
	first.Always(first.Page(fetchtest.Index, "a"), fetchtest.Status500)
	w.build(5)
	first.Heal()
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl")
	if p := w.page("a"); p.Status.Status != "deprecated" {
		t.Errorf("status %+v", p.Status)
	}
}

// What the allowlist names by its address is fetched from there, with the
// login that stands in it, which is shown to nobody.
func TestAnArchiveByItsAddress(t *testing.T) {
	t.Parallel()
	file := wheel("d", "1.0", plain)
	srv := fetchtest.New(t, file)
	srv.SetLogin("ann", "canary")
	w := newWorld(t)
	address := strings.Replace(srv.URL, "http://", "http://ann:canary@", 1) + srv.Path(file.Filename)
	for _, tt := range []struct {
		line string
		want int
	}{
		{"d @ " + address + "#sha256=" + strings.Repeat("0", 64), 6},
		{"d @ " + address + "#sha256=" + fetchtest.SHA256(file.Data), 0},
		{address, 0},
	} {
		w.write("allowlist.txt", tt.line+"\n")
		r := w.build(tt.want)
		if text := fmt.Sprint(problemText(r), r.Added.Files); strings.Contains(text, "canary") {
			t.Errorf("the password is in the report: %s", text)
		}
	}
	w.lists(file.Filename)
	for name := range photograph(t, w.path("site"), w.path("state")) {
		if !strings.HasSuffix(name, "-wal") && !strings.HasSuffix(name, ".db") && !strings.HasSuffix(name, ".html") && !strings.HasSuffix(name, "json") {
			continue
		}
		rel := strings.TrimPrefix(name, w.dir+"/")
		if w.exists(rel) && strings.Contains(w.read(rel), "canary") {
			t.Errorf("%s holds the password", rel)
		}
	}
}
