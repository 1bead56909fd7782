// Package generate turns the catalog into pages: the simple repository API in
// HTML and JSON (PEP 503, 691 and their successors), the pages for find-links
// and easy_install, the legacy JSON API, and the pages for people.
//
// A page is a function of catalog values and of the [Site] alone. It holds no
// time of building, no serial and no host name that is not in the settings,
// so equal catalogs give equal bytes. The package opens nothing and writes
// nothing: pages go to a [Sink] or to the writers that the caller makes.
package generate
