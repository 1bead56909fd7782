package monitor_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"nestgen/layout"
	"nestgen/monitor"
)

// A changed is a tree in which one file is another.
type changed struct {
	tree
	path string
	data []byte
}

func (c changed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Only the file that was changed is answered otherwise.
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" || strings.HasSuffix(name, "/") {
		name += "index.html"
	}
	if name != c.path {
		c.tree.ServeHTTP(w, r)
		return
	}
	tree{c.path: c.data}.ServeHTTP(w, r)
}

// Every byte of a site counts: whichever is changed, in the log, in its tiles, in a page
// or in the store, whoever has the key of the site finds it.
func TestAnyByte(t *testing.T) {
	f := aSite(t)
	changes, onDisk := 10_000, 200
	if testing.Short() {
		changes, onDisk = 600, 20
	}
	kinds := map[string][]string{}
	for _, path := range slices.Sorted(maps.Keys(f.tree)) {
		kinds[partOf(path)] = append(kinds[partOf(path)], path)
	}
	names := slices.Sorted(maps.Keys(kinds))
	if want := []string{"log", "page", "store", "tile"}; !slices.Equal(names, want) {
		t.Fatalf("the site has %v", names)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// /NUMBER/path is the site with that change.
		number, _, _ := strings.Cut(r.URL.Path[1:], "/")
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		_, path, data := change(f.tree, kinds, names, n)
		http.StripPrefix("/"+number, changed{f.tree, path, data}).ServeHTTP(w, r)
	}))
	defer srv.Close()

	var found, next atomic.Uint64
	var mu sync.Mutex
	of := map[string]int{}
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= uint64(changes) || t.Context().Err() != nil {
					return
				}
				kind, path, data := change(f.tree, kinds, names, n)
				site := fmt.Sprintf("%s/%d/", srv.URL, n)
				o := monitor.Options{Jobs: 4}
				if n%10 != 0 { // most go without a connection, which is quicker
					o.Transport = direct{changed{f.tree, path, data}}
					site = "http://packages.example.org/"
				}
				r, err := monitor.Verify(t.Context(), site, f.own.Verifier, o)
				mu.Lock()
				switch {
				case err != nil:
					t.Errorf("change %d, %s: %v", n, path, err)
				case len(r.Findings) == 0 || len(r.Unanswered) > 0:
					t.Errorf("change %d, %s: not found: %s", n, path, problems(r))
				case !named(r, path):
					t.Errorf("change %d, %s: taken for another:\n%s", n, path, problems(r))
				default:
					found.Add(1)
					of[kind]++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("%d of %d random single-byte changes found: %v", found.Load(), changes, of)

	dir := f.tree.write(t)
	on := 0
	for n := range uint64(onDisk) {
		_, path, data := change(f.tree, kinds, names, n)
		name := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := monitor.Verify(t.Context(), dir, f.own.Verifier, monitor.Options{})
		if err != nil || len(r.Findings) == 0 || !named(r, path) {
			t.Errorf("change %d, %s, on disk: %v\n%s", n, path, err, problems(r))
		} else {
			on++
		}
		if err := os.WriteFile(name, f.tree[path], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of %d found on disk", on, onDisk)
}

// partOf says which part of a site a file is.
func partOf(path string) string {
	switch {
	case strings.HasPrefix(path, layout.Log+"/") && strings.Contains(path, "tile/"):
		return "tile"
	case strings.HasPrefix(path, layout.Log+"/"):
		return "log"
	case strings.HasPrefix(path, layout.Packages+"/"):
		return "store"
	}
	return "page"
}

// change gives the random change of a number: as many of each part of a site, and in it of
// each file.
func change(t tree, kinds map[string][]string, names []string, n uint64) (kind, path string, data []byte) {
	rnd := rand.New(rand.NewPCG(5, n))
	kind = names[n%uint64(len(names))]
	path = kinds[kind][rnd.IntN(len(kinds[kind]))]
	data = slices.Clone(t[path])
	data[rnd.IntN(len(data))] ^= byte(1 + rnd.IntN(255))
	return kind, path, data
}

// named reports whether the first finding names the file that was changed. Of the last
// tiles of a log it may be another that does not fit.
func named(r *monitor.Report, path string) bool {
	first := r.Findings[0].Path
	return first == path || partOf(path) == "tile" && partOf(first) == "tile"
}
