package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
)

// A Requires is what the core metadata of a distribution says that an installer
// needs besides the distribution.
type Requires struct {
	// Known is false where nobody can tell without running the distribution's own
	// code: an sdist whose requirements are dynamic, or that is older than the
	// rule about them (PEP 643).
	Known bool

	// Claimed says that this is its upstream's word, which nobody has held against
	// its bytes yet.
	Claimed bool

	// Dist is the requirements (PEP 508), as the metadata writes them, and Python
	// what it says of Python's version.
	Dist   []string
	Python string

	// Extras are the names of its optional parts, as it writes them.
	Extras []string

	// Build is what building an sdist takes (PEP 518); nil for other kinds.
	Build []string
}

// requiresTable holds what distributions need, by the SHA-256 of their bytes. It
// is a cache of what the bytes say, so it makes no events, and a row holds for ever,
// unless it is a claim.
const requiresTable = `
CREATE TABLE requires (
	sha256 BLOB PRIMARY KEY,
	facts  BLOB NOT NULL
) WITHOUT ROWID;
`

const (
	requiresForm = 1

	knownFlag   = 1
	claimedFlag = 2
)

func (r *Requires) encode() []byte {
	b := []byte{requiresForm, 0}
	if r.Known {
		b[1] |= knownFlag
	}
	if r.Claimed {
		b[1] |= claimedFlag
	}
	b = appendText(b, r.Python)
	b = appendTexts(b, r.Dist)
	b = appendTexts(b, r.Extras)
	return appendTexts(b, r.Build)
}

func (r *Requires) decode(b []byte) error {
	d := decoder{rest: b}
	if d.byte() != requiresForm {
		return errDamaged
	}
	flags := d.byte()
	r.Known, r.Claimed = flags&knownFlag != 0, flags&claimedFlag != 0
	r.Python = d.text()
	r.Dist = d.texts()
	r.Extras = d.texts()
	r.Build = d.texts()
	if d.bad || len(d.rest) > 0 {
		return errDamaged
	}
	return nil
}

// Requires gives what a distribution needs, which is named by its SHA-256. The
// error matches [fs.ErrNotExist] if that was never read.
func (c *Catalog) Requires(ctx context.Context, sha256 Digest) (Requires, error) {
	var facts []byte
	err := c.one.QueryRowContext(ctx, "SELECT facts FROM requires WHERE sha256 = ?", sha256[:]).Scan(&facts)
	if errors.Is(err, sql.ErrNoRows) {
		return Requires{}, fmt.Errorf("requirements of %s: %w", sha256, fs.ErrNotExist)
	}
	if err != nil {
		return Requires{}, fmt.Errorf("read catalog: %w", err)
	}
	var r Requires
	if err := r.decode(facts); err != nil {
		return Requires{}, fmt.Errorf("read catalog: requirements of %s: %w", sha256, err)
	}
	return r, nil
}

// SetRequires keeps what a distribution needs. It makes no event.
func (t *Tx) SetRequires(sha256 Digest, r Requires) error {
	return t.q.exec(t.ctx, "INSERT OR REPLACE INTO requires VALUES (?, ?)", sha256[:], r.encode())
}
