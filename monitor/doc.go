// Package monitor proves from outside, with the public key of a site alone, that what
// the site serves is what its logs say, and that nobody has rewritten them. A monitor is
// what those who use such logs call whoever reads all of one.
//
// It reads the checkpoint that the site signs, both logs, every page and every file that
// the history lists, and replays the history to hold the pages of the index against it.
// It believes nothing that it is told: no answer is read further than the log says that
// it goes, and no redirect is followed out of the site.
//
// It never reads settings or state of the site, never writes but to the file in which it
// remembers the last checkpoint, and cannot know what a server tells to others.
package monitor
