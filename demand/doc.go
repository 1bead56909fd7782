// Package demand keeps requests apart that want the same thing of an upstream,
// within a process and across processes, and remembers for a while what came of
// it. It lives in a folder of small files, which may be deleted at any time: that
// costs some requests to upstreams.
//
// What strangers ask for has no say in how large the folder grows.
package demand
