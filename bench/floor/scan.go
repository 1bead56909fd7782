package main

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// scan reads and hashes every file of a folder, on all processors.
func scan(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	d.Close()
	if err != nil {
		return err
	}
	next := make(chan string, 256)
	errs := make([]error, runtime.GOMAXPROCS(0))
	var readers sync.WaitGroup
	for k := range errs {
		readers.Go(func() {
			h, buf := sha256.New(), make([]byte, 128<<10)
			for name := range next {
				h.Reset()
				f, err := os.Open(filepath.Join(dir, name))
				if err == nil {
					_, err = io.CopyBuffer(h, struct{ io.Reader }{f}, buf)
					f.Close()
				}
				if errs[k] == nil {
					errs[k] = err
				}
			}
		})
	}
	for _, name := range names {
		next <- name
	}
	close(next)
	readers.Wait()
	return errors.Join(errs...)
}
