// Package plan decides what a build will do: which files of each project the
// index should list, which of them have to be fetched or taken from a drop
// folder, which leave, and why. It decides from values it is handed; it asks
// no upstream, reads no file and changes nothing.
package plan
