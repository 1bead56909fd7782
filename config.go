package nestgen

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"nestgen/internal/stricttoml"
	"nestgen/packaging"
	"nestgen/plan"
)

// A Config is the settings of one site, as nestgen.toml holds them. The
// comments here are the manual: a field's comment says what it does, and what
// stands when it is left out. Relative paths are relative to the settings file.
type Config struct {
	// Title stands on the pages for people. Default "Python package index".
	Title string `toml:"title"`

	// Site is the tree that the web server serves. Nothing but nestgen writes
	// there. Default "site".
	Site string `toml:"site"`

	// State is for the catalog, the stage and the reports. It must be on the
	// same file system as Site, and no web server should see it. Default
	// "state".
	State string `toml:"state"`

	// Drop is the folders that people put distributions in; each is read with
	// everything below it. Default none.
	Drop []string `toml:"drop"`

	// Allowlist is the requirements files that name what to fetch. Default none.
	Allowlist []string `toml:"allowlist"`

	// Policy is the file of yanks, blocks, statuses and notes. The default file
	// need not be there, as long as it never said anything; another one must be.
	// Default "policy.toml".
	Policy string `toml:"policy"`

	// Versions is how many versions to keep for an allowlist line that is not
	// pinned: "newest", "all" or a number. Default "newest".
	Versions plan.Keep `toml:"versions"`

	// BaseURL is the address of the site as clients see it, with a slash at
	// its end. All links between pages are relative and do not need it; the
	// legacy JSON and the attestations name it when it is given. Default none.
	BaseURL string `toml:"base_url"`

	// Grace is how long the bytes of a file stay after the index has stopped
	// listing it, so that whoever read the old page can still fetch it. It
	// must be longer than any cache in front of the site keeps a page.
	// Default "7d", at least "24h".
	Grace Duration `toml:"grace"`

	// Reserved is names, or beginnings of names with a star at the end
	// ("acme-*"), that are never asked for at any upstream. Default none.
	Reserved []string `toml:"reserved"`

	// People makes the pages for people: the front page and one for each
	// project. Default true.
	People bool `toml:"people"`

	// LegacyJSON says which documents of the old JSON interface to make: "none",
	// "projects" for one a project, "releases" for one a release as well; at
	// the size of the public index the last are more files than all the others.
	// Default "releases".
	LegacyJSON string `toml:"legacy_json"`

	// Flat makes the two pages that list every file: flat/ for find-links and
	// easy/ for easy_install. Default true.
	Flat bool `toml:"flat"`

	// Gzip writes a compressed copy beside each page, for servers that can
	// send it as it is. Default false.
	Gzip bool `toml:"gzip"`

	// LegacyFiles lists Windows installers, RPM and Debian packages and dumb
	// binary archives, which no current installer takes. Default true.
	LegacyFiles bool `toml:"legacy_files"`

	// LinkPasswords says what becomes of a development link that carries a
	// password: "warn" lists it with a warning, "refuse" does not list it.
	// Default "warn".
	LinkPasswords string `toml:"link_passwords"`

	// Templates is a folder whose files replace the built-in page templates
	// of the same name. Default none.
	Templates string `toml:"templates"`

	// Contact is added to the User-Agent, so that the people who run an
	// upstream know whom to write to. Default none.
	Contact string `toml:"contact"`

	// Netrc is a file with user names and passwords for upstreams. Default
	// none: the netrc of the user is not read unless it is named here.
	Netrc string `toml:"netrc"`

	// Connections is how many requests are in flight to one upstream at most.
	// Default 32.
	Connections int `toml:"connections"`

	// Jobs is how many files are hashed, checked or downloaded at once.
	// Default: the number of processors, and four times that for downloads.
	Jobs int `toml:"jobs"`

	// MaxFile is the size that a single file may have. Default "8GiB".
	MaxFile Size `toml:"max_file"`

	// Upstreams are asked in this order; the first that has a project is the
	// one that its name belongs to. Without any the site is purely local.
	Upstreams []Upstream `toml:"upstream"`

	// Projects are the exceptions.
	Projects []ProjectConfig `toml:"project"`

	// File is where the settings came from.
	File string `toml:"-"`
}

// An Upstream is an index somewhere else.
type Upstream struct {
	// Name stands in reports and in the catalog, and must not change.
	// Required.
	Name string `toml:"name"`

	// URL is an index (PEP 503 or PEP 691), a page or a directory listing with
	// links to files, a file: URL or a local path. Required. It must not carry
	// a password: see Credentials.
	URL string `toml:"url"`

	// Form says what is at URL: "index" for a page for each project, "page" for
	// all files on one page. Default: it is found out.
	Form string `toml:"form"`

	// Credentials is a file that holds user:password on its first line.
	// Default none.
	Credentials string `toml:"credentials"`

	// Proxy is the address of an HTTP proxy, "env" to take it from the
	// environment, or "" for none. Default none.
	Proxy string `toml:"proxy"`

	// CAFile is a PEM file of the authorities to trust instead of the system's.
	CAFile string `toml:"ca_file"`

	// Rate is how many requests a second are made at most. Default 0: no limit.
	Rate float64 `toml:"rate"`

	// Timeout is how long to wait for a connection and for the beginning of an
	// answer. Default "30s".
	Timeout Duration `toml:"timeout"`

	// RequireHashes refuses files that the upstream gives no hash for.
	// Default false: they are taken, and their first bytes are the truth.
	RequireHashes bool `toml:"require_hashes"`
}

// A ProjectConfig is an exception for one project.
type ProjectConfig struct {
	// Name of the project in any spelling. Required.
	Name string `toml:"name"`

	// Versions as in Config, for this project. Default: the site's.
	Versions plan.Keep `toml:"versions"`

	// Sources says where files of this project may come from: "local",
	// "upstream" or "both". Default: whichever had the name first.
	Sources string `toml:"sources"`

	// Upstream is the only upstream to ask. Default: all, in order.
	Upstream string `toml:"upstream"`
}

// Default gives the settings that stand where a file says nothing.
func Default() Config {
	return Config{
		Title:         "Python package index",
		Site:          "site",
		State:         "state",
		Policy:        "policy.toml",
		Versions:      plan.Newest,
		Grace:         Duration(7 * 24 * time.Hour),
		People:        true,
		LegacyJSON:    "releases",
		Flat:          true,
		LegacyFiles:   true,
		LinkPasswords: "warn",
		Connections:   32,
		MaxFile:       8 << 30,
	}
}

// Load reads a settings file. Errors are *stricttoml.Error values, joined.
func Load(file string) (Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Config{}, err
	}
	c := Default()
	if err := stricttoml.Decode(file, data, &c); err != nil {
		return Config{}, err
	}
	c.File = file
	return c, nil
}

// Resolve checks the settings and makes their paths absolute. It is called
// once, after everything that may override a setting has done so.
func (c *Config) Resolve() error {
	dir, err := filepath.Abs(filepath.Dir(c.File))
	if err != nil {
		return err
	}
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, &stricttoml.Error{File: c.File, Text: fmt.Sprintf(format, args...)})
	}
	abs := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if c.Site == "" || c.State == "" {
		fault("site and state must name folders")
	}
	for _, p := range []*string{&c.Site, &c.State, &c.Policy, &c.Templates, &c.Netrc} {
		abs(p)
	}
	for i := range c.Drop {
		abs(&c.Drop[i])
	}
	for i := range c.Allowlist {
		abs(&c.Allowlist[i])
	}
	if inside(c.State, c.Site) || inside(c.Site, c.State) {
		fault("state %s and site %s must not lie in each other: the web server would serve the state", c.State, c.Site)
	}
	for _, d := range c.Drop {
		if inside(d, c.Site) || inside(c.Site, d) || inside(d, c.State) || inside(c.State, d) {
			fault("drop folder %s and the site's own folders must not lie in each other", d)
		}
	}
	if c.BaseURL != "" {
		u, err := url.Parse(c.BaseURL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
			fault("base_url %q: want an http or https address without a password", c.BaseURL)
		} else if !strings.HasSuffix(c.BaseURL, "/") {
			c.BaseURL += "/"
		}
	}
	if time.Duration(c.Grace) < 24*time.Hour {
		fault("grace %s: less than a day would take files away from under clients that have just read their page", c.Grace)
	}
	if c.LinkPasswords != "warn" && c.LinkPasswords != "refuse" {
		fault("link_passwords %q: want warn or refuse", c.LinkPasswords)
	}
	if c.LegacyJSON != "none" && c.LegacyJSON != "projects" && c.LegacyJSON != "releases" {
		fault("legacy_json %q: want none, projects or releases", c.LegacyJSON)
	}
	if c.Connections < 1 || c.Jobs < 0 || c.MaxFile < 1 {
		fault("connections, jobs and max_file must be positive")
	}
	for _, r := range c.Reserved {
		if !packaging.ValidName(strings.TrimSuffix(strings.TrimSuffix(r, "*"), "-")) {
			fault("reserved %q: want a project name, or the beginning of one with a star at the end", r)
		}
	}
	faults = append(faults, c.resolveUpstreams(abs)...)
	faults = append(faults, c.resolveProjects()...)
	return errors.Join(faults...)
}

func (c *Config) resolveUpstreams(abs func(*string)) (faults []error) {
	names := map[string]bool{"local": true, "direct": true, "policy": true}
	for i := range c.Upstreams {
		u := &c.Upstreams[i]
		fault := func(format string, args ...any) {
			faults = append(faults, &stricttoml.Error{File: c.File, Text: fmt.Sprintf("[[upstream]] %q: "+format, append([]any{u.Name}, args...)...)})
		}
		switch {
		case u.Name == "" || u.URL == "":
			fault("name and url are required")
		case names[u.Name]:
			fault("the name is taken; give each upstream one of its own, other than local, direct and policy")
		}
		names[u.Name] = true
		if p, err := url.Parse(u.URL); err == nil && p.User != nil {
			fault("url carries a user name or password: put them in a file and name it in credentials")
		}
		if !strings.Contains(u.URL, ":") {
			abs(&u.URL)
		} else if rest, ok := strings.CutPrefix(u.URL, "file:"); ok && !strings.HasPrefix(rest, "/") {
			fault("url %q: a file: URL needs an absolute path; a relative path is written without file:", u.URL)
		}
		abs(&u.Credentials)
		abs(&u.CAFile)
		if _, ok := forms[u.Form]; !ok {
			fault("form %q: want index or page", u.Form)
		}
		if u.Rate < 0 || u.Timeout < 0 {
			fault("rate and timeout must not be negative")
		}
	}
	return faults
}

func (c *Config) resolveProjects() (faults []error) {
	seen := map[packaging.Name]bool{}
	for i := range c.Projects {
		p := &c.Projects[i]
		fault := func(format string, args ...any) {
			faults = append(faults, &stricttoml.Error{File: c.File, Text: fmt.Sprintf("[[project]] %q: "+format, append([]any{p.Name}, args...)...)})
		}
		n, err := packaging.ParseName(p.Name)
		if err != nil {
			fault("%v", err)
			continue
		}
		if seen[n] {
			fault("there are two entries for this project")
		}
		seen[n] = true
		switch p.Sources {
		case "", "local", "upstream", "both":
		default:
			fault("sources %q: want local, upstream or both", p.Sources)
		}
		known := p.Upstream == ""
		for _, u := range c.Upstreams {
			known = known || u.Name == p.Upstream
		}
		if !known {
			fault("upstream %q: there is none of this name", p.Upstream)
		}
	}
	return faults
}

// inside reports whether path lies in dir, or is dir.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// A Duration is written as numbers with units: "7d", "1w 2d 3h 4m 5s".
type Duration time.Duration

var durationUnits = map[string]time.Duration{
	"w": 7 * 24 * time.Hour, "d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second,
}

// UnmarshalText reads the written form. Spaces between the parts may be left
// out; each unit may stand once.
func (d *Duration) UnmarshalText(text []byte) error {
	bad := fmt.Errorf("duration %q: want numbers with units, such as 7d or 1w 2d 3h 4m 5s", text)
	rest := strings.TrimSpace(string(text))
	if rest == "" {
		return bad
	}
	var sum time.Duration
	used := map[string]bool{}
	for rest != "" {
		i := 0
		for i < len(rest) && '0' <= rest[i] && rest[i] <= '9' {
			i++
		}
		if i == 0 || i == len(rest) {
			return bad
		}
		unit := rest[i : i+1]
		n, err := strconv.ParseInt(rest[:i], 10, 32)
		if err != nil || durationUnits[unit] == 0 || used[unit] {
			return bad
		}
		used[unit] = true
		part := time.Duration(n) * durationUnits[unit]
		if part/durationUnits[unit] != time.Duration(n) || sum+part < sum {
			return bad
		}
		sum += part
		rest = strings.TrimLeft(rest[i+1:], " ")
	}
	*d = Duration(sum)
	return nil
}

// String gives the written form.
func (d Duration) String() string {
	rest := time.Duration(d)
	if rest == 0 {
		return "0s"
	}
	var parts []string
	for _, unit := range []string{"w", "d", "h", "m", "s"} {
		if n := rest / durationUnits[unit]; n > 0 {
			parts = append(parts, strconv.FormatInt(int64(n), 10)+unit)
			rest -= n * durationUnits[unit]
		}
	}
	return strings.Join(parts, " ")
}

// A Size is a number of bytes, written with or without a unit: "500MB", "8GiB".
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

// UnmarshalText reads the written form.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := strings.TrimSpace(string(text)), int64(1)
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return fmt.Errorf("size %q: want a number of bytes with or without a unit, such as 500MB or 8GiB", text)
	}
	*s = Size(n * unit)
	return nil
}
