package advisory

import (
	"archive/zip"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"nestgen/packaging"
)

// Limits on what one dump may hold.
const (
	maxDump      = 1 << 30  // bytes of the zip file
	maxDirectory = 32 << 20 // bytes that are read to list its members
	maxMembers   = 400_000
	maxUnpacked  = 4 << 30 // bytes of all members
	maxRatio     = 200     // of a member above freeRatio
	freeRatio    = 1 << 20
	maxDepth     = 8 // folders
	maxFaults    = 100
)

// A Dump is many advisories, by the projects that they are about.
type Dump struct {
	// Projects has the records of each project, in the order of their IDs.
	Projects map[packaging.Name][]Record

	// Advisories counts those that say something of a project, Malware those of
	// them that are about malware, and Withdrawn those that do not count any more.
	Advisories, Malware, Withdrawn int

	// Faults are members that could not be read, by name: at most a hundred of
	// them. FaultCount counts all. The others are none the worse for it.
	Faults     []Fault
	FaultCount int
}

// A Fault is a member of a dump that could not be read, or not whole.
type Fault struct {
	Member string
	Err    error
}

func (f Fault) Error() string { return f.Member + ": " + f.Err.Error() }

// Read reads a dump: a zip file with a JSON file for each advisory, as
// osv-vulnerabilities has it for each ecosystem; a folder of such files; or one
// advisory. A member that cannot be read costs itself and becomes a [Fault]. An error
// means that the dump as a whole could not be read; it matches [fs.ErrNotExist] if
// there is none.
func Read(name string) (*Dump, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if fi.IsDir() {
		root, err := os.OpenRoot(name)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		return ReadFolder(root.FS())
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: neither a file nor a folder", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d, err := ReadFile(f, fi.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}

// ReadFile is Read for a file that is open, with its size.
func ReadFile(r io.ReaderAt, size int64) (*Dump, error) {
	head := make([]byte, 4)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head[:n], []byte("PK")):
		return readZip(r, size)
	case size > maxRecord:
		return nil, errors.New("neither a zip file nor an advisory")
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), data); err != nil {
		return nil, err
	}
	p, err := Parse(data)
	if err != nil {
		return nil, err
	}
	g := newGatherer()
	g.add(member{name: p.ID + ".json", parsed: p})
	return g.dump, nil
}

// A budget stops reading after so many bytes, until it is lifted.
type budget struct {
	io.ReaderAt
	left   int64
	lifted bool
}

var errDirectory = errors.New("its list of members is larger than that of any dump")

func (b *budget) ReadAt(p []byte, at int64) (int, error) {
	if b.lifted {
		return b.ReaderAt.ReadAt(p, at)
	}
	if int64(len(p)) > b.left {
		return 0, errDirectory
	}
	n, err := b.ReaderAt.ReadAt(p, at)
	b.left -= int64(n)
	return n, err
}

func readZip(r io.ReaderAt, size int64) (*Dump, error) {
	if size > maxDump {
		return nil, fmt.Errorf("%d bytes, more than the %d that a dump may have", size, int64(maxDump))
	}
	b := &budget{ReaderAt: r, left: maxDirectory}
	z, err := zip.NewReader(b, size)
	if err != nil {
		return nil, err
	}
	b.lifted = true
	if len(z.File) > maxMembers {
		return nil, fmt.Errorf("%d members, more than the %d that a dump may have", len(z.File), maxMembers)
	}
	var unpacked uint64
	seen := make(map[string]bool, len(z.File))
	g := newGatherer()
	var files []source
	for _, f := range z.File {
		if !isRecord(f.Name) {
			continue
		}
		unpacked += min(f.UncompressedSize64, maxRecord+1)
		switch {
		case seen[f.Name]:
			g.fault(f.Name, errors.New("a second member of this name"))
			continue
		case f.UncompressedSize64 > maxRecord:
			g.fault(f.Name, fmt.Errorf("%d bytes, more than the %d that an advisory may have", f.UncompressedSize64, maxRecord))
			continue
		case f.UncompressedSize64 > freeRatio && f.UncompressedSize64/max(f.CompressedSize64, 1) > maxRatio:
			g.fault(f.Name, fmt.Errorf("it unpacks to more than %d times its size", maxRatio))
			continue
		case unpacked > maxUnpacked:
			return nil, fmt.Errorf("it unpacks to more than %d bytes", int64(maxUnpacked))
		}
		seen[f.Name] = true
		files = append(files, source{f.Name, func() (io.ReadCloser, error) { return f.Open() }})
	}
	g.read(files)
	return g.dump, nil
}

// ReadFolder is [Read] for a folder of JSON files, and of folders of them.
func ReadFolder(dir fs.FS) (*Dump, error) {
	g := newGatherer()
	var files []source
	err := fs.WalkDir(dir, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && name != "." && (strings.HasPrefix(e.Name(), ".") || strings.Count(name, "/") >= maxDepth):
			return fs.SkipDir
		case e.IsDir() || !isRecord(name):
			return nil
		case !e.Type().IsRegular():
			g.fault(name, errors.New("not a regular file"))
			return nil
		case len(files) == maxMembers:
			return fmt.Errorf("more than %d advisories", maxMembers)
		}
		files = append(files, source{name, func() (io.ReadCloser, error) { return dir.Open(name) }})
		return nil
	})
	if err != nil {
		return nil, err
	}
	g.read(files)
	return g.dump, nil
}

// isRecord reports whether a member is meant to be an advisory.
func isRecord(name string) bool {
	base := path.Base(strings.ReplaceAll(name, "\\", "/"))
	return strings.HasSuffix(base, ".json") && !strings.HasPrefix(base, ".")
}

// A source is a member that is yet to be read.
type source struct {
	name string
	open func() (io.ReadCloser, error)
}

// A member is what came of one.
type member struct {
	name   string
	parsed Parsed
	err    error
}

// read reads members, some at once, and adds them in their order.
func (g *gatherer) read(files []source) {
	const chunk = 64
	results := make([]member, len(files))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 8) {
		wg.Go(func() {
			var buf bytes.Buffer
			for from := range next {
				for i := from; i < min(from+chunk, len(files)); i++ {
					results[i] = files[i].read(&buf)
				}
			}
		})
	}
	for i := 0; i < len(files); i += chunk {
		next <- i
	}
	close(next)
	wg.Wait()
	slices.SortStableFunc(results, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	for _, m := range results {
		g.add(m)
	}
	g.finish()
}

func (s source) read(buf *bytes.Buffer) member {
	m := member{name: s.name}
	r, err := s.open()
	if err != nil {
		m.err = err
		return m
	}
	defer r.Close()
	buf.Reset()
	// What a zip file says of the size of a member need not be so.
	if _, m.err = buf.ReadFrom(io.LimitReader(r, maxRecord+1)); m.err == nil {
		m.parsed, m.err = Parse(buf.Bytes())
	}
	return m
}

// A gatherer puts a dump together.
type gatherer struct {
	dump *Dump
	ids  map[string]string // by ID, the member that has it
}

func newGatherer() *gatherer {
	return &gatherer{&Dump{Projects: map[packaging.Name][]Record{}}, map[string]string{}}
}

func (g *gatherer) fault(name string, err error) {
	g.dump.FaultCount++
	if len(g.dump.Faults) < maxFaults {
		g.dump.Faults = append(g.dump.Faults, Fault{name, err})
	}
}

func (g *gatherer) add(m member) {
	if m.err != nil {
		g.fault(m.name, m.err)
		return
	}
	if other, twice := g.ids[m.parsed.ID]; twice {
		g.fault(m.name, fmt.Errorf("%s is in %s as well, which counts", m.parsed.ID, other))
		return
	}
	g.ids[m.parsed.ID] = m.name
	if m.parsed.Withdrawn {
		g.dump.Withdrawn++
		return
	}
	if len(m.parsed.Records) == 0 {
		return
	}
	g.dump.Advisories++
	if strings.HasPrefix(m.parsed.ID, malwarePrefix) {
		g.dump.Malware++
	}
	for n, r := range m.parsed.Records {
		g.dump.Projects[n] = append(g.dump.Projects[n], r)
	}
}

func (g *gatherer) finish() {
	for n := range maps.Keys(g.dump.Projects) {
		slices.SortFunc(g.dump.Projects[n], func(a, b Record) int { return strings.Compare(a.ID, b.ID) })
	}
}
