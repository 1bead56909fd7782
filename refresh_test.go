package nestgen

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// wheels gives one wheel of each of some projects.
func wheels(version string, names ...string) (files []fetchtest.File) {
	for _, n := range names {
		file, data := intaketest.Wheel(n, version, intaketest.Opts{})
		files = append(files, fetchtest.File{Project: n, Filename: file, Data: data})
	}
	return files
}

// newSerialWorld is a site that wants three projects of an upstream with serials,
// and has them.
func newSerialWorld(t *testing.T) (*world, *fetchtest.Server) {
	t.Helper()
	srv := fetchtest.New(t, wheels("1.0", "a", "b", "c")...)
	for i, n := range []string{"a", "b", "c"} {
		srv.SetProjectSerial(n, int64(10+i))
	}
	w := newWorld(t, srv)
	w.Upstreams[0].Serials = "always"
	w.write("allowlist.txt", "a\nb\nc\n")
	w.build(0)
	return w, srv
}

// askedFor checks which pages were asked for, and forgets them.
func askedFor(t *testing.T, srv *fetchtest.Server, want ...string) {
	t.Helper()
	var got []string
	for _, r := range srv.Requests("") {
		if p, ok := strings.CutPrefix(r.Path, fetchtest.Index); ok {
			got = append(got, strings.TrimSuffix(p, "/"))
		}
	}
	srv.Forget()
	slices.Sort(got) // projects are asked for at once
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

// fetchedRoot gives what is known of the root page of the upstream.
func (w *world) fetchedRoot() catalog.Root {
	w.Helper()
	src, err := fetch.Open(fetch.Upstream{Name: w.Upstreams[0].Name, URL: w.Upstreams[0].URL}, fetch.Options{})
	if err != nil {
		w.Fatal(err)
	}
	defer src.Close()
	return inCatalog(w, func(c *catalog.Catalog, ctx context.Context) (catalog.Root, error) {
		return c.Root(ctx, listingKey(src))
	})
}

// One request says that nothing has changed, or what has.
func TestSerialsSaveRequests(t *testing.T) {
	t.Parallel()
	w, srv := newSerialWorld(t)
	askedFor(t, srv, "a", "b", "c")
	for range 2 {
		r := w.build(0)
		askedFor(t, srv, "")
		if r.Fetched.Unchanged != 3 || r.Fetched.Requests != 1 {
			t.Errorf("%+v", r.Fetched)
		}
	}
	if root := w.fetchedRoot(); len(root.Serials) != 3 || root.Serial != 12 || root.ETag == "" {
		t.Errorf("kept %+v", root)
	}

	// One has changed: it alone is asked for, and without a condition.
	srv.SetFiles(append(wheels("1.0", "a", "b", "c"), wheels("1.1", "b")...)...)
	srv.SetProjectSerial("b", 20)
	w.build(0)
	if got := srv.Requests(srv.Page(fetchtest.Index, "b")); len(got) != 1 || got[0].Header.Get("If-None-Match") != "" {
		t.Errorf("%v", got)
	}
	askedFor(t, srv, "", "b")
	w.lists("a-1.0-py3-none-any.whl", "b-1.1-py3-none-any.whl", "c-1.0-py3-none-any.whl")
	w.build(0)
	askedFor(t, srv, "")

	// A project that is new to the allowlist is asked for, though the root page is
	// the one that is known.
	srv.SetFiles(append(wheels("1.0", "a", "b", "c", "d"), wheels("1.1", "b")...)...)
	srv.SetProjectSerial("d", 15)
	w.write("allowlist.txt", "a\nb\nc\nd\n")
	w.build(0)
	askedFor(t, srv, "", "d")
	w.build(0)
	askedFor(t, srv, "")

	// A project that left the allowlist and comes back is not taken for known.
	w.write("allowlist.txt", "a\nb\nd\n")
	w.build(0)
	srv.SetProjectSerial("c", 40)
	w.build(0)
	srv.Forget()
	w.write("allowlist.txt", "a\nb\nc\nd\n")
	w.build(0)
	askedFor(t, srv, "", "c")
}

// A project that failed does not hold the others back, and is asked for again
// until it succeeds, however often the root page is the same.
func TestSerialsFailedProject(t *testing.T) {
	t.Parallel()
	w, srv := newSerialWorld(t)
	for i, fault := range []fetchtest.Fault{fetchtest.Status500, fetchtest.StaleSerial, fetchtest.BadJSON} {
		srv.Heal()
		version := "1." + strconv.Itoa(i+1)
		files := append(wheels("1.0", "a", "b", "c"), wheels(version, "a", "b")...)
		srv.SetFiles(files...)
		srv.SetProjectSerial("a", 100+int64(i))
		srv.SetProjectSerial("b", 100+int64(i))
		srv.Always(srv.Page(fetchtest.Index, "a"), fault)
		before := w.page("a").Files
		r := w.build(3)
		w.tells(r, "incomplete", "what is here of it stays")
		if fault == fetchtest.StaleSerial {
			w.tells(r, "incomplete", "a cache in between is stale")
		}
		if got := w.page("a").Files; got[0].Filename != before[0].Filename || len(got) != 1 {
			t.Errorf("%s: %v became %v", fault, before, got)
		}
		if got := w.page("b").Files[0].Filename; got != "b-"+version+"-py3-none-any.whl" {
			t.Errorf("%s: b was held back: %s", fault, got)
		}
		srv.Forget()
		w.build(3)
		for _, r := range srv.Requests("") {
			if strings.HasPrefix(r.Path, fetchtest.Index+"b") || strings.HasPrefix(r.Path, fetchtest.Index+"c") {
				t.Errorf("%s: %s was asked for again", fault, r.Path)
			}
		}
		if len(srv.Requests(srv.Page(fetchtest.Index, "a"))) == 0 {
			t.Errorf("%s: what failed was not asked for again", fault)
		}
		srv.Heal()
		w.build(0)
		if got := w.page("a").Files[0].Filename; got != "a-"+version+"-py3-none-any.whl" {
			t.Errorf("%s: healthy again: %s", fault, got)
		}
		srv.Forget()
		w.build(0)
		askedFor(t, srv, "")
	}
}

// What a root page cannot be believed about is asked for page by page.
func TestSerialsFallBack(t *testing.T) {
	t.Parallel()
	for _, fault := range []fetchtest.Fault{
		fetchtest.Status404, fetchtest.Status500, fetchtest.Status403, fetchtest.LoginPage, fetchtest.BadJSON,
		fetchtest.CutWithLength, fetchtest.StaleSerial, fetchtest.FutureAPI,
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			w, srv := newSerialWorld(t)
			srv.SetFiles(append(wheels("1.0", "a", "b", "c"), wheels("1.1", "b")...)...)
			srv.SetProjectSerial("b", 20)
			srv.Always(fetchtest.Index, fault)
			srv.Forget()
			w.build(0)
			w.lists("a-1.0-py3-none-any.whl", "b-1.1-py3-none-any.whl", "c-1.0-py3-none-any.whl")
			for _, n := range []string{"a", "b", "c"} {
				if len(srv.Requests(srv.Page(fetchtest.Index, n))) != 1 {
					t.Errorf("%s was not asked for once", n)
				}
			}
			srv.Heal()
			srv.Forget()
			w.build(0)
			askedFor(t, srv, "")
		})
	}
}

// Where pages carry no serials, those of the root page do.
func TestSerialsOnRootOnly(t *testing.T) {
	t.Parallel()
	w, srv := newSerialWorld(t)
	for _, n := range []string{"a", "b", "c"} {
		srv.Always(srv.Page(fetchtest.Index, n), fetchtest.NoSerialHeader)
		srv.SetProjectSerial(n, 50)
	}
	srv.Always(fetchtest.Index, fetchtest.SerialText)
	w.build(0)
	askedFor(t, srv, "", "a", "a", "b", "b", "c", "c")
	w.build(0)
	askedFor(t, srv, "")
}

// An upstream that was made anew begins with low serials; whoever says so in the
// settings is believed.
func TestSerialsBeginAnew(t *testing.T) {
	t.Parallel()
	w, srv := newSerialWorld(t)
	w.build(0)
	anew := append(wheels("1.0", "a", "b", "c"), wheels("2.0", "c")...)
	srv.SetFiles(anew...)
	for _, n := range []string{"a", "b", "c"} {
		srv.SetProjectSerial(n, 2)
	}
	r := w.build(3)
	w.tells(r, "incomplete", `set serials = "never"`)
	w.Upstreams[0].Serials = "never"
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl", "c-2.0-py3-none-any.whl")
	if root := w.fetchedRoot(); root.Serial != 0 {
		t.Errorf("kept %+v", root)
	}
}

// By itself no root page is asked for that is not worth it.
func TestSerialsAuto(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range fewProjects + 10 {
		names = append(names, "p"+strconv.Itoa(i))
	}
	srv := fetchtest.New(t, wheels("1.0", names...)...)
	for i, n := range names {
		srv.SetProjectSerial(n, int64(i+1))
	}
	w := newWorld(t, srv)
	few := fewProjects - 1
	w.write("allowlist.txt", strings.Join(names[:few], "\n"))
	w.build(0)
	srv.Forget()
	w.build(0)
	if n := len(srv.Requests("")); n != few || len(srv.Requests(fetchtest.Index)) != 0 {
		t.Errorf("few: %d requests", n)
	}
	w.write("allowlist.txt", strings.Join(names, "\n"))
	w.build(0)
	srv.Forget()
	w.build(0)
	askedFor(t, srv, "")

	// The page becomes longer than all the others are worth: it is cut off, and
	// not asked for again soon.
	srv.Always(fetchtest.Index, fetchtest.LongRoot)
	w.build(0)
	if n := len(srv.Requests(fetchtest.Index)); n != 1 {
		t.Errorf("%d requests for the root page", n)
	}
	srv.Forget()
	w.build(0)
	if n := len(srv.Requests("")); n != len(names) || len(srv.Requests(fetchtest.Index)) != 0 {
		t.Errorf("a long root page: %d requests", n)
	}
}

// What the lines need is asked about no more than they are.
func TestSerialsWithDependencies(t *testing.T) {
	t.Parallel()
	app, data := intaketest.Wheel("app", "1.0", intaketest.Opts{RequiresDist: []string{"lib", "other; python_version < '3'"}})
	srv := fetchtest.New(t, append(wheels("1.0", "lib", "other"), fetchtest.File{Project: "app", Filename: app, Data: data})...)
	for i, n := range []string{"app", "lib", "other"} {
		srv.SetProjectSerial(n, int64(10+i))
	}
	w := newWorld(t, srv)
	w.Upstreams[0].Serials = "always"
	w.Dependencies = Resolve
	w.Environments = []string{"cp312-linux-x86_64"}
	w.write("allowlist.txt", "app\n")
	w.build(0)
	w.lists("app-1.0-py3-none-any.whl", "lib-1.0-py3-none-any.whl")
	srv.Forget()
	if r := w.build(0); r.Fetched.Requests != 1 {
		t.Errorf("%d requests", r.Fetched.Requests)
	}
	askedFor(t, srv, "")

	// Something that is needed has changed.
	srv.SetFiles(append(wheels("1.0", "lib", "other"), append(wheels("1.1", "lib"), fetchtest.File{Project: "app", Filename: app, Data: data})...)...)
	srv.SetProjectSerial("lib", 20)
	w.build(0)
	askedFor(t, srv, "", "lib")
	w.lists("app-1.0-py3-none-any.whl", "lib-1.1-py3-none-any.whl")
}

// Once a week everything is asked for, in case something changed without a serial.
func TestSerialsAreNotBelievedForEver(t *testing.T) {
	setClock(t, "1800000000")
	w, srv := newSerialWorld(t)
	srv.Forget()
	w.build(0)
	askedFor(t, srv, "")
	setClock(t, strconv.Itoa(1800000000+int(wholeAfter/time.Second)+1))
	w.build(0)
	askedFor(t, srv, "a", "b", "c")
	w.build(0)
	askedFor(t, srv, "")
}

// A dry run may ask, and keeps nothing.
func TestSerialsDryRun(t *testing.T) {
	t.Parallel()
	w, srv := newSerialWorld(t)
	w.build(0)
	before := w.fetchedRoot()
	srv.SetProjectSerial("a", 30)
	w.build(0, Options{DryRun: true})
	if after := w.fetchedRoot(); after.Serial != before.Serial {
		t.Errorf("%+v became %+v", before, after)
	}
}

func TestSerialsSetting(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"": "auto", "auto": "auto", "always": "always", "never": "never", "yes": ""} {
		w := newWorld(t)
		text := "[[upstream]]\nname = \"x\"\nurl = \"https://index.example/simple/\"\n"
		if value != "" {
			text += "serials = \"" + value + "\"\n"
		}
		w.write("nestgen.toml", text)
		c, err := Load(w.path("nestgen.toml"))
		if err != nil {
			t.Fatal(err)
		}
		switch err := c.Resolve(); {
		case want == "":
			if err == nil || !strings.Contains(err.Error(), "serials") {
				t.Errorf("%q: %v", value, err)
			}
		case err != nil || c.Upstreams[0].Serials != want:
			t.Errorf("%q: %q, %v", value, c.Upstreams[0].Serials, err)
		}
	}
}
