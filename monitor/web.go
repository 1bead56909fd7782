package monitor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"nestgen/layout"
)

const (
	// tries is how often something is asked for that does not come.
	tries = 3

	// maxRedirects is how often an answer may lead elsewhere in the site.
	maxRedirects = 5

	// slowest is how many bytes have to come in a second, on average.
	slowest = 8 << 10

	// As pip asks, and as the clients before PEP 691 do.
	jsonType = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
	htmlType = "text/html"
)

// A web is a site behind an address.
type web struct {
	base     *url.URL // with a slash at its end
	client   *http.Client
	patience time.Duration
	pause    time.Duration // before the second try

	// copies says that the server has compressed copies as files of their own, as it turned
	// out for pages that are no index of a folder.
	copies atomic.Bool
}

func newWeb(u *url.URL, o *Options) *web {
	base := *u
	if !strings.HasSuffix(base.Path, "/") {
		base.Path += "/"
	}
	base.RawPath = ""
	w := &web{base: &base, patience: o.patience(), pause: o.patience() / 120}
	transport := o.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: w.patience}).DialContext,
			TLSHandshakeTimeout:    w.patience,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			ResponseHeaderTimeout:  w.patience,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    o.jobs(),
			MaxConnsPerHost:        o.jobs(),
			IdleConnTimeout:        time.Minute,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		}
	}
	w.client = &http.Client{Transport: transport, CheckRedirect: w.checkRedirect}
	return w
}

func (w *web) name() string { return w.base.Redacted() }
func (w *web) close()       { w.client.CloseIdleConnections() }

// errElsewhere is a redirect out of the site.
var errElsewhere = errors.New("the server sends on to another site")

func (w *web) checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("%w: more than %d redirects", errElsewhere, maxRedirects)
	}
	u := r.URL
	if u.Scheme != w.base.Scheme || u.Host != w.base.Host || !strings.HasPrefix(path.Clean("/"+u.Path)+"/", w.base.Path) {
		return fmt.Errorf("%w: %s", errElsewhere, u.Redacted())
	}
	return nil
}

// ways implements [source]. Servers that are set up for an index have pages at their
// folders, and give what the request asks for. Plain ones have files.
func (w *web) ways(p string) []request {
	plain, isCopy := copyOf(p)
	file := request{path: p}
	at := request{path: plain, gzip: isCopy}
	switch dir, name := path.Split(plain); name {
	case "index.html":
		at.path, at.accept = dir, htmlType
	case "index.v1_json":
		at.path, at.accept = dir, jsonType
	default:
		if w.copies.Load() {
			return []request{file, at}
		}
	}
	if at == file {
		return []request{file}
	}
	// What installers ask for comes first, each time: a folder may lead to something else
	// than the file in it.
	return []request{at, file}
}

// learn notes by which way a page was had.
func (w *web) learn(p string, r request) {
	plain, isCopy := copyOf(p)
	if base := path.Base(plain); isCopy && base != "index.html" && base != "index.v1_json" {
		w.copies.Store(r.path == p)
	}
}

// copyOf gives the page that a path is or has a compressed copy of. Of a file of the store
// there is none, whatever it is called.
func copyOf(path string) (plain string, isCopy bool) {
	if strings.HasPrefix(path, layout.Packages+"/") {
		return path, false
	}
	return plainOf(path)
}

// get implements [source]. It tries again what may pass.
func (w *web) get(ctx context.Context, r request, limit int64) (a *answer, err error) {
	wait := w.pause
	for try := 1; ; try++ {
		if a, err = w.ask(ctx, r, limit); err == nil || try == tries || ctx.Err() != nil || !passing(err) {
			return a, err
		}
		select {
		case <-time.After(wait):
			wait *= 4
		case <-ctx.Done():
		}
	}
}

// passing reports whether an error may be gone the next time.
func passing(err error) bool {
	var no *refusal
	return !errors.Is(err, fs.ErrNotExist) && !errors.As(err, &no)
}

// ask asks once.
func (w *web) ask(ctx context.Context, r request, limit int64) (*answer, error) {
	// The whole takes as long as the slowest line that is worth waiting for.
	ctx, cancel := context.WithTimeout(ctx, 2*w.patience+time.Duration(limit/slowest)*time.Second)
	u := *w.base
	u.Path, u.RawPath = "", ""
	address := u.String() + (&url.URL{Path: w.base.Path}).EscapedPath() + layout.Escape(r.path)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	req.Header.Set("User-Agent", "nestgen-monitor")
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if r.gzip {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	resp, err := w.client.Do(req)
	if err != nil {
		cancel()
		if errors.Is(err, errElsewhere) {
			return nil, &refusal{w.reason(err)}
		}
		return nil, errors.New(w.reason(err))
	}
	if err := statusFault(resp); err != nil {
		resp.Body.Close()
		cancel()
		return nil, err
	}
	body := &patient{body: resp.Body, cancel: cancel, patience: w.patience}
	body.timer = time.AfterFunc(w.patience, func() {
		body.late.Store(true)
		cancel()
	})
	coding := strings.ToLower(resp.Header.Get("Content-Encoding"))
	return &answer{ReadCloser: body, encoded: coding == "gzip" || coding == "x-gzip"}, nil
}

// reason gives an error without the address, which the reader knows.
func (w *web) reason(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		if u.Timeout() {
			return fmt.Sprintf("no answer within %v", w.patience)
		}
		err = u.Err
	}
	return err.Error()
}

// statusFault says what a status means that is not that of a file.
func statusFault(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return nil
	case code == http.StatusNotFound, code == http.StatusGone:
		return fs.ErrNotExist
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		return fmt.Errorf("the server answers %d %s", code, http.StatusText(code))
	default:
		return &refusal{"the server answers " + strconv.Itoa(code) + " " + http.StatusText(code)}
	}
}

// A patient reads a body, and waits for each piece of it only so long.
type patient struct {
	body     io.ReadCloser
	timer    *time.Timer
	patience time.Duration
	late     atomic.Bool
	cancel   context.CancelFunc
}

func (p *patient) Read(b []byte) (int, error) {
	n, err := p.body.Read(b)
	if n > 0 {
		p.timer.Reset(p.patience)
	}
	switch {
	case err == nil || err == io.EOF:
	case p.late.Load():
		err = fmt.Errorf("nothing came for %v", p.patience)
	case errors.Is(err, context.DeadlineExceeded):
		err = errors.New("it comes too slowly")
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the answer breaks off")
	}
	return n, err
}

func (p *patient) Close() error {
	p.timer.Stop()
	p.cancel()
	return p.body.Close()
}
