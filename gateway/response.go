package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// held is how much of a body is held back while the handler may still fail.
const held = 16 << 10

// A response writes one answer to a stream, in the form of RFC 3875, 6.
type response struct {
	out    io.Writer
	head   bool               // the client wants the header alone
	cancel context.CancelFunc // ends the request when nobody reads the answer

	header http.Header
	reason string

	status   int    // 0 until WriteHeader
	block    []byte // the header, without the fields that are added to it and the empty line
	pending  []byte // of the body, not sent
	sent     bool   // the header is sent
	bodiless bool   // by its method or status
	typed    bool   // a Content-Type is given, or given as none
	handover bool   // the web server sends a file in place of the body
	length   int64  // by Content-Length, -1 without
	written  int64
	err      error // why nothing more can be sent
}

// newResponse gives a response that uses the memory of block and pending.
func newResponse(out io.Writer, head bool, cancel context.CancelFunc, block, pending []byte) *response {
	return &response{out: out, head: head, cancel: cancel, header: make(http.Header), block: block[:0], pending: pending[:0], length: -1}
}

// errHeader is what a handler gets that has made a header which cannot be sent.
var errHeader = errors.New("invalid response header")

func (w *response) Header() http.Header { return w.header }

// SetReason is for [SetReason].
func (w *response) SetReason(phrase string) { w.reason = phrase }

// WriteHeader fixes the header. It is sent with the first bytes of the body, or
// when the handler is done. Statuses of 1xx are passed over: neither server
// takes one from a gateway.
func (w *response) WriteHeader(status int) {
	switch {
	case status < 100 || status > 999:
		panic("invalid status " + strconv.Itoa(status))
	case w.status != 0 || status < 200:
		return
	}
	w.status = status
	w.bodiless = w.head || status == http.StatusNoContent || status == http.StatusNotModified
	w.err = w.render()
}

// hopByHop are fields of one connection, which are the web server's, and those
// by which a gateway talks to it.
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Status", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// render writes the header into block.
func (w *response) render() error {
	reason := w.reason
	if reason == "" {
		reason = http.StatusText(w.status)
	}
	if reason == "" {
		reason = "Unknown"
	}
	b := append(w.block[:0], "Status: "...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(b, ' ')
	b = appendReason(b, reason)
	b = append(b, "\r\n"...)

	var few [16]string
	names := few[:0]
	for name := range w.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := w.header[name]
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case slices.Contains(hopByHop, canonical) || strings.HasPrefix(canonical, http.TrailerPrefix):
			continue
		case canonical == "Location" && w.status < 300 && w.status != http.StatusCreated:
			continue // Apache would answer with that page of its own
		case canonical == "Content-Length":
			if w.status == http.StatusNoContent || w.status == http.StatusNotModified || len(values) == 0 {
				continue // nginx waits for so many bytes
			}
			n, err := strconv.ParseInt(values[0], 10, 64)
			if len(values) > 1 || !isNumber(values[0]) || err != nil {
				return fmt.Errorf("%w: Content-Length %q", errHeader, values)
			}
			w.length = n
		case canonical == "Content-Type":
			w.typed = true
			if w.status == http.StatusNotModified {
				continue
			}
		case canonical == "X-Sendfile", canonical == "X-Accel-Redirect":
			w.handover = true
		}
		if !isToken(name) {
			return fmt.Errorf("%w: field name %q", errHeader, name)
		}
		for _, v := range values {
			if !isFieldValue(v) {
				return fmt.Errorf("%w: %s: %q", errHeader, name, v)
			}
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, strings.Trim(v, " \t")...)
			b = append(b, "\r\n"...)
		}
	}
	w.block = b
	return nil
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case w.bodiless:
		if !w.head {
			return 0, http.ErrBodyNotAllowed
		}
		return len(p), nil
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if len(w.pending)+len(p) <= held {
		w.pending = append(w.pending, p...)
		return len(p), nil
	}
	if err := w.FlushError(); err != nil {
		return 0, err
	}
	if len(p) < held {
		w.pending = append(w.pending, p...)
		return len(p), nil
	}
	if err := w.send(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush is for [http.Flusher].
func (w *response) Flush() { _ = w.FlushError() } // the next Write says it

// FlushError sends what there is, for [http.ResponseController].
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.err != nil {
		return w.err
	}
	return w.send(w.rest(false))
}

// rest takes what is to be sent next: the header if it is not sent yet, and
// what is pending of the body.
func (w *response) rest(whole bool) []byte {
	p := w.pending
	w.pending = w.pending[:0]
	if w.sent {
		return p
	}
	w.sent = true
	if !w.typed && w.written > 0 {
		w.block = append(w.block, "Content-Type: application/octet-stream\r\n"...)
	}
	if whole && w.length < 0 && !w.bodiless && !w.handover {
		w.block = append(w.block, "Content-Length: "...)
		w.block = strconv.AppendInt(w.block, w.written, 10)
		w.block = append(w.block, "\r\n"...)
	}
	w.block = append(w.block, "\r\n"...)
	w.block = append(w.block, p...)
	return w.block
}

func (w *response) send(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := w.out.Write(p); err != nil {
		w.err = err
		w.cancel()
		return err
	}
	return nil
}

// A fault is what a handler did wrong; the empty one is that it gave the answer
// up on purpose, or that nobody reads it, which needs no line in a log.
type fault string

// run lets the handler answer. It gives what is still to be sent, and no fault;
// or a fault and, if nothing of the answer was sent yet, an answer that says so
// to the client. Without one the answer has to be broken off.
func (w *response) run(h http.Handler, r *http.Request) (rest []byte, f fault, ok bool) {
	f, ok = w.call(h, r)
	if !ok {
		if f == "" || w.sent {
			return nil, f, false
		}
		return w.refuse(http.StatusInternalServerError, ""), f, false
	}
	return w.rest(true), "", true
}

// refuse gives a whole answer of the gateway itself, in the place of anything
// else. Nothing may be sent yet.
func (w *response) refuse(status int, reason string) []byte {
	if reason == "" {
		reason = http.StatusText(status)
	}
	*w = *newResponse(w.out, w.head, w.cancel, w.block, w.pending)
	w.header["Content-Type"] = []string{"text/plain; charset=utf-8"}
	w.header["X-Content-Type-Options"] = []string{"nosniff"}
	if status == http.StatusServiceUnavailable {
		w.header["Retry-After"] = []string{"1"}
	}
	w.SetReason(reason)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, reason+"\n") // into memory
	return w.rest(true)
}

// call calls the handler and reports whether the answer is as it says.
func (w *response) call(h http.Handler, r *http.Request) (f fault, ok bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		f, ok = "", false
		if v != http.ErrAbortHandler {
			f = fault(fmt.Sprintf("panic: %.200q at %s", fmt.Sprint(v), panicked()))
		}
	}()
	h.ServeHTTP(w, r)
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case errors.Is(w.err, errHeader):
		return fault(w.err.Error()), false
	case w.err != nil:
		return "", false
	case !w.bodiless && !w.handover && w.length >= 0 && w.written < w.length:
		return fault(fmt.Sprintf("the answer ends after %d of %d bytes", w.written, w.length)), false
	}
	return "", true
}

// panicked says where the panic was that a deferred call is recovering from.
func panicked() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") || !more {
			return f.Function + ":" + strconv.Itoa(f.Line)
		}
	}
}

// line says what went wrong, in one line that no client can break or colour.
func (f fault) line(r *http.Request) string {
	return fmt.Sprintf("gateway: %s: %.20q %.300q\n", string(f), r.Method, r.URL.Path)
}
