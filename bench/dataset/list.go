package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"time"

	"nestgen/packaging"
)

// A Line is one file in the list that other generators take as input, one JSON
// object a line. It has the names that dumb-pypi reads and no others, as
// dumb-pypi stops at those that it does not know.
type Line struct {
	Filename       string   `json:"filename"`
	Hash           string   `json:"hash"`
	RequiresPython string   `json:"requires_python,omitempty"`
	RequiresDist   []string `json:"requires_dist,omitempty"`
	Uploaded       int64    `json:"upload_timestamp"`
	CoreMetadata   string   `json:"core_metadata,omitempty"`
	YankedReason   string   `json:"yanked_reason,omitempty"`
}

// A Row is a line that says too what a file's name does not.
type Row struct {
	Line
	Project string `json:"project"`
	Version string `json:"version"`
	Size    int64  `json:"size"`
}

// Digest stands for the digest of a file whose bytes are never asked for.
func (f *File) Digest() [32]byte {
	if f.SHA256 != [32]byte{} {
		return f.SHA256
	}
	return sha256.Sum256([]byte(f.Filename))
}

func (f *File) digestHex() string {
	d := f.Digest()
	return hex.EncodeToString(d[:])
}

// Bytes stands for the size of such a file.
func (f *File) Bytes() int64 {
	if f.Size != 0 {
		return f.Size
	}
	return 1000 + int64(f.Pad)
}

// WriteList writes the list of all files of projects: lines, or rows if all is
// asked for.
func WriteList(w io.Writer, projects []*Project, all bool) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, p := range projects {
		for i := range p.Releases {
			r := &p.Releases[i]
			for k := range r.Files {
				f := &r.Files[k]
				row := Row{
					Line: Line{
						Filename: f.Filename, Hash: "sha256=" + f.digestHex(), RequiresPython: r.RequiresPython,
						RequiresDist: r.RequiresDist, Uploaded: f.Uploaded, YankedReason: r.Yanked,
					},
					Project: p.Name, Version: r.Version, Size: f.Bytes(),
				}
				if f.Kind == packaging.Wheel {
					row.CoreMetadata = row.Hash
				}
				var what any = row.Line
				if all {
					what = row
				}
				if err := enc.Encode(what); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Page makes a project's page as an upstream serves it (PEP 691). Files are
// below base. With metadata it offers that of wheels (PEP 658).
func Page(p *Project, base string, metadata bool) ([]byte, error) {
	type file struct {
		Filename       string            `json:"filename"`
		URL            string            `json:"url"`
		Hashes         map[string]string `json:"hashes"`
		RequiresPython string            `json:"requires-python,omitempty"`
		Size           int64             `json:"size"`
		Uploaded       string            `json:"upload-time"`
		Yanked         any               `json:"yanked"`
		CoreMetadata   map[string]string `json:"core-metadata,omitempty"`
	}
	page := struct {
		Meta     map[string]string `json:"meta"`
		Name     string            `json:"name"`
		Versions []string          `json:"versions"`
		Files    []file            `json:"files"`
	}{Meta: map[string]string{"api-version": "1.1"}, Name: string(packaging.NormalizeName(p.Name))}
	for i := range p.Releases {
		r := &p.Releases[i]
		page.Versions = append(page.Versions, r.Version)
		for k := range r.Files {
			f := &r.Files[k]
			row := file{
				Filename: f.Filename, URL: base + f.Filename, Hashes: map[string]string{"sha256": f.digestHex()},
				RequiresPython: r.RequiresPython, Size: f.Bytes(), Yanked: r.Yanked != "",
				Uploaded: time.Unix(f.Uploaded, 0).UTC().Format("2006-01-02T15:04:05.000000Z"),
			}
			if r.Yanked != "" {
				row.Yanked = r.Yanked
			}
			if metadata && f.Kind == packaging.Wheel {
				sum := sha256.Sum256(Metadata(p, r))
				row.CoreMetadata = map[string]string{"sha256": hex.EncodeToString(sum[:])}
			}
			page.Files = append(page.Files, row)
		}
	}
	return json.Marshal(page)
}
