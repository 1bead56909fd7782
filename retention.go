package nestgen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"nestgen/catalog"
	"nestgen/demand"
	"nestgen/packaging"
	"nestgen/plan"
)

// A Retention says what is not kept any longer. Its rules add to each other. They
// are never about files of this site's own, about what was imported, about what a line
// of an allowlist asks for or needs, about what another index or a snapshot lists, nor
// about what has come within the grace period.
type Retention struct {
	// UnwantedFor is how long ago the index must have withdrawn a file for its bytes
	// to go, in the place of the grace. If zero, the grace.
	UnwantedFor Duration

	// Keep is how many versions stay of a project that nothing asks for but requests,
	// counting those of which a file is here. If zero, all.
	Keep int

	// NotFetched takes what nobody has fetched for so long, by the access logs; they
	// must cover all of that time. If zero, nothing.
	NotFetched Duration

	// AccessLogs stand in the place of those of the settings.
	AccessLogs []string
}

// shortest is the shortest grace: clients have a page that long.
const shortest = 24 * time.Hour

// check refuses what would take files away from under clients.
func (r *Retention) check(c *Config) error {
	usage := func(hint, format string, args ...any) error {
		return &fault{ErrSettings, fmt.Errorf(format, args...), hint}
	}
	switch {
	case r.UnwantedFor < 0 || r.NotFetched < 0 || r.Keep < 0:
		return usage("", "a retention cannot be negative")
	case r.UnwantedFor != 0 && time.Duration(r.UnwantedFor) < shortest:
		return usage("", "unwanted for %s: less than a day would take files away from under clients that have just read their page", r.UnwantedFor)
	case r.NotFetched != 0 && r.NotFetched < c.Grace:
		return usage("", "not fetched for %s: less than the grace, which is %s", r.NotFetched, c.Grace)
	case r.NotFetched != 0 && len(r.AccessLogs)+len(c.AccessLogs) == 0:
		return usage("name them with --access-log, or by access_logs in the settings", "what was not fetched is known by access logs alone")
	}
	return nil
}

// unwanted gives how long after it was withdrawn a file goes.
func (r *Retention) unwanted(grace Duration) time.Duration {
	if r.UnwantedFor != 0 {
		return time.Duration(r.UnwantedFor)
	}
	return time.Duration(grace)
}

// An Unwanted is a file that a rule is about.
type Unwanted struct {
	Project  packaging.Name `json:"project"`
	Version  string         `json:"version"`
	Filename string         `json:"filename"`
	Path     string         `json:"path"`
	Bytes    int64          `json:"bytes"`

	// Becomes is "announced" for a file that stays listed and comes again when
	// somebody asks for it, and "withdrawn" for one that its upstream does not have
	// any more or that does not come on demand: its bytes stay for the grace.
	Becomes string `json:"becomes"`
	Reason  string `json:"reason"`

	file catalog.File // as it is said of it then
}

// A Reason says how many files go for it, and how many bytes they have.
type Reason struct {
	Reason string `json:"reason"`
	Files  int    `json:"files"`
	Bytes  int64  `json:"bytes"`
}

// The reasons of what goes in any case.
const (
	reasonWithdrawn = "withdrawn from the index, and its time is over"
	reasonOrphan    = "left by a run that died"
	reasonAnnounced = "announced, so that it comes again when somebody asks"
)

// because counts one more file that goes.
func (g *Garbage) because(reason string, bytes int64) {
	i := slices.IndexFunc(g.Reasons, func(r Reason) bool { return r.Reason == reason })
	if i < 0 {
		i = len(g.Reasons)
		g.Reasons = append(g.Reasons, Reason{Reason: reason})
	}
	g.Reasons[i].Files++
	g.Reasons[i].Bytes += bytes
}

// due gives what tells whether the time of a withdrawn file is over, whose grace ends
// at a time. What was withdrawn says when by its event; but that may carry a time that
// somebody made up, and the end of the grace tells then.
func (s *site) due(ctx context.Context, now time.Time) (func(path string, at int64) bool, error) {
	if s.opts.Retention.UnwantedFor == 0 {
		return func(_ string, at int64) bool { return at <= now.UnixMicro() }, nil
	}
	withdrawn := map[string]int64{} // by file name
	for e, err := range s.catalog.Events(ctx, 0) {
		if err != nil {
			return nil, storage(err)
		}
		switch e.Verb {
		case catalog.Withdraw, catalog.Demotion:
			withdrawn[e.Filename] = max(withdrawn[e.Filename], e.Time)
		}
	}
	wait, grace := time.Duration(s.opts.Retention.UnwantedFor).Microseconds(), time.Duration(s.Grace).Microseconds()
	return func(p string, at int64) bool {
		since, known := withdrawn[path.Base(p)]
		if !known { // a view has stopped listing it, which is no event
			return at+max(wait-grace, 0) <= now.UnixMicro()
		}
		return max(since, at-grace)+wait <= now.UnixMicro()
	}, nil
}

// expire applies the rules to what the index lists: it finds what they are about,
// and unless this is a dry run the index says from then on that it comes on demand,
// or lists it no more. The bytes are still there afterwards.
func (s *site) expire(ctx context.Context, g *Garbage) error {
	r := &s.opts.Retention
	if r.Keep == 0 && r.NotFetched == 0 {
		return nil
	}
	if held, err := heldBack(ctx, s.catalog); err != nil || held != nil {
		if held != nil {
			g.NotJudged = "the site was rolled back to " + held.State() + ", and is held back"
		}
		return err
	}
	judge, why, err := s.judge(ctx)
	if err != nil {
		return err
	}
	g.NotJudged = why
	if judge == nil {
		return nil
	}
	for p, err := range s.catalog.Projects(ctx) {
		if err != nil {
			return storage(err)
		}
		some, err := judge.project(ctx, p)
		if err != nil {
			return storage(err)
		}
		g.Unwanted = append(g.Unwanted, some...)
	}
	if s.opts.DryRun {
		for _, u := range g.Unwanted {
			if u.Becomes == becomesAnnounced {
				g.goes(u.Path, u.Reason, u.Bytes)
			} else {
				g.because(u.Reason, u.Bytes)
			}
		}
		return nil
	}
	return s.recordUnwanted(ctx, g)
}

const (
	becomesAnnounced = "announced"
	becomesWithdrawn = "withdrawn"
)

// unwantedRows is how many files are noted in one transaction.
const unwantedRows = 1000

// recordUnwanted notes what becomes of the files that rules are about.
func (s *site) recordUnwanted(ctx context.Context, g *Garbage) error {
	for chunk := range slices.Chunk(g.Unwanted, unwantedRows) {
		err := s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
			left := map[packaging.Name]bool{}
			for i := range chunk {
				u := &chunk[i]
				if u.Becomes == becomesAnnounced {
					if _, err := tx.Expire(u.file, u.Reason); err != nil {
						return err
					}
					continue
				}
				if err := tx.Withdraw(u.Project, u.Filename, u.Reason, trueNow(), time.Duration(s.Grace)); err != nil {
					return err
				}
				left[u.Project] = true
			}
			for n := range left {
				if err := tx.Respell(n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return storage(err)
		}
	}
	for _, u := range g.Unwanted {
		if u.Becomes == becomesWithdrawn {
			g.because(u.Reason, u.Bytes)
		}
	}
	return nil
}

// deleteAtOnce is how many announced files are deleted at once: so many locks are
// held.
const deleteAtOnce = 64

// deleteAnnounced deletes the bytes of files that are announced. A request that is
// about to bring one keeps it, and whoever asks for one meanwhile waits. It gives what
// was deleted.
func (s *site) deleteAnnounced(ctx context.Context, paths []string) (deleted []string, err error) {
	for chunk := range slices.Chunk(paths, deleteAtOnce) {
		some, err := s.deleteSome(ctx, chunk)
		if err != nil {
			return nil, err
		}
		deleted = append(deleted, some...)
	}
	return deleted, nil
}

func (s *site) deleteSome(ctx context.Context, paths []string) (deleted []string, err error) {
	table := s.demandTable()
	atOnce, cancel := context.WithCancel(ctx)
	cancel()
	var visits []*demand.Visit
	defer func() {
		for _, v := range visits {
			err = errors.Join(err, storage(v.Leave()))
		}
	}()
	for _, p := range paths {
		v, err := table.Enter(atOnce, p)
		if errors.Is(err, context.Canceled) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			continue // somebody is at work on it
		}
		if err != nil {
			return nil, storage(err)
		}
		visits = append(visits, v)
		f, err := s.catalog.FileAt(ctx, p)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, storage(err)
		}
		if err == nil && f.Announced {
			deleted = append(deleted, p)
		}
	}
	_, err = s.tree.Delete(ctx, deleted)
	return deleted, storage(err)
}

// A judge knows what the rules ask about.
type judge struct {
	*site
	now     time.Time
	keep    int
	fetched func(path string) int64 // when it was fetched last, in seconds since 1970; nil if that rule is not applied
	since   time.Time               // when this tree was seen first
	needed  map[packaging.Name]bool
	pinned  map[string]bool
}

// judge gathers what the rules ask about. why says which of them are not applied, and
// the judge is nil if none is.
func (s *site) judge(ctx context.Context) (_ *judge, why string, err error) {
	r := &s.opts.Retention
	j := &judge{site: s, now: trueNow(), keep: r.Keep}
	stored, err := s.catalog.Stored(ctx)
	if err != nil {
		return nil, "", storage(err)
	}
	if r.NotFetched != 0 {
		n, err := CountLogs(ctx, s.Config, r.AccessLogs, s.opts)
		if err != nil {
			return nil, "", err
		}
		switch since, gap := n.Coverage(); {
		case gap != "":
			why = fmt.Sprintf("what was not fetched is not known: %s", gap)
		case since.After(j.now.Add(-time.Duration(r.NotFetched))):
			why = fmt.Sprintf("what was not fetched for %s is not known: the access logs are read without a gap since %s UTC only", daysText(r.NotFetched), since.Format(time.DateTime))
		case !slices.ContainsFunc(slices.Collect(maps.Keys(stored.Listed)), func(path string) bool {
			f := n.Files[path]
			return f != nil && !j.old(time.Unix(f.Fetched, 0))
		}):
			why = fmt.Sprintf("what was not fetched for %s is not known: the access logs have no file of this site in all of that time, as if they were those of another server", daysText(r.NotFetched))
		default:
			j.fetched = func(path string) int64 {
				if f := n.Files[path]; f != nil {
					return f.Fetched
				}
				return 0
			}
		}
	}
	if j.keep == 0 && j.fetched == nil {
		return nil, why, nil
	}
	if err := s.readIntent(ctx); err != nil {
		return nil, "", err
	}
	if s.intent.faulty {
		return nil, `what is asked for is not known, because an allowlist has errors: "nestgen plan" tells them`, nil
	}
	if err := s.readImports(ctx); err != nil {
		return nil, "", err
	}
	needed, unknown, err := s.neededProjects(ctx)
	if err != nil {
		return nil, "", err
	}
	if unknown != "" {
		return nil, "what is needed is not known: " + unknown, nil
	}
	j.needed, j.pinned = needed, stored.Pinned
	if j.since, err = s.since(ctx); err != nil {
		return nil, "", storage(err)
	}
	return j, why, s.upstream.open(s)
}

// neededProjects gives the projects that lines ask for, and, where the allowlist is
// completed, all that any of their files may need, whatever the machine and the
// extras: the last build may have known better, and that more is kept does no harm.
// unknown says why it cannot be told.
func (s *site) neededProjects(ctx context.Context) (needed map[packaging.Name]bool, unknown string, err error) {
	needed = map[packaging.Name]bool{}
	var queue []packaging.Name
	add := func(n packaging.Name) {
		if !needed[n] {
			needed[n] = true
			queue = append(queue, n)
		}
	}
	for n := range s.intent.wants {
		add(n)
	}
	if s.Dependencies == NoDependencies {
		return needed, "", nil
	}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		p, err := s.catalog.Project(ctx, n)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", storage(err)
		}
		for _, f := range p.Files {
			r, err := s.catalog.Requires(ctx, f.SHA256)
			if errors.Is(err, fs.ErrNotExist) {
				if f.Announced || p.Status.State == catalog.Quarantined {
					continue // nothing of it was chosen
				}
				if r, err = s.needsOfOwn(f); err != nil {
					return nil, fmt.Sprintf("%s cannot be read: %v", f.Filename, err), nil
				}
			}
			if err != nil {
				return nil, "", storage(err)
			}
			for _, text := range slices.Concat(r.Dist, r.Build) {
				if n := nameIn(text); n != "" {
					add(n)
				}
			}
		}
	}
	return needed, "", nil
}

// nameIn gives the project that a requirement is about, also if it is one that only old
// installers understand.
func nameIn(requirement string) packaging.Name {
	if q, err := packaging.ParseRequirement(requirement); err == nil {
		return q.Project()
	}
	text := strings.TrimSpace(requirement)
	if i := strings.IndexFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.", r)
	}); i >= 0 {
		text = text[:i]
	}
	n, _ := packaging.ParseName(text)
	return n
}

// project gives what of a project the rules are about.
func (j *judge) project(ctx context.Context, p *catalog.Project) (some []Unwanted, err error) {
	if j.needed[p.Name] || j.imports[p.Name] != "" || p.Status.State == catalog.Quarantined {
		return nil, nil // what another site lists is for that one to say
	}
	extra := j.extra(p)
	for _, f := range p.Files {
		if f.Announced || !f.Public() || j.pinned[f.Path] {
			continue
		}
		fi, err := os.Lstat(j.file(f.Path))
		if errors.Is(err, fs.ErrNotExist) {
			continue // verify tells
		}
		if err != nil {
			return nil, err
		}
		came := fi.ModTime()
		var reason string
		switch {
		case j.now.Before(latest(j.since, came).Add(time.Duration(j.Grace))):
		case extra[f.Version]:
			reason = fmt.Sprintf("not one of the newest %d versions", j.keep)
		case j.fetched != nil && j.old(came) && j.old(time.Unix(j.fetched(f.Path), 0)):
			reason = "not fetched for " + daysText(j.opts.Retention.NotFetched)
		}
		if reason == "" {
			continue
		}
		u := Unwanted{Project: p.Name, Version: f.Version, Filename: f.Filename, Path: f.Path, Bytes: fi.Size(), Becomes: becomesWithdrawn, Reason: reason, file: f}
		if o, ok, err := j.offered(ctx, f); err != nil {
			return nil, err
		} else if ok {
			u.Becomes, u.file = becomesAnnounced, plan.Again(f, o)
		}
		some = append(some, u)
	}
	return some, nil
}

// daysText writes a time as people ask for it here.
func daysText(d Duration) string {
	const day = 24 * time.Hour
	if n := time.Duration(d) / day; time.Duration(d)%day == 0 {
		return fmt.Sprintf("%d days", n)
	}
	return d.String()
}

// old reports whether a time is as long ago as nothing must have been fetched.
func (j *judge) old(t time.Time) bool {
	return !t.Add(time.Duration(j.opts.Retention.NotFetched)).After(j.now)
}

// extra gives the versions of a project that are not among the newest ones, of those
// of which a file of an upstream is here.
func (j *judge) extra(p *catalog.Project) map[string]bool {
	if j.keep == 0 {
		return nil
	}
	var versions [][]string // the oldest first, as the files are; each as it is written, 1.0 and 1.0.0
	for _, f := range p.Files {
		if f.Announced || !f.Public() {
			continue
		}
		if last := len(versions) - 1; last < 0 || packaging.CompareVersionStrings(versions[last][0], f.Version) != 0 {
			versions = append(versions, nil)
		}
		last := len(versions) - 1
		versions[last] = append(versions[last], f.Version)
	}
	extra := map[string]bool{}
	for _, v := range slices.Concat(versions[:max(len(versions)-j.keep, 0)]...) {
		extra[v] = true
	}
	return extra
}

// offered finds out whether the upstream of a file, as it answered last, has it so
// that it can be announced again, and whether it comes on demand then.
func (j *judge) offered(ctx context.Context, f catalog.File) (catalog.Offer, bool, error) {
	if j.onDemand(f.Project) != "fetch" {
		return catalog.Offer{}, false, nil
	}
	name, err := packaging.ParseFilename(f.Filename, f.Project)
	if err != nil {
		return catalog.Offer{}, false, nil
	}
	for _, src := range j.upstream.of(f.Source) {
		l, err := j.catalog.Listing(ctx, listingKey(src), f.Project)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return catalog.Offer{}, false, err
		}
		for _, o := range l.Offers {
			sha, err := catalog.ParseDigest(o.Hashes["sha256"])
			if o.Filename == f.Filename && err == nil && sha == f.SHA256 && plan.CanAnnounce(plan.Choice{Source: f.Source, Offer: o, Filename: name}) {
				return o, true, nil
			}
		}
	}
	return catalog.Offer{}, false, nil
}
