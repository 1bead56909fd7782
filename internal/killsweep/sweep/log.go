//go:build linux && amd64

package sweep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"nestgen/layout"
	"nestgen/tilelog"
)

// checkLogs checks that all files of the logs are there that the checkpoint speaks of,
// and that they are right. Who signed it is not looked at.
func checkLogs(site string) error {
	signed, err := os.ReadFile(filepath.Join(site, layout.LogCheckpoint))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(site, layout.Log)); err == nil {
			return fmt.Errorf("%s: there is none, and there are other files of the log", layout.LogCheckpoint)
		}
		return nil
	}
	if err != nil {
		return err
	}
	text, _, _ := strings.Cut(string(signed), "\n\n")
	c, err := tilelog.ParseCheckpoint(text + "\n")
	if err != nil {
		return err
	}
	pages := tilelog.Checkpoint{Origin: c.Origin}
	var root string
	if len(c.Extensions) != 1 {
		return fmt.Errorf("%s: %q", layout.LogCheckpoint, c.Extensions)
	}
	if _, err := fmt.Sscanf(c.Extensions[0], "pages %d %s", &pages.Size, &root); err != nil {
		return fmt.Errorf("%s: %w", layout.LogCheckpoint, err)
	}
	if pages.Root, err = tilelog.ParseHash(root); err != nil {
		return err
	}
	each := func(int64, []byte) error { return nil }
	in := func(at func(string) string) tilelog.Fetch {
		return func(_ context.Context, path string) ([]byte, error) {
			return os.ReadFile(filepath.Join(site, filepath.FromSlash(at(path))))
		}
	}
	if err := tilelog.Verify(context.Background(), in(layout.EventTile), c, each); err != nil {
		return fmt.Errorf("log of events: %w", err)
	}
	if err := tilelog.Verify(context.Background(), in(layout.PageTile), pages, each); err != nil {
		return fmt.Errorf("log of pages: %w", err)
	}
	return nil
}
