package nestgen

import (
	"context"
	"maps"
	"slices"
	"time"

	"nestgen/catalog"
	"nestgen/packaging"
	"nestgen/plan"
)

// A withdrawal is a file that leaves the index at the end of the run.
type withdrawal struct {
	plan.Withdrawal
	vanishes bool // its project loses all files
}

// postpone keeps what leaves the index for the end of the run. What could not
// be had may be what takes the place of a file that leaves, so that nothing
// leaves a project that lost something, except what the policy forbids.
func (s *site) postpone(d *decided) {
	for _, w := range d.Withdraw {
		if d.failed && !w.Blocked {
			continue
		}
		s.withdrawals = append(s.withdrawals, withdrawal{w, d.Vanishes()})
	}
}

// withdraw takes out of the index what is not wanted any more. What looks like
// an accident waits for somebody to say that it is meant; what the policy
// forbids does not wait.
func (s *site) withdraw(ctx context.Context) error {
	braked, err := s.brake(ctx)
	if err != nil {
		return storage(err)
	}
	var leaving []withdrawal
	for _, w := range s.withdrawals {
		if w.Blocked || !braked {
			leaving = append(leaving, w)
		}
	}
	if braked {
		s.local.failed.Store(true) // what was gone must be found gone again
	}
	if len(leaving) == 0 {
		return nil
	}
	if !s.opts.DryRun {
		err := s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
			left := map[packaging.Name]bool{}
			for _, w := range leaving {
				if err := tx.Withdraw(w.File.Project, w.File.Filename, w.Reason, trueNow(), time.Duration(s.Grace)); err != nil {
					return err
				}
				left[w.File.Project] = true
			}
			for _, n := range slices.Sorted(maps.Keys(left)) {
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
	for _, w := range leaving {
		s.report.Withdrawn.add(w.File, []string{w.Reason})
	}
	return nil
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
	vanish := map[packaging.Name]bool{}
	files := 0
	for _, w := range s.withdrawals {
		if w.Blocked {
			continue
		}
		if w.vanishes {
			vanish[w.File.Project] = true
		}
		if w.File.Source == catalog.Local {
			files++
		}
	}
	if len(vanish) == 0 && files <= brakeFiles || s.opts.AllowRemovals {
		return false, nil
	}
	n, err := s.catalog.Counts(ctx)
	if err != nil {
		return true, err
	}
	// The last project but one of a small site may go; the only one may not.
	share := brakeShare*len(vanish) > int(n.Projects) && (len(vanish) > 1 || n.Projects == 1)
	if len(vanish) > brakeProjects || share {
		s.report.problem(plan.Alarm, "", `if this is meant, run "nestgen build --allow-removals" once`,
			"%d of %d projects would leave the index; nothing was taken out of it", len(vanish), n.Projects)
		return true, nil
	}
	if files > brakeFiles && brakeShare*files > int(n.Files) {
		s.report.problem(plan.Alarm, "", `if this is meant, run "nestgen build --allow-removals" once`,
			"%d of %d files would leave the index because they are no longer in a drop folder; nothing was taken out of it", files, n.Files)
		return true, nil
	}
	return false, nil
}
