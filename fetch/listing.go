package fetch

import (
	"errors"
	"strings"

	"nestgen/catalog"
	"nestgen/packaging"
)

// A companion is a link to what goes with a file.
type companion struct {
	base    string // the file's name
	kind    packaging.CompanionKind
	address string
}

// companionOf reads the name of a link that is no distribution.
func companionOf(o *catalog.Offer) (companion, bool) {
	base, kind, ok := packaging.Companion(o.Filename)
	return companion{base, kind, o.URL}, ok
}

// mark notes that the file has the companion, if that stands where it is
// looked for: at the file's own address with the companion's extension.
func (c *companion) mark(o *catalog.Offer) {
	ext, ok := strings.CutPrefix(c.address, o.URL)
	switch {
	case !ok:
	case c.kind == packaging.Signature && ext == ".asc":
		o.Signed = true
	case c.kind == packaging.CoreMetadata && ext == ".metadata":
		o.Metadata.Offered = true
	case c.kind == packaging.Provenance && ext == ".provenance" && o.Provenance == "":
		o.Provenance = c.address
	}
}

// keep leaves in l only the files of project n, each name once (contract C-10,
// C-11), and only if its hashes can be checked. Links to the signature or the metadata of a file, as the listing of a
// folder has them, say that the file has them. With strict, a file that might
// as well be one of a project with a longer name is left out: on a page of many
// projects the name alone has to tell.
func keep(l *catalog.Listing, n packaging.Name, strict bool) {
	offers := l.Offers[:0]
	at := make(map[string]int, len(l.Offers))
	var companions []companion
	for i := range l.Offers {
		o := l.Offers[i]
		if packaging.KindOf(o.Filename) == packaging.UnknownKind {
			if c, ok := companionOf(&o); ok {
				companions = append(companions, c)
			}
			continue
		}
		if err := belongs(o.Filename, n, strict); err != nil {
			if !strict {
				warn(l, "left out: %v", err)
			}
			continue
		}
		if bad := badHash(o.Hashes); bad != "" {
			// To take the file without it would be to take it unchecked.
			warn(l, "file %.80q left out: its %s is not a digest", o.Filename, bad)
			continue
		}
		if bad := badHash(o.Metadata.Hashes); bad != "" {
			warn(l, "file %.80q: the %s of its metadata is not a digest", o.Filename, bad)
			o.Metadata.Hashes = nil
		}
		if j, seen := at[o.Filename]; seen {
			merge(l, &offers[j], &o)
			continue
		}
		at[o.Filename] = len(offers)
		offers = append(offers, o)
	}
	for i := range companions {
		if j, ok := at[companions[i].base]; ok {
			companions[i].mark(&offers[j])
		}
	}
	clear(l.Offers[len(offers):])
	l.Offers = offers
}

// belongs says why a file name is not one of project n.
func belongs(name string, n packaging.Name, strict bool) error {
	f, err := packaging.ParseFilename(name, n)
	if err == nil && strict && f.LegacyVersion {
		if g, err := packaging.ParseFilename(name, ""); err != nil || g.Project != n {
			return errOther
		}
	}
	return err
}

// badHash names a hash that is not a digest of its function, empty if all are.
func badHash(hashes map[string]string) string {
	for algorithm, value := range hashes {
		if !validHash(algorithm, value) {
			return quoteShort(algorithm)
		}
	}
	return ""
}

var errOther = errors.New("of a project with another name")

// merge adds what a second link of the same name says to the first (contract
// C-11).
func merge(l *catalog.Listing, first, second *catalog.Offer) {
	if first.URL != second.URL {
		if strongest(second.Hashes) > strongest(first.Hashes) {
			*first = *second
		}
		warn(l, "file %.80q is listed at two addresses, taken from %s", first.Filename, redact(first.URL))
		return
	}
	for algorithm, value := range second.Hashes {
		have, ok := first.Hashes[algorithm]
		switch {
		case !ok:
			if first.Hashes == nil {
				first.Hashes = make(map[string]string, 1)
			}
			first.Hashes[algorithm] = value
		case have != value:
			warn(l, "file %.80q is listed with two values of %s", first.Filename, algorithm)
		}
	}
	if first.Size < 0 {
		first.Size = second.Size
	}
	if first.RequiresPython == "" {
		first.RequiresPython = second.RequiresPython
	}
	if !first.Yanked.Yanked {
		first.Yanked = second.Yanked
	}
	if first.Uploaded == 0 {
		first.Uploaded = second.Uploaded
	}
	if !first.Metadata.Offered || len(first.Metadata.Hashes) == 0 && second.Metadata.Offered {
		first.Metadata = second.Metadata
	}
	if first.Provenance == "" {
		first.Provenance = second.Provenance
	}
	first.Signed = first.Signed || second.Signed
}
