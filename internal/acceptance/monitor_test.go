package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nestgen/monitor"
	"nestgen/trust"
)

// Whoever has the key of a site proves from outside that it serves what its log says,
// whatever server it is behind, and finds one byte that is another.
func TestMonitor(t *testing.T) {
	s := build(t)
	own, err := trust.Open(filepath.Join(filepath.Dir(s.dir), "state", "keys")).Own()
	if err != nil {
		t.Fatal(err)
	}
	var logged int64
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			verify := func() *monitor.Report {
				r, err := monitor.Verify(t.Context(), k.start(t, k, s.dir).URL, own.Verifier, monitor.Options{Patience: patience})
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			r := verify()
			for _, f := range r.Findings {
				t.Errorf("%s: %s", f.Path, f.Text)
			}
			for _, n := range append(r.NotReachable, r.Unanswered...) {
				t.Errorf("%s: %s", n.Path, n.Text)
			}
			if logged == 0 {
				logged = r.Pages
			}
			if r.Pages != logged || r.Pages < 100 || r.Files < 20 || r.Projects != 11 {
				t.Errorf("%d pages, %d files, %d projects", r.Pages, r.Files, r.Projects)
			}
			for _, path := range []string{"simple/lib/index.v1_json", "simple/index.html.gz", "simple/Dotted.Name/index.html", "log/checkpoint"} {
				name := filepath.Join(s.dir, filepath.FromSlash(path))
				data, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				data[len(data)/2] ^= 1
				write(t, name, data)
				r := verify()
				data[len(data)/2] ^= 1
				write(t, name, data)
				// A server that leads on from another spelling never shows its page.
				led := strings.Contains(path, "Dotted") && !strings.HasPrefix(k.name, "nginx")
				if len(r.Findings) != 1 && !led || led && len(r.Findings) > 0 {
					t.Errorf("%s is another: %d findings", path, len(r.Findings))
				}
				for _, f := range r.Findings {
					if f.Path != path {
						t.Errorf("%s is another, and found is %s: %s", path, f.Path, f.Text)
					}
				}
			}
		})
	}
}
