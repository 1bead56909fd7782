package fetch

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"nestgen/catalog"
	"nestgen/packaging"
)

// An Upstream is an index somewhere else. Only Name and URL must be set.
type Upstream struct {
	// Name stands in errors and reports.
	Name string

	// URL is the root of an index, the part before the project name; or a page
	// with links to files; or a file: URL or a local path of either, or of a
	// folder of files. User information in it is used as if it had come from
	// Credentials, and is written nowhere.
	URL string

	// Shown is URL as it may be written down. Of what else stands in URL, as the
	// value of a variable does, nothing is told: neither in a listing, nor in an
	// error. If empty, all of URL but user information may be.
	Shown string

	// Form says what is at URL. If zero, it is found out.
	Form Form

	// Credentials is a file with user:password on its first line. If empty,
	// the netrc file of the Options is looked at.
	Credentials string

	// Proxy is the address of a proxy, or "env" for what the environment
	// says. If empty, none is used, whatever the environment says.
	Proxy string

	// CAFile is a PEM file of the authorities to trust. If empty, the system's.
	CAFile string

	// Rate is how many requests a second are made at most. If zero, any number.
	Rate float64

	// Timeout is how long to wait for a connection, for the TLS handshake and
	// for the header of an answer, each. If zero, 30 seconds.
	Timeout time.Duration

	// RequireHashes refuses to download a file for which the upstream gives
	// no SHA-2, SHA-3 or BLAKE2 hash.
	RequireHashes bool

	// NoSerials believes no serial: an answer may be older than the one before
	// it, as it is where an index was made anew.
	NoSerials bool

	// Crawl is all hosts that [Source.Crawl] may be called with. Those that are
	// named whole may be in a private network though the upstream is not.
	Crawl []string
}

// A Form is what is at an upstream's URL.
type Form uint8

// The forms.
const (
	// AnyForm: it is found out. An address that ends in .html is a page. For
	// all others a page of the project is asked for; where there is none, the
	// beginning of the page at the root says which it is.
	AnyForm Form = iota

	// Index: there is a page for each project below the URL (PEP 503, PEP 691).
	Index

	// Page: all files of all projects are on one page, as on those for
	// find-links and in the listing of a folder.
	Page
)

// Options are what all upstreams of a site share. The zero Options are usable.
type Options struct {
	// UserAgent is sent with every request. If empty, "nestgen".
	UserAgent string

	// Netrc is a file of user names and passwords. If empty, none is read.
	Netrc string

	// Connections is how many requests are in flight to one upstream at most.
	// If zero, 32.
	Connections int

	// Retries is how often a request is repeated that failed in a way that may
	// pass. If zero, 3; if negative, never.
	Retries int

	// RetryDelay is the wait before the first repetition; it doubles with each,
	// and half of it is left to chance. If zero, 500 ms.
	RetryDelay time.Duration

	// MaxRetryAfter is the longest Retry-After that is waited for; a server
	// that asks for more is left alone at once. If zero, an hour.
	MaxRetryAfter time.Duration

	// MaxPage is how many bytes a page may have once unpacked. If zero, 64 MiB.
	MaxPage int64

	// MaxFile is how many bytes a file may have. If zero, 8 GiB.
	MaxFile int64

	// StallTime and StallRate end a transfer in which fewer than StallRate
	// bytes a second came for StallTime. If zero, 30 seconds and 1024 bytes.
	StallTime time.Duration
	StallRate int64

	// Partials is a folder for downloads that broke off and may be taken up
	// again, also by a later run. It must be on the file system that downloads
	// go to, and private. If empty, they stand beside their destination.
	Partials string

	// Progress is told of downloads. If nil, nobody is.
	Progress Progress

	// Log is told of attempts that failed. If nil, nobody is.
	Log *slog.Logger
}

func (o *Options) setDefaults() {
	def := func(p *int64, d int64) {
		if *p == 0 {
			*p = d
		}
	}
	def((*int64)(&o.RetryDelay), int64(500*time.Millisecond))
	def((*int64)(&o.MaxRetryAfter), int64(time.Hour))
	def(&o.MaxPage, 64<<20)
	def(&o.MaxFile, 8<<30)
	def((*int64)(&o.StallTime), int64(30*time.Second))
	def(&o.StallRate, 1024)
	if o.Connections <= 0 {
		o.Connections = 32
	}
	switch {
	case o.Retries == 0:
		o.Retries = 3
	case o.Retries < 0:
		o.Retries = 0
	}
	if o.UserAgent == "" {
		o.UserAgent = "nestgen"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// A Progress is told how downloads go on. Its methods and those of its meters
// are called from many goroutines.
type Progress interface {
	// Begin is called when a download begins. The size is -1 if it is unknown.
	Begin(filename string, size int64) Meter
}

// A Meter shows one download.
type Meter interface {
	// Set says how many bytes are here. The number falls when a download has
	// to begin again.
	Set(bytes int64)

	// End is called once, with nil if the file is here and right.
	End(err error)
}

// A Stats is what a source has done so far.
type Stats struct {
	Requests int64 // requests that were sent, repetitions and redirects included
	Bytes    int64 // bytes of pages and files that were received
}

// A Source is an upstream that is ready to be asked. It may be used by many
// goroutines.
type Source struct {
	up      Upstream
	opts    Options
	root    *url.URL // no user information
	local   *folder  // not nil for a local upstream
	veil    veil
	auth    *keyring
	guard   *guard
	client  *http.Client
	limiter *rate.Limiter // nil for any rate
	slots   chan struct{} // one for each request in flight
	large   chan struct{} // one for each large page in memory
	pauses  pauses

	form  atomic.Uint32 // a Form, once it is known
	probe sync.Mutex    // held while the form is found out
	flat  flatPage
	onces sync.Map // warnings that were given

	rangeless sync.Map // hosts that send whole files for parts

	requests atomic.Int64
	bytes    atomic.Int64
}

// Open makes a source of an upstream. It reads the files that the settings
// name and makes no connection. An error is one of the settings.
func Open(u Upstream, opts Options) (*Source, error) {
	opts.setDefaults()
	if u.Timeout == 0 {
		u.Timeout = 30 * time.Second
	}
	s := &Source{up: u, opts: opts, slots: make(chan struct{}, opts.Connections), large: make(chan struct{}, 2)}
	root, path, err := parseRoot(u.URL, cmp.Or(u.Shown, redact(u.URL)))
	if err != nil {
		return nil, fmt.Errorf("upstream %s: %w", u.Name, err)
	}
	if packaging.KindOf(root.Path) != packaging.UnknownKind {
		return nil, fmt.Errorf("upstream %s: %s is a file, not an index", u.Name, cmp.Or(u.Shown, redact(u.URL)))
	}
	s.auth, err = openKeyring(root, u.Credentials, opts.Netrc)
	if err != nil {
		return nil, fmt.Errorf("upstream %s: %w", u.Name, err)
	}
	root.User = nil
	s.root = root
	s.up.URL = root.String()
	if root.Scheme != "file" { // a path of this machine is no secret
		s.veil = newVeil(root, u.Shown)
	}
	if u.Rate > 0 {
		s.limiter = rate.NewLimiter(rate.Limit(u.Rate), max(1, int(u.Rate)))
	}
	if root.Scheme == "file" {
		s.local = &folder{path: path}
	} else {
		switch {
		case u.Form != AnyForm:
		case hasPageName(root.Path):
			u.Form = Page
		case strings.HasSuffix(root.Path, "/simple") || strings.HasSuffix(root.Path, "/simple/"):
			u.Form = Index
		}
		if u.Form != Page && !strings.HasSuffix(root.Path, "/") {
			root.Path += "/"
			if root.RawPath != "" {
				root.RawPath += "/"
			}
		}
	}
	s.form.Store(uint32(u.Form))
	s.up.Form = u.Form
	if err := s.openClient(); err != nil {
		return nil, fmt.Errorf("upstream %s: %w", u.Name, err)
	}
	return s, nil
}

// parseRoot reads the address of an upstream. The path is set for a local one.
// Errors name what is shown.
func parseRoot(s, shown string) (root *url.URL, path string, err error) {
	if scheme, _, ok := strings.Cut(s, ":"); !strings.Contains(s, "://") && (!ok || len(scheme) < 2 || strings.ContainsAny(scheme, `/\.`)) {
		if s == "" {
			return nil, "", fmt.Errorf("no address")
		}
		path, err := filepath.Abs(s)
		if err != nil {
			return nil, "", err
		}
		return &url.URL{Scheme: "file", Path: path}, path, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		// The text of err holds the whole address, password included.
		return nil, "", fmt.Errorf("address %s: not a URL", shown)
	}
	switch u.Scheme {
	case "http", "https":
		if u.Host == "" {
			return nil, "", fmt.Errorf("address %s: no host", shown)
		}
		u.Fragment, u.RawFragment = "", ""
		return u, "", nil
	case "file":
		if u.Host != "" && u.Host != "localhost" || !filepath.IsAbs(u.Path) {
			return nil, "", fmt.Errorf("address %s: a file: URL needs an absolute path and no host", shown)
		}
		path = filepath.Clean(u.Path)
		return &url.URL{Scheme: "file", Path: path}, path, nil
	}
	return nil, "", fmt.Errorf("address %s: scheme is none of http, https and file", shown)
}

// hasPageName reports whether a path names a page rather than a folder.
func hasPageName(path string) bool {
	path = strings.ToLower(path)
	return strings.HasSuffix(path, ".html") || strings.HasSuffix(path, ".htm")
}

// Name gives the upstream's name.
func (s *Source) Name() string { return s.up.Name }

// URL gives the upstream's address, without user information. It may hold what
// Shown hides.
func (s *Source) URL() string { return s.up.URL }

// Local reports whether the upstream is a folder or a page on a local disk.
func (s *Source) Local() bool { return s.local != nil }

// Stats says what the source has done so far.
func (s *Source) Stats() Stats { return Stats{s.requests.Load(), s.bytes.Load()} }

// Close ends idle connections.
func (s *Source) Close() { s.client.CloseIdleConnections() }

// Validators are what a source gave with an earlier listing, to ask whether it
// still holds. The zero Validators ask for the listing whatever it is.
type Validators struct {
	ETag         string
	LastModified string

	// Serial is the lowest serial that an answer may have.
	Serial int64
}

// ValidatorsOf gives the validators of a listing.
func ValidatorsOf(l catalog.Listing) Validators {
	return Validators{l.ETag, l.LastModified, l.Serial}
}

// List asks for all files of a project. The error matches [ErrNotModified] if
// the listing that prev came from still holds, and [fs.ErrNotExist] if the
// upstream has no such project. Other errors, and that one, are of type
// [*Error].
func (s *Source) List(ctx context.Context, n packaging.Name, prev Validators) (catalog.Listing, error) {
	var l catalog.Listing
	var err error
	switch {
	case s.local != nil:
		l, err = s.listLocal(n, prev)
	case Form(s.form.Load()) == Page:
		l, err = s.listFlat(ctx, n, prev)
	default:
		l, err = s.listIndex(ctx, n, prev)
	}
	if err == ErrNotModified {
		return catalog.Listing{}, err
	}
	if err != nil {
		return catalog.Listing{}, s.label(err, n, "", s.root.String())
	}
	s.veil.hideListing(&l)
	return l, nil
}
