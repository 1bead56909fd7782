package nestgen

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"nestgen/advisory"
	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/internal/stricttoml"
	"nestgen/packaging"
	"nestgen/plan"
)

// metaAdvisories is the key under which the catalog keeps which dump its advisories
// came from: an [appliedDump] in JSON, or nothing.
const metaAdvisories = "advisories"

// dumpRules is the version of what is made of a dump; a new one has it read again.
const dumpRules = 1

// An appliedDump is the dump that the catalog's advisories were read from.
type appliedDump struct {
	// Rules is what a dump is read by, besides itself, and Source where it is from.
	Rules  string `json:"rules"`
	Source string `json:"source"`

	// Stamp is by what a dump is known that has not been touched, and Digest by
	// what one that has the same content.
	Stamp  string `json:"stamp"`
	Digest string `json:"digest"`

	// ETag and LastModified are the server's, and Fetched is when it answered last,
	// in microseconds since 1970 UTC.
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	Fetched      int64  `json:"fetched,omitempty"`

	Advisories int `json:"advisories"`
	Malware    int `json:"malware"`
	Projects   int `json:"projects"`

	// Faults are the members that could not be read.
	Faults []string `json:"faults,omitempty"`
}

func (c *Config) resolveAdvisories(abs func(*string)) (faults []error) {
	a := &c.Advisories
	fault := func(format string, args ...any) {
		faults = append(faults, &stricttoml.Error{File: c.File, Text: fmt.Sprintf("[advisories] "+format, args...)})
	}
	if u, err := url.Parse(a.OSV); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		if u.Host == "" || u.User != nil {
			fault("osv: want an address with a host and without a password")
		}
	} else if strings.Contains(a.OSV, "://") {
		fault("osv %q: want a path, or an http or https address", a.OSV)
	} else {
		abs(&a.OSV)
		if a.OSV != "" && inside(a.OSV, c.Site) {
			fault("osv %s must not lie in the site, where nothing but pages and files may be", a.OSV)
		}
	}
	abs(&a.CAFile)
	for _, n := range a.Upstreams {
		if !slices.ContainsFunc(c.Upstreams, func(u Upstream) bool { return u.Name == n }) {
			fault("upstreams %q: there is no upstream of this name", n)
		}
	}
	for _, id := range a.Ignore {
		if !advisory.ValidID(id) {
			fault("ignore %q: not the id of an advisory", id)
		}
	}
	return faults
}

// isRemote reports whether the dump is fetched.
func (a *Advisories) isRemote() bool {
	return strings.HasPrefix(a.OSV, "http://") || strings.HasPrefix(a.OSV, "https://")
}

// dumpFile is where the dump is: where the settings say, or the copy of what was
// fetched.
func (s *site) dumpFile() string {
	if s.Advisories.isRemote() {
		return filepath.Join(s.State, "advisories.zip")
	}
	return s.Advisories.OSV
}

// maxDump is how many bytes a dump may have that is fetched.
const maxDump = 1 << 30

// staleDump is how old the copy of a dump may be before it is told as something that
// is missing.
const staleDump = 7 * 24 * time.Hour

// readAdvisories brings what the catalog knows of advisories up to date with the
// dump. Whatever is wrong with a dump, what is known already stands.
func (s *site) readAdvisories(ctx context.Context) error {
	text, err := s.catalog.Meta(ctx, metaAdvisories)
	if err != nil {
		return storage(err)
	}
	if s.Advisories.OSV == "" {
		if text == "" || s.opts.DryRun {
			return nil
		}
		return s.setAdvisories(ctx, nil, appliedDump{})
	}
	var last appliedDump
	if text != "" {
		if err := json.Unmarshal([]byte(text), &last); err != nil {
			last = appliedDump{} // it is read again
		}
	}
	now := last
	now.Source = s.Advisories.OSV
	now.Rules = fmt.Sprintf("%d %q", dumpRules, s.Advisories.Ignore)
	if now.Source != last.Source {
		now.ETag, now.LastModified, now.Fetched = "", "", 0
	}
	var fresh *advisory.Dump
	if s.Advisories.isRemote() && !s.opts.Offline && !s.opts.DryRun {
		if fresh, err = s.fetchDump(ctx, &now); err != nil {
			return err
		}
	}
	return s.applyDump(ctx, last, now, fresh)
}

// fetchDump fetches the dump anew and gives it if it has changed, and tells if it
// cannot.
func (s *site) fetchDump(ctx context.Context, now *appliedDump) (*advisory.Dump, error) {
	fresh, err := s.renewDump(ctx, now)
	switch {
	case err == nil:
		now.Fetched = Now().UnixMicro()
		return fresh, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case ownStorage(err):
		return nil, storage(err)
	}
	level, hint := plan.Incomplete, "nothing is known of advisories until the next run"
	if now.Fetched != 0 {
		age := Now().Sub(time.UnixMicro(now.Fetched))
		hint = "what was fetched on " + time.UnixMicro(now.Fetched).UTC().Format(time.DateOnly) + " stands; the next run tries again"
		if age < staleDump {
			level = plan.Warning
		}
	}
	s.report.problem(level, "[advisories] osv", hint, "%v", err)
	return nil, nil
}

func (s *site) renewDump(ctx context.Context, now *appliedDump) (*advisory.Dump, error) {
	o, err := s.upstream.options(s)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(s.Advisories.OSV)
	if err != nil {
		return nil, err
	}
	root := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}
	src, err := fetch.Open(fetch.Upstream{Name: "advisories", URL: root.String(), Form: fetch.Index, Proxy: s.Advisories.Proxy, CAFile: s.Advisories.CAFile}, o)
	if err != nil {
		return nil, &fault{ErrSettings, err, ""}
	}
	defer src.Close()
	old := s.dumpFile()
	prev := fetch.Validators{ETag: now.ETag, LastModified: now.LastModified}
	if _, err := os.Lstat(old); err != nil {
		prev = fetch.Validators{} // there is nothing that could still hold
	}
	if err := os.MkdirAll(s.State, 0o700); err != nil {
		return nil, storage(err)
	}
	fresh := old + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, storage(err)
	}
	v, err := src.Document(ctx, s.Advisories.OSV, fresh, maxDump, prev)
	if errors.Is(err, fetch.ErrNotModified) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// One that is none takes no other's place: a login page, or half a file.
	dump, err := advisory.Read(fresh)
	if err != nil {
		return nil, errors.Join(err, os.Remove(fresh))
	}
	if err := settle(fresh, old); err != nil {
		return nil, storage(err)
	}
	now.ETag, now.LastModified = v.ETag, v.LastModified
	return dump, nil
}

// settle puts a file that is written in the place of an older one, for good.
func settle(fresh, old string) error {
	f, err := os.Open(fresh)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(fresh, old)
}

// applyDump reads the dump if it is another one than the catalog has; dump is what has
// been read of it already, or nil.
func (s *site) applyDump(ctx context.Context, last, now appliedDump, dump *advisory.Dump) (err error) {
	file := s.dumpFile()
	lost := func(err error) error {
		stands := "nothing is known of advisories"
		if last.Advisories > 0 {
			stands = fmt.Sprintf("the %d advisories that were read before stand", last.Advisories)
		}
		s.report.problem(plan.Incomplete, "[advisories] osv", stands, "%v", err)
		return nil
	}
	if now.Stamp, err = stampOf(file); err != nil {
		if s.Advisories.isRemote() && errors.Is(err, fs.ErrNotExist) {
			return nil // why it is not there has been told
		}
		return lost(err)
	}
	tell := func(d appliedDump) {
		if n := len(d.Faults); n > 0 {
			s.report.problem(plan.Warning, "[advisories] osv", "the other advisories are not concerned; what was known of these stands", "%d could not be read; %s", n, d.Faults[0])
		}
	}
	same := now.Source == last.Source && now.Rules == last.Rules
	if same && now.Stamp == last.Stamp {
		tell(last)
		if now.ETag == last.ETag && now.LastModified == last.LastModified && now.Fetched-last.Fetched < int64(staleDump/4/time.Microsecond) || s.opts.DryRun {
			return nil // when somebody has looked is not worth a write each time
		}
		return s.noteDump(ctx, now)
	}
	if now.Digest, err = digestOfFile(file, now.Stamp); err != nil {
		return lost(err)
	}
	if same && now.Digest == last.Digest {
		tell(last)
		if s.opts.DryRun {
			return nil
		}
		return s.noteDump(ctx, now)
	}
	if dump == nil {
		if dump, err = advisory.Read(file); err != nil {
			return lost(err)
		}
	}
	if err := s.mayApply(dump, last); err != nil {
		return lost(err)
	}
	now.Advisories, now.Malware, now.Projects, now.Faults = dump.Advisories, dump.Malware, len(dump.Projects), nil
	for _, f := range dump.Faults {
		now.Faults = append(now.Faults, f.Error())
	}
	tell(now)
	s.ignore(dump)
	if s.opts.DryRun {
		s.foreseen = dump.Projects
		return nil
	}
	s.log.Info("advisories", "read", dump.Advisories, "malware", dump.Malware, "projects", len(dump.Projects))
	return s.setAdvisories(ctx, dump, now)
}

// brakeAdvisories is from how many advisories on a dump may not lose half of them.
const brakeAdvisories = 100

// mayApply reports what keeps a dump from taking the place of the one before.
func (s *site) mayApply(d *advisory.Dump, last appliedDump) error {
	if d.FaultCount > len(d.Faults) {
		return fmt.Errorf("%d advisories could not be read, as %w", d.FaultCount, d.Faults[0])
	}
	if last.Advisories >= brakeAdvisories && 2*d.Advisories < last.Advisories && !s.opts.AllowRemovals {
		return fmt.Errorf("it has %d advisories, and %d were read before: if that is meant, run \"nestgen build --allow-removals\" once", d.Advisories, last.Advisories)
	}
	return nil
}

// ignore takes out of a dump what the settings say does not count here.
func (s *site) ignore(d *advisory.Dump) {
	if len(s.Advisories.Ignore) == 0 {
		return
	}
	for n, records := range d.Projects {
		d.Projects[n] = slices.DeleteFunc(records, func(r advisory.Record) bool {
			return slices.ContainsFunc(s.Advisories.Ignore, func(id string) bool {
				return id == r.ID || !r.Malware() && slices.Contains(r.Aliases, id)
			})
		})
	}
}

// setAdvisories notes what a dump says. Of a member that could not be read stands
// what was read of it before: an advisory does not end by an accident.
func (s *site) setAdvisories(ctx context.Context, d *advisory.Dump, now appliedDump) error {
	projects := map[packaging.Name][]advisory.Record{}
	spoilt := map[string]bool{}
	if d != nil {
		projects = d.Projects
		for _, f := range d.Faults {
			spoilt[strings.TrimSuffix(filepath.Base(f.Member), ".json")] = true
		}
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		if len(spoilt) > 0 {
			old, err := tx.AllAdvisories()
			if err != nil {
				return err
			}
			for n, records := range old {
				for _, r := range records {
					has := func(o advisory.Record) bool { return o.ID == r.ID }
					if spoilt[r.ID] && !slices.ContainsFunc(projects[n], has) {
						projects[n] = append(projects[n], r)
					}
				}
			}
		}
		if _, err := tx.SetAdvisories(projects); err != nil {
			return err
		}
		if d == nil {
			return tx.SetMeta(metaAdvisories, "")
		}
		return setDump(tx, now)
	}))
}

// noteDump notes what is known of a dump whose content is the same.
func (s *site) noteDump(ctx context.Context, now appliedDump) error {
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return setDump(tx, now) }))
}

func setDump(tx *catalog.Tx, now appliedDump) error {
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return tx.SetMeta(metaAdvisories, string(text))
}

// stampOf gives what shows that a dump has not been touched: of a file its size and
// its time, of a folder those of all files in it.
func stampOf(name string) (string, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !fi.IsDir() {
		return fmt.Sprintf("%d %d", fi.Size(), fi.ModTime().UnixNano()), nil
	}
	h := sha256.New()
	err = filepath.WalkDir(name, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			fmt.Fprintf(h, "%q %d %d %v\n", path, fi.Size(), fi.ModTime().UnixNano(), fi.Mode())
		}
		return err
	})
	return "folder " + hex.EncodeToString(h.Sum(nil)), err
}

// digestOfFile gives a digest of a dump; that of a folder is its stamp.
func digestOfFile(name, stamp string) (string, error) {
	if strings.HasPrefix(stamp, "folder ") {
		return stamp, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// advisoriesDigest names what the catalog knows of advisories, and what is to come of
// it.
func (s *site) advisoriesDigest(ctx context.Context) (string, error) {
	text, err := s.catalog.Meta(ctx, metaAdvisories)
	if err != nil || text == "" {
		return "", storage(err)
	}
	var d appliedDump
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return text, nil // as it is: the next build reads the dump again
	}
	a := &s.Advisories
	return fmt.Sprintf("%s %s %v %v %q", d.Rules, d.Digest, a.Yank, a.Block, a.Upstreams), nil
}

// advice gives what advisories say of a project, and what is to come of it; current
// is what the index has of it, or nil.
func (s *site) advice(ctx context.Context, n packaging.Name, current *catalog.Project) (*plan.Advice, error) {
	a := &s.Advisories
	if a.OSV == "" || !a.Yank && !a.Block {
		return nil, nil
	}
	var records []advisory.Record
	switch {
	case s.foreseen != nil:
		records = s.foreseen[n]
	case current != nil:
		records = current.Advisories
	default:
		var err error
		if records, err = s.catalog.Advisories(ctx, n); err != nil {
			return nil, storage(err)
		}
	}
	if len(records) == 0 {
		return nil, nil
	}
	return &plan.Advice{Records: advisory.NewSet(records), Upstreams: a.Upstreams, YankFixed: a.Yank, BlockMalware: a.Block}, nil
}

// yank gives the yank of a file of an upstream, as its source has it, the advisories,
// and the policy.
func (s *site) yank(f *catalog.File, a *plan.Advice) catalog.Yank {
	return a.Yank(s.intent.policy, f.Project, f.Source, f.Filename, f.Version, f.SourceYank)
}
