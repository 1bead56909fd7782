package nestgen

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"nestgen/fetch"
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

	// Uploads is the folder that uploaded files are put into, in a folder for
	// each project. It is read like those in Drop: who takes a file away there
	// takes it out of the index. Default none: nobody can upload.
	Uploads string `toml:"uploads"`

	// Allowlist is the requirements files that name what to fetch. Default none.
	Allowlist []string `toml:"allowlist"`

	// Policy is the file of yanks, blocks, statuses and notes. The default file
	// need not be there, as long as it never said anything; another one must be.
	// Default "policy.toml".
	Policy string `toml:"policy"`

	// Versions is how many versions to keep for an allowlist line that is not
	// pinned: "newest", "all" or a number. Default "newest".
	Versions plan.Keep `toml:"versions"`

	// Dependencies completes the allowlist, so that what it names installs from this
	// index alone, on every machine of Environments: "resolve" adds for each
	// of them the one set of versions that pip would choose, "closure" the newest
	// versions, as many as Versions says, of everything that may be needed. true
	// means "resolve", false adds nothing. Default false.
	Dependencies Dependencies `toml:"dependencies"`

	// Environments are the machines that dependencies are found for: presets such as
	// "cp312-linux-x86_64" and names of [[environment]] tables. Required where
	// Dependencies asks for any. Default none.
	Environments []string `toml:"environments"`

	// Pip is the version of pip that people use here, as "23.2": where several sets
	// of versions are right, the one counts that it would choose. Default: that of
	// the newest one known.
	Pip string `toml:"pip"`

	// BuildRequirements adds what building an sdist takes, where a machine of
	// Environments would get an sdist. Default false.
	BuildRequirements bool `toml:"build_requirements"`

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

	// Changes says where pages and feeds tell what changed: "none", "site" for
	// changes/ alone, or "projects" for one page with its feeds for each project as
	// well, which are three more files for each. Default "site".
	Changes string `toml:"changes"`

	// LegacyJSON says which documents of the old JSON interface to make: "none",
	// "projects" for one a project, "releases" for one a release as well; at
	// the size of the public index the last are more files than all the others.
	// Default "releases".
	LegacyJSON string `toml:"legacy_json"`

	// Flat makes the two pages that list every file: flat/ for find-links and
	// easy/ for easy_install. Default true.
	Flat bool `toml:"flat"`

	// PublishLog publishes the history under log/: every event and every page that was
	// published, in a form that proves that nothing of it was rewritten. Without it
	// the history is kept all the same, for this site alone. Default true.
	PublishLog bool `toml:"log"`

	// Snapshots has builds make snapshots of the index, each with a name of its date:
	// "hourly", "daily", "weekly" or "monthly", and how many of these stay, as
	// "weekly, keep 8"; or a list of such rules. Those that people make stay until
	// somebody drops them. Default none.
	Snapshots SnapshotRules `toml:"snapshots"`

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

	// OnPublish is told after a build or an import has published something: a command
	// as a list of words (["/usr/local/bin/purge", "--all"]), which is run without a
	// shell, or an http or https address, to which the news is posted as JSON. A hook
	// that fails is a warning, and is told again by the next build. Default none.
	OnPublish Hook `toml:"on_publish"`

	// OnPublishTimeout is how long OnPublish may take before it is killed. Default
	// "30s", at most "1h".
	OnPublishTimeout Duration `toml:"on_publish_timeout"`

	// Provenance says what becomes of a file of an upstream that comes without
	// provenance (PEP 740), or with one that is not its own, where the release
	// before it had it: "hold" does not take it and raises an alarm, "warn" takes
	// it with a warning. "off" does not look at provenance, which saves a request
	// for each new file that has some. Default "hold".
	Provenance string `toml:"provenance"`

	// MaxFile is the size that a single file may have. Default "8GiB".
	MaxFile Size `toml:"max_file"`

	// AccessLogs is the web server's access logs, and what they are rotated to:
	// paths, or patterns such as "/var/log/nginx/access.log*", in which the files may
	// be packed by gzip. "nestgen stats" counts what they have, and "nestgen gc" goes
	// by it. Where it is set, "nestgen stats --publish" makes the pages stats/. Default
	// none.
	AccessLogs []string `toml:"access_logs"`

	// Upstreams are asked in this order; the first that has a project is the
	// one that its name belongs to. Without any the site is purely local.
	Upstreams []Upstream `toml:"upstream"`

	// Filter says which files of upstreams are wanted, by what they are.
	Filter Filter `toml:"filter"`

	// Projects are the exceptions.
	Projects []ProjectConfig `toml:"project"`

	// Targets describe machines that no preset does.
	Targets []Environment `toml:"environment"`

	// Indexes are further indexes of the site, each below a prefix of its own and
	// with a part of what the site has. They share its store. Default none.
	Indexes []Index `toml:"index"`

	// OnDemand says which projects come when somebody asks for them. The first
	// entry whose pattern a name fits decides; a name that fits none does not
	// come on demand. Default none.
	OnDemand []OnDemand `toml:"on_demand"`

	// Hold says what does not come in yet.
	Hold Hold `toml:"hold"`

	// Fallback is about requests for what the tree does not have.
	Fallback Fallback `toml:"fallback"`

	// Advisories is about security advisories.
	Advisories Advisories `toml:"advisories"`

	// Owners are users of the web server, as it knows them by their REMOTE_USER,
	// and what they may upload. Default none.
	Owners []Owner `toml:"owner"`

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

	// MinAge as in `[hold]`, for what comes from this upstream. Default: as
	// there.
	MinAge *Duration `toml:"min_age"`

	// LateFiles as in `[hold]`, for what comes from this upstream. Default: as
	// there.
	LateFiles *Duration `toml:"late_files"`

	// Undated lets files in that the upstream gives no upload time for. It is for
	// upstreams that never give one. Default false: where `[hold]` needs to know
	// when a file was uploaded, one that nobody knows it of is held for good.
	Undated bool `toml:"undated"`

	// Rotates says that the upstream takes old files down as new ones come, as one
	// of nightly builds. Default false: a project is held of which no known file is
	// left there while it has others, because its name may have gone to somebody
	// else.
	Rotates bool `toml:"rotates"`

	// RequireHashes refuses files that the upstream gives no hash for.
	// Default false: they are taken, and their first bytes are the truth.
	RequireHashes bool `toml:"require_hashes"`

	// Serials says whether one request for the upstream's root page may tell
	// which projects have changed, so that the others are not asked about: "auto"
	// where that page is not longer than the requests that it saves, "always", or
	// "never", which believes no serial at all. Default "auto".
	Serials string `toml:"serials"`
}

// A Filter says which files of upstreams are wanted here, by what they are. What
// people drop or upload is not filtered, nor what the allowlist names by its
// address.
type Filter struct {
	// Python keeps files that one of these versions of Python can use, by their
	// tags and their Requires-Python: a specifier set such as ">=3.9", or "*" for
	// every version. Default "*".
	Python plan.Pythons `toml:"python"`

	// Implementations keeps wheels for these implementations of Python: "cpython",
	// "pypy", "graalpy", "ironpython", "jython", "pyston". Wheels that name none stay.
	// Default: all of them.
	Implementations []plan.Implementation `toml:"implementations"`

	// ABIs keeps wheels for these ABIs: "none", "stable" (abi3), "ordinary" (that
	// of one version of Python), "free-threaded", "debug", or tags such as "cp312".
	// Default: all of them.
	ABIs []plan.ABI `toml:"abis"`

	// Platforms keeps what is built for these platforms: a system and an
	// architecture as "linux-x86_64", "musllinux-aarch64", "macos-arm64" or
	// "windows-amd64"; a system alone; or a platform tag, which stands for all that
	// runs there ("manylinux_2_28_x86_64"). What runs everywhere stays; "any" keeps
	// that alone. Default: all of them.
	Platforms []plan.Platform `toml:"platforms"`

	// UsableBy keeps what one of these machines can use: presets such as
	// "cp312-linux-x86_64", names of `[[environment]]` tables, or "all" for those of
	// the site's `environments`. Default none: there is no such demand.
	UsableBy []string `toml:"usable_by"`

	// Formats is the kinds of files to keep of each version: "all", or "wheels",
	// "sdists", "eggs" and "installers" joined by "and". Behind "else" stands what to
	// keep of a version that has nothing of these: "wheels, else sdists". Default
	// "all".
	Formats plan.Formats `toml:"formats"`

	// Prereleases says what becomes of pre-releases, where the allowlist does not:
	// "auto" takes them if there is nothing else or a line names one, "always" takes
	// them, "never" takes only those that a line names. Default "auto".
	Prereleases Prereleases `toml:"prereleases"`

	// NewerThan keeps versions of which the newest file is younger than that
	// ("2y"), and always the newest version, those that a line of the allowlist pins
	// and those that something else needs. Default "0s": of any age.
	NewerThan *Duration `toml:"newer_than"`

	// MaxFile keeps files of this size at most. Default: that of the site.
	MaxFile *Size `toml:"max_file"`

	// MaxRelease keeps versions of which all files that are left have this size
	// together at most. Default "0": there is no limit.
	MaxRelease *Size `toml:"max_release"`
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

	// Crawl is hosts, or ends of host names ("*.example.net"), on which to look for
	// files of this project as well, as easy_install did: on the pages that its page
	// at the upstream names as homepage or for downloads. Files that are found so
	// have no hash but the one that is noted when they are first seen. Default none.
	Crawl []string `toml:"crawl"`

	// MinAge as in `[hold]`, for this project, whichever upstream it comes from.
	// Default: that of its upstream.
	MinAge *Duration `toml:"min_age"`

	// Each of them may stand here too, in the place of the site's for this project. An
	// empty list, "*", "all", "0" and "0s" lift what the site says.
	Filter
}

// A Hold says what keeps new files of upstreams out for a while. What the index
// has stays, and an [[allow]] of the policy lets single files in.
type Hold struct {
	// MinAge is how old a file must be before it comes in, by the upload time that
	// its upstream gives. A `[[project]]` and an `[[upstream]]` may say otherwise.
	// Default "0s": files come in at once.
	MinAge Duration `toml:"min_age"`

	// NotAfter freezes the index: what was uploaded after that day, or that moment,
	// stays out. It is written bare, as 2026-11-01 or 2026-11-01T12:00:00Z. Default
	// none.
	NotAfter Moment `toml:"not_after"`

	// LateFiles holds a file that was uploaded more than that after the first file
	// of its release, until somebody lets it in. Files that were uploaded before
	// August 2026 do not count as late. "0s" turns it off. Default "14d".
	LateFiles Duration `toml:"late_files"`

	// Page makes the public pages of what is held: held/ for people, and
	// held/index.json. Default true.
	Page bool `toml:"page"`
}

// An Environment is a kind of machine that no preset describes.
type Environment struct {
	// Name is what the settings call it elsewhere: letters, digits, dots, dashes and
	// underscores. Required.
	Name string `toml:"name"`

	// Like is the preset that it differs from. Without it Tags and Markers must
	// say everything.
	Like string `toml:"like"`

	// Python is the full version of its Python ("3.12.4"). Default: the last one
	// that is known.
	Python string `toml:"python"`

	// Glibc is the version of the C library of a "linux". Default: that of Like.
	Glibc string `toml:"glibc"`

	// Musl is the version of the C library of a "musllinux". Default: that of Like.
	Musl string `toml:"musl"`

	// MacOS is the release of a "macos". Default: that of Like.
	MacOS string `toml:"macos"`

	// Tags are all of its compatibility tags, the most wanted first (PEP 425).
	// Default: those of Like.
	Tags []string `toml:"tags"`

	// Markers are values of environment markers by their names (PEP 508), in the
	// place of those that follow from the rest. Default none.
	Markers map[string]string `toml:"markers"`
}

// An Index is one more index of the same site. It lists what the indexes that it
// inherits list, what its allowlist chooses of the site, and what was promoted to
// it. One that has neither of the first two is a stage: promotions alone fill it.
type Index struct {
	// Name is what commands, reports and other indexes call it: small letters,
	// digits, "-" and "_". It must not change. Required.
	Name string `toml:"name"`

	// Title stands on its pages. Default: the site's title with the name behind.
	Title string `toml:"title"`

	// Prefix is where it lies below the address of the site: one or two folders
	// of such letters. Default: the name.
	Prefix string `toml:"prefix"`

	// Inherits names other indexes; it lists all that they list. The site's own is
	// "/". Default none.
	Inherits []string `toml:"inherits"`

	// Allowlist is requirements files of its own. Their lines count for the site
	// as well, so that it has what they ask for; of that the index lists what they
	// choose. Default none.
	Allowlist []string `toml:"allowlist"`

	// Versions as in Config, for the lines of this allowlist. Default: the site's.
	Versions plan.Keep `toml:"versions"`

	// Filter says which files of what it inherits, and of what its allowlist
	// chooses, it lists: the keys are those of the site's `[filter]`. What was
	// promoted is listed whatever it is. Default: all.
	Filter Filter `toml:"filter"`
}

// An OnDemand says what becomes of a request for a project that is not here.
type OnDemand struct {
	// Pattern is a name, the beginning of one with a star at the end ("acme-*"),
	// or "*" for every name. Required.
	Pattern string `toml:"pattern"`

	// Mode is "never"; "list" for what the allowlist names; "fetch" for every
	// name that an upstream has and that is not this site's own; or "redirect"
	// to send whoever asks to its upstream, or else the first. Required.
	Mode string `toml:"mode"`
}

// A Fallback is how requests are answered for what the tree does not have, by
// the gateway program and by "nestgen serve".
type Fallback struct {
	// Refresh is how old may be what an upstream said of a project that came on
	// demand before it is asked again, by a build or a request. Default "1d".
	Refresh Duration `toml:"refresh"`

	// Unknown is how long nobody is asked again for a name that no upstream has.
	// Default "10m".
	Unknown Duration `toml:"unknown"`

	// Deadline is how long a request waits for an upstream, or for others that
	// want the same, before it is told to come back later. Default "20s".
	Deadline Duration `toml:"deadline"`

	// Fetches is how many pages and files are fetched at once, by all requests
	// together. Default 16.
	Fetches int `toml:"fetches"`

	// Free is how much of the disk stays free: with less, nothing comes on
	// demand and no upload is taken. Default "1GiB".
	Free Size `toml:"free"`

	// Sendfile hands finished files over to the web server: "x-sendfile" for
	// Apache with mod_xsendfile, "x-accel" for nginx, or "none" to send them
	// through the gateway. Default "none".
	Sendfile string `toml:"sendfile"`

	// Tokens is the file of the tokens by which people may upload, which
	// "nestgen token" writes. Default "tokens".
	Tokens string `toml:"tokens"`

	// RemoteUser trusts the web server's word for who is there. The gateway is
	// told so by the server's own settings as well; see docs/serving.md. Default
	// false.
	RemoteUser bool `toml:"remote_user"`
}

// Advisories are what is known of faults and of malware in files of upstreams.
// Projects of this site's own are never concerned, whatever they are called.
type Advisories struct {
	// OSV is what advisories are read from: the zip file of the PyPI ecosystem that
	// osv.dev has, a folder of files as in it, or the http or https address of the
	// zip file, which each build asks for anew. Default none.
	OSV string `toml:"osv"`

	// Upstreams are those that the advisories are about. Default: all.
	Upstreams []string `toml:"upstreams"`

	// Yank has versions yanked that an advisory affects and another version fixes.
	// What their upstream or the policy says of them stands. Default false.
	Yank bool `toml:"yank"`

	// Block keeps out what an advisory calls malware (those whose id begins with
	// "MAL-"), and takes out at once what is listed. Default true.
	Block bool `toml:"block"`

	// Ignore is the ids of advisories that do not count here. Default none.
	Ignore []string `toml:"ignore"`

	// Proxy is the address of an HTTP proxy to fetch the dump by, "env" to take it
	// from the environment, or "" for none. Default none.
	Proxy string `toml:"proxy"`

	// CAFile is a PEM file of the authorities to trust for it instead of the
	// system's. Default none.
	CAFile string `toml:"ca_file"`
}

// An Owner is a user of the web server who may upload.
type Owner struct {
	// User is the name by which the web server knows somebody. Required.
	User string `toml:"user"`

	// Projects are names, or beginnings of names with a star at the end, or "*"
	// for all. Required.
	Projects []string `toml:"projects"`
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
		Changes:       "site",
		LegacyJSON:    "releases",
		Flat:          true,
		PublishLog:    true,
		LegacyFiles:   true,
		LinkPasswords: "warn",
		Hold:          Hold{LateFiles: Duration(14 * 24 * time.Hour), Page: true},
		Provenance:    "hold",
		Connections:   32,

		OnPublishTimeout: Duration(30 * time.Second),

		MaxFile: 8 << 30,
		Fallback: Fallback{
			Refresh:  Duration(24 * time.Hour),
			Unknown:  Duration(10 * time.Minute),
			Deadline: Duration(20 * time.Second),
			Fetches:  16,
			Free:     1 << 30,
			Sendfile: "none",
			Tokens:   "tokens",
		},
		Advisories: Advisories{Block: true},
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
	for _, p := range []*string{&c.Site, &c.State, &c.Policy, &c.Templates, &c.Netrc, &c.Uploads, &c.Fallback.Tokens} {
		abs(p)
	}
	for i := range c.Drop {
		abs(&c.Drop[i])
	}
	if c.Uploads != "" {
		c.Uploads = filepath.Clean(c.Uploads)
	}
	if c.Uploads != "" && !slices.ContainsFunc(c.Drop, func(d string) bool { return filepath.Clean(d) == c.Uploads }) {
		c.Drop = append(c.Drop, c.Uploads)
	}
	for i := range c.Allowlist {
		abs(&c.Allowlist[i])
	}
	for i := range c.AccessLogs {
		if _, err := filepath.Match(c.AccessLogs[i], ""); err != nil || c.AccessLogs[i] == "" {
			fault("access_logs %q: want a path, or a pattern with * and ?", c.AccessLogs[i])
		}
		abs(&c.AccessLogs[i])
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
	if c.Provenance != "hold" && c.Provenance != "warn" && c.Provenance != "off" {
		fault("provenance %q: want hold, warn or off", c.Provenance)
	}
	if _, ok := changesOf[c.Changes]; !ok {
		fault("changes %q: want none, site or projects", c.Changes)
	}
	if c.LegacyJSON != "none" && c.LegacyJSON != "projects" && c.LegacyJSON != "releases" {
		fault("legacy_json %q: want none, projects or releases", c.LegacyJSON)
	}
	if c.Connections < 1 || c.Jobs < 0 || c.MaxFile < 1 {
		fault("connections, jobs and max_file must be positive")
	}
	for _, r := range c.Reserved {
		if !isPattern(r) {
			fault("reserved %q: want a project name, or the beginning of one with a star at the end", r)
		}
	}
	if c.Fallback.Tokens != "" && inside(c.Fallback.Tokens, c.Site) {
		fault("[fallback] tokens %s must not lie in the site, which the web server serves", c.Fallback.Tokens)
	}
	faults = append(faults, c.resolveUpstreams(abs)...)
	faults = append(faults, c.resolveFallback()...)
	faults = append(faults, c.resolveAdvisories(abs)...)
	faults = append(faults, c.resolveProjects()...)
	faults = append(faults, c.resolveEnvironments()...)
	faults = append(faults, c.resolveHold()...)
	faults = append(faults, c.resolveHook()...)
	faults = append(faults, c.resolveIndexes(abs)...)
	faults = append(faults, c.resolveFilters()...)
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
		switch u.Serials {
		case "":
			u.Serials = "auto"
		case "auto", "always", "never":
		default:
			fault("serials %q: want auto, always or never", u.Serials)
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
		for _, h := range p.Crawl {
			if err := fetch.CheckHost(h); err != nil {
				fault("crawl %q: %v", h, err)
			}
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

func (c *Config) resolveFallback() (faults []error) {
	fault := func(format string, args ...any) {
		faults = append(faults, &stricttoml.Error{File: c.File, Text: fmt.Sprintf(format, args...)})
	}
	for _, d := range c.OnDemand {
		if d.Pattern != "*" && !isPattern(d.Pattern) {
			fault("[[on_demand]] pattern %q: want a project name, the beginning of one with a star at the end, or a star", d.Pattern)
		}
		switch d.Mode {
		case "never", "list", "fetch", "redirect":
		default:
			fault("[[on_demand]] %q: mode %q: want never, list, fetch or redirect", d.Pattern, d.Mode)
		}
	}
	f := &c.Fallback
	if f.Refresh <= 0 || f.Unknown <= 0 || f.Deadline <= 0 || f.Fetches < 1 || f.Fetches > maxFetches || f.Free < 0 {
		fault("[fallback] refresh, unknown, deadline and fetches must be positive, and fetches at most %d", maxFetches)
	}
	switch f.Sendfile {
	case "none", "x-sendfile", "x-accel":
	default:
		fault("[fallback] sendfile %q: want none, x-sendfile or x-accel", f.Sendfile)
	}
	for _, o := range c.Owners {
		if o.User == "" || len(o.Projects) == 0 {
			fault("[[owner]] %q: user and projects are required", o.User)
		}
		for _, p := range o.Projects {
			if p != "*" && !isPattern(p) {
				fault("[[owner]] %q: projects %q: want a project name, the beginning of one with a star at the end, or a star", o.User, p)
			}
		}
	}
	return faults
}

// maxFetches is the most that [Fallback.Fetches] may be.
const maxFetches = 256

// isPattern reports whether s is a project's name, or the beginning of one with a
// star at the end.
func isPattern(s string) bool {
	prefix, open := strings.CutSuffix(s, "*")
	if open {
		prefix = strings.TrimRight(prefix, "-_.")
	}
	return packaging.ValidName(prefix)
}

// matches reports whether a name is the one that a pattern stands for, or one of
// those.
func matches(pattern string, n packaging.Name) bool {
	prefix, open := strings.CutSuffix(pattern, "*")
	switch {
	case !open:
		return packaging.NormalizeName(pattern) == n
	case prefix == "":
		return true
	}
	return strings.HasPrefix(string(n), strings.TrimSuffix(string(packaging.NormalizeName(prefix+"x")), "x"))
}

// reserved reports whether a name must never be asked for at an upstream.
func (c *Config) reserved(n packaging.Name) bool {
	return slices.ContainsFunc(c.Reserved, func(r string) bool { return matches(r, n) })
}

// onDemand gives the mode of a name that somebody asks for.
func (c *Config) onDemand(n packaging.Name) string {
	if len(c.OnDemand) == 0 || c.reserved(n) {
		return "never"
	}
	if c.exception(n).Sources == "local" {
		return "never"
	}
	for _, d := range c.OnDemand {
		if matches(d.Pattern, n) {
			return d.Mode
		}
	}
	return "never"
}

// inside reports whether path lies in dir, or is dir.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
