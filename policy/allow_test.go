package policy

import (
	"strings"
	"testing"
	"time"

	"nestgen/packaging"
)

const allowing = `[[allow]]
project = "Foo"
versions = "==2.0"
reason = "looked at it"
expires = 2026-03-01

[[allow]]
project = "foo"
file = "foo-3.0.tar.gz"
reason = "ticket 9"
expires = "2026-03-02"

[[allow]]
project = "whole"
reason = "the name was given away"
expires = 2026-03-01
`

// An entry lets in what it names, to the end of its last day.
func TestAllowed(t *testing.T) {
	p, err := Read(write(t, allowing))
	if err != nil {
		t.Fatal(err)
	}
	at := func(day, clock string) time.Time {
		u, err := time.Parse(time.DateTime, "2026-"+day+" "+clock)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	last := at("03-01", "23:59:59")
	for _, tt := range []struct {
		project             packaging.Name
		file, version, want string
		now                 time.Time
	}{
		{"foo", "foo-2.0.tar.gz", "2.0", "looked at it", last},
		{"foo", "foo-2.0.tar.gz", "2.0", "", last.Add(time.Second)},
		{"foo", "foo-2.0.tar.gz", "2.0", "looked at it", last.In(time.FixedZone("", 14*3600))},
		{"foo", "foo-2.1.tar.gz", "2.1", "", last},
		{"foo", "foo-3.0.tar.gz", "3.0", "ticket 9", at("03-02", "12:00:00")},
		{"foo", "foo-3.0-py3-none-any.whl", "3.0", "", last},
		{"foo", "", "", "", last}, // nothing speaks of all of it
		{"whole", "", "", "the name was given away", last},
		{"whole", "whole-1.tar.gz", "1", "the name was given away", last},
		{"other", "", "", "", last},
	} {
		a, is := p.Allowed(tt.project, tt.file, tt.version, tt.now)
		if a.Reason != tt.want || is != (tt.want != "") {
			t.Errorf("Allowed(%s %s %s, %s) = %+v, %v, want %q", tt.project, tt.file, tt.version, tt.now, a, is, tt.want)
		}
	}
	over := p.Expired(at("03-02", "00:00:00"))
	if len(over) != 2 || over[0].Project != "foo" || !strings.HasSuffix(over[0].Position, "policy.toml:1") || !strings.HasSuffix(over[1].Position, "policy.toml:13") {
		t.Errorf("Expired = %+v", over)
	}
	if n := p.Expired(last); len(n) != 0 {
		t.Errorf("Expired on the last day = %+v", n)
	}
	if _, blocked := p.Blocked("whole", "whole-1.tar.gz", "1"); blocked {
		t.Error("an allow blocks")
	}
	if got := p.Projects(); len(got) != 2 {
		t.Errorf("Projects = %q", got)
	}
}

func TestFaultyAllows(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no reason", "[[allow]]\nproject = \"a\"\nexpires = 2026-01-31\n", ":1: [[allow]]: an allow needs a reason"},
		{"no end", "\n[[allow]]\nproject = \"a\"\nreason = \"x\"\n", ":2: [[allow]]: an allow needs the last day"},
		{"a time of day", "[[allow]]\nproject = \"a\"\nreason = \"x\"\nexpires = 2026-01-31T10:00:00Z\n", "without a time of day"},
		{"no date", "[[allow]]\nproject = \"a\"\nreason = \"x\"\nexpires = \"soon\"\n", ":4: "},
		{"versions and file", "[[allow]]\nproject = \"a\"\nversions = \"==1\"\nfile = \"a-1.tar.gz\"\nreason = \"x\"\nexpires = 2026-01-31\n", "not both"},
	} {
		if _, err := Read(write(t, tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

// An entry takes the place of one of the same target, and everything else stays.
func TestAllowIsAddedToTheFile(t *testing.T) {
	file := write(t, "# ours\n"+allowing+"\n[[yank]]\nproject = \"foo\"\nversions = \"==2.0\"\n")
	target := Target{Project: "foo", Versions: "==2.0"}
	end := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	for range 2 {
		if err := Allow(file, target, `looked "again"`, end, day); err != nil {
			t.Fatal(err)
		}
	}
	got := text(t, file)
	if !strings.HasPrefix(got, "# ours\n") || strings.Contains(got, "looked at it") || strings.Count(got, "[[allow]]") != 3 || strings.Count(got, "[[yank]]") != 1 ||
		!strings.HasSuffix(got, "[[allow]]\nproject = \"foo\"\nversions = \"==2.0\"\nreason = \"looked \\\"again\\\"\"\ndate = 2026-01-31\nexpires = 2026-04-01\n") {
		t.Errorf("the file is now\n%s", got)
	}
	p, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if a, is := p.Allowed("foo", "foo-2.0.tar.gz", "2.0", end); !is || a.Reason != `looked "again"` || !a.Expires.Equal(end) {
		t.Errorf("%+v, %v", a, is)
	}
	if err := Allow(file, target, "", end, day); err == nil || text(t, file) != got {
		t.Errorf("an entry without a reason: %v", err)
	}
}
