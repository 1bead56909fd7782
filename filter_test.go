package nestgen

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/packaging"
	"nestgen/plan"
)

const filterSettings = `
environments = ["cp312-linux-x86_64", "office"]
max_file = "2GiB"
[filter]
python = ">=3.9"
implementations = ["cpython", "pypy"]
abis = ["none", "stable", "ordinary"]
platforms = ["linux-x86_64", "windows"]
usable_by = ["all", "cp312-linux-x86_64", "cp310-musllinux-aarch64"]
formats = "wheels, else sdist"
prereleases = "never"
newer_than = "2y"
max_file = "500MB"
max_release = 1000000
[[project]]
name = "Some.Thing"
python = "*"
platforms = []
formats = "all"
newer_than = "0s"
max_file = "3GiB"
[[project]]
name = "else"
sources = "local"
[[environment]]
name = "office"
like = "cp39-windows-amd64"
python = "3.9.2"
`

func TestFilterSettings(t *testing.T) {
	c, err := load(t, filterSettings)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	all := c.filters(now)
	site, other := all.of("anything"), all.of("some-thing")
	if all.of("else").Rules[plan.RulePython] != site.Rules[plan.RulePython] {
		t.Error("an exception that says nothing of filters has other ones")
	}
	want := map[string]string{
		plan.RulePython:          `[filter] python = ">=3.9"`,
		plan.RuleImplementations: `[filter] implementations = ["cpython", "pypy"]`,
		plan.RuleABIs:            `[filter] abis = ["none", "stable", "ordinary"]`,
		plan.RulePlatforms:       `[filter] platforms = ["linux-x86_64", "windows"]`,
		plan.RuleUsableBy:        `[filter] usable_by = ["all", "cp312-linux-x86_64", "cp310-musllinux-aarch64"]`,
		plan.RuleFormats:         `[filter] formats = "wheels, else sdists"`,
		plan.RulePrereleases:     `[filter] prereleases = "never"`,
		plan.RuleNewerThan:       `[filter] newer_than = "2y"`,
		plan.RuleMaxFile:         `[filter] max_file = "500MB"`,
		plan.RuleMaxRelease:      `[filter] max_release = "1MB"`,
		plan.RuleMaxNew:          `max_file = "2GiB"`,
	}
	for key, text := range want {
		if site.Rules[key] != text {
			t.Errorf("%s is written %s, want %s", key, site.Rules[key], text)
		}
	}
	for _, key := range []string{plan.RulePython, plan.RulePlatforms, plan.RuleFormats, plan.RuleNewerThan, plan.RuleMaxFile} {
		if !strings.HasPrefix(other.Rules[key], `[[project]] "Some.Thing" `+key+" = ") {
			t.Errorf("%s of the exception is written %s", key, other.Rules[key])
		}
	}
	if other.Rules[plan.RuleABIs] != want[plan.RuleABIs] {
		t.Errorf("what the exception does not say is %s", other.Rules[plan.RuleABIs])
	}
	if len(site.UsableBy) != 3 || site.UsableBy[1].Markers.PythonFullVersion != "3.9.2" || site.Prereleases != packaging.DenyPrereleases ||
		site.NewerThan != 2*365*24*time.Hour || site.MaxFile != 500e6 || site.MaxRelease != 1e6 || site.MaxNew != 2<<30 || site.Now != now.UnixMicro() || len(site.Platforms) != 2 {
		t.Errorf("%+v", site)
	}
	if len(other.UsableBy) != 3 || other.Platforms == nil || len(other.Platforms) != 0 || other.NewerThan != 0 || other.MaxFile != 3<<30 || other.Python.String() != "*" || other.Formats.String() != "all" {
		t.Errorf("%+v", other)
	}
	if (&Config{}).filterRules() != "" || c.filterRules() == "" {
		t.Error("whether the settings say anything of filters")
	}
	before := c.filterRules()
	c.Targets[0].Python = "3.9.3"
	if c.filterRules() == before {
		t.Error("another machine makes no difference")
	}
}

func TestFilterSettingsAreChecked(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"[filter]\npython = 3.9\n", "2"},
		{"[filter]\npython = \"3.9\"\n", `:2: python "3.9"`},
		{"[filter]\n\nformats = \"whls\"\n", `:3: formats "whls": "whls" is no kind of files`},
		{"[filter]\nplatforms = [\"linux-amd64\"]\n", `:2: platforms: "linux-amd64": the architectures of linux are`},
		{"[filter]\nimplementations = [\"cp\"]\n", `:2: implementations: "cp" is not one of`},
		{"[filter]\nabis = [\"gil\"]\n", `:2: abis: "gil" is neither`},
		{"[filter]\nprereleases = \"no\"\n", `:2: prereleases "no": want auto, always or never`},
		{"[filter]\nnewer_than = \"2 years\"\n", `:2: duration "2 years"`},
		{"[filter]\nmax_file = \"big\"\n", `:2: size "big"`},
		{"[filter]\nusable_by = [\"all\"]\n", `[filter] usable_by: "all" stands for the machines that environments names, and there are none`},
		{"[filter]\nusable_by = [\"cp312-linux-amd64\"]\n", `did you mean "cp312-linux-x86_64"?`},
		{"[[project]]\nname = \"x\"\nusable_by = [\"nowhere\"]\n", `[[project]] "x" usable_by: environment "nowhere"`},
		{"[[project]]\nname = \"x\"\nformat = \"all\"\n", `:3: unknown setting "project.format"`},
		{"[filter]\nmin_age = \"3d\"\n", `:2: unknown setting "filter.min_age"`},
	} {
		_, err := load(t, tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

// release makes the files of a release: wheels by their tags, and an sdist for "sdist".
func release(project, version string, uploaded string, kinds ...string) (files []fetchtest.File) {
	for _, k := range kinds {
		tag, requires, _ := strings.Cut(k, " ")
		o := intaketest.Opts{Tag: tag, RequiresPython: requires}
		f := fetchtest.File{Project: project, RequiresPython: requires, Uploaded: uploaded}
		if tag == "sdist" {
			o.Tag = ""
			f.Filename, f.Data = intaketest.Sdist(project, version, o)
		} else {
			f.Filename, f.Data = intaketest.Wheel(project, version, o)
		}
		files = append(files, f)
	}
	return files
}

// A site takes in what it has a use for, lists what people drop whatever it is, and
// follows its settings when they change.
func TestBuildFilters(t *testing.T) {
	var files []fetchtest.File
	const old, young = "2020-01-01T00:00:00Z", "2026-10-01T00:00:00Z"
	files = append(files, release("foo", "1.0", old, "py2-none-any", "sdist")...)
	files = append(files, release("foo", "2.0", young, "cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-win_amd64", "cp38-cp38-manylinux_2_17_x86_64", "sdist >=3.8")...)
	files = append(files, release("foo", "3.0", young, "cp312-cp312-win_amd64", "sdist")...)
	files = append(files, release("foo", "4.0", young, "py3-none-any >=3.13")...)
	files = append(files, release("bar", "1.0", young, "py3-none-win_amd64", "sdist")...)
	srv := fetchtest.New(t, files...)
	w := newWorld(t, srv)
	setClock(t, "1793491200") // 2026-11-01
	w.write("allowlist.txt", "foo\nbar\n")
	settings := func(text string) {
		t.Helper()
		c, err := load(t, text)
		if err != nil {
			t.Fatal(err)
		}
		w.Filter, w.Projects, w.Versions = c.Filter, c.Projects, c.Versions
	}
	settings(`
versions = "all"
[filter]
python = ">=3.9,<3.13"
platforms = ["linux-x86_64"]
formats = "wheels, else sdists"
newer_than = "1y"
[[project]]
name = "bar"
platforms = ["windows"]
`)
	local := w.drop("baz", "1.0", intaketest.Opts{Tag: "cp38-cp38-win32"})
	var seen []string
	r := w.build(0, Options{DryRun: true, LeftOut: true, Each: func(p *plan.Project) { seen = append(seen, string(p.Name)) }})
	want := map[string]string{
		"foo-1.0-py2-none-any.whl":                    `[filter] python = ">=3.9,<3.13"`,
		"foo-1.0.tar.gz":                              `[filter] newer_than = "1y"`,
		"foo-2.0-cp312-cp312-win_amd64.whl":           `[filter] platforms = ["linux-x86_64"]`,
		"foo-2.0-cp38-cp38-manylinux_2_17_x86_64.whl": `[filter] python = ">=3.9,<3.13"`,
		"foo-2.0.tar.gz":                              `[filter] formats = "wheels, else sdists"`,
		"foo-3.0-cp312-cp312-win_amd64.whl":           `[filter] platforms = ["linux-x86_64"]`,
		"foo-4.0-py3-none-any.whl":                    `[filter] python = ">=3.9,<3.13"`,
		"bar-1.0.tar.gz":                              `[filter] formats = "wheels, else sdists"`,
	}
	for _, l := range r.LeftOut {
		if l.Rule != want[l.Filename] || l.Effect != "filtered" || l.Source != "up1" || len(l.Why) != 1 || l.Reason == "" {
			t.Errorf("%+v, want %s", l, want[l.Filename])
		}
		delete(want, l.Filename)
	}
	if len(want) > 0 {
		t.Errorf("not told of: %v", want)
	}
	kept := []string{"foo-2.0-cp312-cp312-manylinux_2_17_x86_64.whl", "foo-3.0.tar.gz", "bar-1.0-py3-none-win_amd64.whl", local}
	if r = w.build(0); r.LeftOut != nil {
		t.Errorf("a build that nobody asked tells what is left out: %+v", r.LeftOut)
	}
	w.lists(kept...)
	if n := len(srv.Requests("")); n == 0 {
		t.Error("nobody was asked")
	}
	// What is left out is told of a project that does not change.
	seen = nil
	r = w.build(0, Options{DryRun: true, LeftOut: true, Each: func(p *plan.Project) { seen = append(seen, string(p.Name)) }})
	if fmt.Sprint(seen) != "[bar foo]" || len(r.LeftOut) != 8 || r.Added.Count+r.Changed.Count+r.Withdrawn.Count != 0 {
		t.Errorf("shown are %v, and %d files", seen, len(r.LeftOut))
	}
	// Other settings: what is filtered now leaves, what is not any more comes.
	settings("versions = \"all\"\n[filter]\nplatforms = [\"windows\"]\nnewer_than = \"1y\"\nformats = \"wheels\"\n")
	w.build(0)
	w.lists("foo-2.0-cp312-cp312-win_amd64.whl", "foo-3.0-cp312-cp312-win_amd64.whl", "foo-4.0-py3-none-any.whl", "bar-1.0-py3-none-win_amd64.whl", local)
	settings("versions = \"newest\"\n")
	w.build(0)
	w.lists("foo-4.0-py3-none-any.whl", "bar-1.0-py3-none-win_amd64.whl", "bar-1.0.tar.gz", local)
}

// What comes on demand is filtered before it is announced; and a build under other
// settings looks through what came, however young the answer of its upstream is.
func TestFiltersOnDemand(t *testing.T) {
	srv := fetchtest.New(t, release("foo", "1.0", "2026-01-01T00:00:00Z", "py3-none-any", "py3-none-win_amd64", "sdist")...)
	w := lazy(t, "fetch", srv)
	setClock(t, "1793491200")
	c, err := load(t, "[filter]\nplatforms = [\"linux\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	w.Filter = c.Filter
	w.build(0)
	w.ask(w.join(), "foo", 0)
	w.lists("foo-1.0-py3-none-any.whl", "foo-1.0.tar.gz")
	w.build(0)
	w.lists("foo-1.0-py3-none-any.whl", "foo-1.0.tar.gz")
	if c, err = load(t, "[filter]\nformats = \"sdists\"\n"); err != nil {
		t.Fatal(err)
	}
	w.Filter = c.Filter
	w.build(0)
	w.lists("foo-1.0.tar.gz")
	asked := len(srv.Requests(""))
	w.build(0)
	if n := len(srv.Requests("")); n != asked {
		t.Errorf("%d requests by a build that has nothing new", n-asked)
	}
	w.Filter = Filter{}
	w.build(0)
	w.lists("foo-1.0-py3-none-any.whl", "foo-1.0-py3-none-win_amd64.whl", "foo-1.0.tar.gz")
}

// A file that is larger than the site takes is left out before it is asked for, if
// its upstream says how large it is.
func TestTooLargeIsNoFault(t *testing.T) {
	big := release("foo", "2.0", "2026-01-01T00:00:00Z", "py3-none-any")
	srv := fetchtest.New(t, append(big, release("foo", "1.0", "2025-01-01T00:00:00Z", "py3-none-any")...)...)
	w := newWorld(t, srv)
	w.MaxFile = Size(len(big[0].Data) - 1)
	w.write("allowlist.txt", "foo==2.0\n")
	w.tells(w.build(3), "incomplete", "something is against every file that fits; foo-2.0-py3-none-any.whl: max_file = ")
	if n := len(srv.Requests(srv.Path(big[0].Filename))); n != 0 {
		t.Errorf("it was asked for %d times", n)
	}
	// What is here stays, and goes only if a filter says so.
	w.MaxFile++
	w.build(0)
	w.MaxFile--
	w.build(0)
	w.lists("foo-2.0-py3-none-any.whl")
	size := w.MaxFile
	w.Filter.MaxFile = &size
	w.build(3, Options{AllowRemovals: true})
	w.lists()
}

// A block list is for all projects, those of this site as well.
func TestGeneralBlocksOfABuild(t *testing.T) {
	srv := fetchtest.New(t, append(release("evil-tool", "1.0", "", "py3-none-any"), release("good", "6.6.6", "", "py3-none-any")...)...)
	w := newWorld(t, srv)
	w.write("allowlist.txt", "evil-tool\ngood\n")
	own := w.drop("evil-own", "1.0", intaketest.Opts{})
	w.build(0)
	w.lists("evil_tool-1.0-py3-none-any.whl", "good-6.6.6-py3-none-any.whl", own)
	w.write("policy.toml", "[[block]]\nproject = \"evil-*\"\nreason = \"a bad house\"\n[[block]]\nproject = \"*\"\nversions = \"==6.6.6\"\nreason = \"the worm\"\n")
	r := w.build(0, Options{DryRun: true, LeftOut: true})
	rules := map[string]string{}
	for _, l := range r.LeftOut {
		rules[l.Filename] = l.Effect + " " + l.Rule + ": " + l.Reason
	}
	if rules["evil_tool-1.0-py3-none-any.whl"] != `blocked policy: [[block]] project = "evil-*": a bad house` || rules["good-6.6.6-py3-none-any.whl"] != `blocked policy: [[block]] project = "*", versions = "==6.6.6": the worm` {
		t.Errorf("%v", rules)
	}
	w.build(0)
	w.lists()
	w.remove("policy.toml")
	if _, err := Build(w.Context(), w.Config, Options{}); err == nil {
		t.Error("a policy that blocked many projects is gone, and nobody says so")
	}
}

// A further index lists what its own filter leaves of what the site has, and its lines
// choose from that; what was promoted to it is there whatever it is.
func TestFilterOfAnIndex(t *testing.T) {
	var files []fetchtest.File
	files = append(files, release("foo", "1.0", "2020-01-01T00:00:00Z", "py3-none-any", "sdist")...)
	files = append(files, release("foo", "2.0", "2026-10-01T00:00:00Z", "cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-win_amd64", "sdist")...)
	files = append(files, release("bar", "1.0", "2025-11-15T00:00:00Z", "py3-none-win_amd64")...)
	files = append(files, release("bar", "0.9", "2025-11-15T00:00:00Z", "py3-none-any")...)
	files = append(files, release("bar", "0.8", "2025-11-20T00:00:00Z", "py3-none-any")...)
	files = append(files, release("bar", "1.1rc1", "2026-10-01T00:00:00Z", "py3-none-any")...)
	w := newWorld(t, fetchtest.New(t, files...))
	setClock(t, "1793491200") // 2026-11-01
	own := w.drop("mine", "1.0", intaketest.Opts{Tag: "cp38-cp38-win32"})
	w.Versions = plan.All
	w.write("allowlist.txt", "foo\nbar\nbar==1.1rc1\n")
	w.write("prod.txt", "bar\nfoo<2\n")
	c, err := load(t, `
[[index]]
name = "linux"
inherits = ["/"]
filter = { platforms = ["linux-x86_64"], formats = "wheels, else sdists", newer_than = "1y" }
[[index]]
name = "prod"
allowlist = ["prod.txt"]
filter = { prereleases = "always", python = "==3.12.*", platforms = ["linux-x86_64"] }
versions = 1
[[index]]
name = "old"
inherits = ["linux"]
filter = { python = "<3.12" }
`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Indexes {
		if len(c.Indexes[i].Allowlist) > 0 {
			c.Indexes[i].Allowlist = []string{"prod.txt"}
		}
	}
	w.index(c.Indexes...)
	w.build(0)
	const rc = "bar-1.1rc1-py3-none-any.whl"
	w.listsIn("linux", "foo-2.0-cp312-cp312-manylinux_2_17_x86_64.whl", "bar-0.8-py3-none-any.whl", "bar-0.9-py3-none-any.whl", rc)
	w.listsIn("prod", rc, "foo-1.0-py3-none-any.whl", "foo-1.0.tar.gz")
	w.listsIn("old", "bar-0.8-py3-none-any.whl", "bar-0.9-py3-none-any.whl", rc)
	w.whole()
	// Files grow old without anything that happens to them; the newest final stays.
	setClock(t, "1796169600") // 2026-12-02
	w.build(0)
	w.listsIn("linux", "foo-2.0-cp312-cp312-manylinux_2_17_x86_64.whl", "bar-0.9-py3-none-any.whl", rc)
	w.promote("/", "linux", "foo==1.0")
	w.listsIn("linux", "foo-2.0-cp312-cp312-manylinux_2_17_x86_64.whl", "bar-0.9-py3-none-any.whl", rc, "foo-1.0-py3-none-any.whl", "foo-1.0.tar.gz")
	w.whole()
	// Another filter, other files.
	w.Indexes[0].Filter = Filter{}
	w.build(0)
	w.listsIn("linux", "foo-1.0-py3-none-any.whl", "foo-1.0.tar.gz", "foo-2.0-cp312-cp312-manylinux_2_17_x86_64.whl", "foo-2.0-cp312-cp312-win_amd64.whl", "foo-2.0.tar.gz",
		"bar-1.0-py3-none-win_amd64.whl", "bar-0.9-py3-none-any.whl", "bar-0.8-py3-none-any.whl", rc, own)
	w.whole()
}
