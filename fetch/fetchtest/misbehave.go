package fetchtest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// loginPage is what a captive portal or a proxy sends.
const loginPage = `<!DOCTYPE html><html><head><title>Sign in</title></head><body><form action="/login"><input name="user"></form><a href="/help">Help</a></body></html>`

// misbehave answers a request in a wrong way. It is false for a healthy answer,
// and for the faults that are in the text of a page.
func (s *Server) misbehave(w http.ResponseWriter, r *http.Request, fault Fault) bool {
	if fault == Healthy {
		return false
	}
	h := w.Header()
	status := func(code int) bool {
		http.Error(w, http.StatusText(code), code)
		return true
	}
	redirect := func(to string) bool {
		h.Set("Location", to)
		w.WriteHeader(http.StatusFound)
		return true
	}
	switch fault {
	case Status401:
		h.Set("WWW-Authenticate", `Basic realm="pypi"`)
		return status(http.StatusUnauthorized)
	case Status403:
		return status(http.StatusForbidden)
	case Status404:
		return status(http.StatusNotFound)
	case Status410:
		return status(http.StatusGone)
	case Status418:
		return status(http.StatusTeapot)
	case Status429:
		h.Set("Retry-After", "1")
		return status(http.StatusTooManyRequests)
	case Status500:
		return status(http.StatusInternalServerError)
	case Status502:
		return status(http.StatusBadGateway)
	case Status503:
		h.Set("Retry-After", time.Now().Add(2*time.Second).UTC().Format(http.TimeFormat))
		return status(http.StatusServiceUnavailable)
	case LongRetryAfter:
		h.Set("Retry-After", "86400")
		return status(http.StatusServiceUnavailable)
	case Status204:
		w.WriteHeader(http.StatusNoContent)
		return true
	case Unasked304:
		w.WriteHeader(http.StatusNotModified)
		return true
	case LoginPage:
		h.Set("Content-Type", "text/html")
		io.WriteString(w, loginPage)
		return true
	case CaptivePortal:
		h.Set("Content-Type", "text/html")
		io.WriteString(w, `<html><body><a href="/portal/terms-1.0.zip">Terms</a> <a href="/help">Help</a></body></html>`)
		return true
	case WrongContentType:
		h.Set("Content-Type", "application/octet-stream")
		io.WriteString(w, "{}")
		return true
	case RedirectLoop:
		return redirect(r.URL.Path)
	case RedirectHTTP:
		return redirect("http://" + r.Host + r.URL.Path)
	case RedirectInternal:
		return redirect("http://169.254.169.254/latest/meta-data/")
	case RedirectFile:
		return redirect("file:///etc/passwd")
	case RedirectFTP:
		return redirect("ftp://" + r.Host + r.URL.Path)
	case HugeHeader:
		for i := range 2000 {
			h.Set("X-Filler-"+strconv.Itoa(i), strings.Repeat("x", 1000))
		}
		return false
	case StallBeforeHeaders:
		s.stall(r)
		return true
	case HugePage:
		h.Set("Content-Type", typeHTML)
		io.WriteString(w, "<!DOCTYPE html><html><body>")
		s.endless(w, r, []byte(strings.Repeat("<p>page</p>\n", 4096)))
		return true
	case GzipBomb:
		h.Set("Content-Type", typeHTML)
		h.Set("Content-Encoding", "gzip")
		w.Write(bomb())
		return true
	case HeadKiller:
		if r.Method == http.MethodHead {
			s.hijack(w, "", nil, false)
			return true
		}
		return false
	}
	a, ok := s.answer(r, Healthy)
	if !ok {
		return false
	}
	return s.spoilBody(w, r, a, fault)
}

// spoilBody sends a wrong form of a right answer.
func (s *Server) spoilBody(w http.ResponseWriter, r *http.Request, a *answer, fault Fault) bool {
	h := w.Header()
	half := a.data[:len(a.data)/2]
	ranged := r.Header.Get("Range") != ""
	other := bytes.Clone(a.data)
	for i := range other {
		other[i] ^= 0x55
	}
	head := "HTTP/1.1 200 OK\r\nContent-Type: " + a.contentType + "\r\nETag: " + etag(a.data) + "\r\nConnection: close\r\n"
	withLength := head + "Content-Length: " + strconv.Itoa(len(a.data)) + "\r\n\r\n"
	send := func(code int, data []byte) bool {
		h.Set("Content-Type", a.contentType)
		h.Set("Content-Length", strconv.Itoa(len(data)))
		w.WriteHeader(code)
		w.Write(data)
		return true
	}
	chunked := func(data []byte) bool {
		h.Set("Content-Type", a.contentType)
		w.(http.Flusher).Flush()
		w.Write(data)
		return true
	}
	// Faults of an answer to a range do no harm to one without.
	start, end := rangeOf(r.Header.Get("Range"), len(a.data))
	part := a.data[start:end]
	inRange := func(from, to, of int) string { return fmt.Sprintf("bytes %d-%d/%d", from, to, of) }
	switch fault {
	case EmptyBody:
		return send(http.StatusOK, nil)
	case CutWithLength:
		return s.hijack(w, withLength, half, false)
	case CutWithoutLength:
		return s.hijack(w, head+"\r\n", half, false)
	case CutChunked:
		return s.hijack(w, head+"Transfer-Encoding: chunked\r\n\r\n"+strconv.FormatInt(int64(len(a.data)), 16)+"\r\n", half, false)
	case Reset:
		return s.hijack(w, withLength, half, true)
	case EarlyClose:
		return s.hijack(w, "", nil, false)
	case NotHTTP:
		return s.hijack(w, "SSH-2.0-OpenSSH_9.2p1\r\n", nil, false)
	case StallAfterHeaders:
		h.Set("Content-Length", strconv.Itoa(len(a.data)))
		h.Set("Content-Type", a.contentType)
		w.(http.Flusher).Flush()
		s.stall(r)
		return true
	case StallInBody:
		h.Set("Content-Length", strconv.Itoa(len(a.data)))
		h.Set("Content-Type", a.contentType)
		h.Set("ETag", etag(a.data))
		w.Write(half)
		w.(http.Flusher).Flush()
		s.stall(r)
		return true
	case SlowDrip:
		h.Set("Content-Length", strconv.Itoa(len(a.data)))
		h.Set("Content-Type", a.contentType)
		for i := range a.data {
			w.Write(a.data[i : i+1])
			w.(http.Flusher).Flush()
			if !s.sleep(r, 20*time.Millisecond) {
				break
			}
		}
		return true
	case UnknownEncoding:
		h.Set("Content-Encoding", "br")
		return send(http.StatusOK, other)
	case CutGzip:
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.NoCompression)
		z.Write(a.data)
		z.Close()
		h.Set("Content-Encoding", "gzip")
		return send(http.StatusOK, b.Bytes()[:b.Len()/2])
	case EndlessBody:
		s.endless(w, r, bytes.Repeat([]byte("endless "), 4096))
		return true
	case WrongBytes:
		return send(http.StatusOK, other)
	case Replaced:
		h.Set("ETag", etag(other))
		return send(http.StatusOK, other[:len(other)-len(other)/4])
	case Longer:
		return send(http.StatusOK, append(bytes.Clone(a.data), "more"...))
	case LongerChunked:
		return chunked(append(bytes.Clone(a.data), "more"...))
	case Shorter:
		return send(http.StatusOK, half)
	case ShorterChunked:
		return chunked(half)
	case Gzipped:
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.NoCompression)
		z.Write(a.data)
		z.Close()
		h.Set("Content-Encoding", "gzip")
		return send(http.StatusOK, b.Bytes())
	case GzipLabel:
		h.Set("Content-Encoding", "x-gzip")
		return send(http.StatusOK, a.data)
	case DispositionName:
		h.Set("Content-Disposition", `attachment; filename="../../../.bashrc"`)
		return send(http.StatusOK, a.data)
	case RangeUnasked:
		h.Set("Content-Range", inRange(0, len(half)-1, len(a.data)))
		return send(http.StatusPartialContent, half)
	}
	if !ranged {
		return false
	}
	h.Set("ETag", r.Header.Get("If-Range"))
	switch fault {
	case RangeIgnored:
		return send(http.StatusOK, a.data)
	case WrongContentRange:
		h.Set("Content-Range", inRange(0, len(part)-1, len(a.data)))
		return send(http.StatusPartialContent, a.data[:len(part)])
	case WrongRangeLength:
		h.Set("Content-Range", inRange(start, end-1, len(a.data)))
		return send(http.StatusPartialContent, part[:len(part)/2])
	case RangeRefused:
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", len(a.data)))
		http.Error(w, "no such range", http.StatusRequestedRangeNotSatisfiable)
		return true
	case MultipartRange:
		h.Set("Content-Type", "multipart/byteranges; boundary=x")
		w.WriteHeader(http.StatusPartialContent)
		fmt.Fprintf(w, "--x\r\nContent-Range: %s\r\n\r\n%s\r\n--x--\r\n", inRange(start, end-1, len(a.data)), part)
		return true
	case RangeReplaced:
		h.Set("ETag", etag(other))
		h.Set("Content-Range", inRange(start, end-1, len(a.data)))
		return send(http.StatusPartialContent, other[start:end])
	case SuffixRefused:
		if strings.HasPrefix(r.Header.Get("Range"), "bytes=-") {
			http.Error(w, "no such range", http.StatusNotImplemented)
			return true
		}
	}
	return false
}

// rangeOf reads a Range header with one range; what is wrong is the whole.
func rangeOf(s string, size int) (start, end int) {
	from, to, _ := strings.Cut(strings.TrimPrefix(s, "bytes="), "-")
	a, errA := strconv.Atoi(from)
	b, errB := strconv.Atoi(to)
	switch {
	case errA != nil && errB != nil:
		return 0, size
	case errA != nil:
		return max(0, size-b), size
	case errB != nil:
		b = size - 1
	}
	return min(a, size), max(min(a, size), min(b+1, size))
}

// hijack writes to the connection itself, and ends it.
func (s *Server) hijack(w http.ResponseWriter, head string, data []byte, reset bool) bool {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err) // HTTP/2: such a fault is for a server without TLS
	}
	defer conn.Close()
	io.WriteString(conn, head)
	conn.Write(data)
	if reset {
		time.Sleep(50 * time.Millisecond) // what was written goes out first
		conn.(*net.TCPConn).SetLinger(0)
	}
	return true
}

// endless writes the same again and again until the client has enough.
func (s *Server) endless(w http.ResponseWriter, r *http.Request, data []byte) {
	for {
		select {
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		default:
		}
		if _, err := w.Write(data); err != nil {
			return
		}
	}
}

// bomb gives a small gzip file of 64 MiB of spaces.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	spaces := bytes.Repeat([]byte(" "), 1<<20)
	for range 64 {
		z.Write(spaces)
	}
	z.Close()
	return b.Bytes()
})
