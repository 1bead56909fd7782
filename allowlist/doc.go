// Package allowlist reads the lists of what an index is to hold. A list is a
// requirements file as pip reads it: the same encodings, line ends,
// continuations, variables, options and includes. What pip accepts is accepted
// here. What makes sense to pip only (a build option, a trusted host) is
// reported as a warning; a line that cannot be read is an error with its file
// and line, and the other lines are read all the same. A lock file takes the place
// of a list, by itself or where one includes it.
//
// The package reads and judges nothing else: it asks no index, builds nothing
// and decides about no version. It never reads a list from the network by
// itself.
package allowlist
