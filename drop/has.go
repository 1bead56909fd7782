package drop

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"nestgen/packaging"
)

// Has reports whether the drop folders hold a file that by its name may be a
// distribution of a project. It looks at nothing but names, so it may be asked
// between two scans. A folder that is not there has none; with one that cannot
// be read nothing is known, and that is the error.
func Has(ctx context.Context, dirs []string, n packaging.Name) (bool, error) {
	for _, dir := range dirs {
		found, err := has(ctx, dir, n, 0)
		if found || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return found, err
		}
	}
	return false, nil
}

func has(ctx context.Context, dir string, n packaging.Name, depth int) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() && name[0] != '.' && depth < maxDepth {
			found, err := has(ctx, filepath.Join(dir, name), n, depth+1)
			if found || err != nil && !errors.Is(err, fs.ErrNotExist) {
				return found, err
			}
			continue
		}
		// Most files are of others, which their first letter tells.
		if !strings.EqualFold(name[:1], string(n[:1])) || !isDistribution([]byte(name)) {
			continue
		}
		if f, err := packaging.ParseFilename(name, n); err == nil && f.Project == n {
			return true, nil
		}
	}
	return false, nil
}

// Names gives the projects that the drop folders hold files of that by their names may
// be distributions. It looks at nothing but names, as [Has] does.
func Names(ctx context.Context, dirs []string) (map[packaging.Name]bool, error) {
	names := map[packaging.Name]bool{}
	for _, dir := range dirs {
		if err := addNames(ctx, names, dir, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return names, nil
}

func addNames(ctx context.Context, names map[packaging.Name]bool, dir string, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() && name[0] != '.' && depth < maxDepth {
			if err := addNames(ctx, names, filepath.Join(dir, name), depth+1); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		if isDistribution([]byte(name)) {
			if f, err := packaging.ParseFilename(name, ""); err == nil {
				names[f.Project] = true
			}
		}
	}
	return nil
}
