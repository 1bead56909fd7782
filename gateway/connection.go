package gateway

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	paramsTimeout = 10 * time.Second // for the variables of a request, which are sent in one go
	writeTimeout  = time.Hour        // for one piece of an answer: a slow client, and a server that has filled its buffers
	lingering     = 2 * time.Second  // for what the server still sends when the answer is written
	queueTimeout  = 5 * time.Second  // for a request beyond MaxRequests
)

// A connection is one of a web server. It carries one request at a time.
//
// The goroutine of serve reads all records, so that it notices when the server
// aborts a request or goes away; the handler of a request has one of its own.
type connection struct {
	s   *service
	rw  net.Conn
	mem *memory

	handler sync.WaitGroup // at most one, and what it does after its answer

	writing sync.Mutex
	pieces  net.Buffers
	array   [3][]byte
	head    [headerLen]byte

	mu      sync.Mutex
	current *exchange // nil between requests
	busy    bool      // also while the end of a request is being written
	last    bool      // no request follows the current one
}

// memory is what a connection needs as long as it lives.
type memory struct {
	in      *bufio.Reader
	record  record
	params  []byte
	block   []byte
	pending []byte
}

var memories = sync.Pool{New: func() any {
	return &memory{
		in:      bufio.NewReaderSize(nil, 8<<10),
		params:  make([]byte, 0, 2<<10),
		block:   make([]byte, 0, held+1<<10),
		pending: make([]byte, 0, held),
	}
}}

// An exchange is a request in the making, or being answered.
type exchange struct {
	id      uint16
	keep    bool
	started bool // the variables are all there
	whole   bool // so is the body
	expires time.Time

	cancel context.CancelFunc
	stdin  *io.PipeReader
	fill   *io.PipeWriter
}

var (
	errAborted = errors.New("request body: the web server has aborted the request")
	errGone    = errors.New("request body: the web server has gone")
	errClose   = errors.New("this connection is done")
)

func (c *connection) serve() {
	defer c.rw.Close()
	c.mem.in.Reset(c.rw)
	for {
		c.setDeadline()
		if err := c.mem.record.read(c.mem.in); err != nil {
			break
		}
		if err := c.take(&c.mem.record); err != nil {
			break
		}
	}
	c.mu.Lock()
	c.last = true
	x := c.current
	c.mu.Unlock()
	if x != nil && x.started {
		x.abort(errGone)
	}
}

func (x *exchange) abort(why error) {
	x.cancel()
	if x.fill != nil {
		x.fill.CloseWithError(why)
	}
}

// setDeadline says how long the server may take for its next record.
func (c *connection) setDeadline() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var t time.Time
	switch x := c.current; {
	case x == nil && c.last:
		return // set when the answer was written
	case x == nil || x.started && !x.whole:
		t = time.Now().Add(c.s.idle)
	case !x.started:
		t = x.expires
	}
	_ = c.rw.SetReadDeadline(t) // fails on a closed connection, as the next read will
}

// take takes a record. An error ends the connection.
func (c *connection) take(rec *record) error {
	if rec.id == 0 {
		return c.manage(rec)
	}
	c.mu.Lock()
	x, last := c.current, c.last
	c.mu.Unlock()
	if rec.kind == beginRequest {
		if x == nil && last {
			return nil // the server has not seen yet that nothing more is taken
		}
		return c.begin(rec, x)
	}
	if x == nil || x.id != rec.id {
		return nil // what is left of a request that is answered or was not taken (3.3)
	}
	switch rec.kind {
	case paramsStream:
		return c.param(x, rec.content)
	case stdinStream:
		if !x.started {
			return errProtocol
		}
		c.feed(x, rec.content)
	case abortRequest:
		if !x.started {
			c.mu.Lock()
			c.current, c.busy = nil, false
			x.keep = x.keep && !c.last
			c.mu.Unlock()
			return c.end(x, requestComplete)
		}
		x.abort(errAborted) // its handler ends it
	}
	return nil
}

// manage answers the records that are of no request (4).
func (c *connection) manage(rec *record) error {
	if rec.kind != getValues {
		b := appendHeader(nil, unknownType, 0, 8)
		return c.write(append(b, byte(rec.kind), 0, 0, 0, 0, 0, 0, 0))
	}
	most := strconv.Itoa(c.s.most)
	var list []byte
	asked := map[string]bool{}
	whole := pairs(rec.content, func(name, _ string) {
		if asked[name] {
			return
		}
		switch name {
		case "FCGI_MAX_CONNS", "FCGI_MAX_REQS":
			list = appendPair(list, name, most)
		case "FCGI_MPXS_CONNS":
			list = appendPair(list, name, "0")
		default:
			return
		}
		asked[name] = true
	})
	if !whole {
		return errProtocol
	}
	return c.write(append(appendHeader(nil, getValuesResult, 0, len(list)), list...))
}

// begin takes the record that begins a request; x is the current one.
func (c *connection) begin(rec *record, x *exchange) error {
	if len(rec.content) != 8 || x != nil && x.id == rec.id {
		return errProtocol
	}
	next := &exchange{id: rec.id, keep: rec.content[2]&keepConn != 0, expires: time.Now().Add(paramsTimeout)}
	switch {
	case x != nil:
		return c.write(appendEnd(nil, rec.id, cantMultiplex))
	case binary.BigEndian.Uint16(rec.content) != responder:
		return c.end(next, unknownRole)
	}
	c.mem.params = c.mem.params[:0]
	c.mu.Lock()
	c.current, c.busy = next, true
	c.mu.Unlock()
	return nil
}

// end ends a request that no handler has seen.
func (c *connection) end(x *exchange, status protocolStatus) error {
	if err := c.write(appendEnd(nil, x.id, status)); err != nil {
		return err
	}
	if !x.keep {
		return errClose
	}
	return nil
}

// param takes a piece of the variables; an empty one ends them and starts the
// handler.
func (c *connection) param(x *exchange, p []byte) error {
	switch {
	case x.started:
		return errProtocol
	case len(p) > 0 && len(c.mem.params)+len(p) <= maxVariables+1:
		// One byte more than is allowed is kept, to know that there was more.
		c.mem.params = append(c.mem.params, p...)
		return nil
	case len(p) > 0:
		c.mem.params = append(c.mem.params, p[:maxVariables+1-len(c.mem.params)]...)
		return nil
	}

	var e environment
	var why *refusal
	if len(c.mem.params) > maxVariables {
		why = &refusal{http.StatusRequestHeaderFieldsTooLarge, "Request header too large"}
	} else if !pairs(c.mem.params, e.add) {
		why = &refusal{http.StatusBadRequest, "Invalid FastCGI parameters"}
	}
	ctx, cancel := context.WithCancel(c.s.base)
	x.cancel = cancel
	x.stdin, x.fill = io.Pipe()
	head := e.values[requestMethod] == http.MethodHead
	var r *http.Request
	if why == nil {
		var err error
		if r, err = e.request(ctx, c.s.Prefixes, x.stdin); err != nil {
			errors.As(err, &why)
		} else if r.Body == http.NoBody {
			x.stdin.Close() // nobody would read it
		}
	}
	x.started = true
	c.handler.Wait() // the one before may still be using the memory
	c.handler.Go(func() {
		defer cancel()
		w := newResponse(&stdout{c, x.id}, head, cancel, c.mem.block, c.mem.pending)
		c.answer(ctx, x, w, r, why)
		// What the answer has grown into is used again.
		c.mem.block, c.mem.pending = w.block[:0], w.pending[:0]
		c.over()
	})
	return nil
}

// feed gives a piece of the body to the handler and waits until it has read it;
// an empty piece ends the body.
func (c *connection) feed(x *exchange, p []byte) {
	if len(p) > 0 {
		_, _ = x.fill.Write(p) // fails when the handler is done with the body
		return
	}
	x.whole = true
	_ = x.fill.Close() // never fails
}

// answer lets the handler answer, or refuses.
func (c *connection) answer(ctx context.Context, x *exchange, w *response, r *http.Request, why *refusal) {
	if why == nil && !c.s.enter(ctx) {
		why = &refusal{http.StatusServiceUnavailable, "Too many requests at once"}
	} else if why == nil {
		defer c.s.leave()
	}
	var rest []byte
	ok := true
	if why != nil {
		rest = w.refuse(why.status, why.reason)
	} else {
		var f fault
		rest, f, ok = w.run(c.s.Handler, r)
		if f != "" {
			c.s.log(f.line(r))
		}
		ok = ok || rest != nil // a 500 is a whole answer
	}
	x.stdin.CloseWithError(http.ErrBodyReadAfterClose) // and feed drops the rest of the body
	c.finish(x, rest, ok)
}

// finish sends the rest of an answer and ends the request; or, if the answer
// cannot be whole, breaks off.
func (c *connection) finish(x *exchange, rest []byte, ok bool) {
	// The server may send its next request as soon as it has read the end.
	c.mu.Lock()
	c.current = nil
	c.last = c.last || !x.keep || !ok
	c.mu.Unlock()
	if !ok {
		// The end of a connection is a good end of an answer to nginx where it
		// does not buffer. What is no record is not, anywhere.
		_ = c.write(make([]byte, headerLen)) // it may be gone
		c.rw.Close()
		return
	}
	tail := make([]byte, 0, 3*headerLen)
	tail = appendEnd(appendHeader(tail, stdoutStream, x.id, 0), x.id, requestComplete)
	if _, err := c.stream(x.id, rest, tail); err != nil {
		c.rw.Close()
	}
}

// over makes the connection ready for the next request, or ends it.
func (c *connection) over() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil {
		return // the next one has begun
	}
	c.busy = false
	if !c.last {
		_ = c.rw.SetReadDeadline(time.Now().Add(c.s.idle)) // the next read says it
		return
	}
	// What the server still has to send is read for a while: a socket that is
	// closed before that may take the answer with it.
	if half, ok := c.rw.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = c.rw.SetReadDeadline(time.Now().Add(lingering))
		return
	}
	c.rw.Close()
}

// stdout is the stream of a request's answer.
type stdout struct {
	c  *connection
	id uint16
}

func (s *stdout) Write(p []byte) (int, error) { return s.c.stream(s.id, p, nil) }

// stream writes p as records, and tail after them.
func (c *connection) stream(id uint16, p, tail []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.rw.SetWriteDeadline(time.Now().Add(writeTimeout)) // the write says it
	sent := 0
	for {
		// Records of less than 64 KiB that are a multiple of 8.
		n := min(len(p), maxContent&^7)
		c.pieces = c.array[:0]
		if n > 0 {
			c.pieces = append(c.pieces, appendHeader(c.head[:0], stdoutStream, id, n), p[:n])
		}
		p = p[n:]
		if len(p) == 0 && tail != nil {
			c.pieces = append(c.pieces, tail)
		}
		if _, err := c.pieces.WriteTo(c.rw); err != nil {
			return sent, err
		}
		sent += n
		if len(p) == 0 {
			return sent, nil
		}
	}
}

// write writes whole records.
func (c *connection) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.rw.SetWriteDeadline(time.Now().Add(c.s.idle)) // the write says it
	_, err := c.rw.Write(b)
	return err
}

// retire lets the request that is being answered be the last one; without one
// the connection ends at once.
func (c *connection) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = true
	if !c.busy {
		c.rw.Close()
	}
}

// cut ends the connection and reports whether a request was being answered.
func (c *connection) cut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rw.Close()
	return c.busy
}
