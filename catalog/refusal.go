package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A Refusal is a file of an upstream that was fetched and did not pass the
// gate. It is kept so that the same bytes are not fetched again.
type Refusal struct {
	Source   string
	Filename string

	// Digest is what the upstream announced, in the form of "sha256=…", or its
	// address where it announced nothing.
	Digest string

	// Rules is the version of the gate.
	Rules  string
	Reason string
}

// Refusal gives the reason why a file was refused, if just these bytes were
// refused by just these rules.
func (c *Catalog) Refusal(ctx context.Context, r Refusal) (reason string, refused bool, err error) {
	err = c.one.QueryRowContext(ctx, "SELECT reason FROM refusals WHERE source = ? AND filename = ? AND digest = ? AND rules = ?",
		r.Source, r.Filename, r.Digest, r.Rules).Scan(&reason)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read catalog: %w", err)
	}
	return reason, true, nil
}

// AnyRefusal reports whether a file was ever refused, so that whoever has to ask
// for many can do without.
func (c *Catalog) AnyRefusal(ctx context.Context) (any bool, err error) {
	err = c.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM refusals)").Scan(&any)
	if err != nil {
		return false, fmt.Errorf("read catalog: %w", err)
	}
	return any, nil
}

// Refuse keeps a refusal. It makes no event: the file was never in the index.
func (t *Tx) Refuse(r Refusal) error {
	return t.q.exec(t.ctx, "INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?, ?)", r.Source, r.Filename, r.Digest, r.Rules, r.Reason)
}
