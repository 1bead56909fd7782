// Package lockfile reads the files in which tools write down what they resolved
// (pylock.toml of PEP 751, uv.lock, poetry.lock, pdm.lock, Pipfile.lock) and writes
// those that installers take (pylock.toml, constraints).
//
// What such a file names is taken as it stands: a package is one entry of it, with
// the files that belong to the entry. The package asks no index, opens nothing, and
// decides nothing about what is named. A lock file may come from anybody: it is read
// within limits, a key counts only as it is spelled, and one that comes twice is an
// error.
package lockfile
