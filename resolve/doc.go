// Package resolve answers two questions about the requirements of projects:
// which one version of each an installer would take ([Problem.Resolve]), and
// which versions anybody may come to need ([Closure.Run]).
//
// Where several sets of versions are right, the set has to be the one that pip
// takes, because a client of the index will run pip: so the search is pip's own,
// the rounds of resolvelib with pip's order of preference, as they were in the
// version of pip that is asked for (docs/adr/0007). It differs from pip in what
// it does not do: it installs nothing, follows no URL and builds nothing.
//
// The package is pure. It knows nothing of indexes, files and requests; a
// [Provider] says what is on offer and what that requires, and is asked for no
// more than pip asks for.
package resolve
