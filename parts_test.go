package nestgen

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// What has come in is in the catalog before the rest of its batch has, and even
// of its project, so that a run that is killed loses little of it.
func TestFilesAreRecordedAsTheyCome(t *testing.T) {
	t.Parallel()
	var files []fetchtest.File
	for i := range 8 {
		files = append(files, wheel("foo", fmt.Sprintf("1.%d", i), intaketest.Opts{Pad: 400_000}))
	}
	srv := fetchtest.New(t, files...)
	w := newWorld(t, srv)
	w.Versions = -1
	w.write("allowlist.txt", "foo\n")
	// The oldest version is asked for last, and never comes.
	last := srv.Path(files[0].Filename)
	srv.Always(last, fetchtest.StallBeforeHeaders)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, err := Build(ctx, w.Config, Options{})
		ended <- err
	}()
	listed := func() (here []string) {
		if p, _, err := Show(t.Context(), w.Config, "foo"); err == nil {
			for _, f := range p.Files {
				here = append(here, f.Filename)
			}
		}
		return here
	}
	for len(listed()) < 6 {
		select {
		case err := <-ended:
			t.Fatalf("Build: %v, though one file is awaited; in the catalog are %q", err, listed())
		case <-time.After(5 * time.Millisecond):
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("Build: %v", err)
	}
	here := listed() // only now: one more may have come into the catalog
	srv.Heal()
	srv.Forget()
	if r := w.build(0); r.Added.Count != 8-len(here) {
		t.Errorf("%d added, though %d were here", r.Added.Count, len(here))
	}
	for _, name := range here {
		if n := len(srv.Requests(srv.Path(name))); n > 0 {
			t.Errorf("%s was in the catalog and was fetched again", name)
		}
	}
	if n := len(w.listed()); n != 8 {
		t.Errorf("%d files are listed", n)
	}
	if r := w.build(0); r.changes() {
		t.Errorf("a run with nothing to do: %+v", r)
	}
}

// Small files that come fast are one part.
func TestPartsAreBounded(t *testing.T) {
	defer func(d time.Duration) { partTime = d }(partTime)
	partTime = time.Hour // of which nothing passes here
	small := &arrival{file: catalog.File{Size: 1000}}
	var p part
	for range 256 {
		if p.add(small); p.full() {
			t.Fatal("256 small files are more than one part")
		}
	}
	p.began = time.Now().Add(-partTime)
	if !p.full() {
		t.Error("a part that waits is not full")
	}
	p = part{}
	p.add(&arrival{file: catalog.File{Size: partBytes}})
	if !p.full() {
		t.Error("a part of many bytes is not full")
	}
}

// A file that the catalog refuses has no say in how the name is written,
// whichever part of the batch it came in.
func TestARefusedFileDoesNotSpellTheName(t *testing.T) {
	t.Parallel()
	spelled := func(spelling string) fetchtest.File {
		f := wheel("foo", "2.0", intaketest.Opts{Spelling: spelling, Pad: int(partBytes)})
		f.NoHash = true
		return f
	}
	srv := fetchtest.New(t, spelled("Foo"))
	w := newWorld(t, srv)
	w.Versions = -1
	w.drop("own", "1.0", plain)
	w.write("allowlist.txt", "foo\n")
	w.build(0)
	w.write("allowlist.txt", "")
	w.build(0)
	srv.SetFiles(wheel("foo", "1.0", plain), spelled("FOO"))
	w.write("allowlist.txt", "foo\n")
	w.build(6)
	p, _, err := Show(t.Context(), w.Config, "foo")
	if err != nil {
		t.Fatal(err)
	}
	if p.Display != "foo" || len(p.Files) != 1 {
		t.Errorf("%s is what the name is written, with %d files", p.Display, len(p.Files))
	}
}
