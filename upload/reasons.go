package upload

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A Reasoner is an [http.ResponseWriter] whose status line can have a reason
// phrase of its own. The writer of net/http is none; [Reasons] makes it one.
// SetReason comes before WriteHeader. The phrase has characters of ISO-8859-1
// alone, which it is sent in, and no line ends.
type Reasoner interface {
	SetReason(phrase string)
}

// setReason looks for a Reasoner in what w wraps, as
// [http.ResponseController] does for its methods.
func setReason(w http.ResponseWriter, phrase string) {
	for {
		if r, ok := w.(Reasoner); ok {
			r.SetReason(phrase)
			return
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return // the body says it too
		}
		w = u.Unwrap()
	}
}

// Reasons lets a handler that net/http serves itself set reason phrases. twine,
// pdm, flit and setup.py show nothing else of a refusal. It stands next to the
// server, outside of all that wraps writers without an Unwrap. An answer with a
// phrase ends its connection; HTTP/2 has no phrases, and goes without.
func Reasons(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &phrased{ResponseWriter: w, bodiless: r.Method == http.MethodHead}
		defer p.close()
		h.ServeHTTP(p, r)
	})
}

// phrased writes an answer that has a reason phrase to the connection itself.
type phrased struct {
	http.ResponseWriter
	bodiless bool // the client wants the header alone
	reason   string
	conn     net.Conn // nil as long as net/http has it
	out      *bufio.Writer
}

func (p *phrased) SetReason(phrase string)     { p.reason = phrase }
func (p *phrased) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// goodbye is how long the client may take to read an answer with a phrase.
const goodbye = 30 * time.Second

func (p *phrased) WriteHeader(status int) {
	if p.reason != "" && p.conn == nil && status >= 200 {
		conn, rw, err := http.NewResponseController(p.ResponseWriter).Hijack()
		if err == nil {
			p.conn, p.out = conn, rw.Writer
			h := p.Header()
			h.Set("Connection", "close")
			h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
			// Faults of the connection are nobody's to hear any more.
			_ = conn.SetDeadline(time.Now().Add(goodbye))
			fmt.Fprintf(p.out, "HTTP/1.1 %03d ", status)
			for _, r := range p.reason {
				_ = p.out.WriteByte(byte(r))
			}
			_, _ = p.out.WriteString("\r\n")
			_ = h.Write(p.out)
			_, _ = p.out.WriteString("\r\n")
		}
	}
	if p.conn == nil {
		p.ResponseWriter.WriteHeader(status)
	}
}

func (p *phrased) Write(b []byte) (int, error) {
	if p.conn == nil {
		return p.ResponseWriter.Write(b)
	}
	if p.bodiless {
		return len(b), nil
	}
	return p.out.Write(b)
}

// close ends a connection that was taken over. A client that still sends would
// lose the answer if the connection were closed at once, so its end is waited
// for, but not long.
func (p *phrased) close() {
	if p.conn == nil {
		return
	}
	defer p.conn.Close()
	if p.out.Flush() != nil {
		return
	}
	if c, ok := p.conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		_ = p.conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		_, _ = io.Copy(io.Discard, p.conn)
	}
}
