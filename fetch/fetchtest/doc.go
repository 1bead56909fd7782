// Package fetchtest has an upstream for tests: a server in the same process
// that serves given files as indexes of every form do, counts what is asked of
// it, and misbehaves in every way that upstreams have been seen to. It is used
// by tests only.
package fetchtest
