package allowlist

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// RF-10: what is not a name.
func TestKinds(t *testing.T) {
	tr := tree{
		"pkg/setup.py": "", "new/pyproject.toml": "", "bare/README": "",
		"foo-1.0.tar.gz": "", "sub/Foo_Bar-1.0-py3-none-any.whl": "", "sub/a.txt": "./pkg\n",
	}
	tests := []struct {
		text string
		want Want // Requirement, Position and Text are not compared
		req  string
	}{
		{"https://h/foo-1.0.tar.gz", Want{Kind: Archive, URL: "https://h/foo-1.0.tar.gz"}, ""},
		{"https://h/Foo_Bar-1.0.0-py3-none-any.whl", Want{Kind: Archive, Project: "foo-bar", URL: "https://h/Foo_Bar-1.0.0-py3-none-any.whl"}, "foo-bar==1.0.0"},
		{"https://h/a%2Bb/foo-1.0%2Bl-py3-none-any.whl?x=1#sha256=AB", Want{Kind: Archive, Project: "foo", URL: "https://h/a%2Bb/foo-1.0%2Bl-py3-none-any.whl?x=1#sha256=AB", URLHashes: map[string]string{"sha256": "ab"}}, "foo==1.0+l"},
		{"http://h/x.zip#md5=aa&egg=Foo", Want{Kind: Archive, Project: "foo", URL: "http://h/x.zip#md5=aa&egg=Foo", URLHashes: map[string]string{"md5": "aa"}, Egg: "Foo"}, "Foo"},
		{"foo @ https://h/x.zip#sha512=cc&sha1=dd", Want{Kind: Archive, Project: "foo", URL: "https://h/x.zip#sha512=cc&sha1=dd", URLHashes: map[string]string{"sha512": "cc", "sha1": "dd"}}, "foo @ https://h/x.zip#sha512=cc&sha1=dd"},
		{"foo[a] @ git+ssh://git@h/r.git@v1.0#subdirectory=s ; os_name == 'nt'", Want{Kind: VCS, Project: "foo", URL: "git+ssh://git@h/r.git@v1.0#subdirectory=s", VCS: "git", Revision: "v1.0", Subdirectory: "s"}, `foo[a] @ git+ssh://git@h/r.git@v1.0#subdirectory=s ; os_name == "nt"`},
		{"git+https://h/r.git#egg=foo&subdirectory=a/b", Want{Kind: VCS, Project: "foo", URL: "git+https://h/r.git#egg=foo&subdirectory=a/b", VCS: "git", Egg: "foo", Subdirectory: "a/b"}, "foo"},
		{"-e git://h/r.git@main#egg=foo", Want{Kind: VCS, Project: "foo", Editable: true, URL: "git+git://h/r.git@main#egg=foo", VCS: "git", Revision: "main", Egg: "foo"}, "foo"},
		{"-e svn+http://h/r/trunk@16317#egg=topp.utils-dev", Want{Kind: VCS, Project: "topp-utils", Editable: true, URL: "svn+http://h/r/trunk@16317#egg=topp.utils-dev", VCS: "svn", Revision: "16317", Egg: "topp.utils-dev", EggVersion: "dev"}, "topp.utils"},
		{"-e 'foo[x] @ hg+https://h/r ; python_version > \"3\"'", Want{Kind: VCS, Project: "foo", Editable: true, URL: "hg+https://h/r", VCS: "hg"}, `foo[x] @ hg+https://h/r ; python_version > "3"`},
		{"http://h/d/OHM.tgz#egg=OHM-0.1.1dev-r7031", Want{Kind: Archive, Project: "ohm", URL: "http://h/d/OHM.tgz#egg=OHM-0.1.1dev-r7031", Egg: "OHM-0.1.1dev-r7031", EggVersion: "0.1.1dev-r7031"}, "OHM"},
		{"http://h/x#egg=oc_tt-0.1.2dev-py2.4-dev", Want{Kind: Archive, Project: "oc-tt", URL: "http://h/x#egg=oc_tt-0.1.2dev-py2.4-dev", Egg: "oc_tt-0.1.2dev-py2.4-dev", EggVersion: "0.1.2dev-py2.4-dev"}, "oc_tt"},
		{"git+https://h/r#egg=foo[a,b]", Want{Kind: VCS, Project: "foo", URL: "git+https://h/r#egg=foo[a,b]", VCS: "git", Egg: "foo"}, "foo[a,b]"},
		{"git+https://h/r#egg=foo==0.2.git", Want{Kind: VCS, Project: "foo", URL: "git+https://h/r#egg=foo==0.2.git", VCS: "git", Egg: "foo"}, "foo"},
		{"https://h/x.zip#egg=foo==1.2", Want{Kind: Archive, Project: "foo", URL: "https://h/x.zip#egg=foo==1.2", Egg: "foo"}, "foo==1.2"},
		{"https://h/x.zip#egg=", Want{Kind: Archive, URL: "https://h/x.zip#egg="}, ""},
		{"foo==dev", Want{Project: "foo", EggVersion: "dev"}, "foo"},
		{"./pkg", Want{Kind: Path, URL: "file:///lists/pkg", Path: "/lists/pkg"}, ""},
		{"./pkg[a,B]", Want{Kind: Path, URL: "file:///lists/pkg", Path: "/lists/pkg"}, "[a,b]"},
		{"./new ; os_name=='nt'", Want{Kind: Path, URL: "file:///lists/new", Path: "/lists/new"}, `; os_name == "nt"`},
		{"-e pkg", Want{Kind: Path, Editable: true, URL: "file:///lists/pkg", Path: "/lists/pkg"}, ""},
		{"-e bare", Want{Kind: Path, Editable: true, URL: "file:///lists/bare", Path: "/lists/bare"}, ""},
		{"-e file:///srv/x#egg=foo", Want{Kind: Path, Project: "foo", Editable: true, URL: "file:///srv/x#egg=foo", Path: "/srv/x", Egg: "foo"}, "foo"},
		{"foo-1.0.tar.gz", Want{Kind: Path, URL: "file:///lists/foo-1.0.tar.gz", Path: "/lists/foo-1.0.tar.gz"}, ""},
		{"no such+file-1.0.zip", Want{Kind: Path, URL: "file:///lists/no%20such%2Bfile-1.0.zip", Path: "/lists/no such+file-1.0.zip"}, ""},
		{"sub/Foo_Bar-1.0-py3-none-any.whl", Want{Kind: Path, Project: "foo-bar", URL: "file:///lists/sub/Foo_Bar-1.0-py3-none-any.whl", Path: "/lists/sub/Foo_Bar-1.0-py3-none-any.whl"}, "foo-bar==1.0"},
		{"file:../up/x.zip", Want{Kind: Path, URL: "file:///up/x.zip", Path: "/up/x.zip"}, ""},
		{"file:///srv/a%20b.zip", Want{Kind: Path, URL: "file:///srv/a%20b.zip", Path: "/srv/a b.zip"}, ""},
		// A path counts from the outermost list, as if pip ran there.
		{"-r sub/a.txt", Want{Kind: Path, URL: "file:///lists/pkg", Path: "/lists/pkg"}, ""},
	}
	for _, tt := range tests {
		tr["a.txt"] = tt.text
		l := tr.read("a.txt")
		if len(l.Wants) != 1 {
			t.Errorf("%s: wants %q, problems %q", tt.text, wants(l.Wants), faults(l))
			continue
		}
		got := l.Wants[0]
		if s := got.Requirement.String(); s != tt.req {
			t.Errorf("%s: requirement %q, want %q", tt.text, s, tt.req)
		}
		if l.Wants[0].Text != tt.text && !strings.HasPrefix(tt.text, "-r") {
			t.Errorf("%s: Text is %q", tt.text, got.Text)
		}
		got.Requirement, got.Position, got.Text, got.Via = tt.want.Requirement, tt.want.Position, "", nil
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.text, fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", tt.want))
		}
	}
}

// What leads nowhere is an error with a hint, and pip's verdict.
func TestRequirementFaults(t *testing.T) {
	tr := tree{"bare/README": ""}
	tests := []struct {
		text, fault, hint string
		pip               Verdict
	}{
		{"foo=1.0", "column 4", "equality is ==", PipRefusesLine},
		{"foo=>1.0", "column 4", ">= and <=", PipRefusesLine},
		{"foo ${X}", "requirement", "variable ${X} is not set", PipRefusesLine},
		{"foo==$X", "requirement", "written ${NAME}", PipRefusesLine},
		{"'foo'", "requirement", "without quotation marks", PipRefusesLine},
		{"======= x", "requirement", "merge conflict", PipRefusesLine},
		{"foo \\ ", "requirement", "backslash is its very last", PipRefusesLine},
		{"path/to", "requirement", "does not exist", PipRefusesLine},
		{"other.txt x", "requirement", "", PipRefusesLine},
		{"novcs+https://h/x", "requirement", "git+, hg+", PipRefusesLine},
		{"gcc [platform:x]", "requirement", "", PipRefusesLine},
		{"./bare", "neither pyproject.toml nor setup.py", "", PipRefusesLine},
		{"https://h/foo-1.whl", "not 5 or 6", "", PipRefusesLine},
		{"-e ./none", "neither a directory nor a repository", "directory that exists", PipRefusesLine},
		{"-e https://h/r", "neither a directory nor a repository", "git+https://", PipRefusesLine},
		{"-e git@h:a/r.git", "neither a directory nor a repository", "git+ssh://git@h/a/r.git", PipRefusesLine},
		{"-e 'foo @ https://h/r'", "neither a directory nor a repository", "", PipRefusesLine},
		{"-e git+https://h/r", "no project name", "#egg=NAME", PipRefusesLine},
		{"file://h/x.zip", "a file of another machine", "three slashes", PipRefusesLine},
		{"foo @ x.zip", "no scheme", "https://", PipReads},
		{"git@h:a/r.git", "unknown scheme", "", PipReads},
		{"https:///x.zip", "no host", "", PipReads},
		{"https://h/x.zip\t--hash=sha256:a", "white space", "tab", PipReads},
		{"./${X}/a.zip", "variable ${X} is not set", "", PipReads},
	}
	for _, tt := range tests {
		tr["a.txt"] = tt.text + "\nok"
		l := tr.read("a.txt")
		var p *Problem
		for i := range l.Problems {
			if l.Problems[i].Severity == Error {
				p = &l.Problems[i]
			}
		}
		if len(l.Wants) != 1 || p == nil || !strings.Contains(p.Text, tt.fault) || !strings.Contains(p.Hint, tt.hint) || p.Pip != tt.pip || p.Position.Line != 1 {
			t.Errorf("%q: wants %q, problem %+v, want %q, hint %q, %d", tt.text, wants(l.Wants), p, tt.fault, tt.hint, tt.pip)
		}
		if p != nil && (p.Want == nil) != (tt.pip == PipRefusesLine && tt.fault != "a file of another machine") {
			t.Errorf("%q: the problem's want is %v", tt.text, p.Want)
		}
	}
	tr["a.txt"] = "-c c.txt"
	tr["c.txt"] = "-e git+https://h/r#egg=x\nfoo[a]"
	l := tr.read("a.txt")
	if len(l.Constraints) != 1 || !hasFault(l, "c.txt:1: an editable requirement in a constraint file") || !hasFault(l, "c.txt:2: warning: extras in a constraint") {
		t.Errorf("constraints: %q, %q", wants(l.Constraints), faults(l))
	}
}

func TestSplitEggVersion(t *testing.T) {
	for in, want := range map[string][2]string{
		"foo":                {"foo", ""},
		"foo-dev":            {"foo", "dev"},
		"foo-bar-dev":        {"foo-bar", "dev"},
		"foo-devel":          {"foo-devel", ""},
		"python-3d-lib":      {"python-3d-lib", ""},
		"foo-2":              {"foo-2", ""},
		"foo-1.0":            {"foo", "1.0"},
		"OHM-0.1.1dev-r7031": {"OHM", "0.1.1dev-r7031"},
		"-dev":               {"-dev", ""},
		"foo-1.x":            {"foo-1.x", ""},
		"zope.interface-dev": {"zope.interface", "dev"},
		"a-1.0-py2.4-dev":    {"a", "1.0-py2.4-dev"},
	} {
		if p, v := splitEggVersion(in); p != want[0] || v != want[1] {
			t.Errorf("splitEggVersion(%q) = %q, %q, want %q", in, p, v, want)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"https://u:p@h/x":                "https://u:****@h/x",
		"https://tok@h/x":                "https://****@h/x",
		"git+ssh://git@h/x@v1":           "git+ssh://git@h/x@v1",
		"git+ssh://git:pw@h/x":           "git+ssh://git:****@h/x",
		"git+https://h/x.git@v1":         "git+https://h/x.git@v1",
		"https://h:8080/x@y":             "https://h:8080/x@y",
		"https://u:p/q@h/x":              "https://u:****@h/x",
		"https://u:p@q@h/x":              "https://u:****@h/x",
		"a https://u:p@h, http://v:q@h/": "a https://u:****@h, http://v:****@h/",
		"https://u:@h":                   "https://u:****@h",
		"foo @ x//y":                     "foo @ x//y",
		`"https://u:p@h"`:                `"https://u:****@h"`,
		"no URL, a@b":                    "no URL, a@b",
	} {
		if got := redact(in); got != want {
			t.Errorf("redact(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("user", "secret", "h/x@y", "git+https")
	f.Fuzz(func(t *testing.T, user, password, host, scheme string) {
		if strings.ContainsAny(user+password, "/?#@:\"'") || strings.ContainsFunc(user+password, isSpace) || strings.Contains(scheme, "//") {
			return // no user and password of a URL
		}
		if password == "" || strings.Contains(user+host+scheme+"****", password) || strings.Contains("*", password[:1]) {
			return
		}
		s := scheme + "://" + user + ":" + password + "@" + host
		if got := redact(s); strings.Contains(got, password) {
			t.Errorf("redact(%q) = %q", s, got)
		}
	})
}
