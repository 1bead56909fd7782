// Package catalog is the model of one index, the values that every stage of a
// build shares, and the embedded store that keeps them between builds.
//
// The pages are a function of the catalog: what it lists is published, and a
// published page is never read back. It never touches the served tree and
// never talks to an upstream.
package catalog
