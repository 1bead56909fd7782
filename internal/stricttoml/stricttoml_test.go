package stricttoml

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

type nested struct {
	Name string `toml:"name"`
	URL  string `toml:"url"`
}

type target struct {
	Title    string   `toml:"title"`
	Drop     []string `toml:"drop"`
	Jobs     int      `toml:"jobs"`
	Upstream []nested `toml:"upstream"`
	One      nested   `toml:"one"`
	Hidden   string   `toml:"-"`
}

// faults gives the errors of a decoding as "line: text".
func faults(err error) (all []string) {
	var walk func(error)
	walk = func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				walk(e)
			}
			return
		}
		if e, ok := errors.AsType[*Error](err); ok {
			all = append(all, fmt.Sprintf("%d: %s", e.Line, e.Text))
		} else if err != nil {
			all = append(all, "not an Error: "+err.Error())
		}
	}
	walk(err)
	return all
}

func TestUnknownKeysHaveTheirLines(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"all known", "title = \"x\"\ndrop = []\n[[upstream]]\nname = \"a\"\n[one]\nurl = \"b\"\n", nil},
		{"at the top", "title = \"x\"\n# comment\n\ntitel = \"y\"\n", []string{`4: unknown setting "titel"`}},
		{"without a last line end", "titel = \"y\"", []string{`1: unknown setting "titel"`}},
		{"several", "a = 1\ntitle = \"x\"\nb = 2\n", []string{`1: unknown setting "a"`, `3: unknown setting "b"`}},
		{"in a table", "[one]\nname = \"a\"\nport = 1\n", []string{`3: unknown setting "one.port"`}},
		{"a table, told once", "\n[two]\nname = \"a\"\nport = 1\n", []string{`2: unknown setting "two"`}},
		{"a table and one in it, told once", "[two]\nname = \"a\"\n[two.three]\nport = 1\n", []string{`1: unknown setting "two"`}},
		{"nested arrays are no headers", "more = [\n[1],\n[2],\n]\nleft = 1\n[one]\nbad = 1\n", []string{`1: unknown setting "more"`, `5: unknown setting "left"`, `7: unknown setting "one.bad"`}},
		{"a header in a string is none", "title = \"\"\"\n[two]\nbad = 1\n\"\"\"\n[one]\nbad = 1\n", []string{`6: unknown setting "one.bad"`}},
		{"in the second of an array of tables", "[[upstream]]\nname = \"a\"\n[[upstream]]\nname = \"b\"\nuser = \"c\"\n", []string{`5: unknown setting "upstream.user"`}},
		{"in each of an array of tables", "[[upstream]]\nuser = \"a\"\n[[upstream]]\nuser = \"c\"\n", []string{`2: unknown setting "upstream.user"`, `4: unknown setting "upstream.user"`}},
		{"an array of tables", "[[mirror]]\nname = \"a\"\n[[mirror]]\nname = \"b\"\n", []string{`1: unknown setting "mirror"`, `3: unknown setting "mirror"`}},
		{"in an inline table", "title = \"x\"\none = {name = \"a\", port = 1}\n", []string{`2: unknown setting "one.port"`}},
		{"after a multi-line string", "title = \"\"\"\nb = 1\n\nc = 2\n\"\"\"\nd = 3\n", []string{`6: unknown setting "d"`}},
		{"a multi-line value begins its line", "title = \"x\"\nmore = [\n  1,\n  2,\n]\nleft = 1\n", []string{`2: unknown setting "more"`, `6: unknown setting "left"`}},
		{"dotted", "one.name = \"a\"\none.port = 1\n", []string{`2: unknown setting "one.port"`}},
		{"quoted", "\"a b\" = 1\n\"x.y\" = 2\n", []string{`1: unknown setting "\"a b\""`, `2: unknown setting "\"x.y\""`}},
		{"byte order mark", "\ufefftitle = \"x\"\nbad = 1\n", []string{`2: unknown setting "bad"`}},
		{"carriage returns", "title = \"x\"\r\n\r\nbad = 1\r\n", []string{`3: unknown setting "bad"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v target
			if got := faults(Decode("f.toml", []byte(tt.text), &v)); !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestFaultsHaveTheirLines(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		line       int
	}{
		{"no value", "title = \"x\"\ndrop =\n", 2},
		{"open string", "\n\ntitle = \"x\n", 3},
		{"twice", "title = \"x\"\ntitle = \"y\"\n", 2},
		{"wrong type", "title = \"x\"\n\njobs = \"many\"\n", 3},
		{"wrong type in a table", "[[upstream]]\nname = \"a\"\n[[upstream]]\nname = 7\n", 4},
		{"not UTF-8", "title = \"\xff\"\n", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v target
			err := Decode("f.toml", []byte(tt.text), &v)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Line != tt.line || !strings.HasPrefix(err.Error(), fmt.Sprintf("f.toml:%d: ", tt.line)) {
				t.Errorf("%v, want line %d", err, tt.line)
			}
		})
	}
}

func TestHints(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"titel = 1\n", `"title"`}, {"Title2 = 1\n", `"title"`}, {"job = 1\n", `"jobs"`}, {"[one]\nnam = 1\n", `"name"`},
		{"[[upstream]]\nuri = 1\n", `"url"`}, {"[[upstreams]]\n", `"upstream"`}, {"nothing_like_it = 1\n", ""}, {"[two]\nnam = 1\n", ""}, {"hidden = 1\n", ""},
	} {
		var v target
		e, ok := errors.AsType[*Error](Decode("f.toml", []byte(tt.text), &v))
		if !ok || tt.want == "" && e.Hint != "" || !strings.Contains(e.Hint, tt.want) {
			t.Errorf("%q: %+v, want a hint with %s", tt.text, e, tt.want)
		}
	}
}

// A long file with a fault at its end costs no time to speak of. It is this
// process's own time that counts: others may be busy as well.
func TestALongFile(t *testing.T) {
	text := strings.Repeat("[[upstream]]\nname = \"a\"\nurl = \"b\"\n\n", 2000) + "[[upstream]]\nbad = 1\n"
	start := used(t)
	var v target
	if got := faults(Decode("f.toml", []byte(text), &v)); !slices.Equal(got, []string{`8002: unknown setting "upstream.bad"`}) {
		t.Errorf("%q", got)
	}
	if took := used(t) - start; took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// used is how much time the processors have spent on this process.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Whatever a file holds, faults are Errors, and their lines are in the file.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "title = 1", "a.b.c = [[1]]\n", "[[x]]\n[[x.y]]\nz=1\n[[x]]\n", "\ufeffa={b={c=1}}\r\n", "t='''\n\n'''\n\"\"=1\n", "[one]\n[one.x]\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Count(text, "\n") > 200 {
			return
		}
		var v target
		err := Decode("f.toml", []byte(text), &v)
		for _, fault := range faults(err) {
			var line int
			if n, _ := fmt.Sscanf(fault, "%d:", &line); n != 1 || line < 0 || line > strings.Count(text, "\n")+1 {
				t.Fatalf("%q: %s", text, fault)
			}
		}
		if err != nil && len(faults(err)) == 0 {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
