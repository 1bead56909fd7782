package nestgen

import (
	"bytes"
	"testing"

	"nestgen/catalog"
	"nestgen/fetch/fetchtest"
	"nestgen/layout"
)

// arrivingNow gives the marks that the catalog has.
func (w *world) arrivingNow() []string {
	w.Helper()
	return marksIn(w.meta(metaArriving))
}

// diesArriving makes what a request leaves that is killed between the store and
// the catalog, with the file or just before it.
func (w *world) diesArriving(path string, data []byte) {
	w.Helper()
	if err := w.catalogUpdate(func(tx *catalog.Tx) error { return setArriving(tx, path, true) }); err != nil {
		w.Fatal(err)
	}
	if data != nil {
		w.write("site/"+path, string(data))
	}
}

// What a request puts into the store and dies is known after the next build.
func TestABuildAdoptsWhatArrived(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	foo := wheelFile(t, "foo", "1.0")
	srv := fetchtest.New(t, foo)
	whole := lazy(t, "fetch", srv)
	l := whole.join()
	whole.ask(l, "foo", 0)
	path := whole.pathOf("foo", foo.Filename)
	if _, err := whole.fetch(l, path); err != nil {
		t.Fatal(err)
	}
	if marks := whole.arrivingNow(); len(marks) > 0 {
		t.Errorf("after a request: %q", marks)
	}
	whole.build(0)
	want := whole.read("site/" + layout.LegacyRelease("foo", "1.0"))

	w := lazy(t, "fetch", srv)
	w.ask(w.join(), "foo", 0)
	w.diesArriving(path, foo.Data)
	asked := len(srv.Requests(""))
	w.build(0)
	if got := w.read("site/" + layout.LegacyRelease("foo", "1.0")); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if marks := w.arrivingNow(); len(marks) > 0 || len(srv.Requests("")) > asked {
		t.Errorf("marks %q, %d requests", marks, len(srv.Requests(""))-asked)
	}
	w.verifies()
	if r := w.build(0); !r.Idle() {
		t.Errorf("not idle: %+v", r)
	}
}

// A mark says only where to look.
func TestMarksOfWhatArrives(t *testing.T) {
	foo := wheelFile(t, "foo", "1.0")
	srv := fetchtest.New(t, foo)
	made := func(data []byte) (w *world, path string) {
		w = lazy(t, "fetch", srv)
		w.ask(w.join(), "foo", 0)
		path = w.pathOf("foo", foo.Filename)
		w.diesArriving(path, data)
		return w, path
	}
	left := func(w *world, want int) {
		t.Helper()
		if marks := w.arrivingNow(); len(marks) != want {
			t.Errorf("marks %q, want %d", marks, want)
		}
	}

	w, path := made(nil) // it was killed before the file was there
	w.build(0)
	left(w, 0)
	if data, err := w.fetch(w.join(), path); err != nil || !bytes.Equal(data, foo.Data) {
		t.Errorf("%d bytes, %v", len(data), err)
	}

	w, path = made(nil)
	visit, err := w.demandTable().Enter(t.Context(), path) // a request is at it
	if err != nil {
		t.Fatal(err)
	}
	w.build(0)
	left(w, 1)
	if err := visit.Leave(); err != nil {
		t.Fatal(err)
	}
	w.build(0)
	left(w, 0)

	w, path = made([]byte("something else"))
	for range 2 { // until somebody has looked
		r, err := Build(t.Context(), w.Config, Options{})
		if err != nil || r.Status != 6 {
			t.Errorf("status %d, %v", r.Status, err)
		}
		w.tells(r, "alarm", "cannot be listed")
		left(w, 1)
	}
	w.remove("site/" + path)
	w.build(0)
	left(w, 0)

	w, _ = made(nil)
	w.diesArriving("packages/00/00/"+path[len("packages/00/00/"):], nil) // nobody knows this one
	left(w, 2)
	w.build(0)
	left(w, 0)
}
