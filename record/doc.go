// Package record gives the leaves of a site's logs as bytes, and reads them again.
// A leaf of the log of events is the record of one event in JSON (RFC 8259), a leaf of
// the log of pages is a line about one page. Each value has one form only: what
// is not written as this package writes it is refused.
package record
