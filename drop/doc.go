// Package drop reads the drop directories, the one door by which files made
// elsewhere come in: people copy them there, uploads and source builds are
// written there, imports are unpacked there.
//
// [Scan] lists the directories and holds every file against a cache of what
// the last run found, so that a run with nothing to do costs one look at each
// file's inode and writes nothing. What is new or altered is handed to the
// caller through [View.Changed]; the caller opens it by [View.Open] or
// [View.Inspect], makes its own copy, says by [View.Record] what became of it,
// and [View.Save] remembers that. The cache may be deleted at any time: the
// next scan is then a cold one.
//
// The package never follows a symbolic link below a drop directory, never
// blocks on a FIFO, never opens an archive, never changes or removes a dropped
// file, and never takes a directory that it cannot read for an empty one.
//
// It needs Linux: directories are read by getdents64 and fstatat, and a file
// that somebody still writes to is found by a lease.
package drop
