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
}

// quick makes of o what can be run in a test: the counts are the same in one
// run as in many, and on any file system.
func (o *options) quick() {
	o.runs, o.latency, o.noMount = 1, time.Millisecond, true
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
	timed string
	rows  []Row
	dir   string // where the measurement in hand works
	fresh bool   // dir is a file system of its own
}

// A bench measures one thing at one size.
type benchmark struct {
	name string
	run  func(l *lab, ctx context.Context, files int) error
}

var benchmarks = []benchmark{
	{"pages", (*lab).pages},
	{"drop", (*lab).drop},
	{"archives", (*lab).archives},
	{"upstream", (*lab).upstream},
	{"downloads", (*lab).downloads},
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
		o.latency, o.warm = 20*time.Millisecond, true
	}
	l := &lab{options: o}
	if l.tools, err = os.MkdirTemp("", "nestgen-bench-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(l.tools)
	if err := l.build(ctx); err != nil {
		return nil, err
	}
	for _, b := range benchmarks {
		if len(l.only) > 0 && !slices.Contains(l.only, b.name) {
			continue
		}
		for _, n := range l.sizes {
			if err := l.measure(ctx, b, n); err != nil {
				return l.rows, fmt.Errorf("%s, %d files: %w", b.name, n, err)
			}
		}
	}
	l.comparePeaks()
	return l.rows, nil
}

// measure runs one measurement in a place of its own.
func (l *lab) measure(ctx context.Context, b benchmark, files int) (err error) {
	v, err := newVolume(ctx, l.options.dir, !l.noMount)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.remove()) }()
	l.dir, l.fresh = v.dir, v.fresh
	fmt.Fprintf(os.Stderr, "%s, %d files, in %s\n", b.name, files, v.what)
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
	var err error
	if l.floor, err = make("floor", "nestgen/bench/floor"); err != nil {
		return err
	}
	if l.timed, err = make("timed", "nestgen/bench/timed"); err != nil {
		return err
	}
	if l.nestgen == "" {
		l.nestgen, err = make("nestgen", "nestgen/cmd/nestgen")
		return err
	}
	l.nestgen, err = filepath.Abs(l.nestgen)
	return err
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
