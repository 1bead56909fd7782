// Package publish writes the tree that the web server serves, and nothing else
// writes there. It runs on Linux.
//
// A build goes through it in this order: files are filled in the stage
// ([Tree.NewFile]) and exposed in the store ([Tree.Expose]); the caller commits
// the catalog; pages are staged ([Tree.Batch]) and renamed into place
// ([Batch.Publish]), the pages that list others last; files that nothing lists
// any more go after their grace ([Tree.Delete]). Every step is on disk before
// the next one begins. There is no journal: the catalog is it. Whatever a crash
// leaves undone is done by the next run, which walks the same way.
//
// What holds at every instant, also after kill -9, a power cut or a full disk:
//
//   - I1: a file is in the store, whole and durable, before a page can link to it.
//   - I2: a path below packages/ never changes its bytes, unless they were
//     damaged and are put right ([Tree.Replace]).
//   - I3: a page is whole.
//   - I4: a page's modification time rises by at least a second when its bytes
//     change, and is kept when they do not.
//   - I5: nothing is deleted that the caller has not named.
//
// The package never follows a symbolic link below the site, never writes
// outside the site and the state folder, and never reads a page back for what
// it says.
package publish
