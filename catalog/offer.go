package catalog

// An Offer is one distribution as a source announces it, before its bytes are
// here.
type Offer struct {
	Filename string

	// URL is absolute and has neither fragment nor user information.
	URL string

	// Hashes maps lower-case algorithm names to lower-case hexadecimal.
	Hashes map[string]string

	// Size is in bytes, -1 when the source does not say.
	Size int64

	RequiresPython string
	Yanked         Yank

	// Uploaded is in microseconds since 1970 UTC, 0 when the source does not say.
	Uploaded int64

	// Metadata is what the source promises about URL+".metadata" (PEP 658).
	Metadata MetadataOffer

	// Provenance is the address of the attestations (PEP 740), or empty.
	Provenance string

	// Signed says that the source has URL+".asc".
	Signed bool
}

// A MetadataOffer says whether a source has a file's core metadata beside it,
// and the hashes of that, which may be empty.
type MetadataOffer struct {
	Offered bool
	Hashes  map[string]string
}

// A Listing is what one source says about one project.
type Listing struct {
	// Name is the project's name as the source writes it; empty if it does not.
	Name string

	// Offers stands in the source's own order.
	Offers []Offer

	// Versions are the versions that the source says it has (PEP 700); nil if
	// it does not say.
	Versions []string

	Status Status

	// Serial is the source's last serial for the project, 0 if unknown.
	Serial int64

	// ETag and LastModified are the validators to send with the next request
	// for the same page (RFC 9110), and FinalURL is the address that the page
	// came from after redirects.
	ETag         string
	LastModified string
	FinalURL     string

	// Warnings are what was odd about the page, for the report.
	Warnings []string
}
