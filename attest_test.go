package nestgen

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
)

// attested gives a wheel at an upstream that a repository has published.
func attested(name, version, repository string) fetchtest.File {
	f := wheel(name, version, plain)
	f.Uploaded = "2026-01-0" + version[:1] + "T00:00:00Z"
	f.Provenance = provenanceOf(repository, fetchtest.SHA256(f.Data))
	return f
}

func provenanceOf(repository, sha string) []byte {
	statement := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":%q}}],"predicateType":"https://docs.pypi.org/attestations/publish/v1","predicate":null}`, sha)
	return fmt.Appendf(nil, `{"version":1,"attestation_bundles":[{"publisher":{"kind":"GitHub","repository":%q,"workflow":"release.yml","environment":null},"attestations":[{"version":1,"verification_material":{},"envelope":{"statement":%q,"signature":"c2ln"}}]}]}`,
		repository, base64.StdEncoding.EncodeToString([]byte(statement)))
}

// attesting makes a site of an upstream that has provenance.
func attesting(t *testing.T, list string, files ...fetchtest.File) (*world, *fetchtest.Server) {
	t.Helper()
	srv := fetchtest.NewTLS(t, fetchtest.Trusted, files...)
	w := newWorld(t, srv)
	w.Upstreams[0].CAFile = srv.CAFile
	w.write("allowlist.txt", list)
	return w, srv
}

// publisher gives who has published a file, as the catalog has it.
func (w *world) publisher(filename string) string {
	w.Helper()
	for p, err := range List(w.Context(), w.Config, rootIndex) {
		if err != nil {
			w.Fatal(err)
		}
		if f, ok := listedAs(p, filename); ok && !f.Publisher.IsZero() {
			return f.Publisher.String()
		}
	}
	return ""
}

// Who has published a file is known without an address of the site: one request for
// each new file, and none after it.
func TestThePublisherIsRecorded(t *testing.T) {
	t.Parallel()
	one, plainOne := attested("foo", "1.0", "acme/foo"), wheel("bar", "1.0", plain)
	w, srv := attesting(t, "foo\nbar\n", one, plainOne)
	w.build(0)
	path := srv.Path(one.Filename) + ".provenance"
	if got := w.publisher(one.Filename); got != "GitHub acme/foo, release.yml" || len(srv.Requests(path)) != 1 {
		t.Errorf("published by %q, %d requests", got, len(srv.Requests(path)))
	}
	if !strings.Contains(w.read("site/project/foo/index.html"), "published by GitHub acme/foo, release.yml") {
		t.Error("the page does not say so")
	}
	if strings.Contains(w.read("site/simple/foo/index.v1_json"), "provenance") {
		t.Error("the page for programs names what is not there")
	}
	if r := w.build(0); !r.Idle() || len(srv.Requests(path)) != 1 {
		t.Errorf("asked again: %+v", r)
	}
	w.BaseURL = "https://pypi.example/"
	w.build(0)
	if !strings.Contains(w.read("site/simple/foo/index.v1_json"), `"provenance":"https://pypi.example/packages/`) || w.publisher(one.Filename) == "" {
		t.Error("the attestations did not come with the address")
	}
}

func TestAFileWithoutProvenanceIsHeld(t *testing.T) {
	t.Parallel()
	one := attested("foo", "1.0", "acme/foo")
	two := attested("foo", "2.0", "acme/foo")
	for name, spoil := range map[string]func(w *world, srv *fetchtest.Server, f *fetchtest.File) (status int, told string){
		"none": func(_ *world, _ *fetchtest.Server, f *fetchtest.File) (int, string) {
			f.Provenance = nil
			return 6, "it comes without provenance, and version 1.0 was published by GitHub acme/foo, release.yml"
		},
		"announced and not there": func(_ *world, srv *fetchtest.Server, f *fetchtest.File) (int, string) {
			srv.Always(srv.Path(f.Filename)+".provenance", fetchtest.Status404)
			return 6, "but of this file: "
		},
		"not to be had at the moment": func(_ *world, srv *fetchtest.Server, f *fetchtest.File) (int, string) {
			srv.Always(srv.Path(f.Filename)+".provenance", fetchtest.Status503)
			return 3, "but of this file: "
		},
		"not readable": func(_ *world, _ *fetchtest.Server, f *fetchtest.File) (int, string) {
			f.Provenance = []byte(`{"version":1}`)
			return 6, "no bundle of attestations"
		},
		"of another file": func(_ *world, _ *fetchtest.Server, f *fetchtest.File) (int, string) {
			f.Provenance = one.Provenance
			return 6, "it is the provenance of another file"
		},
		"of another file, and no digest": func(_ *world, _ *fetchtest.Server, f *fetchtest.File) (int, string) {
			f.NoHash, f.Provenance = true, one.Provenance
			return 6, "it is the provenance of another file"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, srv := attesting(t, "foo\n", one)
			w.build(0)
			bad := two
			srv.SetFiles(one, two)
			status, told := spoil(w, srv, &bad)
			srv.SetFiles(one, bad)
			for range 2 {
				r := w.build(status)
				level := "alarm"
				if status == 3 {
					level = "incomplete"
				}
				w.tells(r, level, told)
				w.lists(one.Filename)
			}
			if n := len(srv.Requests(srv.Path(bad.Filename))); n > 0 && !bad.NoHash {
				t.Errorf("fetched %d times", n)
			}
			w.Provenance = "warn"
			if r := w.build(0); len(r.Problems) == 0 {
				t.Error("nothing is told")
			}
			w.lists(two.Filename)
		})
	}
}

// A project that moves keeps coming, and it is told once.
func TestAnotherPublisherIsTold(t *testing.T) {
	t.Parallel()
	one, two := attested("foo", "1.0", "acme/foo"), attested("foo", "2.0", "mallory/foo")
	w, srv := attesting(t, "foo\n", one)
	w.build(0)
	srv.SetFiles(one, two)
	w.tells(w.build(0), "warning", two.Filename+" was published by GitHub mallory/foo, release.yml, and version 1.0 by GitHub acme/foo, release.yml")
	w.lists(two.Filename)
	if r := w.build(0); len(r.Problems) > 0 {
		t.Errorf("told again: %s", problemText(r))
	}
}

func TestProvenanceThatNobodyLooksAt(t *testing.T) {
	t.Parallel()
	one, two := attested("foo", "1.0", "acme/foo"), wheel("foo", "2.0", plain)
	w, srv := attesting(t, "foo\n", one)
	w.Provenance = "off"
	w.build(0)
	if n := len(srv.Requests(srv.Path(one.Filename) + ".provenance")); n != 0 || w.publisher(one.Filename) != "" {
		t.Errorf("%d requests", n)
	}
	srv.SetFiles(one, two)
	w.build(0)
	w.lists(two.Filename)
	w.Provenance = "sometimes"
	if err := w.Resolve(); err == nil || !strings.Contains(err.Error(), "want hold, warn or off") {
		t.Errorf("%v", err)
	}
}

// What is odd about provenance and not expected costs no file.
func TestOddProvenanceOfANewProject(t *testing.T) {
	t.Parallel()
	one, other := attested("foo", "1.0", "acme/foo"), attested("bar", "1.0", "acme/bar")
	other.Provenance = one.Provenance
	w, _ := attesting(t, "foo\nbar\n", one, other)
	r := w.build(0)
	w.tells(r, "warning", "it is the provenance of another file")
	w.lists(one.Filename, other.Filename)
	if w.publisher(other.Filename) != "" {
		t.Error("a stranger's publisher was recorded")
	}
}

// A file that came because somebody asked for it has its publisher after a build.
func TestThePublisherOfWhatCameOnDemand(t *testing.T) {
	t.Parallel()
	one := attested("foo", "1.0", "acme/foo")
	srv := fetchtest.NewTLS(t, fetchtest.Trusted, one)
	w := lazy(t, "fetch", srv)
	w.Upstreams[0].CAFile = srv.CAFile
	w.ask(w.join(), "foo", 0)
	if _, err := w.fetch(w.join(), w.pathOf("foo", one.Filename)); err != nil {
		t.Fatal(err)
	}
	w.remove("state/demand") // so that the build asks its upstream
	w.build(0)
	if got := w.publisher(one.Filename); got == "" {
		t.Error("nobody is known")
	}
	w.remove("state/demand")
	if n := len(srv.Requests(srv.Path(one.Filename) + ".provenance")); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if r := w.build(0); r.changes() {
		t.Errorf("%+v", r)
	}
}
