package confine

import (
	"fmt"
	"os"
	"strings"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsys "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Limits are what a process may still do.
type Limits struct {
	// Change are folders in which files may be read, made, renamed, changed and
	// removed, also from one to the other.
	Change []string

	// Read are files that may be read, and folders with all that is in them.
	Read []string

	// Ports are those of TCP that may be connected to.
	Ports []uint16
}

// What may be done in a folder or to a file. No file may be executed, and no
// link, device or socket be made, anywhere.
const (
	readFile   landlock.AccessFSSet = llsys.AccessFSReadFile
	readFolder                      = readFile | llsys.AccessFSReadDir
	change                          = readFolder | llsys.AccessFSWriteFile | llsys.AccessFSTruncate | llsys.AccessFSMakeReg | llsys.AccessFSMakeDir |
		llsys.AccessFSRemoveFile | llsys.AccessFSRemoveDir | llsys.AccessFSRefer
)

// known is the newest Landlock whose effects were thought about here.
var known = landlock.V11

// Restrict confines this process, with all its threads, for good; what it has
// opened stays open. Of the paths, those that are not there, or cannot be seen,
// are passed over: they are not there later either, unless the folder that they
// are in is one of the paths.
//
// A kernel that has no Landlock, or less than is known here, does what it can;
// Got says what that is. An error means that nothing was restricted.
func Restrict(l Limits) (Got, error) {
	var rules []landlock.Rule
	for _, path := range l.Change {
		if fi, err := os.Stat(path); err == nil && fi.IsDir() {
			rules = append(rules, landlock.PathAccess(change, path))
		}
	}
	for _, path := range l.Read {
		if fi, err := os.Stat(path); err == nil {
			access := readFile
			if fi.IsDir() {
				access = readFolder
			}
			rules = append(rules, landlock.PathAccess(access, path))
		}
	}
	for _, port := range l.Ports {
		rules = append(rules, landlock.ConnectTCP(port))
	}
	// Names are asked for at port 53; port 9 is where the resolver pretends to
	// send to when it looks which of several addresses is the nearest.
	rules = append(rules, landlock.ConnectTCP(53), landlock.ConnectSendUDP(53), landlock.ConnectSendUDP(9), landlock.BindUDP(0))
	if err := known.BestEffort().Restrict(rules...); err != nil {
		return Got{}, fmt.Errorf("landlock: %w", err)
	}
	return Available(), nil
}

// Got is what Restrict gets of a kernel.
type Got struct {
	// ABI is the version of the kernel's Landlock, 0 if it has none.
	ABI int

	Files       bool // reading, writing and executing
	Connections bool // of TCP
	Signals     bool // to other processes, and abstract sockets
}

// Available tells what Restrict gets of this kernel.
func Available() Got {
	v, err := llsys.LandlockGetABIVersion()
	if err != nil || v < 2 {
		// The first version does not know renames from folder to folder.
		return Got{ABI: max(v, 0)}
	}
	g := Got{ABI: v, Files: true, Connections: v >= 4}
	if errata, err := llsys.LandlockGetErrata(); err == nil && v >= 6 {
		g.Signals = errata&2 != 0 // else threads could not signal each other
	}
	return g
}

// String says it in a line of a log.
func (g Got) String() string {
	if !g.Files {
		return "nothing: the kernel has no Landlock, or too old a one"
	}
	what := []string{"files"}
	if g.Connections {
		what = append(what, "connections")
	}
	if g.Signals {
		what = append(what, "signals")
	}
	return fmt.Sprintf("%s (Landlock %d)", strings.Join(what, ", "), g.ABI)
}
