package nestgen

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"os"
	"sync"
	"time"

	"nestgen/catalog"
)

// A follower sends a file on while it is downloaded, at the pace of whoever
// reads it. The last byte stays behind until everything before it is known to be
// what was announced. A nil follower follows nothing.
type follower struct {
	begin func(size int64) io.Writer
	want  catalog.Digest // of the whole file

	mu   sync.Mutex // held to use part
	part string     // the file that the download writes now

	w       io.Writer     // nil until something comes
	over    chan struct{} // closed when the download has ended
	stopped chan struct{} // closed when nothing more is read along

	// Those are the goroutine's that reads along, until it has stopped.
	sent int64
	sum  hash.Hash // of what was sent
	err  error     // of w
}

// errNotSame says that what was sent is not a beginning of the file: an attempt
// brought something else before the right one.
var errNotSame = errors.New("what was sent of the file at first is not the file")

// pollPart is how often a download is looked at that is slower than its reader.
const pollPart = 5 * time.Millisecond

// begun is called by package fetch when an answer begins.
func (f *follower) begun(part string, size int64) {
	f.mu.Lock()
	f.part = part
	f.mu.Unlock()
	if f.w != nil {
		return // a new attempt
	}
	f.w, f.sum = f.begin(size), sha256.New()
	f.over, f.stopped = make(chan struct{}), make(chan struct{})
	go f.readAlong()
}

// readAlong sends what is there, but for the last byte, until the download has
// ended.
func (f *follower) readAlong() {
	defer close(f.stopped)
	var file *os.File
	defer func() { file.Close() }()
	buf := make([]byte, 64<<10)
	for f.err == nil {
		select {
		case <-f.over:
			return
		default:
		}
		if file == nil {
			f.mu.Lock()
			name := f.part
			f.mu.Unlock()
			file, _ = os.Open(name) // it may not be there yet
		}
		n := 0
		if file != nil {
			n, _ = file.ReadAt(buf, f.sent)
		}
		if n > 1 {
			f.send(buf[:n-1])
			continue
		}
		select {
		case <-f.over:
			return
		case <-time.After(pollPart):
		}
		// A new attempt may have put another file there.
		file.Close()
		file = nil
	}
}

func (f *follower) send(p []byte) {
	f.sum.Write(p)
	n, err := f.w.Write(p)
	f.sent += int64(n)
	f.err = err
}

// stop says that the download has ended. It does not wait for the reader.
func (f *follower) stop() {
	if f != nil && f.w != nil {
		close(f.over)
	}
}

// end sends what is left of a file that is there, which open opens, unless err
// says why it is not.
func (f *follower) end(err error, open func() (*os.File, error)) error {
	if f == nil || f.w == nil {
		return err
	}
	<-f.stopped
	if err != nil || f.err != nil {
		return errors.Join(err, f.err)
	}
	file, err := open()
	if err != nil {
		return err
	}
	defer file.Close()
	buf := make([]byte, 256<<10)
	for {
		n, err := file.ReadAt(buf, f.sent)
		if err != nil && err != io.EOF {
			return err
		}
		if n > 1 {
			if f.send(buf[:n-1]); f.err != nil {
				return f.err
			}
			continue
		}
		last := buf[:n]
		f.sum.Write(last)
		if catalog.Digest(f.sum.Sum(nil)) != f.want {
			return errNotSame
		}
		_, err = f.w.Write(last)
		return err
	}
}
