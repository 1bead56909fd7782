package bundle

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/mod/sumdb/note"
)

// Options say what a bundle is made of.
type Options struct {
	// Header has the origin, the key, the tag and the fields. The rest of it is
	// found out.
	Header Header

	// Signer signs, with the key that Header.Key tells how to verify.
	Signer note.Signer

	// Members are the files, in any order. None is a valid bundle, too.
	Members []Member

	// Split is how large a part may be, in bytes; 0 is one part of any size. A
	// file is cut only if it does not fit into a part of its own.
	Split int64

	// Zstd compresses the parts. How much fits into a part is reckoned as if
	// nothing could be compressed.
	Zstd bool

	// Replace lets the parts replace files of the same names.
	Replace bool

	// Progress is told how many bytes of members have been written, of all that
	// there are, after each megabyte or so. It may be nil.
	Progress func(done, all int64)
}

// A Result says what was written, or what would be.
type Result struct {
	ID    string // of the bundle
	Parts []PartInfo
}

// A PartInfo is a file of a bundle.
type PartInfo struct {
	Path   string
	Size   int64
	SHA256 [sha256.Size]byte // of the file as it is; zero in a plan
}

// Write makes a bundle. Path is where it goes; the parts are named by [PartName].
// They get their names when all are whole and synced; when Write fails or ctx
// ends, nothing of them is left. A member whose bytes are not those that were
// announced ends it, with an error that names the member.
func Write(ctx context.Context, path string, o Options) (Result, error) {
	return write(ctx, localDisk{}, path, o)
}

// A disk is what parts are written to.
type disk interface {
	Exists(path string) (bool, error)
	Create(path string) (file, error)
	Rename(from, to string) error
	Remove(path string) error
	SyncFolder(path string) error
}

type file interface {
	io.WriteCloser
	Sync() error
}

func write(ctx context.Context, d disk, path string, o Options) (result Result, err error) {
	l, err := plan(o)
	if err != nil {
		return Result{}, err
	}
	if o.Signer == nil || o.Signer.Name() != l.header.Origin {
		return Result{}, fmt.Errorf("the signer is not %s", l.header.Origin)
	}
	w := &writer{ctx: ctx, layout: l, options: o, buf: make([]byte, 256<<10)}
	for i := range l.members {
		w.all += l.members[i].Size
	}

	var made []string // to remove when it fails
	defer func() {
		if err != nil {
			result = Result{}
			for _, path := range made {
				// Most are not there any more, or not yet.
				d.Remove(path)
			}
		}
	}()
	result.ID = l.header.ID
	dir := filepath.Dir(path)
	var hidden []string
	for k := range l.spans {
		name := filepath.Clean(PartName(path, k+1, len(l.spans), o.Zstd))
		if there, err := d.Exists(name); err != nil {
			return result, err
		} else if there && !o.Replace {
			return result, fmt.Errorf("%s: %w: nothing was written", name, fs.ErrExist)
		}
		result.Parts = append(result.Parts, PartInfo{Path: name})
		// One name for one part: what a killed run left behind is written over
		// by the next.
		hidden = append(hidden, filepath.Join(dir, "."+filepath.Base(name)+".partial"))
	}
	if err := w.measurePieces(); err != nil {
		return result, err
	}
	for k := range l.spans {
		d.Remove(hidden[k])
		made = append(made, hidden[k])
		f, err := d.Create(hidden[k])
		if err != nil {
			return result, err
		}
		info, err := w.part(f, k)
		if err == nil {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return result, fullDisk(result.Parts[k].Path, err)
		}
		if o.Split != 0 && info.Size > o.Split {
			return result, fmt.Errorf("%s would have %d bytes, more than the %d asked for", result.Parts[k].Path, info.Size, o.Split)
		}
		info.Path = result.Parts[k].Path
		result.Parts[k] = info
	}
	if err := ctx.Err(); err != nil {
		return result, err
	}
	for k := range hidden {
		if err := d.Rename(hidden[k], result.Parts[k].Path); err != nil {
			return result, err
		}
		made = append(made, result.Parts[k].Path)
	}
	if err := d.SyncFolder(dir); err != nil {
		return result, err
	}
	return result, nil
}

// fullDisk says what to do where a part did not fit.
func fullDisk(path string, err error) error {
	switch {
	case errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%s: %w: split the bundle into smaller parts", path, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s: %w: nothing of it was left there", path, err)
	}
	return err
}

type writer struct {
	ctx       context.Context
	layout    *layout
	options   Options
	buf       []byte
	done, all int64 // bytes of members
	writing   bool  // and not reading only
}

// measurePieces finds the digests of the pieces, which stand before them in the
// archive. Only members that are cut are read for that.
func (w *writer) measurePieces() error {
	l := w.layout
	for k := 0; k < len(l.spans); k++ {
		p := l.spans[k].tail
		if p == nil || p.index != 1 {
			continue
		}
		i := l.spans[k].end - 1
		whole := sha256.New()
		in, err := w.open(i)
		if err != nil {
			return err
		}
		for n := k; n < k+p.of; n++ {
			q := l.spans[n].head
			if n == k {
				q = p
			}
			h := sha256.New()
			if err := w.copy(io.MultiWriter(h, whole), in, i, q.length); err != nil {
				in.Close()
				return err
			}
			h.Sum(q.sum[:0])
		}
		if err := w.finish(in, i, whole); err != nil {
			return err
		}
	}
	return nil
}

// part writes part k, counted from 0.
func (w *writer) part(f io.Writer, k int) (PartInfo, error) {
	l := w.layout
	s := l.spans[k]
	p := newPreface(l.header)
	p.Part, p.Parts = k+1, len(l.spans)

	var line []byte
	manifest := func(to io.Writer) error {
		for e, c := range s.chunks(l.list) {
			line = appendLine(line[:0], e, c.piece)
			p.manifestSize += int64(len(line))
			if _, err := to.Write(line); err != nil {
				return err
			}
		}
		return nil
	}
	h := sha256.New()
	manifest(h)
	h.Sum(p.manifestSum[:0])
	size := p.manifestSize
	msg, err := p.sign(w.options.Signer)
	if err != nil {
		return PartInfo{}, err
	}

	counted := &counter{w: f, sum: sha256.New()}
	file := bufio.NewWriterSize(counted, 256<<10)
	out := io.Writer(file)
	finish := func() error { return nil }
	if w.options.Zstd {
		c, err := compress(file)
		if err != nil {
			return PartInfo{}, err
		}
		out, finish = c, c.finish
		defer c.abandon()
	}
	tar := &tarWriter{w: out}
	tar.member(noteName, int64(len(msg)))
	tar.Write(msg)
	tar.pad(int64(len(msg)))
	if n := p.rotationsSize; n > 0 {
		tar.member(rotationsName, n)
		tar.Write(p.Rotations)
		tar.pad(n)
	}
	tar.member(manifestName, size)
	if err := manifest(tar); err != nil {
		return PartInfo{}, err
	}
	tar.pad(size)
	for _, c := range s.chunks(l.list) {
		if err := w.member(tar, c); err != nil {
			return PartInfo{}, err
		}
	}
	tar.Write(make([]byte, endSize))
	if tar.err != nil {
		return PartInfo{}, tar.err
	}
	if err := finish(); err != nil {
		return PartInfo{}, err
	}
	if err := file.Flush(); err != nil {
		return PartInfo{}, err
	}
	info := PartInfo{Size: counted.n}
	counted.sum.Sum(info.SHA256[:0])
	return info, nil
}

// member writes one member of a part and holds its bytes against its digest.
func (w *writer) member(tar *tarWriter, c chunk) error {
	tar.member(c.member, c.length)
	in, err := w.open(c.index)
	if err != nil {
		return err
	}
	if c.piece != nil && c.piece.offset > 0 {
		if err := w.skip(in, c.index, c.piece.offset); err != nil {
			in.Close()
			return err
		}
	}
	h := sha256.New()
	w.writing = true
	err = w.copy(io.MultiWriter(tar, h), in, c.index, c.length)
	w.writing = false
	if err != nil {
		in.Close()
		return err
	}
	tar.pad(c.length)
	w.done += c.length
	if c.piece == nil {
		return w.finish(in, c.index, h)
	}
	in.Close()
	if [sha256.Size]byte(h.Sum(nil)) != c.sum {
		return w.altered(c.index)
	}
	return tar.err
}

func (w *writer) open(i int) (io.ReadCloser, error) {
	m := &w.layout.members[i]
	if m.Open == nil {
		return nil, fmt.Errorf("member %s: nothing says where its bytes are", m.Name)
	}
	in, err := m.Open()
	if err != nil {
		return nil, fmt.Errorf("member %s: %w", m.Name, err)
	}
	return in, nil
}

// skip goes to where a piece begins.
func (w *writer) skip(in io.Reader, i int, n int64) error {
	if s, ok := in.(io.Seeker); ok {
		if _, err := s.Seek(n, io.SeekStart); err == nil {
			return nil
		}
	}
	return w.copy(io.Discard, in, i, n)
}

// copy copies exactly n bytes of member i.
func (w *writer) copy(to io.Writer, in io.Reader, i int, n int64) error {
	name := w.layout.members[i].Name
	for told := int64(0); n > 0; {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		got, err := io.ReadFull(in, w.buf[:min(n, int64(len(w.buf)))])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("member %s: it has fewer bytes than the %d announced: %w", name, w.layout.members[i].Size, ErrAltered)
		}
		if err != nil {
			return fmt.Errorf("member %s: %w", name, err)
		}
		if _, err := to.Write(w.buf[:got]); err != nil {
			return err
		}
		n -= int64(got)
		told += int64(got)
		if w.options.Progress != nil && w.writing {
			w.options.Progress(w.done+told, w.all)
		}
	}
	return nil
}

// ErrAltered is matched by the errors of [Write] for a member whose bytes are not those
// that were announced.
var ErrAltered = errors.New("it is not as it was")

// finish closes member i after its last byte and checks that it was the last, and
// that all are those announced.
func (w *writer) finish(in io.ReadCloser, i int, h hash.Hash) error {
	m := &w.layout.members[i]
	var one [1]byte
	n, err := io.ReadFull(in, one[:])
	if err := in.Close(); err != nil {
		return fmt.Errorf("member %s: %w", m.Name, err)
	}
	if n > 0 {
		return fmt.Errorf("member %s: it has more bytes than the %d announced: %w", m.Name, m.Size, ErrAltered)
	}
	if err != io.EOF {
		return fmt.Errorf("member %s: %w", m.Name, err)
	}
	if [sha256.Size]byte(h.Sum(nil)) != m.SHA256 {
		return w.altered(i)
	}
	return nil
}

func (w *writer) altered(i int) error {
	m := &w.layout.members[i]
	return fmt.Errorf("member %s: its bytes are not those announced: their SHA-256 is not %x: %w", m.Name, m.SHA256, ErrAltered)
}

// A tarWriter writes an archive. Its first error stays.
type tarWriter struct {
	w     io.Writer
	err   error
	block []byte
}

var zeros [blockSize]byte

func (t *tarWriter) Write(b []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.w.Write(b)
	t.err = err
	return n, err
}

func (t *tarWriter) member(name string, size int64) {
	t.block = appendHeader(t.block[:0], name, size)
	t.Write(t.block)
}

func (t *tarWriter) pad(size int64) {
	t.Write(zeros[:padding(size)])
}

// A counter counts and digests what goes into a file.
type counter struct {
	w   io.Writer
	n   int64
	sum hash.Hash
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	c.sum.Write(b[:n])
	return n, err
}

type localDisk struct{}

func (localDisk) Exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (localDisk) Create(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
}

func (localDisk) Rename(from, to string) error { return os.Rename(from, to) }
func (localDisk) Remove(path string) error     { return os.Remove(path) }

func (localDisk) SyncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // shares and some sticks cannot sync a folder; the files are synced
	}
	return errors.Join(err, f.Close())
}
