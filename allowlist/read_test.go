package allowlist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// tree is a set of lists in memory, below the directory /lists.
type tree map[string]string

const treeRoot = "/lists"

// sources gives the tree as sources, with an environment.
func (t tree) sources(env map[string]string) Sources {
	m := fstest.MapFS{}
	for name, text := range t {
		m[name] = &fstest.MapFile{Data: []byte(text), ModTime: time.Unix(0, 0)}
	}
	inside := func(name string) (string, error) {
		rel, ok := strings.CutPrefix(filepath.ToSlash(name), treeRoot+"/")
		if !ok {
			return "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return rel, nil
	}
	return Sources{
		Open: func(name string) (io.ReadCloser, error) {
			rel, err := inside(name)
			if err != nil {
				return nil, err
			}
			return m.Open(rel)
		},
		Stat: func(name string) (fs.FileInfo, error) {
			rel, err := inside(name)
			if err != nil {
				return nil, err
			}
			return m.Stat(rel)
		},
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}
}

// read reads one list of the tree.
func (t tree) read(name string) List { return Read(t.sources(nil), treeRoot+"/"+name) }

// readText reads a list without a tree around it.
func readText(text string) List { return tree{"a.txt": text}.read("a.txt") }

// wants gives each want as line:name, and what else is set.
func wants(ws []Want) []string {
	var out []string
	for _, w := range ws {
		out = append(out, fmt.Sprintf("%s:%d %s", filepath.Base(w.Position.File), w.Position.Line, w.Requirement))
	}
	return out
}

// faults gives each problem as a line, file names cut to their base.
func faults(l List) []string {
	var out []string
	for _, p := range l.Problems {
		out = append(out, strings.ReplaceAll(p.Error(), treeRoot+"/", ""))
	}
	return out
}

func hasFault(l List, part string) bool {
	return slices.ContainsFunc(faults(l), func(s string) bool { return strings.Contains(s, part) })
}

func TestReadLines(t *testing.T) {
	const h1, h2 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	tests := []struct {
		name, text string
		want       []string
		faults     []string // parts of the problems, in order
	}{
		{"plain", "foo\nBar>=1,<2\n", []string{"a.txt:1 foo", "a.txt:2 Bar<2,>=1"}, nil},
		{"RF-2 every boundary", "a\nb\r\nc\rd\ve\ff\x1cg\x1dh\x1ei\u0085j\u2028k\u2029l", []string{
			"a.txt:1 a", "a.txt:2 b", "a.txt:3 c", "a.txt:4 d", "a.txt:5 e", "a.txt:6 f",
			"a.txt:7 g", "a.txt:8 h", "a.txt:9 i", "a.txt:10 j", "a.txt:11 k", "a.txt:12 l",
		}, nil},
		{"RF-3 row 38 one requirement, two hashes", "\nbaz==1.0 \\\n --hash=sha256:" + h2 + " \\\n --hash=sha256:" + h1 + "\nfoo", []string{"a.txt:2 baz==1.0", "a.txt:5 foo"}, nil},
		{"RF-3 row 39 backslash and space", "zap==1.0 \\ \nfoo", []string{"a.txt:2 foo"}, []string{`a.txt:1: requirement "zap==1.0 \": column 10: expected`}},
		{"RF-3 row 40 comment ends a continuation", "qux==1.0 \\\n# note\nquux", []string{"a.txt:1 qux==1.0", "a.txt:3 quux"}, nil},
		{"RF-3 comment with a backslash", "# note \\\nfoo", []string{"a.txt:2 foo"}, nil},
		{"RF-3 backslash at the end of the file", "six\\", []string{"a.txt:1 six"}, nil},
		{"RF-3 backslash and newline at the end of the file", "six\\\n", []string{"a.txt:1 six"}, nil},
		{"RF-3 joined without a space", "si\\\nx==1\\\n.0", []string{"a.txt:1 six==1.0"}, nil},
		{"RF-4 comment needs white space", "foo # x\nbar#x\n\t# y", []string{"a.txt:1 foo"}, []string{`a.txt:2: requirement "bar#x"`}},
		{"RF-6 quoted requirement", "\"foo==1.0\"\nbar", []string{"a.txt:2 bar"}, []string{"a.txt:1: requirement"}},
		{"RF-6 marker is not split like a shell word", `foo; os_name == "a b"`, []string{`a.txt:1 foo; os_name == "a b"`}, nil},
		{"RF-6 open quote", "foo --hash='x\nbar", []string{"a.txt:2 bar"}, []string{"a.txt:1: options \"--hash='x\": a quotation mark is not closed"}},
		{"RF-7 other options behind a requirement", "foo --pre\n", []string{"a.txt:1 foo"}, []string{"a.txt:1: warning: --pre behind a requirement"}},
		{"RF-7 hash without a requirement", "--hash=sha256:" + h1, nil, []string{"a.txt:1: warning: --hash without a requirement"}},
		{"RF-7 weak hash", "foo --hash=md5:aa\nbar", []string{"a.txt:2 bar"}, []string{`a.txt:1: --hash: algorithm "md5"`}},
		{"RF-7 hash without an algorithm", "foo --hash=aa", nil, []string{`a.txt:1: --hash "aa": no algorithm`}},
		{"RF-7 short hash", "foo --hash=sha256:aa", []string{"a.txt:1 foo"}, []string{`a.txt:1: warning: --hash: sha256 digest "aa" is not 64`}},
		{"RF-7 settings of a build", "foo --config-settings=a=b", []string{"a.txt:1 foo"}, []string{"means nothing to an index"}},
		{"RF-8 unknown option", "--bogus\n-x\nfoo --nope\nbar", []string{"a.txt:4 bar"}, []string{
			`a.txt:1: unknown option "--bogus"`, `a.txt:2: unknown option "-x"`, `a.txt:3: unknown option "--nope"`,
		}},
		{"RF-8 shortened and ambiguous", "--no\n--prefer\n", nil, []string{"a.txt:1: option \"--no\" could be --no-binary or --no-index", "a.txt:2: warning: --prefer-binary"}},
		{"RF-8 value missing", "-i\n--pre=1\n", nil, []string{"a.txt:1: option -i: a value is missing", "a.txt:2: option --pre takes no value"}},
		{"RF-8 without meaning here", "--trusted-host h\n--prefer-binary\n--use-feature fast-deps", nil, []string{"a.txt:1: warning: --trusted-host", "a.txt:2: warning: --prefer-binary", "a.txt:3: warning: --use-feature"}},
		{"options of old", "foo --install-option=x\n-Z\n--allow-external bar", []string{"a.txt:1 foo"}, []string{"a.txt:1: warning: --install-option", "a.txt:2: warning: -Z", "a.txt:3: warning: --allow-external"}},
		{"a dash alone", "- foo", nil, []string{`a.txt:1: warning: "- foo" is neither`}},
		{"R-1 commas", "foo >=1 <2", nil, []string{"a.txt:1: requirement"}},
		{"R-3 R-4 marker is kept", "foo; sys_platform == 'win32'", []string{`a.txt:1 foo; sys_platform == "win32"`}, nil},
		{"wrong marker", "foo; bogus == '1'", nil, []string{"a.txt:1: marker"}},
		{"empty marker", "foo ;", []string{"a.txt:1 foo"}, nil},
		{"R-2 row 41 no space before the marker", `foo@https://x/y;extra=="a"`, []string{`a.txt:1 foo @ https://x/y ; extra == "a"`}, []string{"a.txt:1: warning: no space between the URL and the marker"}},
		{"wrong line does not stop the others", "<<<<<<< HEAD\nfoo=1\nbar\n", []string{"a.txt:3 bar"}, []string{"a.txt:1:", "a.txt:2:"}},
		{"dev links by name", "foo==dev\nbar>=0.3-dev\nbaz==0.1.1dev-r7031", []string{"a.txt:1 foo", "a.txt:2 bar>=0.3-dev", "a.txt:3 baz"}, []string{`a.txt:1: warning: "dev" is no version`, `a.txt:3: warning: "0.1.1dev-r7031" is no version`}},
		{"empty", "", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := readText(tt.text)
			if got := wants(l.Wants); !slices.Equal(got, tt.want) {
				t.Errorf("wants of %q:\n got %q\nwant %q", tt.text, got, tt.want)
			}
			got := faults(l)
			if len(got) != len(tt.faults) {
				t.Fatalf("problems of %q: %q, want %d like %q", tt.text, got, len(tt.faults), tt.faults)
			}
			for i, part := range tt.faults {
				if !strings.Contains(got[i], part) {
					t.Errorf("problem %d of %q is %q, want %q in it", i, tt.text, got[i], part)
				}
			}
		})
	}
}

// RF-7, row 38: the hashes of a requirement, in one spelling.
func TestHashes(t *testing.T) {
	b, a := strings.Repeat("B", 64), strings.Repeat("a", 64)
	l := readText("baz==1.0 \\\n --hash=sha256:" + b + " \\\n --hash sha256:" + a + " --hash=sha512:" + a + a)
	want := map[string][]string{"sha256": {a, strings.ToLower(b)}, "sha512": {a + a}}
	if len(l.Wants) != 1 || !reflect.DeepEqual(l.Wants[0].Hashes, want) {
		t.Fatalf("hashes are %v, want %v", l.Wants, want)
	}
}

// RF-5, row 43: only ${NAME} in capitals is a variable, and it has to be set.
func TestVariables(t *testing.T) {
	env := map[string]string{"V": "1.2", "EMPTY": "", "NEST": "${V}", "HOST": "h.example", "TOKEN": "s3cr3t"}
	l := Read(tree{"a.txt": strings.Join([]string{
		"a==${V}",
		"b==${EMPTY}",
		"c==$V",
		"d==${v}",
		"https://u:${TOKEN}@${HOST}/e-1.0.zip#egg=e",
		"https://${UNSET}@h/f-1.0.zip#egg=f",
		"-i https://${UNSET}/simple",
		"g==${NEST}",
		"h==${TOKEN}!",
		"--bogus-${TOKEN}",
	}, "\n")}.sources(env), treeRoot+"/a.txt")
	if got, want := wants(l.Wants), []string{"a.txt:1 a==1.2", "a.txt:5 e"}; !slices.Equal(got, want) {
		t.Errorf("wants are %q, want %q", got, want)
	}
	if got, want := l.Wants[1].URL, "https://u:s3cr3t@h.example/e-1.0.zip#egg=e"; got != want {
		t.Errorf("URL is %q, want %q", got, want)
	}
	for _, part := range []string{
		"a.txt:2: requirement", "a.txt:3: requirement", "a.txt:4: requirement",
		`a.txt:6: URL https://****@h/f-1.0.zip#egg=f: variable ${UNSET} is not set`,
		"a.txt:7: -i: variable ${UNSET} is not set",
		"a.txt:8: requirement", `a.txt:9: requirement "h==${TOKEN}!": expected`,
		"a.txt:10: unknown option \"--bogus-${TOKEN}\"",
	} {
		if !hasFault(l, part) {
			t.Errorf("no problem with %q in %q", part, faults(l))
		}
	}
	if i := slices.IndexFunc(l.Problems, func(p Problem) bool { return p.Want != nil }); i < 0 || l.Problems[i].Want.Project != "f" {
		t.Error("the problem of line 6 does not carry its want")
	}
	if l.Options.IndexURL.URL != "" {
		t.Errorf("-i with a variable that is not set gives %q", l.Options.IndexURL.URL)
	}
	if s := fmt.Sprintf("%v %+v", l, l.Problems); strings.Contains(s, "s3cr3t") {
		t.Errorf("the value of a variable is printed: %s", s)
	}
}

// RF-9: includes count from the file that names them; what -c leads to is a
// constraint, but -r in it is not.
func TestNesting(t *testing.T) {
	tr := tree{
		"a.txt":          "a\n-r sub/b.txt\n-c c.txt\nz\n",
		"sub/b.txt":      "b\n--requirement=../d.txt\n-cdeep/e.txt",
		"sub/deep/e.txt": "e<2",
		"c.txt":          "c<3\n-c d.txt\n-r f.txt\n",
		"d.txt":          "d",
		"f.txt":          "f\n-c d.txt",
	}
	l := tr.read("a.txt")
	if got, want := wants(l.Wants), []string{"a.txt:1 a", "b.txt:1 b", "d.txt:1 d", "f.txt:1 f", "a.txt:4 z"}; !slices.Equal(got, want) {
		t.Errorf("wants are %q, want %q", got, want)
	}
	if got, want := wants(l.Constraints), []string{"e.txt:1 e<2", "c.txt:1 c<3", "d.txt:1 d", "d.txt:1 d"}; !slices.Equal(got, want) {
		t.Errorf("constraints are %q, want %q", got, want)
	}
	if len(l.Problems) > 0 {
		t.Errorf("problems: %q", faults(l))
	}
	if got, want := fmt.Sprint(l.Wants[2].Via), "[/lists/a.txt:2 /lists/sub/b.txt:2]"; got != want {
		t.Errorf("the way to d is %s, want %s", got, want)
	}
	if l.Wants[0].Via != nil || l.Wants[0].Constraint || !l.Constraints[0].Constraint {
		t.Error("Via or Constraint is wrong")
	}
	src := tr.sources(nil)
	src.Constraints = true
	if l := Read(src, treeRoot+"/d.txt"); len(l.Wants) != 0 || len(l.Constraints) != 1 {
		t.Errorf("a list read as constraints gives %v", l)
	}
}

// RF-8, RF-9, row 42: circles, missing lists, and lines with more than one
// include.
func TestNestingFaults(t *testing.T) {
	tests := []struct {
		name   string
		tr     tree
		wants  []string
		faults []string
	}{
		{"row 42 itself", tree{"a.txt": "x\n-r a.txt\ny"}, []string{"a.txt:1 x", "a.txt:3 y"}, []string{"a.txt:2: lists include one another in a circle: a.txt → a.txt"}},
		{"circle of three", tree{"a.txt": "-r b.txt\nx", "b.txt": "-c ./c.txt", "c.txt": "-r b.txt"}, []string{"a.txt:2 x"}, []string{"c.txt:1: lists include one another in a circle: b.txt → c.txt → b.txt"}},
		{"twice is no circle", tree{"a.txt": "-r b.txt\n-r b.txt", "b.txt": "x"}, []string{"b.txt:1 x", "b.txt:1 x"}, nil},
		{"missing", tree{"a.txt": "-r no.txt\nx"}, []string{"a.txt:2 x"}, []string{"a.txt:1: include no.txt: file does not exist"}},
		{"only the first", tree{"a.txt": "-r b.txt -r c.txt --pre", "b.txt": "x"}, []string{"b.txt:1 x"}, []string{"a.txt:1: warning: -r beside -r", "a.txt:1: warning: --pre beside -r"}},
		{"from the network", tree{"a.txt": "-r http://u:p@h/b.txt\nx"}, []string{"a.txt:2 x"}, []string{"a.txt:1: include http://u:****@h/b.txt: a list is read from disk only"}},
		{"wrong encoding", tree{"a.txt": "-r b.txt\nx", "b.txt": "y\n\xff"}, []string{"a.txt:2 x"}, []string{"b.txt:2: byte 0xff is not valid UTF-8"}},
		{"behind a requirement", tree{"a.txt": "x -r b.txt"}, []string{"a.txt:1 x"}, []string{"a.txt:1: warning: -r behind a requirement"}},
	}
	for _, tt := range tests {
		l := tt.tr.read("a.txt")
		if got := wants(l.Wants); !slices.Equal(got, tt.wants) {
			t.Errorf("%s: wants are %q, want %q", tt.name, got, tt.wants)
		}
		if got := faults(l); !slices.Equal(got, tt.faults) && !(len(got) == len(tt.faults) && slices.EqualFunc(got, tt.faults, strings.HasPrefix)) {
			t.Errorf("%s: problems are %q, want %q", tt.name, got, tt.faults)
		}
	}
	l := tree{}.read("a.txt")
	if got := faults(l); len(got) != 1 || got[0] != "a.txt: file does not exist" || !l.Failed() {
		t.Errorf("problems of no list are %q", got)
	}
}

// A list from the network is read where the caller has a way to, and it names
// no file of this machine.
func TestFetch(t *testing.T) {
	src := tree{"a.txt": "-r https://h/l/b.txt"}.sources(map[string]string{"TOKEN": "s3cr3t"})
	src.Fetch = func(u string) (io.ReadCloser, error) {
		switch u {
		case "https://h/l/b.txt":
			return io.NopCloser(strings.NewReader("x\n-r c.txt?s3cr3t\n-r file:///etc/passwd\n./pkg.zip\nfile:///etc/passwd\n-r https://h/l/${TOKEN}")), nil
		case "https://h/l/c.txt?s3cr3t":
			return io.NopCloser(strings.NewReader("y\n-r b.txt")), nil
		}
		return nil, errors.New("no such list")
	}
	l := Read(src, treeRoot+"/a.txt")
	if got, want := wants(l.Wants), []string{"b.txt:1 x", "c.txt?s3cr3t:1 y"}; !slices.Equal(got, want) {
		t.Errorf("wants are %q, want %q", got, want)
	}
	for _, part := range []string{
		"in a circle: https://h/l/b.txt → https://h/l/c.txt?s3cr3t → https://h/l/b.txt",
		"https://h/l/b.txt:3: include file:///etc/passwd: a list from the network",
		"https://h/l/b.txt:4: a list from the network cannot name a file",
		"https://h/l/b.txt:5: a list from the network cannot name a file",
		"https://h/l/b.txt:6: include https://h/l/${TOKEN}: no such list",
	} {
		if !hasFault(l, part) {
			t.Errorf("no problem with %q in %q", part, faults(l))
		}
	}
}

// Limits: what is too long, too deep or too much is one error each, and what
// stands before it is read.
func TestLimits(t *testing.T) {
	if usual != (limits{16 << 20, 64 << 20, 1 << 20, 10_000, 64}) {
		t.Errorf("the limits are %+v", usual)
	}
	few := limits{file: 100, total: 300, lines: 30, files: 20, depth: 5}
	deep, wide := tree{}, tree{"4.txt": "x"}
	for i := range few.depth + 2 {
		deep[fmt.Sprintf("%d.txt", i)] = fmt.Sprintf("x\n-r %d.txt", i+1)
	}
	for i := range 4 {
		wide[fmt.Sprintf("%d.txt", i)] = strings.Repeat(fmt.Sprintf("-r %d.txt\n", i+1), 5)
	}
	tests := []struct {
		name  string
		tr    tree
		most  limits
		fault string
		wants int
	}{
		{"a file as long as can be", tree{"0.txt": strings.Repeat("a\n", 15) + strings.Repeat("#", 70)}, few, "", 15},
		{"a file too long", tree{"0.txt": strings.Repeat("#", 101)}, few, "0.txt: larger than 100 bytes", 0},
		{"too deep", deep, few, "4.txt:2: include /lists/5.txt: more than 5 lists inside one another", 5},
		{"too many files", wide, limits{100, 9000, 100, 20, 5}, "4.txt: more than 20 lists, counted as often as they are included; the rest is not read", 14},
		{"too many lines", tree{"0.txt": strings.Repeat("-r 1.txt\n", 5), "1.txt": strings.Repeat("a\n", 10)}, few, "1.txt:8: more than 30 lines in all lists together", 27},
		{"too many bytes", tree{"0.txt": strings.Repeat("-r 1.txt\n", 5), "1.txt": "a\n#" + strings.Repeat("x", 80)}, few, "1.txt: more than 300 bytes in all", 3},
		{"too much in variables", tree{"0.txt": "a==${V}\nb\nc==${V}\nd==${V}\n"}, few, "0.txt:4: more than 300 bytes", 3},
	}
	for _, tt := range tests {
		src := tt.tr.sources(map[string]string{"V": strings.Repeat("1", 120)})
		l := read(src, tt.most, []string{treeRoot + "/0.txt"})
		if len(l.Wants) != tt.wants {
			t.Errorf("%s: %d wants, want %d", tt.name, len(l.Wants), tt.wants)
		}
		if tt.fault == "" && len(l.Problems) > 0 || tt.fault != "" && (len(l.Problems) != 1 || !strings.Contains(l.Problems[0].Error(), tt.fault)) {
			t.Errorf("%s: problems %q, want one with %q", tt.name, faults(l), tt.fault)
		}
	}
}

// --require-hashes: a want without a digest is an error; one in a constraint
// will do.
func TestRequireHashes(t *testing.T) {
	h := " --hash=sha256:" + strings.Repeat("a", 64)
	l := tree{
		"a.txt": "--require-hashes\na==1\nb==1" + h + "\nhttps://h/c.zip#sha256=" + strings.Repeat("b", 64) + "\nd==1\n-c c.txt",
		"c.txt": "D==1" + h,
	}.read("a.txt")
	if got, want := len(l.Wants), 3; got != want || !hasFault(l, "a.txt:2: no --hash") || len(l.Problems) != 1 || l.Problems[0].Want.Project != "a" {
		t.Errorf("%d wants, problems %q", got, faults(l))
	}
	if l := readText("--require-hashes\na\n--no-require-hashes"); len(l.Wants) != 1 {
		t.Errorf("--no-require-hashes: problems %q", faults(l))
	}
}

// Several lists are one: their options add up.
func TestSeveral(t *testing.T) {
	l := Read(tree{"a.txt": "a\n--no-binary a", "b.txt": "b\n--only-binary a"}.sources(nil), treeRoot+"/a.txt", treeRoot+"/b.txt")
	if wheels, sdists := l.Options.Formats("a"); len(l.Wants) != 2 || !wheels || sdists {
		t.Errorf("wants %v, formats of a: %t %t", wants(l.Wants), wheels, sdists)
	}
}

// What is printed never has a password in it.
func TestNoPasswords(t *testing.T) {
	text := strings.Join([]string{
		"https://user:hunter2@h/foo-1.0.zip",
		"foo @ https://user:hunter2@h/foo-1.0.zip",
		"foo @ https://user:hunter2@h/foo-1.0.zip ; bogus",
		"-e git+https://hunter2@h/r.git",
		"-e git+https://hunter2@h/r.git#egg=foo",
		"-e https://user:hunter2@h/r.git",
		"-i https://user:hunter2@h/simple",
		"--extra-index-url=https://user:hunter2@h/simple",
		"-f https://user:hunter2@h/simple#egg=x-dev",
		"--no-index -i https://user:hunter2@h/",
		"-r https://user:hunter2@h/b.txt",
		"--bogus=https://user:hunter2@h/b.txt",
		"foo --hash=https://user:hunter2@h/b.txt",
		"https://user:hun/ter2@h/x.whl",
		"novcs+https://user:hunter2@h/x.whl",
		"- https://user:hunter2@h/",
		"https://user:hunter2@h/bad-wheel.whl",
		"https://user:hunter2@${UNSET}/x.zip",
		"foo -i 'https://user:hunter2@h/",
	}, "\n")
	l := readText(text)
	out := fmt.Sprintf("%v\n%+v\n%s", l, l, l.Problems)
	for _, p := range l.Problems {
		out += p.Error() + p.Hint
		if p.Want != nil {
			out += p.Want.String()
		}
	}
	for _, w := range l.Wants {
		out += w.String() + w.Text
	}
	for _, secret := range []string{"hunter2", "ter2"} {
		if i := strings.Index(out, secret); i >= 0 {
			t.Errorf("a password is printed: …%s…", out[max(0, i-80):i+10])
		}
	}
	if l.Wants[0].URL != "https://user:hunter2@h/foo-1.0.zip" {
		t.Errorf("the address itself lost its password: %q", l.Wants[0].URL)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"foo==1.0 \\\n --hash=sha256:aa\n", "-r b.txt\n-c a.txt\n", "-e .[x]\n", "https://u:p@h/x.whl#egg=a-dev\n",
		"--no-binary :all:,a\n--only-binary :none:", "foo@x;y\u2028${V}\\\r\n#", "-f '", "\xff\xfea\x00", "-i ${V} -f x --pre -Zfoo",
		"# coding: latin-1\n\xe9", "foo==0.1dev-r1", "a b.zip[c]", "-e 'a @ file:../x'",
	} {
		f.Add([]byte(s), "x-1.0.zip")
	}
	f.Fuzz(func(t *testing.T, b []byte, v string) {
		l := Read(tree{"a.txt": string(b), "b.txt": "b\n-r a.txt", "p/setup.py": ""}.sources(map[string]string{"V": v}), treeRoot+"/a.txt")
		lines := map[string]int{treeRoot + "/a.txt": 1, treeRoot + "/b.txt": 2}
		if s, err := decode(b); err == nil {
			lines[treeRoot+"/a.txt"] = lineAt(s)
		} else {
			lines[treeRoot+"/a.txt"] = len(b) + 1
		}
		check := func(p Position, via []Position) {
			for _, p := range append(via[:len(via):len(via)], p) {
				if p.Line < 0 || p.Line > lines[p.File] {
					t.Errorf("position %v: the file has %d lines", p, lines[p.File])
				}
			}
		}
		for _, w := range append(l.Wants[:len(l.Wants):len(l.Wants)], l.Constraints...) {
			check(w.Position, w.Via)
			if w.Position.Line == 0 || w.Text == "" {
				t.Errorf("want without a place or text: %+v", w)
			}
			if w.Project == "" && w.URL == "" {
				t.Errorf("want of nothing: %s", w)
			}
		}
		for _, p := range l.Problems {
			check(p.Position, p.Via)
			if len(p.Text) > 4096 && len(b)+len(v) < 2000 {
				t.Errorf("a text of %d bytes", len(p.Text))
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"a", "\xef\xbb\xbfa", "\xff\xfea\x00", "\xfe\xff\x00a", "\xff\xfe\x00\x00a\x00\x00\x00", "#coding=gbk\n\x81", "#\n# coding: big5\n\xa4\x40"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decode(b)
		if err != nil {
			if e, ok := errors.AsType[*decodeError](err); !ok || e.line < 0 || e.line > len(b)+1 {
				t.Errorf("decode(%q): %v", b, err)
			}
			return
		}
		if strings.ToValidUTF8(s, "") != s {
			t.Errorf("decode(%q) = %q, which is not UTF-8", b, s)
		}
		if len(s) > 4*len(b) {
			t.Errorf("decode of %d bytes gives %d", len(b), len(s))
		}
	})
}

func FuzzLogicalLines(f *testing.F) {
	for _, s := range []string{"a\\\nb", "a #b", "\\\n#\n", "\\\\\n \\", "\u2028\u0085x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var back bytes.Buffer
		n := 0
		for l := range physicalLines(s) {
			back.WriteString(l.text)
			n++
		}
		if back.Len() > len(s) {
			t.Fatalf("lines of %q are longer than it", s)
		}
		last := 0
		for l := range logicalLines(s) {
			if l.number <= last || l.number > n {
				t.Errorf("%q: line %d after line %d of %d", s, l.number, last, n)
			}
			last = l.number
			if l.text == "" || trimSpace(l.text) != l.text || strings.HasPrefix(l.text, "#") {
				t.Errorf("%q: logical line %q", s, l.text)
			}
		}
	})
}
