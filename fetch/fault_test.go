package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/blake2b"

	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/fetch/fetchtest"
	"nestgen/packaging"
)

// patience is how long a healthy server may take for anything: for ever, as far
// as a test can tell, or a slow machine would be taken for a fault.
const patience = 5 * time.Minute

// quick are options with which nothing takes long.
func quick() fetch.Options {
	return fetch.Options{
		UserAgent:  "nestgen/test (+nobody)",
		Retries:    1,
		RetryDelay: time.Millisecond,
		StallTime:  patience,
		MaxPage:    4 << 20,
		MaxFile:    16 << 20,
	}
}

// hasty gives a source like src that gives up after a short while where a fault
// is one of time, and src itself for the others. What it is asked for must be
// faulty; src is for what is healthy.
func hasty(t testing.TB, src *fetch.Source, url string, f fetchtest.Fault, wait time.Duration, change ...func(*fetch.Upstream, *fetch.Options)) *fetch.Source {
	switch f {
	case fetchtest.StallBeforeHeaders:
		change = append(change, func(u *fetch.Upstream, _ *fetch.Options) { u.Timeout = wait })
	case fetchtest.StallAfterHeaders, fetchtest.StallInBody, fetchtest.SlowDrip:
		change = append(change, func(_ *fetch.Upstream, o *fetch.Options) { o.StallTime = wait })
	default:
		return src
	}
	return open(t, url, change...)
}

// short is a wait for hasty.
const short = 400 * time.Millisecond

func open(t testing.TB, url string, change ...func(*fetch.Upstream, *fetch.Options)) *fetch.Source {
	t.Helper()
	u, o := fetch.Upstream{Name: "up", URL: url, Timeout: patience}, quick()
	for _, f := range change {
		f(&u, &o)
	}
	s, err := fetch.Open(u, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func list(t testing.TB, s *fetch.Source, n packaging.Name) catalog.Listing {
	t.Helper()
	l, err := s.List(t.Context(), n, fetch.Validators{})
	if err != nil {
		t.Fatalf("List(%s): %v", n, err)
	}
	return l
}

// stage is a folder for downloads, and a check that nothing but what is wanted
// stands in it under a final name.
type stage struct {
	t    testing.TB
	dir  string
	dest string
}

func newStage(t testing.TB) stage {
	dir := t.TempDir()
	return stage{t, dir, filepath.Join(dir, "file")}
}

// holds checks that the file is there and right, and nothing else.
func (s stage) holds(want []byte) {
	s.t.Helper()
	got, err := os.ReadFile(s.dest)
	if err != nil {
		s.t.Fatalf("after a download: %v", err)
	}
	if !bytes.Equal(got, want) {
		s.t.Fatalf("wrong bytes under the final name: %d bytes, want %d", len(got), len(want))
	}
	s.only("file")
}

// empty checks that there is no file. With partial, a partial download may be
// there, with its record.
func (s stage) empty(partial bool) {
	s.t.Helper()
	if partial {
		s.only("file.part", "file.part.json")
	} else {
		s.only()
	}
}

func (s stage) only(names ...string) {
	s.t.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	for _, g := range got {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+g+" ") {
			s.t.Errorf("%s was left behind (have %q, want %q)", g, got, names)
		}
	}
}

// Every way in which a server can misbehave over a file: what is told the
// caller, that no byte stands under the final name, and that the next attempt
// at a healthy server succeeds (reliability.md §4.3, §4.4).
func TestFileFaults(t *testing.T) {
	const ok = fetch.Kind(0)
	tests := []struct {
		fault fetchtest.Fault
		want  fetch.Kind
		bare  fetch.Kind // for a file without hash and size, ok for the same as want
		keeps bool       // a partial download may be left
	}{
		{fault: fetchtest.Status401, want: fetch.Denied},
		{fault: fetchtest.Status403, want: fetch.Denied},
		{fault: fetchtest.Status404, want: fetch.NotFound},
		{fault: fetchtest.Status410, want: fetch.Gone},
		{fault: fetchtest.Status418, want: fetch.Invalid},
		{fault: fetchtest.Status500, want: fetch.Unreachable},
		{fault: fetchtest.Status502, want: fetch.Unreachable},
		{fault: fetchtest.LongRetryAfter, want: fetch.Unreachable},
		{fault: fetchtest.Status204, want: fetch.Invalid},
		{fault: fetchtest.LoginPage, want: fetch.Invalid},
		{fault: fetchtest.EmptyBody, want: fetch.Invalid},
		{fault: fetchtest.RedirectLoop, want: fetch.Invalid},
		{fault: fetchtest.RedirectInternal, want: fetch.Refused},
		{fault: fetchtest.RedirectFile, want: fetch.Refused},
		{fault: fetchtest.RedirectFTP, want: fetch.Refused},
		{fault: fetchtest.CutWithLength, want: fetch.Unreachable, keeps: true},
		{fault: fetchtest.CutWithoutLength, want: fetch.Unreachable, bare: fetch.Invalid, keeps: true},
		{fault: fetchtest.CutChunked, want: fetch.Unreachable, keeps: true},
		{fault: fetchtest.Reset, want: fetch.Unreachable, keeps: true},
		{fault: fetchtest.EarlyClose, want: fetch.Unreachable},
		{fault: fetchtest.StallBeforeHeaders, want: fetch.Unreachable},
		{fault: fetchtest.StallAfterHeaders, want: fetch.Unreachable},
		{fault: fetchtest.StallInBody, want: fetch.Unreachable, keeps: true},
		{fault: fetchtest.SlowDrip, want: fetch.Unreachable},
		{fault: fetchtest.NotHTTP, want: fetch.Unreachable},
		{fault: fetchtest.HugeHeader, want: fetch.Unreachable},
		{fault: fetchtest.UnknownEncoding, want: fetch.Altered, bare: fetch.Invalid},
		{fault: fetchtest.RangeUnasked, want: fetch.Invalid},
		{fault: fetchtest.HeadKiller, want: ok},
		{fault: fetchtest.EndlessBody, want: fetch.Altered, bare: fetch.Refused},
		{fault: fetchtest.WrongBytes, want: fetch.Altered, bare: ok},
		{fault: fetchtest.Longer, want: fetch.Altered, bare: ok},
		{fault: fetchtest.LongerChunked, want: fetch.Altered, bare: ok},
		{fault: fetchtest.Shorter, want: fetch.Altered, bare: ok},
		{fault: fetchtest.ShorterChunked, want: fetch.Altered, bare: ok},
		{fault: fetchtest.Replaced, want: fetch.Altered, bare: ok},
		{fault: fetchtest.Gzipped, want: fetch.Altered, bare: fetch.Invalid},
		{fault: fetchtest.GzipLabel, want: ok, bare: fetch.Invalid},
		{fault: fetchtest.DispositionName, want: ok},
	}
	const name = "a-1.0.tar.gz"
	for _, size := range []int{1000, 2 << 20} {
		for _, tt := range tests {
			t.Run(string(tt.fault)+"/"+map[bool]string{true: "small", false: "large"}[size == 1000], func(t *testing.T) {
				t.Parallel()
				data := fetchtest.Bytes(size, 1)
				srv := fetchtest.New(t, fetchtest.File{Project: "a", Filename: name, Data: data})
				src := open(t, srv.URL+fetchtest.Index)
				o := list(t, src, "a").Offers[0]
				srv.Always(srv.Path(name), tt.fault)
				st := newStage(t)
				_, err := hasty(t, src, srv.URL+fetchtest.Index, tt.fault, short).Download(t.Context(), o, st.dest)
				if got := fetch.KindOf(err); got != tt.want {
					t.Fatalf("kind %v, want %v: %v", got, tt.want, err)
				}
				if tt.want == ok {
					st.holds(data)
					return
				}
				checkError(t, err)
				st.empty(tt.keeps)
				if tt.fault == fetchtest.LongRetryAfter {
					src = open(t, srv.URL+fetchtest.Index) // the pause outlives the fault
				}
				srv.Heal()
				if _, err := src.Download(t.Context(), o, st.dest); err != nil {
					t.Fatalf("healthy again: %v", err)
				}
				st.holds(data)
			})
		}
	}
	// Without hash and size only what is certain can be refused.
	for _, tt := range tests {
		t.Run(string(tt.fault)+"/bare", func(t *testing.T) {
			t.Parallel()
			want := tt.bare
			same := tt.want == fetch.Altered
			if want == ok && !same {
				want = tt.want
			}
			data := fetchtest.Bytes(5000, 2)
			srv := fetchtest.New(t, fetchtest.File{Project: "a", Filename: name, Data: data, NoHash: true, NoSize: true})
			src := open(t, srv.URL+fetchtest.Index)
			o := list(t, src, "a").Offers[0]
			srv.Always(srv.Path(name), tt.fault)
			st := newStage(t)
			_, err := hasty(t, src, srv.URL+fetchtest.Index, tt.fault, short).Download(t.Context(), o, st.dest)
			if got := fetch.KindOf(err); got != want {
				t.Fatalf("kind %v, want %v: %v", got, want, err)
			}
			if want == ok {
				return
			}
			st.empty(false)
			if tt.fault == fetchtest.LongRetryAfter {
				src = open(t, srv.URL+fetchtest.Index)
			}
			srv.Heal()
			if _, err := src.Download(t.Context(), o, st.dest); err != nil {
				t.Fatalf("healthy again: %v", err)
			}
			st.holds(data)
		})
	}
}

// A fault that passes is got over within one download, whatever it was.
func TestFileFaultsThatPass(t *testing.T) {
	const name = "a-1.0.tar.gz"
	for _, fault := range []fetchtest.Fault{
		fetchtest.Status429, fetchtest.Status500, fetchtest.Status502, fetchtest.Status503,
		fetchtest.CutWithLength, fetchtest.CutWithoutLength, fetchtest.CutChunked, fetchtest.Reset, fetchtest.EarlyClose,
		fetchtest.StallBeforeHeaders, fetchtest.StallAfterHeaders, fetchtest.StallInBody,
		fetchtest.WrongBytes, fetchtest.Longer, fetchtest.ShorterChunked,
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			data := fetchtest.Bytes(2<<20, 3)
			srv := fetchtest.New(t, fetchtest.File{Project: "a", Filename: name, Data: data})
			src := open(t, srv.URL+fetchtest.Index)
			o := list(t, src, "a").Offers[0]
			var st stage
			var start time.Time
			var r fetch.Result
			// Where the second attempt is too slow for a short wait as well, all
			// is tried again with a longer one.
			for wait := short; ; wait *= 4 {
				srv.Heal()
				srv.Script(srv.Path(name), fault)
				st, start = newStage(t), time.Now()
				faced := hasty(t, src, srv.URL+fetchtest.Index, fault, wait)
				var err error
				if r, err = faced.Download(t.Context(), o, st.dest); err == nil {
					break
				}
				if fetch.KindOf(err) != fetch.Unreachable || faced == src || wait > patience {
					t.Fatal(err)
				}
			}
			st.holds(data)
			if r.Attempts > 2 || r.Attempts == 1 && fault != fetchtest.EarlyClose || r.SHA256.String() != fetchtest.SHA256(data) || r.Size != int64(len(data)) {
				t.Errorf("result %+v", r)
			}
			if fault == fetchtest.Status429 && time.Since(start) < 900*time.Millisecond {
				t.Errorf("Retry-After of a second was not waited for")
			}
		})
	}
}

// A partial download that turns out to be of no use is thrown away, and the
// file asked for anew, once and at once.
func TestPartialFaults(t *testing.T) {
	const name = "a-1.0.tar.gz"
	for _, fault := range []fetchtest.Fault{
		fetchtest.Healthy,
		fetchtest.RangeIgnored, fetchtest.WrongContentRange, fetchtest.WrongRangeLength, fetchtest.RangeRefused,
		fetchtest.MultipartRange, fetchtest.RangeReplaced, fetchtest.HeadKiller, fetchtest.CutWithLength,
	} {
		for _, known := range []bool{true, false} {
			t.Run(string(fault)+"/"+map[bool]string{true: "size known", false: "size unknown"}[known], func(t *testing.T) {
				t.Parallel()
				data := fetchtest.Bytes(3<<20, 4)
				srv := fetchtest.New(t, fetchtest.File{Project: "a", Filename: name, Data: data, NoSize: !known})
				src := open(t, srv.URL+fetchtest.Index, func(_ *fetch.Upstream, o *fetch.Options) { o.Retries = -1 })
				o := list(t, src, "a").Offers[0]
				srv.Script(srv.Path(name), fetchtest.CutWithLength)
				st := newStage(t)
				if _, err := src.Download(t.Context(), o, st.dest); fetch.KindOf(err) != fetch.Unreachable {
					t.Fatalf("cut: %v", err)
				}
				st.only("file.part", "file.part.json")
				if len(ls(t, st.dir)) != 2 {
					t.Fatalf("no partial download was kept: %q", ls(t, st.dir))
				}
				srv.Forget()
				srv.Script(srv.Path(name), fault)
				r, err := src.Download(t.Context(), o, st.dest)
				for try := 0; err != nil && try < 2; try++ {
					if fetch.KindOf(err) == fetch.Altered {
						t.Fatalf("a fault of a range is no alteration: %v", err)
					}
					r, err = src.Download(t.Context(), o, st.dest)
				}
				if err != nil {
					t.Fatal(err)
				}
				st.holds(data)
				requests := srv.Requests(srv.Path(name))
				for _, r := range requests {
					if r.Method != "GET" {
						t.Errorf("%s request", r.Method)
					}
				}
				if requests[0].Header.Get("Range") == "" || requests[0].Header.Get("If-Range") == "" {
					t.Errorf("the partial download was not taken up: %v", requests[0].Header)
				}
				if fault == fetchtest.Healthy && (len(requests) != 1 || r.Resumed == 0) {
					t.Errorf("%d requests, %d bytes resumed", len(requests), r.Resumed)
				}
			})
		}
	}
}

// What stands beside the destination does no harm, whatever it is.
func TestPartialOnDisk(t *testing.T) {
	const name = "a-1.0.tar.gz"
	data := fetchtest.Bytes(2<<20, 5)
	srv := fetchtest.New(t, fetchtest.File{Project: "a", Filename: name, Data: data})
	src := open(t, srv.URL+fetchtest.Index)
	o := list(t, src, "a").Offers[0]
	record := func(etag string, size int) []byte {
		return []byte(`{"url":"` + fetchtest.SHA256([]byte(o.URL))[:40] + `","etag":"` + strings.ReplaceAll(etag, `"`, `\"`) + `","size":` + strconv.Itoa(size) + `}`)
	}
	good := `"` + fetchtest.SHA256(data)[:20] + `"`
	victim := filepath.Join(t.TempDir(), "victim")
	for _, tt := range []struct {
		name string
		make func(st stage)
	}{
		{"garbage without a record", func(st stage) { put(t, st.dest+".part", []byte("garbage")) }},
		{"garbage with a right record", func(st stage) {
			put(t, st.dest+".part", []byte("garbage"))
			put(t, st.dest+".part.json", record(good, len(data)))
		}},
		{"longer than the file", func(st stage) {
			put(t, st.dest+".part", append(bytes.Clone(data), data...))
			put(t, st.dest+".part.json", record(good, len(data)))
		}},
		{"as long as the file, other bytes", func(st stage) {
			put(t, st.dest+".part", make([]byte, len(data)))
			put(t, st.dest+".part.json", record(good, len(data)))
		}},
		{"a record of another version", func(st stage) {
			put(t, st.dest+".part", data[:1000])
			put(t, st.dest+".part.json", record(`"other"`, len(data)))
		}},
		{"a weak tag", func(st stage) {
			put(t, st.dest+".part", data[:1000])
			put(t, st.dest+".part.json", record(`W/"x"`, len(data)))
		}},
		{"a record that is none", func(st stage) {
			put(t, st.dest+".part", data[:1000])
			put(t, st.dest+".part.json", []byte(`{"url":`))
		}},
		{"a symbolic link", func(st stage) {
			put(t, victim, []byte("precious"))
			if err := os.Symlink(victim, st.dest+".part"); err != nil {
				t.Fatal(err)
			}
			put(t, st.dest+".part.json", record(good, len(data)))
		}},
		{"a beginning, and a right record", func(st stage) {
			put(t, st.dest+".part", data[:1000])
			put(t, st.dest+".part.json", record(good, len(data)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := newStage(t)
			tt.make(st)
			r, err := src.Download(t.Context(), o, st.dest)
			if err != nil {
				t.Fatal(err)
			}
			st.holds(data)
			if strings.HasPrefix(tt.name, "a beginning") && r.Resumed != 1000 {
				t.Errorf("resumed %d bytes", r.Resumed)
			}
		})
	}
	if got, _ := os.ReadFile(victim); string(got) != "precious" {
		t.Errorf("the target of a symbolic link was overwritten")
	}
	t.Run("a file under the final name", func(t *testing.T) {
		st := newStage(t)
		put(t, st.dest, []byte("old"))
		if _, err := src.Download(t.Context(), o, st.dest); fetch.KindOf(err) != fetch.Storage {
			t.Errorf("error %v", err)
		}
		if got, _ := os.ReadFile(st.dest); string(got) != "old" {
			t.Errorf("it was overwritten")
		}
	})
}

// Every way in which a server can misbehave over a page.
func TestPageFaults(t *testing.T) {
	const ok = fetch.Kind(0)
	tests := []struct {
		fault      fetchtest.Fault
		json, html fetch.Kind
	}{
		{fetchtest.Status401, fetch.Denied, fetch.Denied},
		{fetchtest.Status403, fetch.Denied, fetch.Denied},
		{fetchtest.Status404, fetch.NotFound, fetch.NotFound},
		{fetchtest.Status410, fetch.Gone, fetch.Gone},
		{fetchtest.Status418, fetch.Invalid, fetch.Invalid},
		{fetchtest.Status500, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.Status502, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.LongRetryAfter, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.Status204, fetch.Invalid, fetch.Invalid},
		{fetchtest.LoginPage, fetch.Invalid, fetch.Invalid},
		{fetchtest.CaptivePortal, fetch.Invalid, fetch.Invalid},
		{fetchtest.EmptyBody, fetch.Invalid, fetch.Invalid},
		{fetchtest.RedirectLoop, fetch.Invalid, fetch.Invalid},
		{fetchtest.RedirectInternal, fetch.Refused, fetch.Refused},
		{fetchtest.RedirectFile, fetch.Refused, fetch.Refused},
		{fetchtest.RedirectFTP, fetch.Refused, fetch.Refused},
		{fetchtest.CutWithLength, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.CutWithoutLength, fetch.Invalid, fetch.Invalid},
		{fetchtest.CutChunked, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.Reset, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.EarlyClose, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.StallBeforeHeaders, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.StallAfterHeaders, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.StallInBody, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.SlowDrip, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.NotHTTP, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.HugeHeader, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.UnknownEncoding, fetch.Invalid, fetch.Invalid},
		{fetchtest.CutGzip, fetch.Unreachable, fetch.Unreachable},
		{fetchtest.HugePage, fetch.Invalid, fetch.Invalid},
		{fetchtest.GzipBomb, fetch.Invalid, fetch.Invalid},
		{fetchtest.WrongContentType, fetch.Invalid, fetch.Invalid},
		{fetchtest.Unasked304, fetch.Invalid, fetch.Invalid},
		{fetchtest.BadJSON, fetch.Invalid, ok},
		{fetchtest.JSONTrailer, fetch.Invalid, ok},
		{fetchtest.DuplicateKeys, fetch.Invalid, ok},
		{fetchtest.NullValues, ok, ok},
		{fetchtest.OtherCase, ok, ok},
		{fetchtest.DeepJSON, fetch.Invalid, ok},
		{fetchtest.NotUTF8JSON, fetch.Invalid, ok},
		{fetchtest.NoFilesKey, fetch.Invalid, ok},
		{fetchtest.FutureAPI, fetch.Invalid, fetch.Invalid},
		{fetchtest.NewerAPI, ok, ok},
		{fetchtest.UnclosedTags, ok, ok},
		{fetchtest.WrongCharset, ok, ok},
		{fetchtest.Latin1, ok, ok},
		{fetchtest.BadBase, ok, fetch.Invalid},
		{fetchtest.BaseElsewhere, ok, ok},
		{fetchtest.HostileNames, ok, ok},
		{fetchtest.Gzipped, ok, ok},
	}
	for _, tt := range tests {
		for _, form := range []string{fetchtest.Index, fetchtest.HTML} {
			t.Run(string(tt.fault)+form, func(t *testing.T) {
				t.Parallel()
				want := tt.html
				if form == fetchtest.Index {
					want = tt.json
				}
				srv := fetchtest.New(t,
					fetchtest.File{Project: "a", Filename: "a-1.0.tar.gz", Data: []byte("one")},
					fetchtest.File{Project: "a", Filename: "a-2.0.tar.gz", Data: []byte("two"), RequiresPython: ">=3.9"},
					fetchtest.File{Project: "a", Filename: "a-3.0.tar.gz", Data: []byte("three")},
				)
				index := func(u *fetch.Upstream, _ *fetch.Options) { u.Form = fetch.Index }
				src := open(t, srv.URL+form, index)
				page := srv.Page(form, "a")
				srv.Always(page, tt.fault)
				check := func(l catalog.Listing, err error) {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
					var got []string
					for _, o := range l.Offers {
						got = append(got, o.Filename+" "+strings.TrimPrefix(o.URL, srv.URL)+" "+o.Hashes["sha256"])
					}
					var want []string
					for _, f := range []struct{ name, data string }{{"a-1.0.tar.gz", "one"}, {"a-2.0.tar.gz", "two"}, {"a-3.0.tar.gz", "three"}} {
						want = append(want, f.name+" /files/a/"+f.name+" "+fetchtest.SHA256([]byte(f.data)))
					}
					if strings.Join(got, "\n") != strings.Join(want, "\n") {
						t.Errorf("listing\n%s\nwant\n%s\nwarnings %q", strings.Join(got, "\n"), strings.Join(want, "\n"), l.Warnings)
					}
				}
				l, err := hasty(t, src, srv.URL+form, tt.fault, short, index).List(t.Context(), "a", fetch.Validators{})
				if got := fetch.KindOf(err); got != want {
					t.Fatalf("kind %v, want %v: %v (%d files)", got, want, err, len(l.Offers))
				}
				if want == ok {
					check(l, err)
				} else {
					checkError(t, err)
				}
				if tt.fault == fetchtest.LongRetryAfter {
					src = open(t, srv.URL+form)
				}
				srv.Heal()
				check(src.List(t.Context(), "a", fetch.Validators{}))
			})
		}
	}
}

// checkError checks that an error says what it should and no more.
func checkError(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*fetch.Error](err)
	if !ok {
		t.Fatalf("error of type %T", err)
	}
	if e.Upstream != "up" || e.Project == "" && e.Filename == "" || e.URL == "" {
		t.Errorf("error does not say what it is about: %+v", e)
	}
	if gone := e.Kind == fetch.NotFound || e.Kind == fetch.Gone; gone != errors.Is(err, fs.ErrNotExist) {
		t.Errorf("kind %v, but matches fs.ErrNotExist: %v", e.Kind, !gone)
	}
	if s := err.Error(); strings.Count(s, "://") > 1 || strings.ContainsAny(s, "\n\r\x1b") {
		t.Errorf("error %q", s)
	}
}

func put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func ls(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// The end of the context ends a download at once, and what came may be taken up
// again.
func TestCancel(t *testing.T) {
	data := fetchtest.Bytes(2<<20, 6)
	srv := fetchtest.New(t, fetchtest.File{Project: "a", Filename: "a-1.0.tar.gz", Data: data})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// Half of it comes, and a little later the download most probably waits.
	half := coming{int64(len(data) / 2), func() { time.AfterFunc(20*time.Millisecond, cancel) }}
	src := open(t, srv.URL+fetchtest.Index, func(_ *fetch.Upstream, o *fetch.Options) {
		o.StallTime, o.Progress = time.Hour, half
	})
	o := list(t, src, "a").Offers[0]
	srv.Script(srv.Path("a-1.0.tar.gz"), fetchtest.StallInBody)
	st := newStage(t)
	_, err := src.Download(ctx, o, st.dest)
	if fetch.KindOf(err) != fetch.Stopped || !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	st.empty(true)
	r, err := src.Download(t.Context(), o, st.dest)
	if err != nil {
		t.Fatal(err)
	}
	st.holds(data)
	if r.Resumed == 0 {
		t.Error("what had come was thrown away")
	}
	if r.SHA256 != sha256.Sum256(data) || r.BLAKE2b != blake2b.Sum256(data) {
		t.Errorf("the digests are not of all that is here: %+v", r)
	}
}

// coming calls a function when so many bytes of a download have come.
type coming struct {
	bytes int64
	then  func()
}

func (c coming) Begin(string, int64) fetch.Meter { return c }
func (coming) End(error)                         {}

func (c coming) Set(bytes int64) {
	if bytes == c.bytes {
		c.then()
	}
}
