// Package intake is the one gate into the index. A file from the drop
// directory, an upstream, an upload, a source build or a bundle passes the same
// checks here before the catalog may list it: its digests are taken, its
// framing is walked record by record, and its core metadata is read and held
// against its name.
//
// An archive is refused when two installers could read different things out of
// it, or when unpacking it could reach outside the folder that it is unpacked
// in. The package never writes a member to disk, never runs anything, and never
// reads anything but the bytes that it is handed.
package intake
