package publish

import (
	"path/filepath"
	"sync"
	"testing"
)

// Those who join while builds begin, each of which empties the stage, always
// get in, with a place in it that stays.
func TestJoinWhileBuildsBegin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := Options{Site: filepath.Join(dir, "site"), State: filepath.Join(dir, "state")}
	stop := make(chan struct{})
	var builds, joins sync.WaitGroup
	builds.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			b, err := Open(o)
			if err == nil {
				err = b.Close()
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 4 {
		joins.Go(func() {
			for range 300 {
				j, err := Join(o)
				if err != nil {
					t.Error(err)
					return
				}
				f, err := j.NewFile()
				if err == nil {
					err = f.Close()
				}
				if err != nil {
					t.Error(err)
				}
				if err := j.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	joins.Wait()
	close(stop)
	builds.Wait()
}
