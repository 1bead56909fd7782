package record

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"nestgen/catalog"
)

// AppendPage appends the leaf of a page to b: digest, size and path, with two blanks
// between, and nothing for the digest of one that is gone.
func AppendPage(b []byte, p catalog.Page) []byte {
	if p.SHA256.IsZero() {
		b = append(b, '-')
	} else {
		b = p.SHA256.AppendHex(b)
	}
	b = append(b, "  "...)
	b = strconv.AppendInt(b, p.Size, 10)
	b = append(b, "  "...)
	return append(b, p.Path...)
}

// DecodePage reads a leaf of the log of pages.
func DecodePage(leaf []byte) (catalog.Page, error) {
	sum, rest, _ := strings.Cut(string(leaf), "  ")
	size, path, ok := strings.Cut(rest, "  ")
	p := catalog.Page{Path: path}
	if !ok || path == "" || len(leaf) > MaxSize {
		return p, fmt.Errorf("page: %w", ErrForm)
	}
	var err error
	if sum != "-" {
		if p.SHA256, err = catalog.ParseDigest(sum); err != nil {
			return p, fmt.Errorf("page: %w: %w", ErrForm, err)
		}
	}
	if p.Size, err = strconv.ParseInt(size, 10, 64); err != nil {
		return p, fmt.Errorf("page: %w: %w", ErrForm, err)
	}
	if !bytes.Equal(AppendPage(nil, p), leaf) || p.Size < 0 {
		return p, fmt.Errorf("page: %w", ErrForm)
	}
	return p, nil
}
