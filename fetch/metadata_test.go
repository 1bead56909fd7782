package fetch_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// aWheel gives a wheel of at least that many bytes, and its METADATA.
func aWheel(t testing.TB, size int) (name string, data, core []byte) {
	name, data = intaketest.Wheel("a", "1.0", intaketest.Opts{Pad: size, RequiresDist: []string{"b>=2"}})
	return name, data, intaketest.MetadataOf(t, data)
}

// coreOf asks for the metadata of the one file of project a, and checks that it
// took so many requests besides the one for the page.
func coreOf(t testing.TB, srv *fetchtest.Server, src *fetch.Source, requests int) ([]byte, error) {
	t.Helper()
	o := list(t, src, "a").Offers[0]
	srv.Forget()
	data, err := src.CoreMetadata(t.Context(), o)
	if got := len(srv.Requests("")); got != requests {
		t.Errorf("%d requests, want %d", got, requests)
	}
	return data, err
}

// The metadata of a wheel is had by one request: for the file beside it, or for
// the end of the wheel.
func TestCoreMetadata(t *testing.T) {
	_, small, core := aWheel(t, 0)
	_, large, _ := aWheel(t, 3<<20)
	const name = "a-1.0-py3-none-any.whl"
	first := intaketest.Zip(
		intaketest.Member{Name: "a-1.0.dist-info/METADATA", Data: core},
		intaketest.Member{Name: "a/data", Data: fetchtest.Bytes(3<<20, 9), Store: true})
	for _, tt := range []struct {
		name     string
		file     fetchtest.File
		requests int
		bytes    int64 // that may come at most
	}{
		{"beside it", fetchtest.File{Data: large, Metadata: core}, 1, 4 << 10},
		{"small", fetchtest.File{Data: small}, 1, 4 << 10},
		{"small, size unknown", fetchtest.File{Data: small, NoSize: true}, 1, 4 << 10},
		{"small, no hash", fetchtest.File{Data: small, NoHash: true}, 1, 4 << 10},
		{"large", fetchtest.File{Data: large}, 1, 70 << 10},
		{"large, size unknown", fetchtest.File{Data: large, NoSize: true}, 1, 70 << 10},
		{"at its beginning", fetchtest.File{Data: first}, 2, 140 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.file
			f.Project, f.Filename = "a", name
			srv := fetchtest.New(t, f)
			src := open(t, srv.URL+fetchtest.Index)
			list(t, src, "a")
			before := src.Stats()
			got, err := coreOf(t, srv, src, tt.requests)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, core) {
				t.Errorf("got %q", got)
			}
			if n := src.Stats().Bytes - before.Bytes; n > tt.bytes+4<<10 {
				t.Errorf("%d bytes came", n)
			}
			for i, r := range srv.Requests("") {
				if has := r.Header.Get("If-Range") != ""; has != (i > 0) || r.Header.Get("Accept-Encoding") != "identity" {
					t.Errorf("request %d: %v", i, r.Header)
				}
			}
		})
	}
}

// Where there is no short way, that is what the caller gets to know, and the
// file is not fetched by the back door.
func TestCoreMetadataNoShortWay(t *testing.T) {
	_, large, _ := aWheel(t, 3<<20)
	sdist, source := intaketest.Sdist("a", "1.0", intaketest.Opts{})
	const name = "a-1.0-py3-none-any.whl"
	for _, tt := range []struct {
		name     string
		file     fetchtest.File
		fault    fetchtest.Fault
		requests int
	}{
		{"an sdist", fetchtest.File{Filename: sdist, Data: source}, fetchtest.Healthy, 0},
		{"whole files for ranges", fetchtest.File{Filename: name, Data: large}, fetchtest.RangeIgnored, 1},
		{"whole files, size unknown", fetchtest.File{Filename: name, Data: large, NoSize: true}, fetchtest.RangeIgnored, 1},
		{"ranges refused", fetchtest.File{Filename: name, Data: large}, fetchtest.RangeRefused, 1},
		{"ranges refused, size unknown", fetchtest.File{Filename: name, Data: large, NoSize: true}, fetchtest.RangeRefused, 2},
		{"another range", fetchtest.File{Filename: name, Data: large}, fetchtest.WrongContentRange, 1},
		{"fewer bytes than the range", fetchtest.File{Filename: name, Data: large}, fetchtest.WrongRangeLength, 1},
		{"many parts", fetchtest.File{Filename: name, Data: large}, fetchtest.MultipartRange, 1},
		{"not there", fetchtest.File{Filename: name, Data: large}, fetchtest.Status404, 1},
		{"packed", fetchtest.File{Filename: name, Data: large}, fetchtest.Gzipped, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.file
			f.Project = "a"
			srv := fetchtest.New(t, f)
			src := open(t, srv.URL+fetchtest.Index)
			srv.Always(srv.Path(f.Filename), tt.fault)
			list(t, src, "a")
			before := src.Stats().Bytes
			_, err := coreOf(t, srv, src, tt.requests)
			if fetch.KindOf(err) != fetch.NotFound || !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%v (%v)", err, fetch.KindOf(err))
			}
			checkError(t, err)
			if n := src.Stats().Bytes - before; n > 256<<10 {
				t.Errorf("%d bytes of the file came", n)
			}
		})
	}
}

// A server that has shown that it sends whole files is not asked for parts of
// the next one.
func TestCoreMetadataAsksOnce(t *testing.T) {
	_, large, _ := aWheel(t, 1<<20)
	srv := fetchtest.New(t,
		fetchtest.File{Project: "a", Filename: "a-1.0-py3-none-any.whl", Data: large},
		fetchtest.File{Project: "a", Filename: "a-1.0-py2-none-any.whl", Data: large})
	src := open(t, srv.URL+fetchtest.Index)
	offers := list(t, src, "a").Offers
	for _, o := range offers {
		srv.Always(srv.Path(o.Filename), fetchtest.RangeIgnored)
	}
	srv.Forget()
	for _, o := range offers {
		if _, err := src.CoreMetadata(t.Context(), o); fetch.KindOf(err) != fetch.NotFound {
			t.Fatal(err)
		}
	}
	if n := len(srv.Requests("")); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// Every way in which a server can misbehave over metadata, beside the file and in
// it: what is told the caller, and that a healthy server is believed again.
func TestCoreMetadataFaults(t *testing.T) {
	const ok = fetch.Kind(0)
	_, large, core := aWheel(t, 200<<10)
	const name = "a-1.0-py3-none-any.whl"
	for _, tt := range []struct {
		fault  fetchtest.Fault
		beside fetch.Kind // for the file beside it
		part   fetch.Kind // for a part of the file
	}{
		{fetchtest.Status401, ok, fetch.Denied}, // beside it: then the wheel is looked into
		{fetchtest.Status403, ok, fetch.Denied},
		{fetchtest.Status404, ok, fetch.NotFound},
		{fetchtest.Status410, ok, fetch.Gone},
		{fetchtest.Status418, fetch.Invalid, fetch.NotFound},
		{fetchtest.Status500, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.LongRetryAfter, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.Status204, fetch.Invalid, fetch.NotFound},
		{fetchtest.LoginPage, fetch.Invalid, fetch.Invalid},
		{fetchtest.EmptyBody, fetch.Altered, fetch.NotFound},
		{fetchtest.RedirectLoop, fetch.Invalid, fetch.NotFound},
		{fetchtest.RedirectInternal, fetch.Refused, fetch.Refused},
		{fetchtest.RedirectFile, fetch.Refused, fetch.Refused},
		{fetchtest.CutWithLength, fetch.Unreachable, fetch.NotFound},
		{fetchtest.CutChunked, fetch.Unreachable, fetch.NotFound},
		{fetchtest.Reset, fetch.Unreachable, fetch.NotFound},
		{fetchtest.EarlyClose, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.StallBeforeHeaders, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.StallInBody, fetch.Unreachable, fetch.NotFound},
		{fetchtest.SlowDrip, fetch.Unreachable, fetch.NotFound},
		{fetchtest.NotHTTP, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.UnknownEncoding, fetch.Invalid, fetch.NotFound},
		{fetchtest.RangeUnasked, fetch.Invalid, fetch.NotFound},
		{fetchtest.HeadKiller, ok, ok},
		{fetchtest.EndlessBody, fetch.Refused, fetch.NotFound},
		{fetchtest.WrongBytes, fetch.Altered, fetch.NotFound},
		{fetchtest.Longer, fetch.Altered, fetch.NotFound},
		{fetchtest.ShorterChunked, fetch.Altered, fetch.NotFound},
		{fetchtest.Gzipped, fetch.Invalid, fetch.NotFound},
		{fetchtest.DispositionName, ok, fetch.NotFound},
		{fetchtest.RangeReplaced, ok, fetch.Invalid}, // other bytes, so no zip file
		{fetchtest.SuffixRefused, ok, ok},
	} {
		for _, where := range []string{"beside", "part", "part, size unknown"} {
			t.Run(string(tt.fault)+"/"+where, func(t *testing.T) {
				t.Parallel()
				f := fetchtest.File{Project: "a", Filename: name, Data: large, NoSize: where == "part, size unknown"}
				want := tt.part
				if where == "beside" {
					f.Metadata, want = core, tt.beside
				}
				if want == fetch.Altered && f.NoSize {
					want = fetch.Invalid // then any small file may be the whole
				}
				srv := fetchtest.New(t, f)
				src := open(t, srv.URL+fetchtest.Index)
				o := list(t, src, "a").Offers[0]
				path := srv.Path(name)
				if where == "beside" {
					path += ".metadata"
				}
				srv.Always(path, tt.fault)
				got, err := hasty(t, src, srv.URL+fetchtest.Index, tt.fault, short).CoreMetadata(t.Context(), o)
				if fetch.KindOf(err) != want {
					t.Fatalf("kind %v, want %v: %v", fetch.KindOf(err), want, err)
				}
				if want != ok {
					checkError(t, err)
				} else if !bytes.Equal(got, core) {
					t.Fatalf("got %q", got)
				}
				srv.Heal()
				src = open(t, srv.URL+fetchtest.Index) // the pause outlives the fault
				if got, err := src.CoreMetadata(t.Context(), o); err != nil || !bytes.Equal(got, core) {
					t.Fatalf("healthy again: %q, %v", got, err)
				}
			})
		}
	}
}

// All parts are of one file: where it is replaced in between, all are asked for
// again.
func TestCoreMetadataReplacedMeanwhile(t *testing.T) {
	_, _, core := aWheel(t, 0)
	const name = "a-1.0-py3-none-any.whl"
	data := intaketest.Zip(
		intaketest.Member{Name: "a-1.0.dist-info/METADATA", Data: core},
		intaketest.Member{Name: "a/data", Data: fetchtest.Bytes(1<<20, 9), Store: true})
	for _, fault := range []fetchtest.Fault{fetchtest.RangeReplaced, fetchtest.Replaced, fetchtest.RangeIgnored} {
		srv := fetchtest.New(t, fetchtest.File{Project: "a", Filename: name, Data: data})
		src := open(t, srv.URL+fetchtest.Index)
		srv.Script(srv.Path(name), fetchtest.Healthy, fault)
		got, err := coreOf(t, srv, src, 4)
		if err != nil || !bytes.Equal(got, core) {
			t.Errorf("%s: %q, %v", fault, got, err)
		}
		// One that is replaced again and again is left alone.
		srv.Script(srv.Path(name), fetchtest.Healthy, fault, fetchtest.Healthy, fault)
		if _, err = coreOf(t, srv, src, 4); fetch.KindOf(err) != fetch.NotFound {
			t.Errorf("%s, again and again: %v", fault, err)
		}
	}
}

// Metadata without a hash is taken if it looks like metadata, and what does not
// is no reason to believe anything.
func TestCoreMetadataWithoutHash(t *testing.T) {
	_, large, core := aWheel(t, 200<<10)
	const name = "a-1.0-py3-none-any.whl"
	srv := fetchtest.New(t, fetchtest.File{Project: "a", Filename: name, Data: large, Metadata: core})
	src := open(t, srv.URL+fetchtest.Index)
	o := list(t, src, "a").Offers[0]
	o.Metadata.Hashes = nil
	if got, err := src.CoreMetadata(t.Context(), o); err != nil || !bytes.Equal(got, core) {
		t.Errorf("%q, %v", got, err)
	}
	srv.Always(srv.Path(name)+".metadata", fetchtest.LoginPage)
	if _, err := src.CoreMetadata(t.Context(), o); fetch.KindOf(err) != fetch.Invalid {
		t.Errorf("a login page: %v", err)
	}
}

// A file by http is not read in parts for an index by https, whatever its hash:
// none covers a part.
func TestCoreMetadataNoDowngrade(t *testing.T) {
	name, data, core := aWheel(t, 200<<10)
	srv := fetchtest.New(t, fetchtest.File{Project: "a", Filename: name, Data: data, Metadata: core})
	tls := fetchtest.NewTLS(t, fetchtest.Trusted)
	src := open(t, tls.URL+fetchtest.Index, func(u *fetch.Upstream, _ *fetch.Options) { u.CAFile = tls.CAFile })
	o := catalog.Offer{Filename: name, URL: srv.URL + srv.Path(name), Size: -1, Hashes: map[string]string{"sha256": fetchtest.SHA256(data)}}
	if _, err := src.CoreMetadata(t.Context(), o); fetch.KindOf(err) != fetch.Refused {
		t.Errorf("in parts: %v", err)
	}
	o.Metadata = catalog.MetadataOffer{Offered: true}
	if _, err := src.CoreMetadata(t.Context(), o); fetch.KindOf(err) != fetch.Refused {
		t.Errorf("beside it, no hash: %v", err)
	}
	if n := len(srv.Requests("")); n != 0 {
		t.Errorf("%d requests by http", n)
	}
}

// A folder of this machine is read as it is.
func TestCoreMetadataLocal(t *testing.T) {
	name, data, core := aWheel(t, 200<<10)
	dir := t.TempDir()
	put(t, filepath.Join(dir, name), data)
	src := open(t, dir)
	o := list(t, src, "a").Offers[0]
	if got, err := src.CoreMetadata(t.Context(), o); err != nil || !bytes.Equal(got, core) {
		t.Fatalf("in the wheel: %q, %v", got, err)
	}
	put(t, filepath.Join(dir, name+".metadata"), core)
	put(t, filepath.Join(dir, name), []byte("no wheel"))
	o.Metadata.Offered = true
	if got, err := src.CoreMetadata(t.Context(), o); err != nil || !bytes.Equal(got, core) {
		t.Fatalf("beside it: %q, %v", got, err)
	}
	o.Metadata.Hashes = map[string]string{"sha256": strings.Repeat("0", 64)}
	if _, err := src.CoreMetadata(t.Context(), o); fetch.KindOf(err) != fetch.Altered {
		t.Errorf("beside it, altered: %v", err)
	}
	o.Metadata = catalog.MetadataOffer{}
	if _, err := src.CoreMetadata(t.Context(), o); fetch.KindOf(err) != fetch.Invalid {
		t.Errorf("no wheel: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	if _, err := src.CoreMetadata(t.Context(), o); fetch.KindOf(err) != fetch.NotFound {
		t.Errorf("not there: %v", err)
	}
	o.URL = "file:///etc/passwd"
	if _, err := src.CoreMetadata(t.Context(), o); fetch.KindOf(err) != fetch.Refused {
		t.Errorf("outside the folder: %v", err)
	}
}

// By HTTP/2 an answer that is cut off costs no connection.
func TestCoreMetadataHTTP2(t *testing.T) {
	name, data, core := aWheel(t, 3<<20)
	srv := fetchtest.NewTLS(t, fetchtest.Trusted, fetchtest.File{Project: "a", Filename: name, Data: data})
	src := open(t, srv.URL+fetchtest.Index, func(u *fetch.Upstream, _ *fetch.Options) { u.CAFile = srv.CAFile })
	if got, err := coreOf(t, srv, src, 1); err != nil || !bytes.Equal(got, core) {
		t.Fatalf("%q, %v", got, err)
	}
	srv.Always(srv.Path(name), fetchtest.RangeIgnored)
	before := src.Stats().Bytes
	if _, err := coreOf(t, srv, src, 1); fetch.KindOf(err) != fetch.NotFound {
		t.Fatal(err)
	}
	if n := src.Stats().Bytes - before; n > 256<<10 {
		t.Errorf("%d bytes of the file came", n)
	}
	list(t, src, "a")
	if n := srv.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}
