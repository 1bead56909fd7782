package catalog_test

import (
	"path/filepath"
	"sync"
	"testing"

	"nestgen/catalog"
)

// Any number of processes may be the first that open a catalog.
func TestOpenAtOnce(t *testing.T) {
	for range 20 {
		file := filepath.Join(t.TempDir(), "catalog.db")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				c, err := catalog.Open(file)
				if err != nil {
					t.Error(err)
					return
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}
