// Package nestgen makes and keeps the static tree of a Python package index.
//
// [Build] is the walk: it reads what the index should have (allowlist, drop
// folders, policy), asks the upstreams, fetches what is missing, passes every
// file through one gate, notes it in the catalog, makes pages of the catalog
// and publishes them. Everything that this package does has an exported
// function that takes a [Config]; the commands print what these give.
package nestgen
