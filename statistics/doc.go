// Package statistics counts what was fetched from a site, by the access logs of its
// web servers. The counts outlive the logs, which rotate: they are kept in a file of
// their own, with how far each log was read, so that no line counts twice. Nothing
// else depends on the file; whoever deletes it loses statistics.
//
// The package knows neither the catalog nor what the index lists, and keeps nothing
// of who asked.
package statistics
