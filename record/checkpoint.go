package record

import (
	"fmt"

	"nestgen/tilelog"
)

// A PagesRoot is the line of a site's checkpoint that says what the log of pages is. The
// checkpoint itself is about the log of events.
type PagesRoot struct {
	Size int64
	Root tilelog.Hash
}

// String gives the line.
func (p PagesRoot) String() string { return fmt.Sprintf("pages %d %s", p.Size, p.Root) }

// ParsePagesRoot finds the log of pages in a checkpoint. The line has one form only.
func ParsePagesRoot(c tilelog.Checkpoint) (p PagesRoot, err error) {
	if len(c.Extensions) != 1 {
		return p, fmt.Errorf("checkpoint: %d further lines, want one about the pages", len(c.Extensions))
	}
	var root string
	if _, err := fmt.Sscanf(c.Extensions[0], "pages %d %s", &p.Size, &root); err != nil {
		return p, fmt.Errorf("checkpoint: %q: want the size and the root of the log of pages", c.Extensions[0])
	}
	if p.Root, err = tilelog.ParseHash(root); err != nil || p.Size < 0 || p.Size > tilelog.MaxSize || p.String() != c.Extensions[0] {
		return p, fmt.Errorf("checkpoint: %q: want the size and the root of the log of pages", c.Extensions[0])
	}
	return p, nil
}
