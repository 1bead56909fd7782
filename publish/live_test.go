package publish_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nestgen/layout"
	"nestgen/publish"
)

var link = regexp.MustCompile(`<a href="([^"#]+)#sha256=([0-9a-f]{64})">`)

// Readers read pages and what they link to while batch after batch is
// published: no page is missing or torn, no link dangles, every file has its
// hash, and a page whose bytes change gets a later time (I1 to I4).
func TestLiveReaders(t *testing.T) {
	const projects = 12
	length := 4 * time.Second
	if testing.Short() {
		length = time.Second
	}
	s := open(t)
	// generation publishes round r; project p has r%3+1 files, all new.
	generation := func(r int) {
		var batch []publish.Exposure
		b := begin(t, s.tree)
		root := new(strings.Builder)
		for p := range projects {
			page := new(strings.Builder)
			for i := range r%3 + 1 {
				content := fmt.Sprintf("file %d of project %d in round %d", i, p, r)
				sum := sha256.Sum256([]byte(content))
				target := layout.File(sum, fmt.Sprintf("p%d-%d.tar.gz", p, r))
				batch = append(batch, publish.Exposure{Temp: s.temp(content), Target: target})
				fmt.Fprintf(page, "<a href=\"../../%s#sha256=%x\">x</a>\n", target, sum)
			}
			page.WriteString("</html>")
			for _, name := range []string{"index.html", "index.v1_json"} {
				s.must(b.Put(fmt.Sprintf("simple/p%d/%s", p, name), []byte(page.String())))
			}
			fmt.Fprintf(root, "<a href=\"p%d/\">\n", p)
		}
		// A project that comes and goes.
		if r%2 == 0 {
			s.must(b.Put("simple/sometimes/index.html", []byte("</html>")))
			fmt.Fprintln(root, `<a href="sometimes/">`)
		} else {
			s.must(b.RemoveFolder("simple/sometimes"))
		}
		// No two generations have the same page: a reader may miss one.
		fmt.Fprintf(root, "round %d</html>", r)
		s.must(b.Put("simple/index.html", []byte(root.String())))
		altered, err := s.tree.Expose(context.Background(), batch)
		s.must(err)
		if altered != nil {
			t.Fatal(altered)
		}
		_, err = end(b)
		s.must(err)
	}
	generation(0)

	var stop atomic.Bool
	var reads, links atomic.Int64
	var wg sync.WaitGroup
	for reader := range 3 {
		wg.Go(func() {
			type seen struct {
				content []byte
				mtime   time.Time
			}
			last := map[string]seen{}
			for i := reader; !stop.Load(); i++ {
				path := fmt.Sprintf("simple/p%d/index.html", i%projects)
				if i%7 == 0 {
					path = "simple/index.html"
				}
				f, err := os.Open(s.path(path))
				if err != nil {
					t.Errorf("page missing: %v", err)
					return
				}
				fi, _ := f.Stat()
				content := make([]byte, fi.Size()+1)
				n, _ := f.Read(content)
				f.Close()
				content = content[:n]
				reads.Add(1)
				if !bytes.HasSuffix(content, []byte("</html>")) {
					t.Errorf("%s is torn: %q", path, content)
				}
				if was, ok := last[path]; ok {
					switch same := bytes.Equal(was.content, content); {
					case same && !fi.ModTime().Equal(was.mtime):
						t.Errorf("%s: time changed and bytes did not", path)
					case !same && fi.ModTime().Unix() <= was.mtime.Unix():
						t.Errorf("%s: time went from %d to %d", path, was.mtime.Unix(), fi.ModTime().Unix())
					}
				}
				last[path] = seen{content, fi.ModTime()}
				for _, m := range link.FindAllSubmatch(content, -1) {
					b, err := os.ReadFile(s.path("simple/x/" + string(m[1])))
					if err != nil {
						t.Errorf("dangling link: %v", err)
					} else if fmt.Sprintf("%x", sha256.Sum256(b)) != string(m[2]) {
						t.Errorf("%s has other bytes than its link says", m[1])
					}
					links.Add(1)
				}
				// A folder without its page would be a 403 (contract rule 12).
				if es, err := os.ReadDir(s.path("simple/sometimes")); err == nil && len(es) == 0 {
					if _, err := os.Stat(s.path("simple/sometimes")); !errors.Is(err, fs.ErrNotExist) {
						t.Error("a project's folder was empty")
					}
				}
			}
		})
	}
	// For so long, and on until the readers have had their turns.
	n := int64(1)
	for start := time.Now(); !t.Failed() && (n < 5 || time.Since(start) < length || reads.Load() < n || links.Load() < n); n++ {
		generation(int(n))
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d batches, %d pages read, %d links followed", n, reads.Load(), links.Load())
}
