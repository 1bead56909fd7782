package nestgen

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/plan"
)

// A departure is what is to leave the index of one project. Its local files and
// those of an upstream are decided about one after the other.
type departure struct {
	files  []plan.Withdrawal
	has    int  // files that the index lists
	coming bool // others take their place
}

// postpone keeps what leaves the index for the end of the run.
func (s *site) postpone(d *decided) {
	away := s.leaving[d.Name]
	if away == nil {
		mixed := s.intent.projects[d.Name].Sources != ""
		if len(d.Withdraw) == 0 && !mixed {
			return
		}
		away = new(departure)
		s.leaving[d.Name] = away
	}
	if d.Current != nil {
		away.has = len(d.Current.Files)
	}
	away.coming = away.coming || len(d.Take)+len(d.Fetch) > 0
	known := map[string]bool{}
	for _, w := range away.files {
		known[w.File.Filename] = true
	}
	for _, k := range d.Keep {
		if k.Changed && known[k.File.Filename] { // an upstream has it, too
			away.files = slices.DeleteFunc(away.files, func(w plan.Withdrawal) bool { return w.File.Filename == k.File.Filename })
		}
	}
	taken := map[string]bool{} // out of a folder, just the same bytes
	for _, t := range d.Take {
		taken[t.File] = true
	}
	for _, w := range d.Withdraw {
		if !known[w.File.Filename] && (w.Blocked || !taken[w.File.Filename]) {
			away.files = append(away.files, w)
		}
	}
}

// localLeaving names the local files that leave, of all projects or only of those which
// an upstream may have files of as well.
func (s *site) localLeaving(all bool) map[packaging.Name]map[string]bool {
	leaving := map[packaging.Name]map[string]bool{}
	for n, away := range s.leaving {
		if !all && s.intent.projects[n].Sources == "" || len(away.files) == 0 {
			continue
		}
		leaving[n] = map[string]bool{}
		for _, w := range away.files {
			if w.File.Source == catalog.Local && !w.Blocked {
				leaving[n][w.File.Filename] = true
			}
		}
	}
	return leaving
}

// lack notes that something of a project could not be had. It may be what takes
// the place of a file that leaves, so that nothing of the project leaves the
// index in this run, except what the policy forbids.
func (s *site) lack(n packaging.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unmet[n] = true
}

// miss notes that something did not come that was to. What else was decided may rest on
// it: see [site.keepNeeded].
func (s *site) miss(n packaging.Name) {
	s.lack(n)
	s.missed.Store(true)
}

// keepNeeded has what came from upstreams stay when something did not come: what is here
// in its place may need it, if what is needed was found out for what was to come.
func (s *site) keepNeeded() {
	if !s.missed.Load() || !s.intent.completed {
		return
	}
	s.intent.unfinished = true
	for _, away := range s.leaving {
		away.files = slices.DeleteFunc(away.files, func(w plan.Withdrawal) bool { return !w.Blocked && w.File.Source != catalog.Local })
	}
}

// withdraw takes out of the index what is not wanted any more. What looks like
// an accident waits for somebody to say that it is meant; what the policy
// forbids does not wait.
func (s *site) withdraw(ctx context.Context) error {
	for n := range s.unmet {
		if away := s.leaving[n]; away != nil {
			waits := len(away.files)
			away.files = slices.DeleteFunc(away.files, func(w plan.Withdrawal) bool { return !w.Blocked })
			if len(away.files) < waits {
				s.local.told[n] = true // the next run looks again
			}
		}
	}
	s.keepNeeded()
	braked, err := s.brake(ctx)
	if err != nil {
		return storage(err)
	}
	if braked {
		s.local.failed.Store(true) // what was gone must be found gone again
	}
	names := slices.Sorted(maps.Keys(s.leaving))
	var leaving []plan.Withdrawal
	for _, n := range names {
		for _, w := range s.leaving[n].files {
			if w.Blocked || !braked {
				leaving = append(leaving, w)
			}
		}
	}
	if len(leaving) == 0 {
		return nil
	}
	if !s.opts.DryRun {
		err := s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
			var err error
			leaving = slices.DeleteFunc(leaving, func(w plan.Withdrawal) bool {
				came, cerr := s.cameMeanwhile(tx, w)
				err = errors.Join(err, cerr)
				return came
			})
			if err != nil {
				return err
			}
			for i, w := range leaving {
				n := w.File.Project
				if err := tx.Withdraw(n, w.File.Filename, w.Reason, trueNow(), time.Duration(s.Grace)); err != nil {
					return err
				}
				if w.Blocked && !w.File.Announced {
					// Nobody is to have it, also those who know its address.
					if err := tx.Withhold(w.File.Path); err != nil {
						return err
					}
				}
				if i == len(leaving)-1 || leaving[i+1].File.Project != n {
					if err := tx.Respell(n); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return storage(err)
		}
	}
	for _, w := range leaving {
		s.report.Withdrawn.add(w.File, []string{w.Reason})
	}
	return nil
}

// cameMeanwhile reports whether a file has come by a request since it was decided
// that it goes because it is not here. An upload puts its file into its folder
// before it notes it in the catalog, which nobody does at the moment.
func (s *site) cameMeanwhile(tx *catalog.Tx, w plan.Withdrawal) (bool, error) {
	switch {
	case w.Reason == plan.NeverCame:
		waits, err := tx.Announced(w.File.Project, w.File.Filename)
		return err == nil && !waits, err
	case w.Reason != plan.Gone || s.Uploads == "":
		return false, nil
	}
	if _, err := os.Lstat(s.uploadPlace(w.File.Project, w.File.Filename)); err != nil {
		return false, nil
	}
	s.local.told[w.File.Project] = true // the next run looks again
	return true, nil
}

// The brake: more than this many projects, or files of drop folders, or more
// than one in so many of either, do not go by accident.
const (
	brakeProjects = 50
	brakeFiles    = 50
	brakeShare    = 5
)

// brake reports whether so much must not leave at once, and raises the alarm.
// What the policy forbids does not count, nor does an allowlist that keeps
// other versions.
func (s *site) brake(ctx context.Context) (bool, error) {
	vanish, files := 0, 0
	for _, away := range s.leaving {
		unforced := 0
		for _, w := range away.files {
			if w.Blocked {
				continue
			}
			unforced++
			if w.File.Source == catalog.Local {
				files++
			}
		}
		if unforced > 0 && len(away.files) == away.has && !away.coming {
			vanish++
		}
	}
	if s.opts.AllowRemovals {
		return false, nil
	}
	much, err := s.tooMuch(ctx, vanish, files)
	if err != nil {
		return true, err
	}
	if much == "" {
		return false, nil
	}
	if !strings.HasSuffix(much, "projects") {
		much += " of drop folders"
	}
	s.report.problem(plan.Alarm, "", `if this is meant, run "nestgen build --allow-removals" once`,
		"%s would leave the index; nothing was taken out of it", much)
	return true, nil
}

// tooMuch says of so many projects or files that would leave the index if that is more
// than goes by accident; empty if it is not.
func (s *site) tooMuch(ctx context.Context, projects, files int) (string, error) {
	if projects == 0 && files <= brakeFiles {
		return "", nil
	}
	n, err := s.catalog.Counts(ctx)
	switch {
	case err != nil:
		return "", err
	case tooMany(projects, int(n.Projects)):
		return fmt.Sprintf("%d of %d projects", projects, n.Projects), nil
	case files > brakeFiles && brakeShare*files > int(n.Files):
		return fmt.Sprintf("%d of %d files", files, n.Files), nil
	}
	return "", nil
}

// tooMany reports whether so many of all projects do not go by accident. The
// last project but one of a small site may; the only one may not.
func tooMany(vanish, all int) bool {
	return vanish > brakeProjects || brakeShare*vanish > all && (vanish > 1 || all == 1)
}
