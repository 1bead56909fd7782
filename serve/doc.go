// Package serve hands a published site out over HTTP, exactly as the virtual
// hosts in contrib/ do: the same paths, forms, types and headers. It is for
// trying a site out and for tests; everybody else is served by a web server,
// which nestgen needs nothing of.
//
// The package only reads. It gives out nothing but what package layout has a
// path for, follows no link out of the site, and lists no folder.
package serve
