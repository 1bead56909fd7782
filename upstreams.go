package nestgen

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nestgen/catalog"
	"nestgen/drop"
	"nestgen/fetch"
	"nestgen/intake"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/publish"
)

// upstreams are the sources of a site, in the order in which they are asked.
type upstreams struct {
	list []*fetch.Source

	// direct are the sources of what the allowlist names by its address, by
	// scheme, login and host.
	direct map[string]*fetch.Source
	mu     sync.Mutex // held to use direct

	// serials are those of projects by the root pages, of the upstreams that were
	// asked for them, and roots is what to keep of these pages.
	serials map[*fetch.Source]map[packaging.Name]int64
	roots   map[string]catalog.Root

	asked, same, unreachable atomic.Int64
}

// impatient shortens the waits of package fetch; only tests set it.
var impatient = func(*fetch.Options) {}

// forms are the values of an upstream's setting "form".
var forms = map[string]fetch.Form{"": fetch.AnyForm, "index": fetch.Index, "page": fetch.Page}

// maxRetryAfter is the longest that a run waits because an upstream asks it to;
// what is not had by then is had by the next run.
const maxRetryAfter = 5 * time.Minute

// open makes the upstreams ready. None is talked to.
func (u *upstreams) open(s *site) error {
	if u.list != nil || s.opts.Offline {
		return nil
	}
	o, err := u.options(s)
	if err != nil {
		return err
	}
	add := func(up fetch.Upstream) error {
		src, err := fetch.Open(up, o)
		if err != nil {
			return &fault{ErrSettings, err, ""}
		}
		u.list = append(u.list, src)
		return nil
	}
	var faults []error
	if !s.intent.options.NoIndex && s.intent.options.IndexURL.URL == "" {
		for _, up := range s.Upstreams {
			faults = append(faults, add(fetch.Upstream{
				Name: up.Name, URL: up.URL, Credentials: up.Credentials, Proxy: up.Proxy, CAFile: up.CAFile,
				Form: forms[up.Form], Rate: up.Rate, Timeout: time.Duration(up.Timeout), RequireHashes: up.RequireHashes,
				NoSerials: up.Serials == "never", Crawl: s.crawlHosts(up.Name),
			}))
		}
	}
	// What the allowlist itself says about where to look: its -i takes the
	// place of the settings' upstreams, the others come after them.
	places := s.intent.options.ExtraIndexURLs
	if i := s.intent.options.IndexURL; i.URL != "" {
		places = slices.Insert(slices.Clone(places), 0, i)
	}
	for _, p := range places {
		faults = append(faults, add(fetch.Upstream{Name: p.String(), URL: p.URL, Shown: p.String(), Form: fetch.Index}))
	}
	for _, p := range s.intent.options.FindLinks {
		faults = append(faults, add(fetch.Upstream{Name: p.String(), URL: p.URL, Shown: p.String(), Form: fetch.Page}))
	}
	return errors.Join(faults...)
}

// crawlHosts gives the hosts on which files of an upstream's projects are looked
// for.
func (s *site) crawlHosts(upstream string) (hosts []string) {
	for _, p := range s.Projects {
		if p.Upstream == "" || p.Upstream == upstream {
			hosts = append(hosts, p.Crawl...)
		}
	}
	return hosts
}

// userAgent is how nestgen introduces itself to servers.
func (c *Config) userAgent() string {
	agent := "nestgen/" + Version()
	if c.Contact != "" {
		agent += " (+" + c.Contact + ")"
	}
	return agent
}

// options are what all sources share.
func (u *upstreams) options(s *site) (fetch.Options, error) {
	o := fetch.Options{
		UserAgent: s.userAgent(), Netrc: s.Netrc, Connections: s.Connections, MaxFile: int64(s.MaxFile),
		MaxRetryAfter: maxRetryAfter, Log: s.log, Progress: downloads{s.progress},
	}
	if !s.opts.DryRun {
		o.Partials = s.partials()
		if err := sweepPartials(o.Partials, time.Duration(s.Grace)); err != nil {
			return o, storage(err)
		}
	}
	impatient(&o)
	return o, nil
}

// partials is the folder for downloads that broke off. It is made by the first
// download.
func (s *site) partials() string { return filepath.Join(s.State, "partial") }

// sweepPartials removes downloads that broke off and that nobody took up again
// for a long time.
func sweepPartials(dir string, old time.Duration) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if fi, err := e.Info(); err == nil && time.Since(fi.ModTime()) > old {
			// Others may sweep at the same time.
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// tempDownload gives a path in the stage for a download.
func (s *site) tempDownload() (string, error) {
	temp, err := s.tree.TempPath()
	if err != nil {
		return "", err
	}
	return temp, os.MkdirAll(s.partials(), 0o700)
}

// receive downloads a file into the stage, unless it is there already.
func (s *site) receive(ctx context.Context, src *fetch.Source, n packaging.Name, o catalog.Offer) (temp string, got fetch.Result, err error) {
	if f, ok := s.early.take(o); ok {
		return f.temp, f.sums, nil
	}
	if temp, err = s.tempDownload(); err != nil {
		return "", got, err
	}
	o.URL = s.addressOf(o.URL)
	got, err = src.Follow(fetch.Within(ctx, o.URL, s.intent.projects[n].Crawl), o, temp, s.follow)
	return temp, got, err
}

// of gives the upstream of a name, or all of them for no name.
func (u *upstreams) of(name string) []*fetch.Source {
	if name == "" {
		return u.list
	}
	for _, src := range u.list {
		if src.Name() == name {
			return []*fetch.Source{src}
		}
	}
	return nil
}

// names gives those of the upstreams, in their order.
func (u *upstreams) names() (all []string) {
	for _, src := range u.list {
		all = append(all, src.Name())
	}
	return all
}

func (u *upstreams) ask()       { u.asked.Add(1) }
func (u *upstreams) unchanged() { u.same.Add(1) }

// failed counts what could not be reached.
func (u *upstreams) failed(err error) {
	if fetch.KindOf(err) == fetch.Unreachable {
		u.unreachable.Add(1)
	}
}

func (u *upstreams) close() {
	for _, src := range u.list {
		src.Close()
	}
	for _, src := range u.direct {
		src.Close()
	}
}

// count puts what the upstreams did into a report.
func (u *upstreams) count(r *Report) {
	for _, src := range slices.Concat(u.list, slices.Collect(maps.Values(u.direct))) {
		r.Fetched.Requests += src.Stats().Requests
	}
	r.Fetched.Unchanged = u.same.Load()
	r.asked, r.unreachable = int(u.asked.Load()), int(u.unreachable.Load())
}

// fetchHint says what may be done about an upstream's error.
func fetchHint(err error) string {
	switch fetch.KindOf(err) {
	case fetch.Unreachable:
		return "the next run tries again"
	case fetch.Stale:
		return "the next run tries again; if the upstream was made anew, set serials = \"never\" in its [[upstream]] table for one run"
	case fetch.Denied:
		return "look at the upstream's credentials in the settings"
	case fetch.Altered:
		return "find out why before you trust this upstream"
	}
	return ""
}

// jobs is how many files are worked on at once.
func (s *site) jobs() int {
	if s.Jobs > 0 {
		return s.Jobs
	}
	return runtime.GOMAXPROCS(0)
}

// fetch downloads a file into the stage and passes it through the gate. The
// arrival is nil if the file could not be had.
func (s *site) fetch(ctx context.Context, d *decided, c plan.Choice) (*arrival, error) {
	if c.Here != nil {
		a := &arrival{file: *c.Here, why: c.Why, exposure: publish.Exposure{Target: c.Here.Path}}
		return a, s.companions(ctx, d, c, a, nil)
	}
	a, err := s.download(ctx, d, c)
	if err == nil {
		s.report.count(&s.report.Fetched.Files, 1)
		s.report.count(&s.report.Fetched.Bytes, a.file.Size)
		return a, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if ownStorage(err) {
		return nil, err
	}
	if reason := rejection(err); reason != nil {
		s.refuse(d, c, reason)
		return nil, nil
	}
	if u, ok := errors.AsType[*unattestedError](err); ok {
		level, hint := plan.Alarm, "find out why; "+plan.AllowHint(c.Offer.Filename)
		if u.passing() {
			level, hint = plan.Incomplete, "the next run tries again"
		}
		s.lose(d, level, string(d.Name), hint, "%v", s.masked(u.Error(), c.Offer.URL))
		return nil, nil
	}
	level := plan.Incomplete
	if fetch.KindOf(err) == fetch.Altered {
		level = plan.Alarm
	}
	text := err.Error()
	if _, named := errors.AsType[*fetch.Error](err); !named {
		text = c.Offer.Filename + ": " + text
	}
	where := string(d.Name)
	if c.Source == catalog.Direct && len(c.Why) > 0 {
		where = c.Why[0] // the line that has the address
		if sha := c.Offer.Hashes["sha256"]; sha != "" && level != plan.Alarm {
			text += ", where sha256:" + sha + " should be"
		}
	}
	s.lose(d, level, where, fetchHint(err), "%s", s.masked(text, c.Offer.URL))
	return nil, nil
}

// ownStorage reports whether an error of a download comes from the disk that
// is written to. What package fetch says of an error holds: a disk that an
// upstream lies on may fail as well, and costs no more than that upstream.
func ownStorage(err error) bool {
	if k := fetch.KindOf(err); k != 0 {
		return k == fetch.Storage
	}
	return errors.Is(err, ErrStorage) || isStorage(err)
}

func (s *site) download(ctx context.Context, d *decided, c plan.Choice) (_ *arrival, err error) {
	src, err := s.sourceOf(c.Source, c.Offer.URL)
	if err != nil {
		return nil, err
	}
	proof, err := s.attestationOf(ctx, src, c)
	if err != nil {
		return nil, err
	}
	temp, got, err := s.receive(ctx, src, d.Name, c.Offer)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.Remove(temp) // the stage of a process that answers requests is not emptied soon
		}
	}()
	f, err := os.Open(temp)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sums := intake.Digests{SHA256: got.SHA256, BLAKE2b: got.BLAKE2b, Size: got.Size}
	if err := allowed(f, sums, c.Allowed); err != nil {
		return nil, err
	}
	facts, err := intake.Inspect(f, sums.Size, c.Offer.Filename, d.Name, intake.Mirrored)
	if err != nil {
		return nil, err
	}
	if len(facts.Warnings) > 0 {
		s.warn(string(d.Name), "", "%s: %s: %s", c.Source, c.Offer.Filename, facts.Warnings[0])
	}
	a := newArrival(d.Name, c.Offer.Filename, sums, facts, temp)
	s.describe(a, c, d.Advice)
	if err := s.attest(a, c, proof); err != nil {
		return nil, err
	}
	if want := c.Offer.Metadata.Hashes["sha256"]; want != "" && !a.file.Metadata.IsZero() && want != a.file.Metadata.String() {
		s.warn(string(d.Name), "the file's own metadata is what is published", "%s: %s announces other metadata than the file holds", c.Offer.Filename, c.Source)
	}
	if err := s.companions(ctx, d, c, a, proof); err != nil {
		return nil, err
	}
	return a, nil
}

// describe says of a file what its upstream says.
func (s *site) describe(a *arrival, c plan.Choice, advice *plan.Advice) {
	if c.Path != "" {
		a.moveTo(c.Path)
	}
	a.why = c.Why
	a.file.Source, a.file.URL = c.Source, c.Offer.URL
	if c.Offer.RequiresPython != "" {
		a.file.RequiresPython = plan.RequiresPython(c.Offer.RequiresPython, a.file.RequiresPython)
	}
	if a.file.Uploaded = c.Offer.Uploaded; a.file.Uploaded == 0 {
		a.file.Uploaded = Now().Truncate(time.Second).UnixMicro()
	}
	a.file.SourceYank = c.Offer.Yanked
	a.file.Yanked = s.yank(&a.file, advice)
}

// allowed checks a fetched file against the digests that the allowlist lists,
// where the upstream had not said enough to do so before.
func allowed(f *os.File, sums intake.Digests, set map[string][]string) error {
	if set == nil {
		return nil
	}
	have := map[string]hash.Hash{"sha384": sha512.New384(), "sha512": sha512.New()}
	if len(set["sha384"])+len(set["sha512"]) > 0 {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.Copy(io.MultiWriter(have["sha384"], have["sha512"]), f); err != nil {
			return err
		}
	}
	for alg, digests := range set {
		is := sums.SHA256.String()
		if h := have[alg]; h != nil {
			is = hex.EncodeToString(h.Sum(nil))
		} else if alg != "sha256" {
			continue
		}
		if slices.ContainsFunc(digests, func(d string) bool { return strings.EqualFold(d, is) }) {
			return nil
		}
	}
	return intake.Rejection(fmt.Sprintf("its sha256 is %s, and it has none of the hashes that the allowlist lists", sums.SHA256))
}

// companions fetches what an upstream announces beside a file and the index
// does not have. If the upstream fails to give it the file is listed without,
// and the next run asks again; if it says that there is none, the next run that
// finds its page altered does. A fault of our own disk, or a signal, must not
// have that effect.
func (s *site) companions(ctx context.Context, d *decided, c plan.Choice, a *arrival, proof *attestation) error {
	kinds := s.lacking(a.file, c.Offer)
	if proof != nil && proof.err != nil && !slices.Contains(kinds, drop.Provenance) {
		kinds = append(kinds, drop.Provenance) // to tell why
	}
	if len(kinds) == 0 {
		return nil
	}
	src, err := s.sourceOf(c.Source, c.Offer.URL)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		var data []byte
		if kind == drop.Provenance {
			data, err = s.besideAs(ctx, src, c, a, proof)
		} else {
			data, err = s.companionOf(ctx, src, c.Offer, kind)
		}
		if data != nil {
			a.beside(kind, data)
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil || ownStorage(err) {
			return err
		}
		what := "the file is listed without it"
		if data != nil {
			what = "it is listed as it is" // and whoever checks it will find out
		}
		hint := what + "; the next run asks again"
		switch k := fetch.KindOf(err); {
		case proof != nil && kind == drop.Provenance && !s.carriesProvenance():
			hint = "nobody knows who has published it" // and what lies beside it is another matter
		case k == fetch.Unreachable, k == fetch.Denied, k == fetch.Invalid, k == fetch.Stale:
		default:
			hint = what + " until the upstream's page changes"
			r := companionRefusal(a.file, c.Source, kind)
			r.Reason = err.Error()
			s.mu.Lock()
			d.refused = append(d.refused, r)
			s.mu.Unlock()
		}
		s.warn(string(a.file.Project), hint, "%s%s: %v", c.Offer.Filename, kind.Ending(), err)
	}
	return nil
}

// lacking gives the companions that an upstream announces for a file and the
// index does not have.
func (s *site) lacking(f catalog.File, o catalog.Offer) (kinds []drop.Companion) {
	if o.Signed && !f.Signed {
		kinds = append(kinds, drop.Signature)
	}
	if o.Provenance != "" && !f.Provenance && (s.carriesProvenance() || s.wantsPublisher(f)) {
		kinds = append(kinds, drop.Provenance)
	}
	return kinds
}

func (s *site) companionOf(ctx context.Context, src *fetch.Source, o catalog.Offer, kind drop.Companion) ([]byte, error) {
	temp, err := s.tempDownload()
	if err != nil {
		return nil, err
	}
	defer os.Remove(temp)
	o.URL = s.addressOf(o.URL)
	if _, err := src.Companion(ctx, o, kind.Ending(), temp); err != nil {
		return nil, err
	}
	return readCompanionAt(temp)
}

// sourceOf gives the upstream of a name, or one for what the allowlist names
// by its address.
func (s *site) sourceOf(name, address string) (*fetch.Source, error) {
	if name != catalog.Direct {
		if list := s.upstream.of(name); len(list) == 1 {
			return list[0], nil
		}
		if site, _, is := strings.Cut(name, ":"); is {
			return nil, fmt.Errorf("it was imported from %s: take a bundle in once more that has it", site)
		}
		return nil, fmt.Errorf("the upstream %q is not in the settings", name)
	}
	return s.upstream.directOf(s, address)
}

// directOf gives the source of a file that the allowlist names by its address.
// The login that the list gives with it goes to that host alone.
func (u *upstreams) directOf(s *site, address string) (*fetch.Source, error) {
	root, err := url.Parse(s.addressOf(address))
	if err != nil {
		return nil, fmt.Errorf("%s: not an address", address)
	}
	root = &url.URL{Scheme: root.Scheme, Host: root.Host, Path: "/", User: s.intent.archives[address].login}
	u.mu.Lock()
	defer u.mu.Unlock()
	src, ok := u.direct[root.String()]
	if ok {
		return src, nil
	}
	o, err := u.options(s)
	if err != nil {
		return nil, err
	}
	if src, err = fetch.Open(fetch.Upstream{Name: catalog.Direct, URL: root.String(), Form: fetch.Index}, o); err != nil {
		return nil, err
	}
	if u.direct == nil {
		u.direct = map[string]*fetch.Source{}
	}
	u.direct[root.String()] = src
	return src, nil
}

// downloads shows the bytes of downloads in a [Progress].
type downloads struct{ Progress }

func (d downloads) Begin(string, int64) fetch.Meter { return &meter{progress: d.Progress} }

type meter struct {
	progress Progress
	shown    int64
}

func (m *meter) Set(bytes int64) {
	m.progress.Step(0, bytes-m.shown)
	m.shown = bytes
}

func (m *meter) End(error) {}
