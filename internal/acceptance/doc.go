// Package acceptance tries a published site out as its users do: the web
// servers that contrib/ has configurations for serve it, and installers of many
// ages install from it. It holds tests only. A test whose program is not
// installed is skipped and says which one it misses; packages.txt lists the
// Debian packages that they come in. One test takes a folder of somebody's own
// distributions, named by NESTGEN_DISTRIBUTIONS, and is skipped without.
package acceptance
