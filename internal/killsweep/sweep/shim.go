//go:build linux && amd64

package sweep

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// shimName is the name by which a binary that holds this package is started
// again, to put itself under the filter and become the command.
const shimName = "killsweep-shim"

// shimFault begins what is said when that cannot be done.
const shimFault = "killsweep-shim:"

// A filter can only be put on by the process that it is for, and os/exec has no
// place for that between fork and exec. So the binary starts itself, and here,
// before main, becomes something else.
func init() {
	if len(os.Args) > 1 && os.Args[0] == shimName {
		err := becomeFiltered(os.Args[1], os.Args[1:])
		fmt.Fprintln(os.Stderr, shimFault, err)
		os.Exit(126)
	}
}

// becomeFiltered has every call that may change a file system stop for the
// tracer, in this process and all that come of it, and runs a program.
func becomeFiltered(path string, argv []string) error {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	prog := filter()
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(prog)
	if errno != 0 {
		return fmt.Errorf("seccomp filter: %w", errno)
	}
	return fmt.Errorf("run %s: %w", path, syscall.Exec(path, argv, os.Environ()))
}

// The offsets in struct seccomp_data.
const (
	offsetNr   = 0
	offsetArch = 4
	offsetArgs = 16
)

// auditArch is AUDIT_ARCH_X86_64.
const auditArch = 0xc000003e

// filter builds the BPF program.
func filter() []unix.SockFilter {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	jump := func(how uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | how | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	ret := func(k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k}
	}
	prog := []unix.SockFilter{
		load(offsetArch),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		ret(unix.SECCOMP_RET_ALLOW),
		load(offsetNr),
	}
	for _, c := range calls {
		if c.flagArg == 0 {
			prog = append(prog, jump(unix.BPF_JEQ, c.nr, 0, 1), ret(unix.SECCOMP_RET_TRACE))
			continue
		}
		// Only with one of the flags; little-endian, so the low half is first.
		test := jump(unix.BPF_JSET, c.flags, 0, 1)
		if c.exact {
			test = jump(unix.BPF_JEQ, c.flags, 0, 1)
		}
		prog = append(prog,
			jump(unix.BPF_JEQ, c.nr, 0, 4),
			load(offsetArgs+8*uint32(c.flagArg-1)),
			test,
			ret(unix.SECCOMP_RET_TRACE),
			load(offsetNr),
		)
	}
	return append(prog, ret(unix.SECCOMP_RET_ALLOW))
}
