package demand

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Any number of visitors that want the same come in one by one, and leave
// nothing behind.
func TestOneAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demand")
	var inside, visits atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		table := New(dir, 1) // as another process has
		all.Go(func() {
			for range 20 {
				v, err := table.Enter(t.Context(), "simple/foo")
				if err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two at once")
				}
				visits.Add(1)
				inside.Add(-1)
				if err := v.Leave(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if visits.Load() != 160 {
		t.Errorf("%d visits", visits.Load())
	}
	if left, err := os.ReadDir(filepath.Join(dir, "locks")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A place that was given back twice is still one place, for whoever asks by the
// same table.
func TestFetchPlacesOfOneTable(t *testing.T) {
	table := New(t.TempDir(), 1)
	leave, err := table.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leave()
	leave()
	if leave, err = table.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := table.Fetch(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	leave()
	if leave, err = table.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	leave()
}

func TestEnterWaits(t *testing.T) {
	table := New(t.TempDir(), 1)
	v, err := table.Enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := table.Enter(t.Context(), "b")
	if err != nil {
		t.Fatal("another thing must not wait", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := table.Enter(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := errors.Join(v.Leave(), b.Leave()); err != nil {
		t.Error(err)
	}
	v, err = table.Enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	v.Leave()
}

func TestFetchPlaces(t *testing.T) {
	dir := t.TempDir()
	var leave []func()
	for i := range 3 {
		l, err := New(dir, 3).Fetch(t.Context())
		if err != nil {
			t.Fatal(i, err)
		}
		leave = append(leave, l)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(dir, 3).Fetch(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	leave[1]()
	l, err := New(dir, 3).Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l()
}

func TestAnswers(t *testing.T) {
	table := New(filepath.Join(t.TempDir(), "demand"), 1)
	now := time.Unix(1_800_000_000, 0)
	if a := table.Look("foo"); a != (Answer{}) {
		t.Errorf("an empty table says %v", a)
	}
	v, err := table.Enter(t.Context(), "foo")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Answer{{Absent, now}, {Failed, now.Add(time.Hour)}, {Present, now.Add(-time.Hour)}} {
		if err := v.Note(want); err != nil {
			t.Fatal(err)
		}
		if got := table.Look("foo"); got.Outcome != want.Outcome || !got.At.Equal(want.At) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	v.Leave()
	for _, tt := range []struct {
		outcome Outcome
		age     time.Duration
		at      time.Duration
		want    bool
	}{
		{Present, time.Hour, 0, true},
		{Absent, time.Hour, 0, false},
		{Present, time.Hour, 59 * time.Minute, true},
		{Present, time.Hour, time.Hour, false},
		{Present, time.Hour, -time.Minute, false}, // the clock was set back
	} {
		a := Answer{Present, now}
		if got := a.Younger(tt.outcome, tt.age, now.Add(tt.at)); got != tt.want {
			t.Errorf("%v: %v", tt, got)
		}
	}
}

// However many names strangers think of, the folder stays small, and the latest
// answers are the ones that stay.
func TestTheFolderStaysSmall(t *testing.T) {
	table := New(t.TempDir(), 1)
	k := keyOf("x")
	now := time.Unix(1_800_000_000, 0)
	for i := range 3 * perFile {
		other := k // all in one file
		other[15] = byte(i)
		other[14] = byte(i >> 8)
		if err := table.note(other, Answer{Absent, now}); err != nil {
			t.Fatal(err)
		}
	}
	fi, err := os.Stat(table.file(k))
	if err != nil || fi.Size() != perFile*answerSize {
		t.Errorf("%d bytes, want %d, %v", fi.Size(), perFile*answerSize, err)
	}
	if err := table.note(k, Answer{Present, now}); err != nil || table.Look("x").Outcome != Present {
		t.Errorf("the latest is lost: %v", err)
	}
}

// A file that was torn by a power cut, or written by somebody else, is no answer.
func TestTornAnswers(t *testing.T) {
	table := New(t.TempDir(), 1)
	for _, data := range []string{"", "x", string(make([]byte, answerSize-1)), string(make([]byte, 10*answerSize+3))} {
		if err := os.WriteFile(table.file(keyOf("foo")), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if a := table.Look("foo"); a != (Answer{}) {
			t.Errorf("%d bytes: %v", len(data), a)
		}
		if err := table.Note("foo", Answer{Present, time.Unix(7, 0)}); err != nil || table.Look("foo").Outcome != Present {
			t.Errorf("%d bytes: %v, %v", len(data), table.Look("foo"), err)
		}
	}
}

func TestSweep(t *testing.T) {
	table := New(t.TempDir(), 1)
	held, err := table.Enter(t.Context(), "held")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := table.Enter(t.Context(), "dead")
	if err != nil {
		t.Fatal(err)
	}
	dead.file.Close() // as when its process was killed
	if err := table.Note("foo", Answer{Present, time.Now()}); err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(table.dir, tempPrefix+"1")
	if err := os.WriteFile(temp, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour)
	for _, name := range []string{temp, held.file.Name(), dead.file.Name(), table.file(keyOf("foo"))} {
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Sweep(24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{temp: false, dead.file.Name(): false, held.file.Name(): true, table.file(keyOf("foo")): true} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := held.Leave(); err != nil {
		t.Error(err)
	}
	if err := New(filepath.Join(t.TempDir(), "none"), 1).Sweep(time.Hour); err != nil {
		t.Error(err)
	}
}

func BenchmarkLook(b *testing.B) {
	table := New(b.TempDir(), 1)
	for i := range 1000 {
		if err := table.Note(fmt.Sprint(i), Answer{Present, time.Now()}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if table.Look("500").Outcome != Present {
			b.Fatal("lost")
		}
	}
}
