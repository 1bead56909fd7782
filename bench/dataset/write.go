package dataset

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"nestgen/packaging"
)

// Write makes the archives of projects in a folder, all beside each other, and
// notes their sizes and digests in the projects. Errors are those of the file
// system.
func Write(dir string, projects []*Project) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	next := make(chan *Project)
	errs := make([]error, runtime.GOMAXPROCS(0))
	var workers sync.WaitGroup
	for k := range errs {
		workers.Go(func() {
			b := NewBuilder()
			for p := range next {
				if errs[k] == nil {
					errs[k] = b.write(dir, p)
				}
			}
		})
	}
	for _, p := range projects {
		next <- p
	}
	close(next)
	workers.Wait()
	return errors.Join(errs...)
}

func (b *Builder) write(dir string, p *Project) error {
	for i := range p.Releases {
		r := &p.Releases[i]
		for k := range r.Files {
			f := &r.Files[k]
			data, err := b.Archive(p, r, f)
			if err != nil {
				return err
			}
			f.Size, f.SHA256 = int64(len(data)), sha256.Sum256(data)
			if err := os.WriteFile(filepath.Join(dir, f.Filename), data, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteMetadata makes the metadata of the wheels of projects in a folder, each
// beside its wheel, as a page offers it (PEP 658). Errors are those of the file
// system.
func WriteMetadata(dir string, projects []*Project) error {
	for _, p := range projects {
		for i := range p.Releases {
			r := &p.Releases[i]
			for k := range r.Files {
				if r.Files[k].Kind != packaging.Wheel {
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, r.Files[k].Filename+".metadata"), Metadata(p, r), 0o644); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
