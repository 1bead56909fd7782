package nestgen

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
	"nestgen/plan"
)

const canary = "canary4711"

// whoHas names the files below some folders in which the canary is.
func (w *world) whoHas(dirs ...string) []string {
	w.Helper()
	var found []string
	for _, dir := range dirs {
		err := filepath.WalkDir(w.path(dir), func(name string, e os.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(name)
			if strings.Contains(string(data), canary) {
				found = append(found, name)
			}
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			w.Fatal(err)
		}
	}
	return found
}

// A token in the address of a repository is kept off the pages, in whatever
// form it is given, as it is in a snippet.
func TestNoTokenOfARepositoryIsListed(t *testing.T) {
	t.Setenv("NESTGEN_CANARY", canary)
	for i, address := range []string{
		"git+https://" + canary + "@git.example/x.git",
		"git+https://joe:" + canary + "@git.example/x.git",
		"git+https://git.example/x.git?private_token=" + canary,
		"git+https://${NESTGEN_CANARY}@git.example/x.git",
		"git+https://git.example/${NESTGEN_CANARY}/x.git",
		"git+ssh://git:" + canary + "@git.example/x.git",
		"svn+http://" + canary + "@svn.example/x",
	} {
		w := newWorld(t)
		w.write("allowlist.txt", address+"#egg=x-dev\n")
		w.LinkPasswords = "refuse"
		r := w.build(3)
		w.tells(r, "incomplete", "link_passwords")
		if found := w.whoHas("site", "state"); len(found) > 0 || strings.Contains(problemText(r), canary) {
			t.Errorf("%d: in %q and the report\n%s", i, found, problemText(r))
		}
		w.LinkPasswords = "warn"
		r = w.build(0)
		w.tells(r, "warning", "which the page will show to everybody")
		if strings.Contains(problemText(r), canary) {
			t.Errorf("%d: in the report\n%s", i, problemText(r))
		}
	}
	w := newWorld(t)
	w.LinkPasswords = "refuse"
	w.write("allowlist.txt", "git+ssh://git@git.example/x.git#egg=x-dev\ngit+https://git.example/x.git@v1#egg=x-dev\n")
	w.build(0)
	if !strings.Contains(w.read("site/easy/index.html"), "git@git.example") {
		t.Error("the plain user of ssh is no secret")
	}
}

// What the allowlist says in confidence to fetch a file is told to nobody else,
// neither by a page nor by the catalog, a report or a plan.
func TestNoTokenOfAnArchiveIsKept(t *testing.T) {
	t.Setenv("NESTGEN_CANARY", canary)
	file, data := intaketest.Wheel("d", "1.0", plain)
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
		_, password, _ := q.BasicAuth()
		if password != canary && q.URL.Query().Get("token") != canary && !strings.Contains(q.URL.Path, canary) {
			rw.WriteHeader(http.StatusForbidden)
			return
		}
		rw.Write(data)
	}))
	t.Cleanup(srv.Close)
	with := func(user string) string { return strings.Replace(srv.URL, "http://", "http://"+user+"@", 1) }
	for i, address := range []string{
		with("joe:"+canary) + "/" + file,
		with("joe:${NESTGEN_CANARY}") + "/" + file,
		srv.URL + "/" + file + "?token=" + canary,
		srv.URL + "/" + file + "?x=y&token=${NESTGEN_CANARY}",
		srv.URL + "/${NESTGEN_CANARY}/" + file,
	} {
		for hash, want := range map[string]int{fetchtest.SHA256(data): 0, strings.Repeat("0", 64): 6} {
			w := newWorld(t)
			w.write("allowlist.txt", "d @ "+address+"#sha256="+hash+"\n")
			planned := ""
			look := Options{DryRun: true, Each: func(p *plan.Project) { planned += fmt.Sprintf("%+v", *p) }}
			r := w.build(0, look)
			planned += problemText(r) + fmt.Sprint(r.Added.Files)
			r = w.build(want)
			told, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if want == 0 {
				w.lists(file)
				w.build(0)
				p, events, err := Show(t.Context(), w.Config, "d")
				if err != nil {
					t.Fatal(err)
				}
				told = fmt.Append(told, *p, events)
			}
			if found := w.whoHas("site", "state"); len(found) > 0 {
				t.Errorf("%d: the token is in %q", i, found)
			}
			for _, text := range []string{planned, string(told)} {
				if strings.Contains(text, canary) {
					t.Errorf("%d: the token is told: %s", i, text)
				}
			}
		}
	}
}

// Nor is the token of an index that the allowlist names.
func TestNoTokenOfAPlaceIsKept(t *testing.T) {
	t.Setenv("NESTGEN_CANARY", canary)
	f := wheel("a", "1.0", plain)
	srv := fetchtest.New(t, f)
	srv.SetLogin("joe", canary)
	w := newWorld(t)
	w.write("allowlist.txt", "--extra-index-url "+strings.Replace(srv.URL, "http://", "http://joe:${NESTGEN_CANARY}@", 1)+fetchtest.Index+"\na\n")
	w.build(0)
	w.lists(f.Filename)
	if found := w.whoHas("site", "state"); len(found) > 0 {
		t.Errorf("the token is in %q", found)
	}
}
