package monitor_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"nestgen"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/layout"
	"nestgen/monitor"
	"nestgen/packaging"
	"nestgen/trust"
)

// A liveSite is one that requests change.
type liveSite struct {
	testing.TB
	nestgen.Config
	*nestgen.Live
	upstream *fetchtest.Server
	files    []fetchtest.File // of the upstream
}

// newLiveSite builds a site that has some projects by name on demand already.
func newLiveSite(t testing.TB, names ...packaging.Name) *liveSite {
	t.Helper()
	s := &liveSite{TB: t, upstream: fetchtest.New(t)}
	file := filepath.Join(t.TempDir(), "nestgen.toml")
	settings := fmt.Sprintf(`uploads = "uploads"
[fallback]
free = "0"
deadline = "10m"
[[on_demand]]
pattern = "foo*"
mode = "fetch"
[[upstream]]
name = "up"
url = %q
`, s.upstream.URL+fetchtest.Index)
	err := os.WriteFile(file, []byte(settings), 0o644)
	if err == nil {
		s.Config, err = nestgen.Load(file)
	}
	if err = errors.Join(err, s.Resolve()); err != nil {
		t.Fatal(err)
	}
	s.Fallback.Refresh = 1 // every answer is old at once
	s.Live = nestgen.Join(s.Config, nil)
	t.Cleanup(func() {
		if err := s.Live.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, n := range names {
		s.offer(n, "1.0")
		s.ask(n)
	}
	s.build()
	return s
}

// offer has the upstream offer one more file.
func (s *liveSite) offer(n packaging.Name, version string) {
	name, data := intaketest.Wheel(string(n), version, intaketest.Opts{})
	s.files = append(s.files, fetchtest.File{Project: string(n), Filename: name, Data: data})
	s.upstream.SetFiles(s.files...)
}

func (s *liveSite) ask(n packaging.Name) {
	if err := s.Project(s.Context(), n); err != nil {
		s.Errorf("%s: %v", n, err)
	}
}

func (s *liveSite) upload(n packaging.Name, version string) {
	name, data := intaketest.Wheel(string(n), version, intaketest.Opts{})
	f, err := s.Stage(s.Context())
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = s.Upload(s.Context(), nestgen.Uploaded{File: f, Filename: name, Project: n, SHA256: fmt.Sprintf("%x", sha256.Sum256(data)), By: "a test"})
	}
	if err != nil {
		s.Errorf("%s: %v", name, err)
	}
}

func (s *liveSite) build() {
	r, err := nestgen.Build(s.Context(), s.Config, nestgen.Options{})
	if err != nil || r.Status != 0 {
		s.Errorf("build: %+v, %v", r, err)
	}
}

// look looks at the site as somebody does who has its key. Something wrong may be so for
// as long as settle says.
func (s *liveSite) look(ctx context.Context, when string, settle time.Duration) error {
	own, err := trust.Open(filepath.Join(s.State, "keys")).Own()
	if err != nil {
		return err
	}
	r, err := monitor.Verify(ctx, s.Site, own.Verifier, monitor.Options{Settle: settle})
	if err != nil {
		return err
	}
	for _, f := range r.Findings {
		s.Errorf("%s: %s: %s: %s", when, f.Kind, f.Path, f.Text)
	}
	return nil
}

// What requests change is proven at once, without a build in between.
func TestRequestsAreProven(t *testing.T) {
	s := newLiveSite(t, "foo")
	look := func(when string) {
		t.Helper()
		if err := s.look(t.Context(), when, 0); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	look("built")
	s.upload("mine", "1.0")
	look("uploaded")
	s.offer("foo", "2.0")
	s.ask("foo")
	look("asked for")
	file := s.files[len(s.files)-1]
	path := layout.File(sha256.Sum256(file.Data), file.Filename) // as long as it is announced
	if err := s.Live.File(t.Context(), path, func(int64) io.Writer { return io.Discard }); err != nil {
		t.Fatal(err)
	}
	look("a file has come")
	s.upload("mine", "2.0")
	look("uploaded again")
	s.build()
	look("built again")
}

// Uploads, what comes on demand and builds go on at once: whoever looks meanwhile finds
// nothing that stays wrong, and whoever looks then nothing at all.
func TestRequestsAndBuildsAtOnce(t *testing.T) {
	const each = 6
	names := []packaging.Name{"foo", "foo-two"}
	s := newLiveSite(t, names...)
	for _, n := range names {
		for i := range each {
			s.offer(n, fmt.Sprint(2+i))
		}
	}
	all := s.files
	var work, watch sync.WaitGroup
	for i, n := range names {
		work.Go(func() {
			for range each {
				s.ask(n)
			}
		})
		work.Go(func() {
			for v := range each {
				s.upload(packaging.Name(fmt.Sprint("mine-", i)), fmt.Sprint(v+1))
			}
		})
	}
	work.Go(func() {
		for i := range each {
			s.upstream.SetFiles(all[:len(names)+(i+1)*len(names)]...)
			s.build()
		}
	})
	ctx, over := context.WithCancel(t.Context())
	watch.Go(func() {
		for ctx.Err() == nil {
			// A site that goes on all the time is looked at later.
			if err := s.look(ctx, "meanwhile", 5*time.Minute); err != nil && !errors.Is(err, monitor.ErrUnreachable) && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	work.Wait()
	over()
	watch.Wait()
	s.upstream.SetFiles(all...)
	for _, n := range names {
		s.ask(n)
	}
	if err := s.look(t.Context(), "in the end", 0); err != nil {
		t.Error(err)
	}
}
