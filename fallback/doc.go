// Package fallback answers what the published tree does not have: pages and
// files that come on demand, and uploads. What the tree has it serves as package
// serve does, so that a server may ask it everything or only what is missing.
//
// It decides nothing of its own: whether a project comes on demand and what
// becomes of an upload is up to a [Site], and who may upload up to an
// access.Gate. It takes no address from a request, and writes to no file but the one
// that a Site gives it for an upload.
package fallback
