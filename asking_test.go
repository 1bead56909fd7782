package nestgen

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// local makes an upstream of a folder of this machine, asked before the others.
func (w *world) localUpstream(name string) {
	w.Helper()
	w.Upstreams = append([]Upstream{{Name: name, URL: w.path(name)}}, w.Upstreams...)
}

// A disk that is not mounted leaves a name to nobody else.
func TestAMissingFolderIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"missing", "empty"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			srv := fetchtest.New(t, wheel("a", "9.0", plain))
			w := newWorld(t, srv)
			w.localUpstream("disk")
			w.write("allowlist.txt", "a\n")
			if state == "empty" {
				if err := os.Mkdir(w.path("disk"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			w.tells(w.build(5), "incomplete", "disk")
			if n := len(srv.Requests("")); n != 0 {
				t.Errorf("the next upstream was asked %d times", n)
			}
			file, data := intaketest.Wheel("a", "1.0", plain)
			w.write("disk/"+file, string(data))
			w.build(0)
			w.lists(file)
		})
	}
}

// A project that its upstream says is gone for good goes to no other upstream.
func TestAGoneProjectIsNotLookedForElsewhere(t *testing.T) {
	t.Parallel()
	first := fetchtest.New(t, wheel("a", "1.0", plain))
	second := fetchtest.New(t, wheel("a", "9.0", plain))
	w := newWorld(t, first, second)
	w.write("allowlist.txt", "a\n")
	first.Always(first.Page(fetchtest.Index, "a"), fetchtest.Status410)
	w.tells(w.build(3), "incomplete", "no other upstream is asked")
	w.lists()
	if n := len(second.Requests("")); n != 0 {
		t.Errorf("the second upstream was asked %d times", n)
	}
	first.Heal()
	w.build(0)
	w.lists("a-1.0-py3-none-any.whl")
	first.Always(first.Page(fetchtest.Index, "a"), fetchtest.Status410)
	w.build(3)
	w.lists("a-1.0-py3-none-any.whl")
}

// Whoever owns a name: what came from one upstream is not replaced by what
// another has under the same name.
func TestAnUpstreamOnceIsTheUpstreamForGood(t *testing.T) {
	t.Parallel()
	first := fetchtest.New(t, wheel("a", "2.0", plain), wheel("b", "2.0", plain))
	second := fetchtest.New(t, wheel("a", "9.0", plain), wheel("b", "9.0", plain))
	w := newWorld(t, first, second)
	w.Projects = []ProjectConfig{{Name: "a", Sources: "both"}}
	w.drop("a", "1.0", plain)
	direct := wheel("b", "1.0", plain)
	third := fetchtest.New(t, direct)
	w.write("allowlist.txt", "b @ "+third.URL+third.Path(direct.Filename)+"\n")
	w.build(0) // a is the site's own, b belongs to an address
	w.write("allowlist.txt", "a\nb\nb @ "+third.URL+third.Path(direct.Filename)+"\n")
	w.build(0)
	all := []string{"a-1.0-py3-none-any.whl", "a-2.0-py3-none-any.whl", "b-1.0-py3-none-any.whl", "b-2.0-py3-none-any.whl"}
	w.lists(all...)
	for _, n := range []string{"a", "b"} {
		first.Always(first.Page(fetchtest.Index, n), fetchtest.Status404)
	}
	w.tells(w.build(3), "incomplete", "up1 no longer has it")
	w.lists(all...)
	for _, n := range []string{"a", "b"} {
		if n := len(second.Requests(second.Page(fetchtest.Index, n))); n != 0 {
			t.Errorf("up2 was asked %d times", n)
		}
	}
	first.Heal()
	w.build(0)
	w.lists(all...)
}

// An upstream that knows no conditions costs traffic and not a write.
func TestAListingThatSaysTheSameIsNotWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file, data := intaketest.Wheel("a", "1.0", plain)
	pages := http.NewServeMux()
	pages.HandleFunc("/simple/a/", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rw, `<!DOCTYPE html><a href="/files/%s#sha256=%s">%[1]s</a>`, file, fetchtest.SHA256(data))
	})
	pages.HandleFunc("/files/"+file, func(rw http.ResponseWriter, _ *http.Request) { rw.Write(data) })
	srv := httptest.NewServer(pages)
	t.Cleanup(srv.Close)
	w.Upstreams = []Upstream{{Name: "up", URL: srv.URL + "/simple/"}}
	w.write("allowlist.txt", "a\n")
	w.build(0)
	before := photograph(t, w.path("site"), w.path("state"))
	if r := w.build(0); r.Fetched.Unchanged != 1 {
		t.Errorf("%+v", r.Fetched)
	}
	if d := before.differences(photograph(t, w.path("site"), w.path("state")), w.dir); len(d) > 0 {
		t.Errorf("written: %q", d)
	}
}

// A project that its upstream has quarantined (PEP 792) is on no page, which is
// an alarm that says so, until somebody says in the policy that it is known.
func TestAQuarantineIsAnAlarm(t *testing.T) {
	t.Parallel()
	for name, emptied := range map[string]bool{"and lists nothing": true, "and goes on listing": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.localUpstream("disk")
			page := func(meta string, versions ...string) {
				text := `<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.4">` + meta + "</head><body>"
				for _, v := range versions {
					file, data := intaketest.Wheel("a", v, plain)
					w.write("disk/files/"+file, string(data))
					text += `<a href="../files/` + file + `">` + file + "</a>"
				}
				w.write("disk/a/index.html", text+"</body></html>")
			}
			quarantine := func() {
				versions := []string{"1.0", "2.0"}
				if emptied {
					versions = nil
				}
				page(`<meta name="pypi:project-status" content="quarantined"><meta name="pypi:project-status-reason" content="steals keys">`, versions...)
			}
			status := func(want, reason string, files ...string) {
				t.Helper()
				if p := w.page("a"); p.Status.Status != want && (want != "" || p.Status.Status != "active") || p.Status.Reason != reason {
					t.Errorf("status %+v, want %q", p.Status, want)
				}
				w.lists(files...)
			}
			alarm := func() {
				t.Helper()
				for range 2 {
					r := w.build(6)
					w.tells(r, "alarm", "disk has quarantined it (steals keys)")
					if len(r.Problems) != 1 {
						t.Errorf("more than one thing to say:\n%s", problemText(r))
					}
				}
			}
			one, two := "a-1.0-py3-none-any.whl", "a-2.0-py3-none-any.whl"
			mine := w.drop("mine", "1.0", plain)
			w.write("allowlist.txt", "a\n")
			page("", "1.0")
			w.build(0)
			status("", "", one, mine)
			quarantine()
			alarm()
			status("quarantined", "steals keys", mine)
			// What was written about the project before does not lift it.
			w.write("policy.toml", "[[status]]\nproject = \"a\"\nstatus = \"deprecated\"\n")
			alarm()
			status("quarantined", "steals keys", mine)
			w.write("policy.toml", "[[status]]\nproject = \"a\"\nstatus = \"quarantined\"\nreason = \"we know\"\n")
			w.build(0)
			status("quarantined", "we know", mine)
			w.write("policy.toml", "[[status]]\nproject = \"a\"\nstatus = \"active\"\n")
			w.tells(w.build(0), "warning", "disk has quarantined it (steals keys); the policy lists it all the same")
			status("", "", one, mine)
			w.write("policy.toml", "")
			alarm()
			_, events, err := Show(t.Context(), w.Config, "a")
			if err != nil || events[1].Source != "disk" || events[1].Reason != "quarantined: steals keys" || events[2].Source != "policy" {
				t.Errorf("events %+v, %v", events, err)
			}
			page("", "1.0", "2.0")
			w.build(0)
			status("", "", two, mine)
			quarantine()
			w.build(6)
			w.write("allowlist.txt", "")
			w.build(0)
			w.lists(mine)
			if w.exists("site/simple/a") {
				t.Error("there is still a page")
			}
		})
	}
}

// A project that was never here is not fetched when it is quarantined.
func TestAQuarantinedProjectIsNotFetched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.localUpstream("disk")
	file, data := intaketest.Wheel("a", "1.0", plain)
	w.write("disk/"+file, string(data))
	w.write("disk/a/index.html", `<!DOCTYPE html><meta name="pypi:repository-version" content="1.4"><meta name="pypi:project-status" content="quarantined"><a href="../`+file+`">`+file+`</a>`)
	w.write("allowlist.txt", "a\n")
	for range 2 {
		r := w.build(6)
		w.tells(r, "alarm", "disk has quarantined it")
		if r.Fetched.Files > 0 || w.page("a").Status.Status != "quarantined" {
			t.Errorf("%+v", r.Fetched)
		}
	}
}
