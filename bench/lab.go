package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options say what to measure and how.
type options struct {
	sizes   []int
	only    []string // empty for all
	runs    int
	warm    bool // one more run of each thing that does not count, before
	nestgen string
	dir     string
	noMount bool
	peers   []peer
	latency time.Duration // of the upstream's pages
	far     time.Duration // of all that the upstream of the fallback has
	cgi     string        // nestgen-cgi; empty to build it
	python  string        // one with pip
}

// quick makes of o what can be run in a test: the counts are the same in one
// run as in many, and on any file system.
func (o *options) quick() {
	o.runs, o.latency, o.far, o.noMount = 1, time.Millisecond, 10*time.Millisecond, true
	if o.dir == "" && isFolder("/dev/shm") {
		o.dir = "/dev/shm"
	}
}

func isFolder(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

// A lab has what every measurement needs.
type lab struct {
	options
	tools string // folder of the programs
	floor string
	bare  string // the least CGI program
	timed string

	module string              // its folder
	owner  *syscall.Credential // of what web servers and nestgen-cgi write; nil for this user

	rows  []Row
	dir   string // where the measurement in hand works
	fresh bool   // dir is a file system of its own
}

// A bench measures one thing at one size.
type benchmark struct {
	name string
	run  func(l *lab, ctx context.Context, files int) error

	// once says that it has a size of its own.
	once bool
}

var benchmarks = []benchmark{
	{"pages", (*lab).pages, false},
	{"drop", (*lab).drop, false},
	{"archives", (*lab).archives, false},
	{"upstream", (*lab).upstream, false},
	{"downloads", (*lab).downloads, false},
	{"refresh", (*lab).refresh, true},
	{"startup", (*lab).startup, true},
	{"firsthit", (*lab).firstHit, true},
	{"rate", (*lab).rate, true},
	{"lazyinstall", (*lab).lazyInstall, true},
}

func benchNames() []string {
	var names []string
	for _, b := range benchmarks {
		names = append(names, b.name)
	}
	return names
}

// run makes the measurements.
func run(ctx context.Context, o options) (_ []Row, err error) {
	if o.latency == 0 {
		o.latency, o.far, o.warm = 20*time.Millisecond, 100*time.Millisecond, true
	}
	if o.python == "" {
		o.python = "python3"
	}
	l := &lab{options: o}
	if l.tools, err = os.MkdirTemp("", "nestgen-bench-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(l.tools)
	if err := os.Chmod(l.tools, 0o755); err != nil { // web servers start a program in it
		return nil, err
	}
	if l.owner, err = webUser(); err != nil {
		return nil, err
	}
	if err := l.build(ctx); err != nil {
		return nil, err
	}
	for _, b := range benchmarks {
		if len(l.only) > 0 && !slices.Contains(l.only, b.name) {
			continue
		}
		sizes := l.sizes
		if b.once {
			sizes = []int{0}
		}
		for _, n := range sizes {
			if err := l.measure(ctx, b, n); err != nil {
				return l.rows, fmt.Errorf("%s: %w", b.at(n), err)
			}
		}
	}
	l.comparePeaks()
	return l.rows, nil
}

// at says which measurement it is.
func (b *benchmark) at(files int) string {
	if b.once {
		return b.name
	}
	return fmt.Sprintf("%s, %d files", b.name, files)
}

// measure runs one measurement in a place of its own.
func (l *lab) measure(ctx context.Context, b benchmark, files int) (err error) {
	v, err := newVolume(ctx, l.options.dir, !l.noMount)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.remove()) }()
	l.dir, l.fresh = v.dir, v.fresh
	fmt.Fprintf(os.Stderr, "%s, in %s\n", b.at(files), v.what)
	return b.run(l, ctx, files)
}

// build makes the programs, as make build does if their times are to count, and
// else as go test does, which has most of them made already.
func (l *lab) build(ctx context.Context) error {
	make := func(name, pkg string) (string, error) {
		path := filepath.Join(l.tools, name)
		argv := []string{"build", "-buildvcs=false", "-o", path, pkg}
		env := os.Environ()
		if l.warm {
			argv = []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, pkg}
			env = append(env, "CGO_ENABLED=0")
		}
		cmd := exec.CommandContext(ctx, "go", argv...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
		return path, nil
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "nestgen").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	l.module = strings.TrimSpace(string(out))
	for _, p := range []struct {
		path      *string
		name, pkg string
	}{
		{&l.floor, "floor", "nestgen/bench/floor"},
		{&l.bare, "bare-cgi", "nestgen/bench/floor/cgi"},
		{&l.timed, "timed", "nestgen/bench/timed"},
		{&l.nestgen, "nestgen", "nestgen/cmd/nestgen"},
		{&l.cgi, "nestgen-cgi", "nestgen/cmd/nestgen-cgi"},
	} {
		if *p.path == "" {
			*p.path, err = make(p.name, p.pkg)
		} else {
			*p.path, err = filepath.Abs(*p.path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A volume is a folder for one measurement.
type volume struct {
	dir, image string
	fresh      bool
	what       string
}

// volumeSize is that of a file system of its own. It takes memory or disk for
// what is written only.
const (
	volumeSize   = 12 << 30
	volumeInodes = 3_000_000
)

// newVolume makes a folder below dir, on a new ext4 of its own if that may be
// and can be.
func newVolume(ctx context.Context, dir string, mount bool) (*volume, error) {
	if dir == "" {
		dir = os.TempDir()
		if mount && os.Geteuid() == 0 && isFolder("/dev/shm") {
			dir = "/dev/shm"
		}
	}
	at, err := os.MkdirTemp(dir, "nestgen-bench-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(at, 0o755); err != nil { // web servers have a user of their own
		return nil, err
	}
	v := &volume{dir: filepath.Join(at, "fs"), what: at + ", no file system of its own"}
	if err := os.Mkdir(v.dir, 0o755); err != nil {
		return nil, errors.Join(err, os.RemoveAll(at))
	}
	if !mount || os.Geteuid() != 0 {
		return v, nil
	}
	v.image = filepath.Join(at, "image")
	if err := v.mount(ctx); err != nil {
		v.what += " (" + err.Error() + ")"
		return v, errors.Join(os.RemoveAll(v.image))
	}
	v.fresh, v.what = true, "a new ext4 in "+v.image
	return v, nil
}

func (v *volume) mount(ctx context.Context) error {
	f, err := os.Create(v.image)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(volumeSize), f.Close()); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"mkfs.ext4", "-q", "-F", "-N", fmt.Sprint(volumeInodes), v.image},
		{"mount", "-o", "loop", v.image, v.dir},
	} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", argv[0], err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

func (v *volume) remove() error {
	if v.fresh {
		// Also after an interrupt.
		if out, err := exec.Command("umount", v.dir).CombinedOutput(); err != nil {
			return fmt.Errorf("umount %s: %w: %s", v.dir, err, strings.TrimSpace(string(out)))
		}
	}
	return os.RemoveAll(filepath.Dir(v.dir))
}
