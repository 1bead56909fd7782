package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"nestgen/bench/dataset"
	"nestgen/packaging"
)

// newFarIndex serves projects from far away: each of its answers takes its time,
// that of a file too. The files of the newest releases can be fetched, with their
// metadata.
func (l *lab) newFarIndex(projects []*dataset.Project) (*index, error) {
	dir, newest := filepath.Join(l.dir, "far"), newestOf(projects)
	if err := errors.Join(dataset.Write(dir, newest), dataset.WriteMetadata(dir, newest)); err != nil {
		return nil, err
	}
	return newIndex(projects, dir, distance{page: l.far, file: l.far, metadata: true})
}

// A listing is a page of a project as a client reads it.
type listing struct {
	Name  string `json:"name"`
	Files []struct {
		Filename string            `json:"filename"`
		URL      string            `json:"url"`
		Hashes   map[string]string `json:"hashes"`
		Size     int64             `json:"size"`

		// CoreMetadata is what PEP 714 says, for those that have it.
		CoreMetadata any `json:"core-metadata"`
	} `json:"files"`
}

// checkPage holds a page against the project that it is about, and gives the
// address of each of its files by its name.
func checkPage(p *dataset.Project, at string, page []byte) (map[string]string, error) {
	var got listing
	if err := json.Unmarshal(page, &got); err != nil {
		return nil, fmt.Errorf("%s: %w: %.200s", at, err, page)
	}
	base, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	want := map[string]*dataset.File{}
	for i := range p.Releases {
		for k := range p.Releases[i].Files {
			f := &p.Releases[i].Files[k]
			want[f.Filename] = f
		}
	}
	if got.Name != string(packaging.NormalizeName(p.Name)) || len(got.Files) != len(want) {
		return nil, fmt.Errorf("%s: the page of %s has %d files, want %d of %s", at, got.Name, len(got.Files), len(want), p.Name)
	}
	urls := map[string]string{}
	for _, f := range got.Files {
		w := want[f.Filename]
		if w == nil {
			return nil, fmt.Errorf("%s: no file %s is in the data", at, f.Filename)
		}
		sum := w.Digest()
		if f.Hashes["sha256"] != hex.EncodeToString(sum[:]) || f.Size != w.Bytes() || (w.Kind == packaging.Wheel) != (f.CoreMetadata != nil && f.CoreMetadata != false) {
			return nil, fmt.Errorf("%s: %s: digest %s, size %d, metadata %v, want %x, %d", at, f.Filename, f.Hashes["sha256"], f.Size, f.CoreMetadata, sum, w.Bytes())
		}
		to, err := base.Parse(f.URL)
		if err != nil {
			return nil, err
		}
		urls[f.Filename] = to.String()
	}
	return urls, nil
}

// checkFile holds the bytes of a file against its digest.
func checkFile(f *dataset.File, at string, data []byte) error {
	if sha256.Sum256(data) != f.Digest() {
		return fmt.Errorf("%s: %d bytes that are not %s", at, len(data), f.Filename)
	}
	return nil
}

// wheelName gives the name of a wheel that is for every Python.
func wheelName(project, version string) string {
	return strings.ReplaceAll(string(packaging.NormalizeName(project)), "-", "_") + "-" + version + "-py3-none-any.whl"
}

// history makes a project of so many releases, of a wheel and an sdist each. The
// wheels have a payload.
func history(name string, releases, pad int, requires ...string) *dataset.Project {
	p := &dataset.Project{Name: name}
	uploaded := int64(1_500_000_000)
	for i := range releases {
		version := fmt.Sprintf("1.%d", i)
		uploaded += 24 * 3600
		p.Releases = append(p.Releases, dataset.Release{
			Version: version, RequiresPython: ">=3.7", RequiresDist: requires,
			Files: []dataset.File{
				{Filename: wheelName(name, version), Kind: packaging.Wheel, Uploaded: uploaded, Pad: pad},
				{Filename: name + "-" + version + ".tar.gz", Kind: packaging.Sdist, Uploaded: uploaded + 60},
			},
		})
	}
	return p
}

// newestWheel gives the newest wheel of a project that history made.
func newestWheel(p *dataset.Project) *dataset.File {
	return &p.Releases[len(p.Releases)-1].Files[0]
}

// shared makes a folder for a measurement that every user can read, and that is
// the web servers' own where they have a user.
func (l *lab) shared(name string) (string, error) {
	dir := filepath.Join(l.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	if l.owner == nil {
		return dir, nil
	}
	return dir, os.Chown(dir, int(l.owner.Uid), int(l.owner.Gid))
}
