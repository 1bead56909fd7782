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

// A log is one of the two of a site, as its checkpoint has it.
type log struct {
	tilelog.Checkpoint
	name  string
	fetch tilelog.Fetch // of its files, as they are now
}

// logsOf gives the logs of a site that a checkpoint speaks of. Who signed it is not
// looked at.
func logsOf(site string, signed []byte) ([]log, error) {
	text, _, _ := strings.Cut(string(signed), "\n\n")
	events, err := tilelog.ParseCheckpoint(text + "\n")
	if err != nil {
		return nil, err
	}
	pages := tilelog.Checkpoint{Origin: events.Origin}
	var root string
	if len(events.Extensions) != 1 {
		return nil, fmt.Errorf("%s: %q", layout.LogCheckpoint, events.Extensions)
	}
	if _, err := fmt.Sscanf(events.Extensions[0], "pages %d %s", &pages.Size, &root); err != nil {
		return nil, fmt.Errorf("%s: %w", layout.LogCheckpoint, err)
	}
	if pages.Root, err = tilelog.ParseHash(root); err != nil {
		return nil, err
	}
	in := func(at func(string) string) tilelog.Fetch {
		return func(_ context.Context, path string) ([]byte, error) {
			return os.ReadFile(filepath.Join(site, filepath.FromSlash(at(path))))
		}
	}
	return []log{{events, "events", in(layout.EventTile)}, {pages, "pages", in(layout.PageTile)}}, nil
}

// checkLogs checks that all files of the logs are there that the checkpoint speaks of,
// and that they are right.
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
	logs, err := logsOf(site, signed)
	if err != nil {
		return err
	}
	for _, l := range logs {
		each := func(int64, []byte) error { return nil }
		if err := tilelog.Verify(context.Background(), l.fetch, l.Checkpoint, each); err != nil {
			return fmt.Errorf("log of %s: %w", l.name, err)
		}
	}
	return nil
}

// CheckHistory checks that the logs of a site go on from the checkpoint that was there
// when it was last asked about the file seen, which remembers it: what was once signed
// and could be read is never taken back. A site that had no log then may have any.
func CheckHistory(site, seen string) error {
	signed, err := os.ReadFile(filepath.Join(site, layout.LogCheckpoint))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	before, serr := os.ReadFile(seen)
	switch {
	case serr != nil && !errors.Is(serr, fs.ErrNotExist):
		return serr
	case err != nil && serr != nil:
		return nil
	case err != nil:
		return fmt.Errorf("%s: it is gone", layout.LogCheckpoint)
	case serr == nil:
		if err := goesOn(site, before, signed); err != nil {
			return err
		}
	}
	f, err := os.Create(seen)
	if err != nil {
		return err
	}
	_, err = f.Write(signed)
	return errors.Join(err, f.Sync(), f.Close()) // a power cut may be next
}

func goesOn(site string, before, signed []byte) error {
	was, err := logsOf(site, before)
	if err != nil {
		return err
	}
	is, err := logsOf(site, signed)
	if err != nil {
		return err
	}
	for i, l := range is {
		old := was[i]
		if old.Size > l.Size {
			return fmt.Errorf("log of %s: %d entries were signed, and now it has %d", l.name, old.Size, l.Size)
		}
		root, err := tilelog.Root(old.Size, tilelog.Served(context.Background(), l.fetch, l.Size))
		if err != nil {
			return fmt.Errorf("log of %s: %w", l.name, err)
		}
		if root != old.Root {
			return fmt.Errorf("log of %s: its first %d entries are others than were signed", l.name, old.Size)
		}
	}
	return nil
}
