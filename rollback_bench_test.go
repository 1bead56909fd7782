package nestgen

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"nestgen/intake/intaketest"
)

// BenchmarkRollback goes back where 1,000 of 3,000 projects have a newer version and 100
// have lost all files; BenchmarkSnapshot gives the 3,000 a name.
func BenchmarkRollback(b *testing.B) {
	w := benchedSite(b)
	first := w.serial()
	for i := range 1000 {
		w.drop(fmt.Sprintf("project-%d", i), "2.0", intaketest.Opts{})
	}
	for i := range 100 {
		w.remove("drop/" + fmt.Sprintf("project_%d-1.0-py3-none-any.whl", 2000+i))
	}
	w.build(0, Options{AllowRemovals: true})
	second := w.serial()
	defer cpuTime(b)()
	for b.Loop() {
		d, err := Rollback(b.Context(), w.Config, Options{}, RollbackRequest{Serial: first})
		if err != nil || d.Projects != 1100 || d.Restored+d.Withdrawn != 1100 {
			b.Fatalf("%+v, %v", d, err)
		}
		first, second = second, first // and forth again, which is as much
	}
}

func BenchmarkSnapshot(b *testing.B) {
	w := benchedSite(b)
	n := 0
	defer cpuTime(b)()
	for b.Loop() {
		n++
		d, err := CreateSnapshot(b.Context(), w.Config, Options{}, SnapshotRequest{Tag: fmt.Sprintf("s%d", n)})
		if err != nil || d.Projects != 3000 {
			b.Fatalf("%+v, %v", d, err)
		}
	}
}

// cpuTime reports the time of the processor besides that on the wall, which says little
// on a machine with other work, from when it is called to when what it gives is.
func cpuTime(b *testing.B) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric((used()-before).Seconds()/float64(b.N), "cpu-s/op") }
}

// benchedSite is a site of 3,000 projects with a file each.
func benchedSite(b *testing.B) *world {
	b.Helper()
	w := newWorld(b)
	for i := range 3000 {
		w.drop(fmt.Sprintf("project-%d", i), "1.0", intaketest.Opts{})
	}
	w.build(0)
	return w
}
