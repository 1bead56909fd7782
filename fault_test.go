package nestgen

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// How a build ends when the file of one project misbehaves, or its page in
// JSON or in HTML, while another project is well: 0 where the fault does no
// harm, 6 where bytes came whole and wrong, else 3 (reliability.md §4.3, §4.4).
var (
	fileFaults = map[fetchtest.Fault]int{
		fetchtest.Status401: 3, fetchtest.Status403: 3, fetchtest.Status404: 3, fetchtest.Status410: 3, fetchtest.Status418: 3,
		fetchtest.Status429: 3, fetchtest.Status500: 3, fetchtest.Status502: 3, fetchtest.Status503: 3,
		fetchtest.LongRetryAfter: 3, fetchtest.Status204: 3, fetchtest.LoginPage: 3, fetchtest.EmptyBody: 3,
		fetchtest.RedirectLoop: 3, fetchtest.RedirectInternal: 3, fetchtest.RedirectFile: 3, fetchtest.RedirectFTP: 3,
		fetchtest.CutWithLength: 3, fetchtest.CutWithoutLength: 3, fetchtest.CutChunked: 3, fetchtest.Reset: 3, fetchtest.EarlyClose: 3,
		fetchtest.StallBeforeHeaders: 3, fetchtest.StallAfterHeaders: 3, fetchtest.StallInBody: 3, fetchtest.SlowDrip: 3,
		fetchtest.NotHTTP: 3, fetchtest.HugeHeader: 3, fetchtest.UnknownEncoding: 6,
		fetchtest.RangeUnasked: 3, fetchtest.HeadKiller: 0, fetchtest.EndlessBody: 6, fetchtest.WrongBytes: 6,
		fetchtest.Longer: 6, fetchtest.LongerChunked: 6, fetchtest.Shorter: 6, fetchtest.ShorterChunked: 6,
		fetchtest.Replaced: 6, fetchtest.Gzipped: 6, fetchtest.GzipLabel: 0, fetchtest.DispositionName: 0,
		// These are for an answer to a range; nobody asks for one here.
		fetchtest.RangeIgnored: 0, fetchtest.WrongContentRange: 0, fetchtest.WrongRangeLength: 0,
		fetchtest.RangeRefused: 0, fetchtest.MultipartRange: 0, fetchtest.RangeReplaced: 0,
	}
	jsonFaults = map[fetchtest.Fault]int{
		fetchtest.Status401: 3, fetchtest.Status403: 3, fetchtest.Status404: 3, fetchtest.Status410: 3, fetchtest.Status418: 3,
		fetchtest.Status429: 3, fetchtest.Status500: 3, fetchtest.Status502: 3, fetchtest.Status503: 3, fetchtest.LongRetryAfter: 3,
		fetchtest.Status204: 3, fetchtest.LoginPage: 3, fetchtest.EmptyBody: 3, fetchtest.CaptivePortal: 3,
		fetchtest.RedirectLoop: 3, fetchtest.RedirectInternal: 3, fetchtest.RedirectFile: 3, fetchtest.RedirectFTP: 3,
		fetchtest.CutWithLength: 3, fetchtest.CutWithoutLength: 3, fetchtest.CutChunked: 3, fetchtest.Reset: 3, fetchtest.EarlyClose: 3,
		fetchtest.StallBeforeHeaders: 3, fetchtest.StallAfterHeaders: 3, fetchtest.StallInBody: 3,
		fetchtest.NotHTTP: 3, fetchtest.HugeHeader: 3, fetchtest.UnknownEncoding: 3, fetchtest.HugePage: 3, fetchtest.GzipBomb: 3,
		fetchtest.CutGzip: 3, fetchtest.WrongContentType: 3, fetchtest.Unasked304: 3,
		fetchtest.BadJSON: 3, fetchtest.JSONTrailer: 3, fetchtest.NoFilesKey: 3, fetchtest.FutureAPI: 3,
		fetchtest.NewerAPI: 0, fetchtest.NullValues: 0, fetchtest.OtherCase: 0, fetchtest.HostileNames: 0,
		fetchtest.UserinfoLinks: 3, // it leads to a host that is not there
	}
	htmlFaults = map[fetchtest.Fault]int{
		fetchtest.UnclosedTags: 0, fetchtest.WrongCharset: 0, fetchtest.Latin1: 0, fetchtest.BaseElsewhere: 0,
		fetchtest.HostileNames: 0, fetchtest.FutureAPI: 3, fetchtest.UserinfoLinks: 3,
	}
	// What a reader may make of these is its own; but it must end well.
	anyEnd = []fetchtest.Fault{
		fetchtest.DuplicateKeys, fetchtest.DeepJSON, fetchtest.NotUTF8JSON, fetchtest.StaleSerial, fetchtest.BadBase,
	}
	// These show by nothing but that one waits; the last of them in some networks,
	// for the name of a host that is not there.
	slowFaults = []fetchtest.Fault{
		fetchtest.StallBeforeHeaders, fetchtest.StallAfterHeaders, fetchtest.StallInBody, fetchtest.SlowDrip, fetchtest.UserinfoLinks,
	}
)

// Whatever an upstream does, no byte that was not checked is to be seen, the
// rest goes on, and the next run against a healthy upstream has everything.
func TestNoUpstreamSpoilsASite(t *testing.T) {
	t.Parallel()
	type where struct {
		name   string
		form   string
		faults map[fetchtest.Fault]int
		path   func(*fetchtest.Server) string
	}
	page := func(form string) func(*fetchtest.Server) string {
		return func(s *fetchtest.Server) string { return s.Page(form, "a") }
	}
	either := map[fetchtest.Fault]int{}
	for _, f := range anyEnd {
		either[f] = -1
	}
	places := []where{
		{"file", fetchtest.Index, fileFaults, func(s *fetchtest.Server) string { return s.Path("a-1.0-py3-none-any.whl") }},
		{"json", fetchtest.Index, jsonFaults, page(fetchtest.Index)},
		{"json either", fetchtest.Index, either, page(fetchtest.Index)},
		{"html", fetchtest.HTML, htmlFaults, page(fetchtest.HTML)},
		{"html either", fetchtest.HTML, either, page(fetchtest.HTML)},
	}
	for _, p := range places {
		for _, fault := range slices.Sorted(maps.Keys(p.faults)) {
			t.Run(p.name+"/"+string(fault), func(t *testing.T) {
				t.Parallel()
				a, b := wheel("a", "1.0", intaketest.Opts{Pad: 50_000}), wheel("b", "1.0", plain)
				wait := patience
				if slices.Contains(slowFaults, fault) {
					wait = 300 * time.Millisecond
				}
				var srv *fetchtest.Server
				var w *world
				var r *Report
				// On a machine that is too slow for such a short wait b fails like
				// a; only with a long one that must not be.
				for {
					srv = fetchtest.New(t, a, b)
					w = newWorld(t, srv)
					w.hurry(wait)
					w.Upstreams[0].URL = srv.URL + p.form
					w.write("allowlist.txt", "a\nb\n")
					srv.Always(p.path(srv), fault)
					var err error
					if r, err = Build(t.Context(), w.Config, Options{}); err != nil {
						t.Fatalf("Build: %v", err)
					}
					if wait >= patience || slices.Contains(w.listed(), b.Filename) {
						break
					}
					wait *= 4
				}
				w.hurry(patience)
				// A host that asks to be left alone is not asked for b either,
				// unless that went out at the same time.
				left := fault == fetchtest.LongRetryAfter && r.Status == 5
				if want := p.faults[fault]; want >= 0 && r.Status != want && !left {
					t.Errorf("status %d, want %d; problems:\n%s", r.Status, want, problemText(r))
				}
				good := func() {
					t.Helper()
					w.checkTree()
					for _, n := range []string{"a", "b"} {
						if !w.exists("site/simple/" + n) {
							continue
						}
						for _, f := range w.page(n).Files {
							if sha := f.Hashes["sha256"]; sha != fetchtest.SHA256(a.Data) && sha != fetchtest.SHA256(b.Data) {
								t.Errorf("%s is listed with unknown bytes", f.Filename)
							}
						}
					}
				}
				good()
				// A server that wants to be left alone for a day is.
				if fault != fetchtest.LongRetryAfter && !slices.Contains(w.listed(), b.Filename) {
					t.Errorf("the fault of one project keeps another from the index: %q", w.listed())
				}
				if text := problemText(r); strings.Contains(text, "canary") {
					t.Errorf("a password in the report:\n%s", text)
				}
				if entries, _ := os.ReadDir(w.path("state/stage")); len(entries) > 0 {
					t.Errorf("left in the stage: %v", entries)
				}
				srv.Heal()
				r, err := Build(t.Context(), w.Config, Options{})
				if err != nil || r.Status != 0 {
					t.Fatalf("healthy again: %v, problems:\n%s", err, problemText(r))
				}
				good()
				w.lists(a.Filename, b.Filename)
				w.build(0)
			})
		}
	}
}

// Every fault that package fetchtest knows is tried.
func TestEveryFaultIsTried(t *testing.T) {
	source, err := os.ReadFile("fetch/fetchtest/fault.go")
	if err != nil {
		t.Fatal(err)
	}
	tried := map[fetchtest.Fault]bool{fetchtest.Healthy: true, fetchtest.RedirectHTTP: true}
	// Those of root pages are for TestSerials and its kin, and that of ranges for
	// the tests of package fetch.
	for _, f := range []fetchtest.Fault{fetchtest.LongRoot, fetchtest.SerialText, fetchtest.NoSerialHeader, fetchtest.SuffixRefused} {
		tried[f] = true
	}
	for _, m := range []map[fetchtest.Fault]int{fileFaults, jsonFaults, htmlFaults} {
		for f := range m {
			tried[f] = true
		}
	}
	for _, f := range anyEnd {
		tried[f] = true
	}
	found := regexp.MustCompile(`(?m)^\t\w+\s+(?:Fault )?= "(.*)"$`).FindAllStringSubmatch(string(source), -1)
	for _, m := range found {
		if !tried[fetchtest.Fault(m[1])] {
			t.Errorf("%q is not tried", m[1])
		}
	}
	if len(found) < 40 {
		t.Errorf("only %d faults found in the source", len(found))
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		certificate fetchtest.Certificate
		want        int
	}{{fetchtest.Trusted, 0}, {fetchtest.SelfSigned, 5}, {fetchtest.WrongHost, 5}, {fetchtest.Expired, 5}} {
		t.Run(string(tt.certificate), func(t *testing.T) {
			t.Parallel()
			srv := fetchtest.NewTLS(t, tt.certificate, wheel("a", "1.0", plain))
			w := newWorld(t, srv)
			w.Upstreams[0].CAFile = srv.CAFile
			w.write("allowlist.txt", "a\n")
			r, err := Build(t.Context(), w.Config, Options{})
			if err != nil || r.Status != tt.want {
				t.Fatalf("%v; problems:\n%s", err, problemText(r))
			}
			if tt.want != 0 {
				w.lists()
				return
			}
			w.lists("a-1.0-py3-none-any.whl")
			srv.Always(srv.Page(fetchtest.Index, "a"), fetchtest.RedirectHTTP)
			w.build(3)
		})
	}
}
