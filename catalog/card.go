package catalog

import (
	"encoding/binary"
)

// A Card is what the published pages about all projects say of one of them. It
// is kept so that those pages can be made again without the files of every
// project. The zero Card is that of a project without pages.
type Card struct {
	// Display is the spelling of the name that the pages were made for.
	Display string

	State State

	// Version is what the project is known by, and empty without files.
	Version string

	// Releases and Files count what the pages list, and Size is the bytes of
	// these files.
	Releases, Files int
	Size            int64

	// Affected counts the releases that advisories affect.
	Affected int

	// Newest is the releases that files came in for last, the latest first.
	Newest []News
}

// News is a release that files came in for: at Time last, in microseconds
// since 1970 UTC, and so many of its files on the same day.
type News struct {
	Version string
	Time    int64
	Files   int
}

// IsZero reports whether the project has no pages.
func (c *Card) IsZero() bool { return c.Display == "" }

// cardForm is the first byte of a card that is kept, and affectedForm that of one
// with affected releases.
const (
	cardForm     = 1
	affectedForm = 2
)

// encodeCard gives nothing for the zero Card.
func encodeCard(c *Card) []byte {
	if c.IsZero() {
		return []byte{}
	}
	b := make([]byte, 0, 64+32*len(c.Newest))
	b = append(b, cardForm)
	b = appendText(b, c.Display)
	b = appendText(b, string(c.State))
	b = appendText(b, c.Version)
	b = binary.AppendVarint(b, int64(c.Releases))
	b = binary.AppendVarint(b, int64(c.Files))
	b = binary.AppendVarint(b, c.Size)
	b = binary.AppendUvarint(b, uint64(len(c.Newest)))
	for _, n := range c.Newest {
		b = appendText(b, n.Version)
		b = binary.AppendVarint(b, n.Time)
		b = binary.AppendVarint(b, int64(n.Files))
	}
	if c.Affected != 0 {
		b[0] = affectedForm
		b = binary.AppendVarint(b, int64(c.Affected))
	}
	return b
}

func decodeCard(b []byte) (c Card, err error) {
	if len(b) == 0 {
		return Card{}, nil
	}
	d := decoder{rest: b}
	form := d.byte()
	if form != cardForm && form != affectedForm {
		d.fail()
	}
	c.Display = d.text()
	c.State = State(d.text())
	c.Version = d.text()
	c.Releases = int(d.number())
	c.Files = int(d.number())
	c.Size = d.number()
	if n := d.count(); n > 0 {
		c.Newest = make([]News, n)
	}
	for i := range c.Newest {
		c.Newest[i] = News{d.text(), d.number(), int(d.number())}
	}
	if form == affectedForm {
		c.Affected = int(d.number())
	}
	if d.bad || len(d.rest) > 0 || c.IsZero() {
		return Card{}, errDamaged
	}
	return c, nil
}
