package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// retry runs op until it succeeds, fails in a way that another attempt would
// not cure, or has been run often enough. The attempt counts from 1.
func retry[T any](ctx context.Context, s *Source, what string, op func(attempt int) (T, error)) (T, error) {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval = s.opts.RetryDelay
	delays.Multiplier = 2
	delays.RandomizationFactor = 0.5
	attempt := 0
	v, err := backoff.Retry(ctx, func() (T, error) {
		attempt++
		v, err := op(attempt)
		if err == nil {
			return v, nil
		}
		if ctx.Err() != nil {
			return v, backoff.Permanent(err)
		}
		e, ok := errors.AsType[*Error](err)
		if !ok {
			if errors.Is(err, ErrNotModified) {
				return v, backoff.Permanent(err)
			}
			e = classify(err)
		}
		if !e.again {
			return v, backoff.Permanent(error(e))
		}
		s.opts.Log.Debug("attempt failed", "upstream", s.up.Name, "what", s.veil.hideText(what), "attempt", attempt, "error", s.veil.hideText(e.Err.Error()))
		return v, e
	},
		backoff.WithBackOff(delays),
		backoff.WithMaxTries(uint(s.opts.Retries)+1),
		backoff.WithMaxElapsedTime(0),
	)
	if err != nil && ctx.Err() != nil {
		err = &Error{Kind: Stopped, Err: context.Cause(ctx)}
	}
	return v, err
}

// classify makes an Error of one that a library gave.
func classify(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // what it adds is the address, query included
	}
	e := &Error{Kind: Unreachable, Err: err, again: true}
	_, badCert := errors.AsType[*tls.CertificateVerificationError](err)
	_, noAuthority := errors.AsType[x509.UnknownAuthorityError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, context.Canceled):
		e.Kind, e.again = Stopped, false
	case badCert, noAuthority, noTLS:
		e.again = false // and no other way to get there either
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		// Some descriptor may be free again soon.
	case isStorage(err):
		e.Kind, e.again = Storage, false
	}
	return e
}

// isStorage reports whether err came from a file.
func isStorage(err error) bool {
	_, path := errors.AsType[*fs.PathError](err)
	for _, no := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS, syscall.EIO} {
		path = path || errors.Is(err, no)
	}
	return path
}

// statusFault says what a status means, nil for 200, 206 and 304 (contract C-6).
func statusFault(resp *http.Response) *Error {
	switch c := resp.StatusCode; {
	case c == http.StatusOK, c == http.StatusPartialContent, c == http.StatusNotModified:
		return nil
	case c == http.StatusNotFound:
		return fault(NotFound, "%s", status(resp))
	case c == http.StatusGone:
		return fault(Gone, "%s", status(resp))
	case c == http.StatusUnauthorized, c == http.StatusForbidden, c == http.StatusProxyAuthRequired:
		return fault(Denied, "%s", status(resp))
	case c == http.StatusRequestTimeout, c == http.StatusTooEarly, c == http.StatusTooManyRequests, c >= 500 && c != http.StatusNotImplemented:
		return transient(Unreachable, "%s", status(resp))
	default:
		return fault(Invalid, "%s", status(resp))
	}
}

// status names a status by number and by the standard's phrase: the server's
// own phrase is not to be trusted in a report.
func status(resp *http.Response) string {
	s := "status " + strconv.Itoa(resp.StatusCode)
	if text := http.StatusText(resp.StatusCode); text != "" {
		s += " " + text
	}
	return s
}

// pauses holds for each host until when it asked to be left alone.
type pauses struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// noteRetryAfter notes that an answer asks for a pause.
func (s *Source) noteRetryAfter(host string, resp *http.Response) {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return
	}
	pause, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now())
	if !ok {
		return
	}
	p := &s.pauses
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until == nil {
		p.until = map[string]time.Time{}
	}
	if t := time.Now().Add(pause); t.After(p.until[host]) {
		p.until[host] = t
	}
}

// wait waits for the end of a host's pause, or fails at once if that is longer
// than allowed.
func (p *pauses) wait(ctx context.Context, host string, longest time.Duration) error {
	for {
		p.mu.Lock()
		until, ok := p.until[host]
		p.mu.Unlock()
		if !ok {
			return nil
		}
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		if left > longest {
			return fault(Unreachable, "%s asks to be left alone for %v", host, left.Round(time.Second))
		}
		t := time.NewTimer(left)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

// retryAfter reads a Retry-After header: seconds or a date (RFC 9110).
func retryAfter(s string, now time.Time) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second, true
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, t.Sub(now)), true
	}
	return 0, false
}
