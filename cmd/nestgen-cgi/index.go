package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"nestgen"
	"nestgen/access"
	"nestgen/fallback"
	"nestgen/gateway"
	"nestgen/internal/confine"
)

// An index answers requests by the settings as they are. A process that stays
// looks once a second at most whether they have changed, or whether somebody
// has put another site, state or catalog into place; then it begins anew. What
// cannot be read stands for nothing: the last settings that could be go on to
// hold, and the log says so once.
type index struct {
	file  string
	log   *slog.Logger
	clock func() time.Time

	// alone says that the process is there for one request, and confines itself
	// to what that needs. One that stays may be given other folders later; it is
	// for whoever starts it to confine it, as the service in contrib/ is.
	alone bool

	mu     sync.Mutex
	now    *edition  // nil before the first that could be read
	looked time.Time // when somebody looked last
	failed []mark    // of settings that could not be used
	err    error     // why
}

// every is how often an index looks for changes at most.
const every = time.Second

// An edition is an index by one reading of its settings.
type edition struct {
	config  nestgen.Config
	handler *fallback.Handler
	site    *nestgen.Live
	watched []string
	marks   []mark
	users   int // requests that are being answered
}

// ServeHTTP answers a request.
func (x *index) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, err := x.enter()
	if err != nil {
		// Where the settings are is nobody's business but the log's (CGI-13).
		const text = "This index is not set up; the log of its server says why"
		gateway.SetReason(w, text)
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, text, http.StatusInternalServerError)
		return
	}
	defer x.leave(e)
	if x.alone {
		e.confine(r, x.log)
	}
	e.handler.ServeHTTP(w, r)
}

// enter gives the index as it is by now. The caller leaves it.
func (x *index) enter() (*edition, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if now := x.clock(); x.looked.IsZero() || now.Sub(x.looked) >= every {
		x.looked = now
		x.look()
	}
	if x.now == nil {
		return nil, x.err
	}
	x.now.users++
	return x.now, nil
}

func (x *index) leave(e *edition) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e.users--
	if e != x.now && e.users == 0 {
		e.close(x.log)
	}
}

// close gives back what the index holds, after the last request.
func (x *index) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.replace(nil)
}

// end is close for a process that has answered its only request.
func (x *index) end() {
	if x.now == nil {
		return
	}
	if err := x.now.site.Leave(); err != nil {
		x.log.Warn("could not end well", "err", err)
	}
}

func (x *index) replace(e *edition) {
	old := x.now
	x.now = e
	if old != nil && old.users == 0 {
		old.close(x.log)
	}
}

// look finds out whether something has changed, and begins anew if so.
func (x *index) look() {
	watched := []string{x.file}
	if x.now != nil {
		watched = x.now.watched
	}
	marks := marksOf(watched)
	if x.now != nil && slices.Equal(marks, x.now.marks) || x.err != nil && slices.Equal(marks, x.failed) {
		return
	}
	e, err := open(x.file, x.log)
	if x.failed, x.err = nil, err; err != nil {
		x.failed = marks
		if x.now != nil {
			x.log.Error("cannot use the settings as they are now; those from before go on to hold", "err", err)
		} else {
			x.log.Error("cannot be used", "err", err)
		}
		return
	}
	x.replace(e)
}

// open reads the settings.
func open(file string, log *slog.Logger) (*edition, error) {
	if !filepath.IsAbs(file) {
		return nil, fmt.Errorf("the settings %q: want an absolute path", file)
	}
	before := marksOf([]string{file})
	c, err := nestgen.Load(file)
	if err != nil {
		return nil, err
	}
	if err := c.Resolve(); err != nil {
		return nil, err
	}
	e := &edition{config: c, site: nestgen.Join(c, log)}
	o := fallback.Configure(c)
	o.Site, o.Caller, o.Log = e.site, caller, log
	e.handler, err = fallback.New(o)
	if errors.Is(err, fs.ErrNotExist) {
		// Nobody has built it yet: joining it makes the folder.
		if err = e.site.Open(); err == nil {
			e.handler, err = fallback.New(o)
		}
	}
	if err != nil {
		return nil, errors.Join(err, e.site.Close())
	}
	e.watched = []string{file, c.Site, c.State, filepath.Join(c.State, "catalog.db")}
	e.marks = marksOf(e.watched)
	e.marks[0] = before[0]
	return e, nil
}

// confine takes from the process what it does not need for a request. It is the
// second wall: what the kernel does not have is done without.
func (e *edition) confine(r *http.Request, log *slog.Logger) {
	missing := func(dir string) bool {
		_, err := os.Stat(dir)
		return errors.Is(err, fs.ErrNotExist)
	}
	if missing(e.config.State) || e.config.Uploads != "" && r.Method == http.MethodPost && missing(e.config.Uploads) {
		return // the first request of all, or the first upload, makes them, which one that is confined cannot
	}
	if _, err := confine.Restrict(confine.For(e.config)); err != nil {
		log.Warn("not confined", "err", err)
	}
}

func (e *edition) close(log *slog.Logger) {
	if err := errors.Join(e.handler.Close(), e.site.Close()); err != nil {
		log.Warn("could not end well", "err", err)
	}
}

// caller says who sends a request, by what the web server vouches for.
func caller(r *http.Request) access.Request {
	q := access.RequestOf(r)
	c, ok := gateway.From(r.Context())
	q.RemoteUser, q.Secure = c.RemoteUser, ok && (c.TLS || c.Loopback)
	return q
}

// A mark tells whether there is another file at a path, or another content in
// the same one. Of a folder and of the catalog, which change all the time, it
// tells only the former.
type mark struct {
	device, inode uint64
	size, time    int64
}

func marksOf(paths []string) []mark {
	marks := make([]mark, len(paths))
	for i, p := range paths {
		var st syscall.Stat_t
		if syscall.Stat(p, &st) != nil {
			continue // it is not there, or cannot be looked at: the zero mark
		}
		marks[i] = mark{device: uint64(st.Dev), inode: st.Ino}
		if i == 0 {
			marks[i].size, marks[i].time = st.Size, st.Mtim.Nano()
		}
	}
	return marks
}
