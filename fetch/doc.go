// Package fetch asks upstream indexes which files they have and downloads
// them. It reads index pages in JSON (PEP 691) and HTML (PEP 503), plain
// directory listings, find-links pages and local folders, and gives the values
// of package catalog.
//
// Whatever an upstream says is taken as hostile until it has been checked:
// sizes, counts, names, redirects and addresses have limits, and no byte of a
// file stands under its final name before its size and its hashes were right.
// The package never chooses which files to fetch, looks into no archive but for
// the metadata of a wheel that is not here, and keeps nothing between runs but
// partial downloads.
package fetch
