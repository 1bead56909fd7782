package catalog

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"nestgen/packaging"
)

// Listing gives what an upstream said of a project when it was last asked. The
// error matches [fs.ErrNotExist] if it never was.
func (c *Catalog) Listing(ctx context.Context, upstream string, n packaging.Name) (Listing, error) {
	var l Listing
	var body []byte
	err := c.one.QueryRowContext(ctx, "SELECT etag, last_modified, serial, body FROM listings WHERE upstream = ? AND project = ?", upstream, n).
		Scan(&l.ETag, &l.LastModified, &l.Serial, &body)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Listing{}, fmt.Errorf("listing of %s: %w", n, fs.ErrNotExist)
	case err != nil:
		return Listing{}, fmt.Errorf("read catalog: %w", err)
	}
	if err := l.decode(body); err != nil {
		return Listing{}, fmt.Errorf("read catalog: listing of %s at %s: %w", n, upstream, err)
	}
	return l, nil
}

// SetListing keeps what an upstream said of a project. It makes no event.
func (t *Tx) SetListing(upstream string, n packaging.Name, l Listing) error {
	return t.q.exec(t.ctx, "INSERT OR REPLACE INTO listings VALUES (?, ?, ?, ?, ?, ?)", upstream, n, l.ETag, l.LastModified, l.Serial, l.encode())
}

// A listing's body is kept in a form of its own because a refresh reads every
// one of them: numbers are varints, text has its length in front, and the
// first byte says which form it is.
const listingForm = 1

func (l *Listing) encode() []byte {
	b := []byte{listingForm}
	b = appendText(b, l.Name)
	b = appendText(b, l.FinalURL)
	b = appendText(b, string(l.Status.State))
	b = appendText(b, l.Status.Reason)
	b = appendTexts(b, l.Versions)
	b = binary.AppendUvarint(b, uint64(len(l.Offers)))
	for i := range l.Offers {
		o := &l.Offers[i]
		b = appendText(b, o.Filename)
		b = appendText(b, o.URL)
		b = appendHashes(b, o.Hashes)
		b = binary.AppendVarint(b, o.Size)
		b = appendText(b, o.RequiresPython)
		b = append(b, offerFlags(o))
		b = appendText(b, o.Yanked.Reason)
		b = binary.AppendVarint(b, o.Uploaded)
		b = appendHashes(b, o.Metadata.Hashes)
		b = appendText(b, o.Provenance)
	}
	return b
}

const (
	yankedFlag = 1 << iota
	metadataFlag
	signedFlag
)

func offerFlags(o *Offer) (f byte) {
	if o.Yanked.Yanked {
		f |= yankedFlag
	}
	if o.Metadata.Offered {
		f |= metadataFlag
	}
	if o.Signed {
		f |= signedFlag
	}
	return f
}

// Same reports whether two listings say the same, validators included. The
// warnings about them do not count.
func (l *Listing) Same(other *Listing) bool {
	return l.ETag == other.ETag && l.LastModified == other.LastModified && l.Serial == other.Serial &&
		bytes.Equal(l.encode(), other.encode())
}

func (l *Listing) decode(b []byte) error {
	if len(b) == 0 || b[0] != listingForm {
		return errDamaged
	}
	d := decoder{rest: b[1:]}
	l.Name = d.text()
	l.FinalURL = d.text()
	l.Status.State = State(d.text())
	l.Status.Reason = d.text()
	l.Versions = d.texts()
	n := d.count()
	l.Offers = make([]Offer, 0, n)
	for range n {
		var o Offer
		o.Filename = d.text()
		o.URL = d.text()
		o.Hashes = d.hashes()
		o.Size = d.number()
		o.RequiresPython = d.text()
		f := d.byte()
		o.Yanked = Yank{f&yankedFlag != 0, d.text()}
		o.Uploaded = d.number()
		o.Metadata = MetadataOffer{f&metadataFlag != 0, d.hashes()}
		o.Provenance = d.text()
		o.Signed = f&signedFlag != 0
		l.Offers = append(l.Offers, o)
	}
	if d.bad || len(d.rest) > 0 {
		return errDamaged
	}
	return nil
}
