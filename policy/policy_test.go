package policy

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/packaging"
)

var day = time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)

func write(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func text(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestReadErrorsNameTheLine(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no project", "[[yank]]\nversions = \"==1\"\n", ":1: [[yank]]"},
		{"no name", "\n[[yank]]\nproject = \"-x\"\n", ":2: [[yank]]"},
		{"second entry", "[[yank]]\nproject = \"a\"\n\n[[yank]]\nproject = \"b\"\nversions = \"1\"\n", ":4: [[yank]]"},
		{"versions and file", "[[block]]\nproject = \"a\"\nversions = \"==1\"\nfile = \"a-1.tar.gz\"\nreason = \"x\"\n", "not both"},
		{"a block without a reason", "# why\n[[block]]\nproject = \"a\"\n", ":2: [[block]]: a block needs a reason"},
		{"a block of what is no pattern", "[[block]]\nproject = \"a*b*\"\nreason = \"x\"\n", ":1: [[block]]: project \"a*b*\": want a name, the beginning of one with a star"},
		{"a block of dashes", "[[block]]\nproject = \"-*\"\nreason = \"x\"\n", ":1: [[block]]: project \"-*\""},
		{"a general block without a reason", "[[block]]\nproject = \"*\"\n", ":1: [[block]]: a block needs a reason"},
		{"a yank of many", "[[yank]]\nproject = \"a*\"\n", ":1: [[yank]]"},
		{"unknown status", "[[status]]\nproject = \"a\"\nstatus = \"dead\"\n", ":1: [[status]]: status \"dead\""},
		{"unknown key", "[[yank]]\nproject = \"a\"\nversion = \"==1\"\n", ":3: unknown setting"},
		{"unknown table", "[[yanks]]\nproject = \"a\"\n", ":1: unknown setting"},
		{"wrong date", "[[yank]]\nproject = \"a\"\n\ndate = \"31.1.2026\"\n", ":4: "},
		{"date of no kind", "[[yank]]\nproject = \"a\"\ndate = 7\n", "want the form 2026-01-31"},
		{"not TOML", "[[yank]]\nproject = a\n", ":2: "},
		{"note without a project", "[[note]]\ntext = \"x\"\n", ":1: [[note]]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Read(write(t, tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "policy.toml") {
				t.Errorf("%v, want policy.toml%s", err, tt.want)
			}
			if p != nil {
				t.Error("half a policy is used")
			}
		})
	}
	_, err := Read(write(t, "[[yank]]\n[[block]]\nproject = \"a\"\n[[status]]\n"))
	if err == nil || strings.Count(err.Error(), "policy.toml:") != 3 {
		t.Errorf("all faults are told at once: %v", err)
	}
}

func TestWhatAPolicySays(t *testing.T) {
	p, err := Read(write(t, `
[[yank]]
project = "Foo.Bar"
versions = ">=1,<2"
reason = "first"
date = 2026-01-31
[[yank]]
project = "foo_bar"
versions = "==1.5"
reason = "second"
date = "2026-01-31"
[[unyank]]
project = "foo-bar"
file = "foo_bar-1.6-py3-none-any.whl"
[[block]]
project = "foo-bar"
versions = "<1"
reason = "old"
[[block]]
project = "whole"
reason = "all"
[[status]]
project = "foo-bar"
status = "archived"
reason = "done"
[[note]]
project = "foo-bar"
text = "hello"
`))
	if err != nil {
		t.Fatal(err)
	}
	theirs := catalog.Yank{Yanked: true, Reason: "theirs"}
	for _, tt := range []struct {
		file, version string
		source, want  catalog.Yank
	}{
		{"foo_bar-1.0.tar.gz", "1.0", catalog.Yank{}, catalog.Yank{Yanked: true, Reason: "first"}},
		{"foo_bar-1.0rc1.tar.gz", "1.0rc1", catalog.Yank{}, catalog.Yank{}},
		{"foo_bar-1.5.tar.gz", "1.5", theirs, catalog.Yank{Yanked: true, Reason: "second"}},
		{"foo_bar-1.6-py3-none-any.whl", "1.6", theirs, catalog.Yank{}},
		{"foo_bar-1.6.tar.gz", "1.6", catalog.Yank{}, catalog.Yank{Yanked: true, Reason: "first"}},
		{"foo_bar-2.0.tar.gz", "2.0", theirs, theirs},
		{"foo_bar-2.0.tar.gz", "2.0", catalog.Yank{}, catalog.Yank{}},
	} {
		if got := p.Yank("foo-bar", tt.file, tt.version, tt.source); got != tt.want {
			t.Errorf("Yank(%s) = %+v, want %+v", tt.file, got, tt.want)
		}
	}
	for _, tt := range []struct {
		name          packaging.Name
		version, want string
	}{{"foo-bar", "0.9", "old"}, {"foo-bar", "1.0", ""}, {"whole", "legacy!", "all"}, {"other", "1", ""}} {
		reason, blocked := p.Blocked(tt.name, "x", tt.version)
		if reason != tt.want || blocked != (tt.want != "") {
			t.Errorf("Blocked(%s %s) = %q, %v", tt.name, tt.version, reason, blocked)
		}
	}
	if s := p.Status("foo-bar", catalog.Status{}); s != (catalog.Status{State: catalog.Archived, Reason: "done"}) {
		t.Errorf("Status = %+v", s)
	}
	upstream := catalog.Status{State: catalog.Deprecated}
	if s := p.Status("other", upstream); s != upstream {
		t.Errorf("Status of another = %+v", s)
	}
	if p.Note("foo-bar") != "hello" || p.Note("other") != "" {
		t.Error("notes")
	}
	if got := p.Projects(); len(got) != 2 || got[0] != "foo-bar" || got[1] != "whole" {
		t.Errorf("Projects = %q", got)
	}
}

func TestNoFileIsAnEmptyPolicy(t *testing.T) {
	p, err := Read(filepath.Join(t.TempDir(), "none.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if y := p.Yank("a", "a-1.tar.gz", "1", catalog.Yank{}); y.Yanked {
		t.Error("it yanks")
	}
	if len(p.Projects()) != 0 {
		t.Error("it speaks of projects")
	}
}

// What one edit adds, the other takes away, to the byte, comments and all.
func TestEditsAreInverse(t *testing.T) {
	other := "# Keep me.\n[[yank]] # here\nproject = \"other\" # and here\n"
	for _, before := range []string{
		"", "# only a comment\n", other, other + "\n# at the end\n", "\ufeff" + other,
		other + "\n\n", "[[note]]\nproject = \"foo\"\ntext = \"\"\"\n[[yank]]\nproject = \"foo\"\n\"\"\"\n",
	} {
		for _, target := range []Target{
			{Project: "foo"}, {Project: "foo", Versions: "==1.2"}, {Project: "foo", File: "foo-1.2-py3-none-any.whl"},
		} {
			file := write(t, before)
			if err := Yank(file, target, "a \"reason\"\nwith \\ and \x7f", day); err != nil {
				t.Fatal(err)
			}
			p, err := Read(file)
			if err != nil {
				t.Fatal(err)
			}
			if y := p.Yank("foo", "foo-1.2-py3-none-any.whl", "1.2", catalog.Yank{}); !y.Yanked || y.Reason != "a \"reason\"\nwith \\ and \x7f" {
				t.Errorf("%+v in %q: %+v", target, before, y)
			}
			if got := text(t, file); !strings.HasPrefix(got, before) {
				t.Errorf("what stood there has changed:\n%s", got)
			}
			// Once more replaces it.
			if err := Yank(file, target, "another", day); err != nil {
				t.Fatal(err)
			}
			if got := text(t, file); strings.Contains(got, "reason\\\"") || strings.Count(got, "another") != 1 {
				t.Errorf("yanked twice:\n%s", got)
			}
			if err := Unyank(file, target, "", day); err != nil {
				t.Fatal(err)
			}
			if got := text(t, file); got != before {
				t.Errorf("after yank and unyank %q, want %q", got, before)
			}
		}
	}
}

func TestUnyankOfAnotherSourcesYank(t *testing.T) {
	file := write(t, "")
	target := Target{Project: "foo", Versions: "==1.2"}
	if err := Unyank(file, target, "it works", day); err != nil {
		t.Fatal(err)
	}
	p, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if y := p.Yank("foo", "foo-1.2.tar.gz", "1.2", catalog.Yank{Yanked: true}); y.Yanked {
		t.Error("still yanked")
	}
	if err := Yank(file, target, "", day); err != nil {
		t.Fatal(err)
	}
	if got := text(t, file); strings.Contains(got, "unyank") || !strings.Contains(got, "date = 2026-01-31") {
		t.Errorf("yanked again:\n%s", got)
	}
}

func TestCommentsOfTheNextEntryStay(t *testing.T) {
	file := write(t, "[[yank]]\nproject = \"foo\"\n\n# about bar\n[[yank]]\nproject = \"bar\"\n")
	if err := Unyank(file, Target{Project: "foo"}, "", day); err != nil {
		t.Fatal(err)
	}
	if got, want := text(t, file), "# about bar\n[[yank]]\nproject = \"bar\"\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestEditsLeaveWhatTheyCannotRead(t *testing.T) {
	for _, before := range []string{"[[yank]]\nproject = a\n", "yank = [{project = \"bar\"}]\n"} {
		file := write(t, before)
		if err := Yank(file, Target{Project: "foo"}, "", day); err == nil {
			t.Errorf("%q was edited", before)
		}
		if got := text(t, file); got != before {
			t.Errorf("%q became %q", before, got)
		}
	}
}

func TestALinkedPolicyStaysLinked(t *testing.T) {
	file := write(t, "")
	link := filepath.Join(t.TempDir(), "link.toml")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := Yank(link, Target{Project: "foo"}, "", day); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode().IsRegular() || !strings.Contains(text(t, file), "foo") {
		t.Error("the link was replaced")
	}
}

func TestParseTarget(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Target // zero for an error
	}{
		{"foo", Target{Project: "foo"}}, {"Foo_Bar", Target{Project: "foo-bar"}},
		{"foo==1.2", Target{Project: "foo", Versions: "==1.2"}}, {"foo <2, >=1", Target{Project: "foo", Versions: "<2,>=1"}},
		{"foo===odd", Target{Project: "foo", Versions: "===odd"}},
		{"foo-1.2-py3-none-any.whl", Target{Project: "foo", File: "foo-1.2-py3-none-any.whl"}},
		{"Foo-1.2.tar.gz", Target{Project: "foo", File: "Foo-1.2.tar.gz"}},
		{"", Target{}}, {"-foo", Target{}}, {"foo==", Target{}}, {"foo[extra]==1", Target{}}, {"foo @ https://x.example/", Target{}},
		{"foo==1; python_version < '3'", Target{}}, {"foo 1.2", Target{}}, {"../foo", Target{}},
	} {
		got, err := ParseTarget(tt.in)
		want := tt.want
		if (err != nil) != (want == Target{}) || got.Project != want.Project || got.File != want.File || len(got.Versions) != len(want.Versions) {
			t.Errorf("ParseTarget(%q) = %+v, %v; want %+v", tt.in, got, err, want)
		}
	}
}

// An edit of a file that can be read gives one that can be read and says what
// it was told, and never touches one that cannot.
func FuzzEdit(f *testing.F) {
	f.Add("", "foo", "==1", "why")
	f.Add("[[yank]]\nproject='foo'\nversions=' == 1 '\n# c\n\n[[note]]\nproject='x'\ntext='''\n[[yank]]'''", "foo", "==1", "\x00\"\\\n")
	f.Add("\ufeff# c\r\n[[yank]]\r\nproject=\"foo\"\r\n", "foo", "", "é\u2028\x9f")
	f.Add("[[ \"yank\" ]]\nproject='foo'", "foo", "", "]]")
	f.Add("yank=[]", "foo", "", "")
	f.Fuzz(func(t *testing.T, before, project, versions, reason string) {
		n, err := packaging.ParseName(project)
		if err != nil {
			return
		}
		if _, err := packaging.ParseSpecifiers(versions); err != nil {
			return
		}
		target := Target{Project: n, Versions: versions}
		file := write(t, before)
		_, bad := Read(file)
		for _, edit := range []func(string, Target, string, time.Time) error{Yank, Unyank, Unyank, Yank, Yank} {
			was := text(t, file)
			err := edit(file, target, reason, day)
			_, after := Read(file)
			if (after != nil) != (bad != nil) {
				t.Fatalf("%q became %q: %v", was, text(t, file), after)
			}
			if err != nil && text(t, file) != was {
				t.Fatalf("an edit that failed changed the file: %v", err)
			}
			if bytes.IndexByte([]byte(text(t, file)), 0) >= 0 && bad == nil {
				t.Fatal("a NUL in the file")
			}
		}
	})
}

// A block can be about many projects: a list of what must never be here.
func TestGeneralBlocks(t *testing.T) {
	p, err := Read(write(t, `
[[block]]
project = "Evil_.Co-*"
reason = "not theirs"
[[block]]
project = "torch*"
versions = "<2"
reason = "old"
[[block]]
project = "*"
versions = "===9.9.9"
reason = "a worm"
[[block]]
project = "*"
file = "readme-1.0.exe"
reason = "a trap"
[[block]]
project = "torch"
versions = "==1.13"
reason = "ticket 3"
`))
	if err != nil {
		t.Fatal(err)
	}
	if p.SaysNothing() || len(p.Projects()) != 1 {
		t.Errorf("it says nothing: %v, and names %v", p.SaysNothing(), p.Projects())
	}
	for _, tt := range []struct {
		name                        packaging.Name
		file, version, reason, rule string
	}{
		{"evil-co-x", "f", "1", "not theirs", `[[block]] project = "Evil_.Co-*"`},
		{"evil-co", "f", "1", "", ""},
		{"evil-company", "f", "1", "", ""},
		{"torch", "f", "1.13", "ticket 3", `[[block]] project = "torch", versions = "==1.13"`},
		{"torch", "f", "1.12", "old", `[[block]] project = "torch*", versions = "<2"`},
		{"torchvision", "f", "1.13", "old", `[[block]] project = "torch*", versions = "<2"`},
		{"torchvision", "f", "2.0", "", ""},
		{"any", "f", "9.9.9", "a worm", `[[block]] project = "*", versions = "===9.9.9"`},
		{"any", "readme-1.0.exe", "1.0", "a trap", `[[block]] project = "*", file = "readme-1.0.exe"`},
	} {
		reason, blocked := p.Blocked(tt.name, tt.file, tt.version)
		if reason != tt.reason || blocked != (tt.reason != "") {
			t.Errorf("%s %s: blocked %v, %q, want %q", tt.name, tt.version, blocked, reason, tt.reason)
		}
		if rule := p.Block(tt.name, tt.file, tt.version); rule != tt.rule {
			t.Errorf("%s %s: by %s, want %s", tt.name, tt.version, rule, tt.rule)
		}
	}
	only, err := Read(write(t, "[[block]]\nproject = \"*\"\nversions = \"<1\"\nreason = \"x\"\n"))
	if err != nil || only.SaysNothing() {
		t.Errorf("a policy of one general block says nothing: %v", err)
	}
}
