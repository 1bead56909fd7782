package fetch_test

import (
	"errors"
	"io/fs"
	"maps"
	"testing"

	"nestgen/fetch"
	"nestgen/fetch/fetchtest"
	"nestgen/packaging"
)

// serialServer is an index of three projects with serials.
func serialServer(t testing.TB) (*fetchtest.Server, *fetch.Source) {
	var files []fetchtest.File
	for _, n := range []string{"a", "b-b", "c"} {
		files = append(files, fetchtest.File{Project: n, Filename: n + "-1.0.tar.gz", Data: []byte(n)})
	}
	srv := fetchtest.New(t, files...)
	srv.SetProjectSerial("a", 10)
	srv.SetProjectSerial("b-b", 20)
	srv.SetProjectSerial("c", 30)
	return srv, open(t, srv.URL+fetchtest.Index)
}

var asked = map[packaging.Name]bool{"a": true, "b-b": true, "unknown": true}

// One request tells the serials of the projects that are asked about.
func TestSerials(t *testing.T) {
	for _, fault := range []fetchtest.Fault{fetchtest.Healthy, fetchtest.SerialText, fetchtest.NoSerialHeader} {
		srv, src := serialServer(t)
		srv.Always(fetchtest.Index, fault)
		root, err := src.Serials(t.Context(), asked, fetch.Validators{}, 0)
		if err != nil {
			t.Fatalf("%s: %v", fault, err)
		}
		if want := map[packaging.Name]int64{"a": 10, "b-b": 20}; !maps.Equal(root.Serials, want) || root.Serial != 30 || root.Projects != 3 || root.Size < 50 {
			t.Errorf("%s: %+v", fault, root)
		}
		prev := fetch.Validators{ETag: root.ETag, LastModified: root.LastModified, Serial: root.Serial}
		if _, err := src.Serials(t.Context(), asked, prev, 0); err != fetch.ErrNotModified {
			t.Errorf("%s: again: %v", fault, err)
		}
		if n := len(srv.Requests("")); n != 2 {
			t.Errorf("%s: %d requests", fault, n)
		}
		if root, err := src.Serials(t.Context(), nil, fetch.Validators{}, 0); err != nil || len(root.Serials) != 3 {
			t.Errorf("%s: of all: %+v, %v", fault, root, err)
		}
	}
}

// What a root page cannot say, and what it must not be believed.
func TestSerialsFaults(t *testing.T) {
	for _, tt := range []struct {
		fault fetchtest.Fault
		want  fetch.Kind
	}{
		{fetchtest.Status404, fetch.NotFound},
		{fetchtest.Status418, fetch.NotFound},
		{fetchtest.Status403, fetch.Denied},
		{fetchtest.Status500, fetch.Unreachable},
		{fetchtest.LoginPage, fetch.NotFound},
		{fetchtest.WrongContentType, fetch.NotFound},
		{fetchtest.Unasked304, fetch.Invalid},
		{fetchtest.StaleSerial, fetch.Stale},
		{fetchtest.NoFilesKey, fetch.Invalid},
		{fetchtest.FutureAPI, fetch.Invalid},
		{fetchtest.DeepJSON, fetch.Invalid},
		{fetchtest.BadJSON, fetch.Unreachable}, // it ends too soon
		{fetchtest.JSONTrailer, fetch.Invalid},
		{fetchtest.NotUTF8JSON, fetch.Invalid},
		{fetchtest.CutWithLength, fetch.Unreachable},
		{fetchtest.CutChunked, fetch.Unreachable},
		{fetchtest.CutGzip, fetch.Unreachable},
		{fetchtest.UnknownEncoding, fetch.Invalid},
		{fetchtest.RedirectInternal, fetch.Refused},
		{fetchtest.RedirectFile, fetch.Refused},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			t.Parallel()
			srv, src := serialServer(t)
			srv.Always(fetchtest.Index, tt.fault)
			_, err := src.Serials(t.Context(), asked, fetch.Validators{Serial: 25}, 0)
			if fetch.KindOf(err) != tt.want || (tt.want == fetch.NotFound) != errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("kind %v, want %v: %v", fetch.KindOf(err), tt.want, err)
			}
			srv.Heal()
			if root, err := src.Serials(t.Context(), asked, fetch.Validators{Serial: 25}, 0); err != nil || len(root.Serials) != 2 {
				t.Fatalf("healthy again: %+v, %v", root, err)
			}
		})
	}
	srv, src := serialServer(t)
	if _, err := src.Serials(t.Context(), asked, fetch.Validators{}, 20); fetch.KindOf(err) != fetch.Refused {
		t.Errorf("more than it is worth: %v", err)
	}
	srv.Always(fetchtest.Index, fetchtest.HugePage) // no end, and no length either
	if _, err := src.Serials(t.Context(), asked, fetch.Validators{}, 1<<20); fetch.KindOf(err) != fetch.NotFound {
		t.Errorf("a page of HTML without end: %v", err)
	}
	srv.Forget()
	for _, url := range []string{srv.URL + fetchtest.Links, t.TempDir()} {
		if _, err := open(t, url).Serials(t.Context(), asked, fetch.Validators{}, 0); fetch.KindOf(err) != fetch.NotFound {
			t.Errorf("%s: %v", url, err)
		}
	}
	if n := len(srv.Requests("")); n != 0 {
		t.Errorf("%d requests to what has no root page", n)
	}
	if _, err := open(t, srv.URL+fetchtest.HTML).Serials(t.Context(), asked, fetch.Validators{}, 0); fetch.KindOf(err) != fetch.NotFound {
		t.Errorf("an index of HTML pages: %v", err)
	}
	srv.Heal()
	srv.SetFiles(fetchtest.File{Project: "x", Filename: "x-1.0.tar.gz", Data: []byte("x")})
	srv.SetProjectSerial("x", 0)
	if _, err := src.Serials(t.Context(), asked, fetch.Validators{}, 0); fetch.KindOf(err) != fetch.NotFound {
		t.Errorf("no serials: %v", err)
	}
}

// A stale cache is asked again past it, and is not believed if it stays stale.
func TestStaleIsAskedPastTheCache(t *testing.T) {
	srv, src := serialServer(t)
	page := srv.Page(fetchtest.Index, "a")
	l := list(t, src, "a")
	for _, path := range []string{page, fetchtest.Index} {
		ask := func() error {
			if path == page {
				_, err := src.List(t.Context(), "a", fetch.Validators{ETag: l.ETag, Serial: 9})
				return err
			}
			_, err := src.Serials(t.Context(), asked, fetch.Validators{Serial: 9}, 0)
			return err
		}
		srv.Forget()
		srv.Script(path, fetchtest.StaleSerial)
		if err := ask(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		got := srv.Requests(path)
		if len(got) != 2 {
			t.Fatalf("%s: %d requests", path, len(got))
		}
		if got[0].Header.Get("Cache-Control") != "" || got[1].Header.Get("Cache-Control") != "no-cache" || got[1].Header.Get("If-None-Match") != "" {
			t.Errorf("%s: %v, then %v", path, got[0].Header, got[1].Header)
		}
		srv.Always(path, fetchtest.StaleSerial)
		if err := ask(); fetch.KindOf(err) != fetch.Stale {
			t.Errorf("%s, always stale: %v", path, err)
		}
		srv.Heal()
	}
	// Whoever made the index anew says so in the settings.
	srv.SetProjectSerial("a", 3)
	anew := open(t, srv.URL+fetchtest.Index, func(u *fetch.Upstream, _ *fetch.Options) { u.NoSerials = true })
	if l, err := anew.List(t.Context(), "a", fetch.Validators{Serial: 10}); err != nil || l.Serial != 3 {
		t.Errorf("no serials are believed: %+v, %v", l, err)
	}
}
