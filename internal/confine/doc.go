// Package confine takes from a process what it does not need for answering
// requests: whoever finds a way to make it do something else can still not read
// the other files of this machine, write beside the site, start a program, or
// talk to every service that is near. It uses Landlock, as far as the kernel has
// it, and is the second wall: nothing relies on it.
//
// It governs TCP alone on most kernels, and not what was opened before.
package confine
