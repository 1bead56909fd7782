package nestgen

import (
	"encoding/json"
	"fmt"
	"log/slog"
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

// Nor is the login of an index that the allowlist names.
func TestNoLoginOfAPlaceIsKept(t *testing.T) {
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

// Nor a token in the path of such an index, or of a page of links, whatever the
// upstream does with it, and whatever goes wrong. A later run fetches with the
// token that it finds then.
func TestNoTokenInThePathOfAPlaceIsKept(t *testing.T) {
	file, data := intaketest.Wheel("a", "1.0", plain)
	other, otherData := intaketest.Wheel("a", "2.0", plain)
	for _, tt := range []struct {
		name  string
		line  string // PLACE stands for the server
		index string // what the variable INDEX holds
		link  string // to a file, from the page
	}{
		{"index, relative links", "-i PLACE/${NESTGEN_CANARY}/simple/", "", "../../files/FILE"},
		{"index, absolute links", "--extra-index-url PLACE/${NESTGEN_CANARY}/simple/", "", "PLACE/TOKEN/files/FILE"},
		{"index, the token elsewhere", "--extra-index-url PLACE/${NESTGEN_CANARY}/simple/", "", "PLACE/dl/files/FILE?key=TOKEN"},
		{"index, another host", "--extra-index-url PLACE/${NESTGEN_CANARY}/simple/", "", "OTHER/TOKEN/files/FILE"},
		{"index, a part of a name", "-i PLACE/x-${NESTGEN_CANARY}-y/simple/", "", "../../files/FILE"},
		{"index, all of it", "-i ${NESTGEN_INDEX}", "PLACE/TOKEN/simple/", "PLACE/TOKEN/files/FILE"},
		{"page", "-f PLACE/${NESTGEN_CANARY}/simple/a/", "", "../../files/FILE"},
		{"page, the token in its query", "-f PLACE/simple/a/page.html?token=${NESTGEN_CANARY}", "", "files/FILE?token=TOKEN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token, trouble := canary, ""
			var files []string
			var srv, cdn *httptest.Server
			fill := func(s string) string {
				s = strings.ReplaceAll(strings.ReplaceAll(s, "TOKEN", token), "OTHER", strings.Replace(cdn.URL, "127.0.0.1", "localhost", 1))
				return strings.ReplaceAll(s, "PLACE", srv.URL)
			}
			handler := http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
				isFile := strings.Contains(q.URL.Path, "/files/")
				switch {
				case !strings.Contains(q.URL.String(), token):
					rw.WriteHeader(http.StatusForbidden)
				case trouble == "file" && isFile, trouble == "page":
					rw.WriteHeader(http.StatusTeapot)
				case trouble == "host":
					http.Redirect(rw, q, "http://169.254.169.254/"+token+"/", http.StatusFound)
				case strings.HasSuffix(q.URL.Path, file):
					rw.Write(data)
				case strings.HasSuffix(q.URL.Path, other):
					rw.Write(otherData)
				default:
					rw.Header().Set("Content-Type", "text/html")
					rw.Header().Set("ETag", fmt.Sprintf(`"%q"`, trouble+fmt.Sprint(len(files))))
					if rw.Header().Get("ETag") == q.Header.Get("If-None-Match") {
						rw.WriteHeader(http.StatusNotModified)
						return
					}
					fmt.Fprint(rw, `<meta name="pypi:repository-version" content="1.0">`)
					for _, f := range files {
						link, sum := strings.ReplaceAll(fill(tt.link), "FILE", f), fetchtest.SHA256(data)
						if f == other {
							sum = fetchtest.SHA256(otherData)
						}
						if trouble == "bytes" {
							sum = strings.Repeat("0", 64)
						}
						// The second one differs, which is worth a warning.
						fmt.Fprintf(rw, `<a href="%s#sha256=%s">x</a><a href="%s#sha256=%s">x</a>`, link, sum, strings.Replace(link, f, "again/"+f, 1), sum)
					}
				}
			})
			srv, cdn = httptest.NewServer(handler), httptest.NewServer(handler)
			t.Cleanup(srv.Close)
			t.Cleanup(cdn.Close)
			setToken := func(value string) {
				token = value
				t.Setenv("NESTGEN_CANARY", token)
				t.Setenv("NESTGEN_INDEX", fill(tt.index))
			}
			setToken(canary)
			w := newWorld(t)
			w.write("allowlist.txt", fill(tt.line)+"\na\n")
			w.Versions = -1
			var log strings.Builder
			o := Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
			silent := func(when string, told ...any) {
				t.Helper()
				told = append(told, log.String())
				for _, x := range told {
					text := fmt.Sprintf("%+v", x)
					if r, ok := x.(*Report); ok {
						text = problemText(r)
						data, _ := json.Marshal(r)
						text += string(data)
					}
					if strings.Contains(text, canary) {
						t.Errorf("%s: the token is told: %s", when, text)
					}
				}
				if found := w.whoHas("site", "state"); len(found) > 0 {
					t.Errorf("%s: the token is in %q", when, found)
				}
			}
			files = []string{file}
			for _, trouble = range []string{"page", "host", "file", "bytes"} {
				want := 3
				if trouble == "bytes" {
					want = 6
				}
				r := w.build(want, o)
				silent(trouble, r)
			}
			trouble = ""
			planned := ""
			look := o
			look.DryRun, look.Each = true, func(p *plan.Project) { planned += fmt.Sprintf("%+v", *p) }
			silent("plan", w.build(0, look), planned)
			silent("build", w.build(0, o))
			w.lists(file)
			p, events, err := Show(t.Context(), w.Config, "a")
			if err != nil {
				t.Fatal(err)
			}
			silent("show", *p, events)

			setToken("another-" + canary)
			w.remove("site/" + p.Files[0].Path)
			if v := w.verify(true); !v.Whole() {
				t.Errorf("with another token: %+v", v.Findings)
			}
			files = append(files, other)
			silent("another token", w.build(0, o))
			w.lists(file, other)
		})
	}
}
