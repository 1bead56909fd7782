package fallback

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"nestgen"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/serve"
	"nestgen/upload"
)

// page answers a request for a page of a project.
func (h *Handler) page(w http.ResponseWriter, r *http.Request, name string, n packaging.Name) {
	err := h.o.Site.Project(r.Context(), n)
	if refusal, ok := errors.AsType[*nestgen.Refusal](err); ok && refusal.Cause == nestgen.Elsewhere {
		// The address is that of the project's page in the simple API. Whoever
		// asks for another one would read it as what it is not.
		if strings.HasPrefix(name, layout.Simple+"/") {
			h.elsewhere(w, r, n, refusal.To)
			return
		}
		err = nil
	}
	if err == nil || h.missing(err) {
		h.tree.ServeHTTP(w, r)
		return
	}
	h.refuse(w, r, err, slog.String("project", string(n)))
}

// elsewhere sends the client to an upstream. It may be here tomorrow, so nobody
// is to remember that.
func (h *Handler) elsewhere(w http.ResponseWriter, r *http.Request, n packaging.Name, to string) {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		h.refuse(w, r, errors.New("no address to send a client to"), slog.String("project", string(n)))
		return
	}
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Location", u.String())
	w.WriteHeader(http.StatusFound)
}

// file answers a request for a file of the store.
func (h *Handler) file(w http.ResponseWriter, r *http.Request, name string) {
	if !h.tree.Has(name) && !h.fetch(w, r, name) {
		return
	}
	if h.o.Sendfile == XSendfile || h.o.Sendfile == XAccel {
		// It has been seen to be a file inside the tree. The server makes the
		// validators, and reads Range and conditions itself (contract CGI-10).
		serve.DescribeStored(w.Header())
		if h.o.Sendfile == XSendfile {
			w.Header().Set("X-Sendfile", filepath.Join(h.root, filepath.FromSlash(name)))
		} else {
			w.Header().Set("X-Accel-Redirect", Internal+layout.Escape(name))
		}
		w.WriteHeader(http.StatusOK)
		return
	}
	h.tree.ServeHTTP(w, r)
}

// fetch has a file come, and sends it on its way if the client wants the whole
// of it. It reports whether the file is now in the tree and nothing of an answer
// is sent.
func (h *Handler) fetch(w http.ResponseWriter, r *http.Request, name string) bool {
	s := &stream{w: w, flusher: http.NewResponseController(w)}
	var begin func(int64) io.Writer
	if r.Method == http.MethodGet && isPlain(r.Header) {
		begin = s.begin
	}
	err := h.o.Site.File(r.Context(), name, begin)
	switch {
	case s.started && (err != nil || s.sent != s.size):
		level := slog.LevelWarn
		if s.gone {
			level = slog.LevelDebug
		}
		h.o.Log.Log(r.Context(), level, "broke a download off", "path", name, "sent", s.sent, "size", s.size, "err", err)
		panic(http.ErrAbortHandler)
	case s.started:
		return false
	case err == nil && h.tree.Has(name):
		return true
	case err == nil:
		// Somebody has put something there that is no file (contract, row 54).
		h.o.Log.Error("something in the place of a file is not served", "path", name)
		h.tree.ServeHTTP(w, r)
	case h.missing(err):
		h.tree.ServeHTTP(w, r)
	default:
		h.refuse(w, r, err, slog.String("path", name))
	}
	return false
}

// isPlain reports whether a request asks for all of a file, whatever the client
// has of it. Other requests can be answered only once the file is here.
func isPlain(h http.Header) bool {
	for _, name := range []string{"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if len(h.Values(name)) > 0 {
			return false
		}
	}
	return true
}

// A stream sends a file while it comes. The header waits for the first byte: up
// to then a fault can still be answered.
type stream struct {
	w       http.ResponseWriter
	flusher *http.ResponseController
	size    int64
	sent    int64
	started bool
	gone    bool // the client, before it had all
}

// begin gives what takes the bytes of a file. A file of unknown size is sent only
// when it is here: the web server would end an answer without a length properly
// wherever it was broken off, and the client take it for whole.
func (s *stream) begin(size int64) io.Writer {
	if size < 0 {
		return io.Discard
	}
	s.size = size
	return s
}

func (s *stream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !s.started {
		s.started = true
		header := s.w.Header()
		serve.DescribeStored(header)
		header.Set("Accept-Ranges", "bytes")
		header.Set("Content-Length", strconv.FormatInt(s.size, 10))
		s.w.WriteHeader(http.StatusOK)
	}
	n, err := s.w.Write(p)
	s.sent += int64(n)
	if err == nil {
		if err = s.flusher.Flush(); errors.Is(err, http.ErrNotSupported) {
			err = nil
		}
	}
	s.gone = err != nil && !errors.Is(err, http.ErrContentLength)
	return n, err
}

// missing reports whether an error says no more than that something is not
// here. That a rule stands against it is nobody's business but this site's: a 403
// would keep uv from looking elsewhere (contract S-14).
func (h *Handler) missing(err error) bool {
	refusal, ok := errors.AsType[*nestgen.Refusal](err)
	return ok && (refusal.Cause == nestgen.NotHere || refusal.Cause == nestgen.NotAllowed)
}

// refuse answers a request to read that could not be fulfilled, and notes it.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error, what slog.Attr) {
	p, after := problem(err)
	switch p.Status { // some are about what a client sends, and this one asks
	case http.StatusBadRequest:
		p.Status = http.StatusBadGateway
	case http.StatusInsufficientStorage:
		p.Status = http.StatusServiceUnavailable
	}
	h.o.Log.LogAttrs(r.Context(), level(p.Status, err), "could not answer", what, slog.Int("status", p.Status), slog.Any("err", err))
	h.answer(w, r, p, after)
}

// answer sends a problem, with the time after which to come back.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, p *upload.Problem, after time.Duration) {
	if after > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((after+time.Second-1)/time.Second), 10))
	}
	p.Write(w, r)
}

// level is how loudly a refusal is noted: what the people of this site have to
// mend is an error, and what a client alone can is none.
func level(status int, err error) slog.Level {
	switch {
	case errors.Is(err, context.Canceled):
		return slog.LevelDebug
	case status == http.StatusInternalServerError || status == http.StatusInsufficientStorage:
		return slog.LevelError
	case status >= 500:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
