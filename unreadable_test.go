package nestgen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"nestgen/drop"
)

// What fails on the side of a drop folder costs that file; what fails where the
// site is stops the run.
func TestWhichSideOfACopyFails(t *testing.T) {
	t.Parallel()
	e := drop.Entry{Dir: "/drop", Path: "a-1.0.tar.gz"}
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{&os.PathError{Op: "read", Path: e.Name(), Err: syscall.EIO}, true},
		{fmt.Errorf("copy: %w", &os.PathError{Op: "read", Path: e.Name() + ".asc", Err: syscall.EIO}), true},
		{&droppedError{syscall.EACCES}, true},
		{&os.PathError{Op: "write", Path: "/state/stage/1", Err: syscall.EIO}, false},
		{&os.PathError{Op: "write", Path: "/state/stage/1", Err: syscall.ENOSPC}, false},
		{syscall.EIO, false},
	} {
		if got := ofDropped(tt.err, e); got != tt.want {
			t.Errorf("%v: of the drop folder: %v", tt.err, got)
		}
		if !isStorage(tt.err) {
			t.Errorf("%v: no fault of a disk", tt.err)
		}
	}
}

// A dropped file that cannot be read waits for the next run, and the others go
// on.
func TestAnUnreadableDroppedFileIsLeftForAnotherRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.drop("a", "1.0", plain)
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.EMFILE, syscall.ESTALE} {
		s, err := open(w.Config, Options{DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.readIntent(t.Context()), s.scanDrop(t.Context())); err != nil {
			t.Fatal(err)
		}
		var e drop.Entry
		for entry, err := range s.local.view.Entries() {
			if err != nil {
				t.Fatal(err)
			}
			e = entry
		}
		if err := s.unread(t.Context(), e, &os.PathError{Op: "read", Path: e.Name(), Err: errno}); err != nil {
			t.Errorf("%v ends the run: %v", errno, err)
		}
		if got := s.local.view.Report().Rejected; len(got) != 1 || got[0].File != e.Name() || !s.local.failed.Load() {
			t.Errorf("%v: %v", errno, got)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := s.unread(ctx, e, errno); err == nil {
			t.Error("an interrupted run goes on")
		}
		if err := s.unread(t.Context(), e, errors.New("a bug")); err == nil {
			t.Error("a bug is hidden")
		}
		s.close()
	}
}
