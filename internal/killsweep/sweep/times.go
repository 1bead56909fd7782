//go:build linux && amd64

package sweep

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// CheckTimes compares a site with what it was before: a page whose bytes have
// changed must have a modification time that is later by whole seconds, and one
// whose bytes have not must have kept its own. Web servers and rsync go by
// that. Files of the store must have kept their bytes, if they are there.
func CheckTimes(before, after string) error {
	err := filepath.WalkDir(before, func(old string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(before, old)
		if err != nil {
			return err
		}
		now := filepath.Join(after, rel)
		was, err := os.Stat(old)
		if err != nil {
			return err
		}
		is, err := os.Stat(now)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		a, err := os.ReadFile(old)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(now)
		if err != nil {
			return err
		}
		same := bytes.Equal(a, b)
		switch {
		case strings.HasPrefix(rel, "packages/"):
			if !same {
				return fmt.Errorf("%s: a file of the store has other bytes now", rel)
			}
		case same && !is.ModTime().Equal(was.ModTime()):
			return fmt.Errorf("%s: the same bytes, but the time was %v and is %v", rel, was.ModTime(), is.ModTime())
		case !same && is.ModTime().Unix() <= was.ModTime().Unix():
			return fmt.Errorf("%s: other bytes, but the time was %v and is %v", rel, was.ModTime(), is.ModTime())
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		if _, serr := os.Stat(before); errors.Is(serr, fs.ErrNotExist) {
			return nil
		}
	}
	return err
}
