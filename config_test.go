package nestgen

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"nestgen/packaging"
	"nestgen/plan"
)

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nestgen.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		return c, err
	}
	return c, c.Resolve()
}

func TestEmptySettingsAreTheDefaults(t *testing.T) {
	c, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(c.File)
	want := Default()
	want.File = c.File
	want.Site, want.State, want.Policy = filepath.Join(dir, "site"), filepath.Join(dir, "state"), filepath.Join(dir, "policy.toml")
	want.Fallback.Tokens = filepath.Join(dir, "tokens")
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant %+v", c, want)
	}
	if c.Versions != plan.Newest || time.Duration(c.Grace) != 7*24*time.Hour || c.Connections != 32 || c.MaxFile != 8<<30 || !c.People || !c.Flat || !c.LegacyFiles {
		t.Errorf("defaults %+v", c)
	}
}

func TestSettingsAreRead(t *testing.T) {
	c, err := load(t, `
site = "/srv/index"
drop = ["drop", "/srv/drop"]
versions = 3
grace = "1w 2d 3h"
max_file = "500MB"
base_url = "https://packages.example.org/x"
reserved = ["acme-*", "exact"]
[[upstream]]
name = "a"
url = "mirror"
timeout = "90s"
rate = 2.5
[[upstream]]
name = "b"
url = "file:///srv/mirror"
[[project]]
name = "Flask.Login"
versions = "all"
sources = "both"
upstream = "b"
[[on_demand]]
pattern = "Big.*"
mode = "redirect"
[[on_demand]]
pattern = "*"
mode = "fetch"
[fallback]
refresh = "1w 2d 3h"
free = "10GiB"
sendfile = "x-accel"
tokens = "/etc/nestgen/tokens"
[[owner]]
user = "alice"
projects = ["acme-*", "tool"]
`)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(c.File)
	if c.Site != "/srv/index" || c.Drop[0] != filepath.Join(dir, "drop") || c.Drop[1] != "/srv/drop" || c.Versions != 3 ||
		time.Duration(c.Grace) != (9*24+3)*time.Hour || c.MaxFile != 500e6 || c.BaseURL != "https://packages.example.org/x/" ||
		c.Upstreams[0].URL != filepath.Join(dir, "mirror") || c.Upstreams[0].Timeout != Duration(90*time.Second) || c.Upstreams[0].Rate != 2.5 ||
		c.Upstreams[1].URL != "file:///srv/mirror" || c.Projects[0].Versions != plan.All ||
		c.Fallback != (Fallback{Duration((9*24 + 3) * time.Hour), Duration(10 * time.Minute), Duration(20 * time.Second), 16, 10 << 30, "x-accel", "/etc/nestgen/tokens", false}) ||
		len(c.Owners) != 1 || c.Owners[0].User != "alice" {
		t.Errorf("%+v", c)
	}
	for n, want := range map[packaging.Name]string{"big-tool": "redirect", "big": "fetch", "bigger": "fetch", "acme-x": "never", "exact": "never", "flask-login": "fetch"} {
		if got := c.onDemand(n); got != want {
			t.Errorf("%s: %s, want %s", n, got, want)
		}
	}
}

func TestWrongSettings(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown setting", "title = \"x\"\nallowlists = []\n", `nestgen.toml:2: unknown setting "allowlists"`},
		{"unknown in a table", "[[upstream]]\nname = \"a\"\nurl = \"b\"\n\n[[upstream]]\nname = \"c\"\nurl = \"d\"\nuser = \"e\"\n", "nestgen.toml:8: "},
		{"not TOML", "title = \"x\nsite = 1\n", "nestgen.toml:1: "},
		{"wrong type", "title = \"x\"\ndrop = \"drop\"\n", "nestgen.toml:2: "},
		{"wrong duration", "title = \"x\"\n\ngrace = \"7 days\"\n", "nestgen.toml:3: "},
		{"wrong versions", "versions = \"some\"\n", "nestgen.toml:1: "},
		{"versions of none", "versions = 0\n", "nestgen.toml:1: "},
		{"wrong size", "max_file = \"big\"\n", "nestgen.toml:1: "},
		{"state in site", "state = \"site/state\"\n", "must not lie in each other"},
		{"site in state", "state = \".\"\n", "must not lie in each other"},
		{"drop in site", "drop = [\"site/drop\"]\n", "drop folder"},
		{"site in drop", "drop = [\".\"]\n", "drop folder"},
		{"state in drop", "site = \"/srv/x\"\ndrop = [\".\"]\n", "drop folder"},
		{"drop is state", "drop = [\"state\"]\n", "drop folder"},
		{"short grace", "grace = \"23h\"\n", "less than a day"},
		{"password in base_url", "base_url = \"https://a:b@example.org/\"\n", "base_url"},
		{"base_url of no site", "base_url = \"ftp://example.org/\"\n", "base_url"},
		{"access_logs", "access_logs = [\"/var/log/[a\"]\n", "access_logs"},
		{"empty access_logs", "access_logs = [\"\"]\n", "access_logs"},
		{"link_passwords", "link_passwords = \"hide\"\n", "link_passwords"},
		{"legacy_json", "legacy_json = \"some\"\n", "legacy_json"},
		{"no connections", "connections = 0\n", "must be positive"},
		{"reserved all", "reserved = [\"*\"]\n", "reserved"},
		{"reserved in the middle", "reserved = [\"a*b\"]\n", "reserved"},
		{"upstream without url", "[[upstream]]\nname = \"a\"\n", "name and url are required"},
		{"upstream twice", "[[upstream]]\nname = \"a\"\nurl = \"b\"\n[[upstream]]\nname = \"a\"\nurl = \"c\"\n", "the name is taken"},
		{"upstream local", "[[upstream]]\nname = \"local\"\nurl = \"b\"\n", "the name is taken"},
		{"password in url", "[[upstream]]\nname = \"a\"\nurl = \"https://u:canary@h/simple/\"\n", "credentials"},
		{"relative file url", "[[upstream]]\nname = \"a\"\nurl = \"file:mirror\"\n", "absolute path"},
		{"negative rate", "[[upstream]]\nname = \"a\"\nurl = \"b\"\nrate = -1\n", "must not be negative"},
		{"project without a name", "[[project]]\nversions = \"all\"\n", "[[project]]"},
		{"project twice", "[[project]]\nname = \"a-b\"\n[[project]]\nname = \"A_B\"\n", "two entries"},
		{"project's sources", "[[project]]\nname = \"a\"\nsources = \"none\"\n", "sources"},
		{"on demand without a pattern", "[[on_demand]]\nmode = \"fetch\"\n", "[[on_demand]] pattern"},
		{"on demand, a star in the middle", "[[on_demand]]\npattern = \"a*b\"\nmode = \"fetch\"\n", "[[on_demand]] pattern"},
		{"on demand, another mode", "[[on_demand]]\npattern = \"*\"\nmode = \"mirror\"\n", "mode \"mirror\""},
		{"no fetches", "[fallback]\nfetches = 0\n", "[fallback]"},
		{"no deadline", "[fallback]\ndeadline = \"0s\"\n", "[fallback]"},
		{"another sendfile", "[fallback]\nsendfile = \"yes\"\n", "sendfile \"yes\""},
		{"tokens in the site", "[fallback]\ntokens = \"site/tokens\"\n", "must not lie in the site"},
		{"owner without projects", "[[owner]]\nuser = \"alice\"\n", "[[owner]] \"alice\""},
		{"owner of what is no name", "[[owner]]\nuser = \"alice\"\nprojects = [\"a b\"]\n", "projects \"a b\""},
		{"project's upstream", "[[project]]\nname = \"a\"\nupstream = \"x\"\n", "upstream \"x\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q in it", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
	_, err := load(t, "titel = \"x\"\n")
	if got := Hint(err); !strings.Contains(got, `"title"`) {
		t.Errorf("hint %q", got)
	}
}

func TestDurations(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want time.Duration // 0 for an error
	}{
		{"7d", 168 * time.Hour}, {"1w 2d 3h", 219 * time.Hour}, {"1w2d3h4m5s", 219*time.Hour + 4*time.Minute + 5*time.Second},
		{" 90s ", 90 * time.Second}, {"2h 1w", 170 * time.Hour}, {"", 0}, {"7", 0}, {"d", 0}, {"7 d", 0}, {"-7d", 0}, {"1.5d", 0},
		{"7d 7d", 0}, {"7days", 0}, {"1y", 8760 * time.Hour}, {"2y 1w", 17688 * time.Hour}, {"300y", 0}, {"99999999999w", 0}, {"2000000000w", 0}, {"7d,", 0}, {"7D", 0},
	} {
		var d Duration
		err := d.UnmarshalText([]byte(tt.in))
		if (err != nil) != (tt.want == 0) || time.Duration(d) != tt.want {
			t.Errorf("%q: %v, %v; want %v", tt.in, time.Duration(d), err, tt.want)
		}
		if err != nil {
			continue
		}
		var again Duration
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Errorf("%q is written %q, which is read as %v, %v", tt.in, d, again, err)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int64 // -1 for an error
	}{
		{"8GiB", 8 << 30}, {"500MB", 500e6}, {"500 kB", 500e3}, {"12", 12}, {"0", 0}, {"1 TiB", 1 << 40}, {"7B", 7},
		{"", -1}, {"MB", -1}, {"-1", -1}, {"1.5GB", -1}, {"1XB", -1}, {"9999999999999TiB", -1}, {"1MBMB", -1},
	} {
		s := Size(-1)
		err := s.UnmarshalText([]byte(tt.in))
		if int64(s) != tt.want || (err != nil) != (tt.want < 0) {
			t.Errorf("%q: %d, %v; want %d", tt.in, s, err, tt.want)
		}
	}
}
