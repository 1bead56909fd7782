package acceptance

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"nestgen"
	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/serve"
)

// distributions is the variable that names a folder of distributions.
const distributions = "NESTGEN_DISTRIBUTIONS"

// Whatever lies in a folder of somebody's distributions is listed as it is, or
// the report says why not: out of a drop folder, and from the upstream that the
// site or the folder makes for another site. What is listed is held against
// what the archives hold for Go's own readers of them.
func TestDistributions(t *testing.T) {
	dir := os.Getenv(distributions)
	if dir == "" {
		t.Skipf("set %s to a folder of distributions, to see what becomes of each; with -v the reasons are printed", distributions)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	dropped := buildSite(t, fmt.Sprintf("drop = [%q]\n", dir), "")
	folder := t.TempDir() // one file of each name, which is the listed one if one is
	listed, refused := 0, 0
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || packaging.KindOf(d.Name()) == packaging.UnknownKind || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		sum, err := sumOf(name)
		if err != nil {
			return err
		}
		f, ok := dropped.files[d.Name()]
		switch {
		case ok && f.SHA256.String() == sum:
			listed++
			checkContent(t, dropped, f, name)
			return copyFile(name, filepath.Join(folder, d.Name()))
		case dropped.reasons[name] == "":
			t.Errorf("%s: neither listed nor rejected", name)
		default:
			refused++
			t.Logf("%s: %s", name, dropped.reasons[name])
		}
		if ok {
			return nil // other bytes of this name are listed
		}
		return copyFile(name, filepath.Join(folder, d.Name()))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d projects with %d files; %d files of the folder listed, %d rejected", len(dropped.projects), len(dropped.files), listed, refused)
	if listed+refused == 0 {
		t.Fatalf("%s has no distributions in it", dir)
	}
	if listed == 0 {
		t.Skipf("%s has no distribution that can be listed, so that there is no upstream to make of it", dir)
	}
	onPages := checkPages(t, dropped)

	site, err := serve.Open(dropped.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer site.Close()
	index := httptest.NewServer(site)
	defer index.Close()
	page := httptest.NewServer(http.FileServer(http.Dir(folder)))
	defer page.Close()
	list := "--pre\n"
	for _, n := range dropped.projects {
		list += string(n) + "\n"
	}
	for _, tt := range []struct {
		name, url string
		want      map[string]catalog.File
	}{
		{"the site as an index", index.URL + "/simple/", onPages},
		{"the folder on a web server", page.URL, dropped.files},
		{"the folder on a disk", folder, dropped.files},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := buildSite(t, fmt.Sprintf("allowlist = [\"allowlist.txt\"]\nversions = \"all\"\n[[upstream]]\nname = \"up\"\nurl = %q\n", tt.url), list)
			for name, f := range tt.want {
				g, ok := got.files[name]
				if !ok {
					t.Errorf("%s is missing", name)
				} else if g.Project != f.Project || g.Version != f.Version || g.SHA256 != f.SHA256 || g.Size != f.Size ||
					g.RequiresPython != f.RequiresPython || g.Metadata != f.Metadata {
					t.Errorf("fetched  %+v\ndropped %+v", g, f)
				}
			}
			for name, f := range got.files {
				if _, ok := tt.want[name]; !ok {
					checkContent(t, got, f, filepath.Join(folder, name))
				}
			}
			checkPages(t, got)
		})
	}
}

// A built is a site that was built.
type built struct {
	config   nestgen.Config
	dir      string
	projects []packaging.Name
	files    map[string]catalog.File
	reasons  map[string]string // why a dropped file is not listed, by its path
	said     []string          // the whole report
}

// buildSite builds a site with some settings and an allowlist.
func buildSite(t *testing.T, settings, allowlist string) *built {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "allowlist.txt"), []byte(allowlist))
	write(t, filepath.Join(root, "nestgen.toml"), []byte(settings))
	c, err := nestgen.Load(filepath.Join(root, "nestgen.toml"))
	if err := errors.Join(err, c.Resolve()); err != nil {
		t.Fatal(err)
	}
	r, err := nestgen.Build(t.Context(), c, nestgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &built{config: c, dir: c.Site, files: make(map[string]catalog.File), reasons: make(map[string]string)}
	if r.Status != 0 && r.Status != 3 {
		t.Fatalf("status %d: %v", r.Status, r.Problems)
	}
	for _, p := range r.Problems {
		b.said = append(b.said, p.String())
		if p.Level == "incomplete" {
			b.reasons[p.Where] = p.Text
		}
		if strings.TrimSpace(p.Text) == "" || strings.HasSuffix(p.Text, ": ") {
			t.Errorf("a problem without a reason: %+v", p)
		}
	}
	for p, err := range nestgen.List(t.Context(), c, "/") {
		if err != nil {
			t.Fatal(err)
		}
		b.projects = append(b.projects, p.Name)
		for _, f := range p.Files {
			b.files[f.Filename] = f
		}
	}
	if len(b.files) > 0 {
		if v, err := nestgen.Verify(t.Context(), c, nestgen.Options{}, false); err != nil || len(v.Findings) > 0 {
			t.Errorf("verify: %v, %v", err, v)
		}
	}
	return b
}

// checkPages reads every project's page and holds it against the catalog. It
// gives the files that are on them: all but those that only old clients read.
func checkPages(t *testing.T, b *built) map[string]catalog.File {
	t.Helper()
	on := make(map[string]catalog.File)
	for _, n := range b.projects {
		name := filepath.Join(b.dir, filepath.FromSlash(layout.ProjectJSON(n)))
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Files []struct {
				Filename, URL  string
				Size           int64
				Hashes         map[string]string
				RequiresPython string            `json:"requires-python"`
				CoreMetadata   map[string]string `json:"core-metadata"`
			}
		}
		if err := json.Unmarshal(data, &page); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, l := range page.Files {
			f, ok := b.files[l.Filename]
			metadata := ""
			if !f.Metadata.IsZero() {
				metadata = f.Metadata.String()
			}
			leads, err := url.PathUnescape(l.URL)
			if !ok || err != nil || path.Join(path.Dir(layout.ProjectJSON(n)), leads) != f.Path ||
				f.Project != n || l.Hashes["sha256"] != f.SHA256.String() || l.Size != f.Size ||
				l.RequiresPython != f.RequiresPython || l.CoreMetadata["sha256"] != metadata {
				t.Errorf("the page has %+v\nthe catalog %+v", l, f)
			}
			on[l.Filename] = f
		}
	}
	return on
}

// checkContent holds what is published of a file against the file itself.
func checkContent(t *testing.T, b *built, f catalog.File, name string) {
	t.Helper()
	store := filepath.Join(b.dir, filepath.FromSlash(f.Path))
	sum, err := sumOf(store)
	if fi, statErr := os.Stat(name); err != nil || statErr != nil || sum != f.SHA256.String() || fi.Size() != f.Size {
		t.Errorf("%s: %s in the store, %v, %v; want %s", f.Filename, sum, err, statErr, f.SHA256)
	}
	held, err := metadataOf(name)
	if err != nil {
		t.Errorf("%s is listed, but cannot be read: %v", name, err)
	}
	published, err := os.ReadFile(filepath.Join(b.dir, filepath.FromSlash(layout.CoreMetadata(f.Path))))
	switch {
	case f.Metadata.IsZero() != errors.Is(err, fs.ErrNotExist):
		t.Errorf("%s: metadata %v: %v", f.Filename, f.Metadata, err)
	case !f.Metadata.IsZero() && (!bytes.Equal(published, held) || sha256.Sum256(published) != f.Metadata):
		t.Errorf("%s: the metadata that is published is not that of the archive", f.Filename)
	case f.Metadata.IsZero() && f.Kind == packaging.Wheel && !strings.Contains(strings.Join(b.said, "\n"), f.Filename):
		t.Errorf("%s: no metadata is published, and nothing is said of it", f.Filename)
	}
	if held == nil || f.Kind == packaging.Wheel && f.Metadata.IsZero() {
		return
	}
	wants := field(held, "Requires-Python")
	_, invalid := packaging.ParseSpecifiers(wants)
	if f.RequiresPython != wants && (f.RequiresPython != "" || invalid == nil) {
		t.Errorf("%s: requires Python %q, its metadata says %q", f.Filename, f.RequiresPython, wants)
	}
	if project := packaging.NormalizeName(field(held, "Name")); project != f.Project && !strings.Contains(strings.Join(b.said, "\n"), f.Filename) {
		t.Errorf("%s: listed under %s, its metadata says %s", f.Filename, f.Project, project)
	}
}

// metadataOf gives the core metadata in a wheel, an egg, or an sdist in one of
// the two packings that are common. It is nil for others, and where there is no
// one place for it.
func metadataOf(name string) ([]byte, error) {
	base := filepath.Base(name)
	var pattern string
	switch packaging.KindOf(base) {
	case packaging.Wheel:
		pattern = "*.dist-info/METADATA"
	case packaging.Egg:
		pattern = "EGG-INFO/PKG-INFO"
	case packaging.Sdist:
		pattern = "*/PKG-INFO"
		if f, err := packaging.ParseFilename(base, ""); err != nil || f.Kind != packaging.Sdist {
			return nil, nil
		}
	default:
		return nil, nil
	}
	var found [][]byte
	bare := false // a source without a folder of its own
	take := func(member string, open func() (io.ReadCloser, error)) error {
		if m := path.Clean(member); m == "setup.py" || m == "pyproject.toml" {
			bare = true
		}
		if ok, err := path.Match(pattern, path.Clean(member)); !ok || err != nil {
			return err
		}
		r, err := open()
		if err != nil {
			return err
		}
		defer r.Close()
		data, err := io.ReadAll(r)
		found = append(found, data)
		return err
	}
	var err error
	switch {
	case strings.HasSuffix(base, ".tar.gz"):
		err = eachOfTar(name, take)
	case strings.HasSuffix(base, ".whl"), strings.HasSuffix(base, ".egg"), strings.HasSuffix(base, ".zip"):
		err = eachOfZip(name, take)
	}
	if err != nil || len(found) != 1 || bare && pattern == "*/PKG-INFO" {
		return nil, err
	}
	return found[0], nil
}

func eachOfZip(name string, take func(string, func() (io.ReadCloser, error)) error) error {
	z, err := zip.OpenReader(name)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, f := range z.File {
		if err := take(f.Name, f.Open); err != nil {
			return err
		}
	}
	return nil
}

func eachOfTar(name string, take func(string, func() (io.ReadCloser, error)) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	r := tar.NewReader(unpacked)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := take(h.Name, func() (io.ReadCloser, error) { return io.NopCloser(r), nil }); err != nil {
			return err
		}
	}
}

// field gives the value of a field of core metadata.
func field(metadata []byte, name string) string {
	for line := range bytes.Lines(metadata) {
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break // the description begins
		}
		key, value, ok := strings.Cut(string(line), ":")
		if ok && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func sumOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// copyFile copies a file, unless there is one of that name already.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
