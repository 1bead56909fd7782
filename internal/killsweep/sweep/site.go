//go:build linux && amd64

package sweep

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/net/html"

	"nestgen/layout"
)

// CheckSite judges a site as its readers would at this moment, in whatever
// state a build has left it: every page is whole, HTML and JSON; every link
// inside the site leads to something, and to the bytes of the hash it
// promises, core metadata and its hash included; the log, where there is one, is whole as
// of its checkpoint; every file of the store has
// the bytes that its path says; there is no empty folder among the projects
// and no name that looks temporary. A site that is not there yet is fine.
func CheckSite(site string) error { return CheckLazySite(site, nil) }

// CheckLazySite is [CheckSite] for a site whose projects and files come when
// somebody asks for them, before the first build has made the pages about all
// projects. announced gives the SHA-256 of a file that is not there and would come to
// a path, or of core metadata that would; it is asked for those alone.
func CheckLazySite(site string, announced func(path string) (sha256 string, err error)) error {
	c := &checker{site: site, sums: map[string]string{}, announced: announced}
	err := filepath.WalkDir(site, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(site, p)
		if err != nil {
			return err
		}
		return c.look(filepath.ToSlash(rel), d)
	})
	if errors.Is(err, fs.ErrNotExist) {
		if _, serr := os.Stat(site); errors.Is(serr, fs.ErrNotExist) {
			return nil
		}
	}
	if err == nil {
		err = checkLogs(site)
	}
	return err
}

// A checker remembers the SHA-256 of what it has read.
type checker struct {
	site      string
	sums      map[string]string
	announced func(path string) (sha256 string, err error) // nil if nothing is
}

// promised gives what is announced for a path, where stat has said that there is
// nothing.
func (c *checker) promised(path string, stat error) (sha256 string, err error) {
	if c.announced == nil || !errors.Is(stat, fs.ErrNotExist) || !strings.HasPrefix(path, "packages/") {
		return "", stat
	}
	return c.announced(path)
}

// temporary matches names that stand for something unfinished.
var temporary = regexp.MustCompile(`(?i)^\.|~$|\.(tmp|temp|part|partial|new|old|bak|lock|swp)$`)

func (c *checker) look(rel string, d fs.DirEntry) error {
	if rel != "." && temporary.MatchString(path.Base(rel)) {
		return fmt.Errorf("%s: a temporary name is visible", rel)
	}
	if d.IsDir() {
		return c.folder(rel)
	}
	if !d.Type().IsRegular() {
		return fmt.Errorf("%s: not a file", rel)
	}
	if strings.HasPrefix(rel, "packages/") {
		return c.stored(rel)
	}
	b, err := os.ReadFile(filepath.Join(c.site, rel))
	if err != nil {
		return err
	}
	if plain, ok := strings.CutSuffix(rel, ".gz"); ok {
		zr, err := gzip.NewReader(bytes.NewReader(b))
		if err == nil {
			b, err = io.ReadAll(zr)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		rel = plain // it is served under this name
	}
	switch base := path.Base(rel); {
	case strings.HasSuffix(base, ".html"):
		return c.html(rel, b)
	case strings.HasSuffix(base, "json"):
		return c.json(rel, b)
	}
	return nil
}

// folder refuses an empty folder among the projects: web servers answer 403. Those of an
// index that have no page of their own may be empty, and so may that of a snapshot.
func (c *checker) folder(rel string) error {
	top, below, inside := strings.Cut(rel, "/")
	if !inside || top == "packages" || path.Dir(rel) == path.Dir(layout.SnapshotsHTML) || isShelf(below) && below != layout.Simple && !isShelf(top) {
		return nil
	}
	es, err := os.ReadDir(filepath.Join(c.site, rel))
	if err == nil && len(es) == 0 {
		err = fmt.Errorf("%s: an empty folder", rel)
	}
	return err
}

// isShelf reports whether a folder of an index has one for each project.
func isShelf(name string) bool {
	return slices.Contains([]string{layout.Simple, layout.People, layout.Legacy}, name)
}

// companions are what may stand beside a file of the store.
var companions = []string{".metadata", ".asc", ".provenance"}

// stored checks a file of the store against its path, which is made of a
// BLAKE2b-256 of its bytes, or of their SHA-256.
func (c *checker) stored(rel string) error {
	for _, ext := range companions {
		if file, ok := strings.CutSuffix(rel, ext); ok {
			_, err := os.Stat(filepath.Join(c.site, file))
			if err != nil {
				_, err = c.promised(file, err)
			}
			if err != nil {
				return fmt.Errorf("%s: stands beside no file: %w", rel, err)
			}
			return nil
		}
	}
	p := strings.Split(rel, "/")
	if len(p) != 5 {
		return fmt.Errorf("%s: not a place in the store", rel)
	}
	b, err := os.ReadFile(filepath.Join(c.site, rel))
	if err != nil {
		return err
	}
	sum, blake := sha256.Sum256(b), blake2b.Sum256(b)
	c.sums[rel] = hex.EncodeToString(sum[:])
	if want := p[1] + p[2] + p[3]; want != hex.EncodeToString(blake[:]) && want != c.sums[rel] {
		return fmt.Errorf("%s: other bytes than its path says", rel)
	}
	return nil
}

// sum gives the SHA-256 of a file of the site, or of one that would come.
func (c *checker) sum(rel string) (string, error) {
	if s := c.sums[rel]; s != "" {
		return s, nil
	}
	b, err := os.ReadFile(filepath.Join(c.site, rel))
	if err != nil {
		return c.promised(rel, err)
	}
	s := sha256.Sum256(b)
	c.sums[rel] = hex.EncodeToString(s[:])
	return c.sums[rel], nil
}

// html checks a page and follows its links.
func (c *checker) html(rel string, b []byte) error {
	if !bytes.HasSuffix(bytes.TrimSpace(b), []byte("</html>")) {
		return fmt.Errorf("%s: torn: it does not end in </html>", rel)
	}
	z := html.NewTokenizer(bytes.NewReader(b))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); err != io.EOF {
				return fmt.Errorf("%s: %w", rel, err)
			}
			return nil
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			attr := map[string]string{}
			for _, a := range t.Attr {
				attr[a.Key] = a.Val
			}
			href, ok := attr["href"]
			if !ok {
				continue
			}
			file, err := c.link(rel, href)
			if err != nil {
				return fmt.Errorf("%s: link %s: %w", rel, href, err)
			}
			for _, key := range []string{"data-core-metadata", "data-dist-info-metadata"} {
				if want, ok := strings.CutPrefix(attr[key], "sha256="); ok && file != "" {
					if err := c.hash(file+".metadata", want); err != nil {
						return fmt.Errorf("%s: %w", rel, err)
					}
				}
			}
		}
	}
}

// link follows a link that stays in the site, and gives the file it leads to.
func (c *checker) link(page, href string) (string, error) {
	u, err := url.Parse(href)
	if err != nil {
		return "", err
	}
	if u.Scheme != "" || u.Host != "" || u.Path == "" {
		return "", nil
	}
	to := path.Clean(path.Join("/", path.Dir(page), u.Path))[1:]
	if strings.HasPrefix(u.Path, "/") {
		return "", nil // below which prefix the site is served is not known
	}
	if up := strings.Count(u.Path, "../"); up > strings.Count(page, "/") {
		return "", errors.New("leads out of the site")
	}
	fi, err := os.Stat(filepath.Join(c.site, to))
	if err == nil && fi.IsDir() {
		if to == "" {
			// The way back to the front page: it comes last, as it links to
			// the pages that link to it.
			return "", nil
		}
		if to == "simple" && c.announced != nil {
			return "", nil // the list of projects comes with the first build
		}
		if _, err := os.Stat(filepath.Join(c.site, to, "index.html")); err != nil {
			return "", fmt.Errorf("dangling: %w", err)
		}
		return "", nil
	}
	if err != nil && c.announced != nil && (to == "flat" || to == "easy") {
		return "", nil // and so do those of files
	}
	if err != nil {
		if _, err := c.promised(to, err); err != nil {
			return "", fmt.Errorf("dangling: %w", err)
		}
	}
	if want, ok := strings.CutPrefix(u.Fragment, "sha256="); ok {
		return to, c.hash(to, want)
	}
	return to, nil
}

func (c *checker) hash(rel, want string) error {
	got, err := c.sum(rel)
	if err != nil {
		return fmt.Errorf("dangling: %w", err)
	}
	if got != want {
		return fmt.Errorf("%s has sha256 %s, want %s", rel, got, want)
	}
	return nil
}

// json checks a document: one of the simple API (PEP 691) with all that it
// links to, any other for being whole.
func (c *checker) json(rel string, b []byte) error {
	var doc struct {
		Meta  json.RawMessage `json:"meta"`
		Files []struct {
			URL    string            `json:"url"`
			Size   *int64            `json:"size"`
			Hashes map[string]string `json:"hashes"`
			Core   json.RawMessage   `json:"core-metadata"`
		} `json:"files"`
		Projects []struct {
			Name string `json:"name"`
		} `json:"projects"`
	}
	if !strings.HasSuffix(rel, ".v1_json") {
		var whole any
		if err := json.Unmarshal(b, &whole); err != nil {
			return fmt.Errorf("%s: torn: %w", rel, err)
		}
		return nil
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("%s: torn: %w", rel, err)
	}
	if doc.Meta == nil {
		return fmt.Errorf("%s: no meta", rel)
	}
	for _, f := range doc.Files {
		file, err := c.link(rel, f.URL)
		if err != nil {
			return fmt.Errorf("%s: link %s: %w", rel, f.URL, err)
		}
		if file == "" {
			continue
		}
		if err := c.hash(file, f.Hashes["sha256"]); err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		if fi, err := os.Stat(filepath.Join(c.site, file)); err == nil && f.Size != nil && fi.Size() != *f.Size {
			return fmt.Errorf("%s: %s has %d bytes, want %d", rel, file, fi.Size(), *f.Size)
		}
		var core map[string]string
		if json.Unmarshal(f.Core, &core) == nil && core["sha256"] != "" {
			if err := c.hash(file+".metadata", core["sha256"]); err != nil {
				return fmt.Errorf("%s: %w", rel, err)
			}
		}
	}
	for _, p := range doc.Projects {
		name := strings.ToLower(regexp.MustCompile(`[-_.]+`).ReplaceAllString(p.Name, "-"))
		if _, err := os.Stat(filepath.Join(c.site, path.Dir(rel), name, "index.v1_json")); err != nil {
			return fmt.Errorf("%s: project %s: dangling: %w", rel, p.Name, err)
		}
	}
	return nil
}
