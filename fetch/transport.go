package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// maxRedirects is how many redirects are followed (contract C-6).
const maxRedirects = 10

// openClient makes the client that all requests of a source go through.
func (s *Source) openClient() error {
	s.guard = &guard{
		host:  s.root.Hostname(),
		named: literalHosts(s.up.Crawl),
		dial:  net.Dialer{Timeout: s.up.Timeout, KeepAlive: 30 * time.Second},
	}
	t := &http.Transport{
		DialContext:            s.guard.dialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    s.up.Timeout,
		ResponseHeaderTimeout:  s.up.Timeout,
		MaxResponseHeaderBytes: 256 << 10,
		MaxConnsPerHost:        s.opts.Connections,
		MaxIdleConnsPerHost:    s.opts.Connections,
		MaxIdleConns:           2 * s.opts.Connections,
		IdleConnTimeout:        90 * time.Second,
		ReadBufferSize:         64 << 10,

		// A file must arrive as it lies on the server, and pages are unpacked
		// here, with a limit.
		DisableCompression: true,
		ForceAttemptHTTP2:  true,
		HTTP2:              &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
	if s.up.CAFile != "" {
		pem, err := os.ReadFile(s.up.CAFile)
		if err != nil {
			return err
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s: no certificate in it", s.up.CAFile)
		}
	}
	if err := s.setProxy(t); err != nil {
		return err
	}
	s.client = &http.Client{
		Transport:     &cage{s: s, base: t},
		CheckRedirect: checkRedirect,
	}
	return nil
}

// setProxy lets a transport use the proxy that the settings name. The
// environment is looked at only if they say so: in a CGI a client can set
// parts of it.
func (s *Source) setProxy(t *http.Transport) error {
	switch s.up.Proxy {
	case "":
		return nil
	case "env":
		c := httpproxy.FromEnvironment()
		for _, v := range []struct{ name, value string }{{"HTTP_PROXY", c.HTTPProxy}, {"HTTPS_PROXY", c.HTTPSProxy}} {
			if v.value == "" {
				continue
			}
			if _, err := parseProxy(v.value); err != nil {
				return fmt.Errorf("%s of the environment: %w", v.name, err)
			}
		}
		of := c.ProxyFunc()
		t.Proxy = func(r *http.Request) (*url.URL, error) { return of(r.URL) }
		if p, err := of(s.root); err == nil && p != nil {
			s.guard.proxy = p.Hostname()
		}
		return nil
	}
	p, err := parseProxy(s.up.Proxy)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	t.Proxy = http.ProxyURL(p)
	s.guard.proxy = p.Hostname()
	return nil
}

// parseProxy reads the address of a proxy, which may leave out the scheme.
func parseProxy(s string) (*url.URL, error) {
	text := s
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		switch u.Scheme {
		case "http", "https", "socks5", "socks5h":
			return u, nil
		}
	}
	return nil, fmt.Errorf("address %s: neither http, https nor socks5", redact(s))
}

// checkRedirect says which redirects are not followed.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fault(Invalid, "more than %d redirects", maxRedirects)
	}
	if last := via[len(via)-1]; last.URL.Scheme == "https" && r.URL.Scheme != "https" {
		return fault(Refused, "redirect from https to %s", redact(r.URL.String()))
	}
	return nil
}

// A cage is the one way to the network. It keeps the source's rules for each
// request, those that a redirect causes included.
type cage struct {
	s    *Source
	base *http.Transport
}

// RoundTrip makes one request. The body that it gives ends with an error when
// too few bytes come.
func (c *cage) RoundTrip(r *http.Request) (*http.Response, error) {
	s := c.s
	if r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return nil, fault(Refused, "scheme %q: neither http nor https", r.URL.Scheme)
	}
	if err := s.confined(r.Context(), r.URL.Hostname()); err != nil {
		return nil, err
	}
	proxied := false
	if c.base.Proxy != nil {
		p, err := c.base.Proxy(r)
		if err != nil {
			return nil, fault(Refused, "proxy: %v", err)
		}
		proxied = p != nil
	}
	if proxied {
		if err := s.guard.checkLiteral(r.URL.Hostname()); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	if err := s.admit(ctx, r.URL.Host); err != nil {
		cancel(nil)
		return nil, err
	}
	r = r.Clone(ctx)
	r.URL.User = nil // a redirect may have set it
	r.Header.Set("User-Agent", s.opts.UserAgent)
	r.Header.Del("Referer")
	s.auth.authorize(r)
	s.requests.Add(1)
	resp, err := c.base.RoundTrip(r)
	if err != nil {
		<-s.slots
		cancel(nil)
		return nil, err
	}
	s.noteRetryAfter(r.URL.Host, resp)
	resp.Body = newWatched(s, resp.Body, ctx, cancel)
	return resp, nil
}

// admit waits until a request to the host may be made: for the pause that the
// host asked for, for the rate limit and for one of the slots.
func (s *Source) admit(ctx context.Context, host string) error {
	if err := s.pauses.wait(ctx, host, s.opts.MaxRetryAfter); err != nil {
		return err
	}
	if s.limiter != nil {
		if err := s.limiter.Wait(ctx); err != nil {
			return err
		}
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A watched body ends the request when too few bytes come, and gives its slot
// back when it is closed.
type watched struct {
	s      *Source
	body   io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	watch  *watchdog
	closed bool
}

func newWatched(s *Source, body io.ReadCloser, ctx context.Context, cancel context.CancelCauseFunc) *watched {
	return &watched{s: s, body: body, ctx: ctx, cancel: cancel, watch: newWatchdog(s.opts.StallTime, s.opts.StallRate, cancel)}
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.body.Read(p)
	w.watch.feed(n)
	w.s.bytes.Add(int64(n))
	if err != nil && err != io.EOF {
		if cause := context.Cause(w.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}

func (w *watched) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	w.watch.stop()
	err := w.body.Close()
	w.cancel(nil)
	<-w.s.slots
	return err
}
