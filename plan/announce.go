package plan

import (
	"net/url"
	"strings"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
)

// announce decides about a file that comes when somebody asks for it. have is
// what the index says of it, if it has been announced before.
func (p *Project) announce(in Input, c candidate, have catalog.File) {
	if have.Filename == "" {
		if CanAnnounce(c.Choice) && p.vet(&in, c.Choice) {
			p.Announce = append(p.Announce, c.Choice)
		}
		return
	}
	if altered(c.Offer, have.SHA256) {
		p.problem(Alarm, string(in.Name), "what was announced first stays; find out why before you trust this upstream",
			"%s: %s now offers sha256 %s instead of %s", c.Offer.Filename, c.Source, c.Offer.Hashes["sha256"], have.SHA256)
		p.stay(in, have, c.Why...)
		return
	}
	if in.Refused != nil {
		if reason, refused := in.Refused(c.Choice); refused {
			p.Withdraw = append(p.Withdraw, Withdrawal{have, "it did not pass the gate: " + reason, false})
			return
		}
	}
	p.keep(in, have, mirrored(have, c.Choice), c.Offer.Yanked, c.Why)
}

// CanAnnounce reports whether a file may be listed before its bytes are here: its
// upstream must say which bytes they are, and nobody else something of them that
// only the bytes can be held against.
func CanAnnounce(c Choice) bool {
	sha, err := catalog.ParseDigest(c.Offer.Hashes["sha256"])
	_, verr := packaging.ParseVersion(c.Filename.Version)
	return err == nil && verr == nil && !sha.IsZero() && c.Allowed == nil
}

// Announced gives the file that a choice announces. It must be one that
// [CanAnnounce] takes. Whether it is yanked is left to the policy. now is in
// microseconds since 1970 UTC: the upload-time of what the upstream has none of.
func Announced(c Choice, now int64) catalog.File {
	f := catalog.File{
		Project: c.Filename.Project, Filename: c.Offer.Filename, Version: c.Filename.Version, Kind: c.Filename.Kind,
		Announced: true, Uploaded: now, Source: c.Source,
	}
	f.SHA256, _ = catalog.ParseDigest(c.Offer.Hashes["sha256"])
	place := f.SHA256
	if d, ok := addressed(c.Offer); ok {
		place = d
	}
	f.Path = layout.File(place, f.Filename)
	return announced(f, c.Offer)
}

// Again gives what is said of a file that is here once its bytes are gone and an
// offer announces it again, which must be of the same bytes.
func Again(f catalog.File, o catalog.Offer) catalog.File {
	f.Announced, f.BLAKE2b, f.URL = true, catalog.Digest{}, o.URL
	f.Signed, f.Provenance = false, false // they come again with it
	f.SignatureSum, f.ProvenanceSum = catalog.Digest{}, catalog.Digest{}
	return f
}

// announced gives a file that is not here yet as its upstream describes it now.
func announced(f catalog.File, o catalog.Offer) catalog.File {
	f.URL, f.Size = o.URL, max(o.Size, -1)
	f.RequiresPython = RequiresPython(o.RequiresPython, "")
	if o.Uploaded != 0 {
		f.Uploaded = o.Uploaded
	}
	if f.Metadata.IsZero() {
		// What was said first stays: it may have come already, by itself.
		f.Metadata, _ = catalog.ParseDigest(o.Metadata.Hashes["sha256"])
	}
	if f.Kind != packaging.Wheel {
		f.Metadata = catalog.Digest{} // as for every file that is here (contract API-16)
	}
	return f
}

// addressed gives the digest of its content that the address of a file carries
// in the shape of this site's own paths, as those of PyPI's file host do.
func addressed(o catalog.Offer) (catalog.Digest, bool) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return catalog.Digest{}, false
	}
	parts := strings.Split(u.Path, "/")
	if len(parts) < 4 {
		return catalog.Digest{}, false
	}
	d, name, ok := layout.ParseFile(layout.Packages + "/" + strings.Join(parts[len(parts)-4:], "/"))
	return d, ok && name == o.Filename
}

// offers reports whether an upstream has a file, as far as it was asked.
func offers(l *catalog.Listing, filename string) bool {
	if l == nil {
		return true
	}
	for i := range l.Offers {
		if l.Offers[i].Filename == filename {
			return true
		}
	}
	return false
}
