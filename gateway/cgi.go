package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// CGI answers the one request of a CGI process, and gives the status that the
// process has to end with: 0 when the answer is whole. The caller must exit at
// once, because Apache looks for the end of a process at intervals.
//
// When the client has gone, writing fails and the context of the request ends;
// the process goes on until the handler is done.
func (s *Server) CGI() int {
	unsetProxy()
	signal.Ignore(syscall.SIGPIPE) // writing to a client that has gone is an error, not the end
	return s.cgi(os.Environ(), os.Stdin, os.Stdout)
}

// unsetProxy undoes what a field "Proxy" of the request has become in the
// environment (httpoxy), before anybody makes a request of his own.
func unsetProxy() { _ = os.Unsetenv("HTTP_PROXY") } // it fails for no such name

func (s *Server) cgi(environ []string, stdin io.Reader, stdout io.Writer) int {
	var e environment
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			e.add(name, value)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := newResponse(stdout, e.values[requestMethod] == http.MethodHead, cancel, make([]byte, 0, 1<<10), nil)
	r, err := e.request(ctx, s.Prefixes, stdin)
	if err != nil {
		var why *refusal
		errors.As(err, &why)
		if w.send(w.refuse(why.status, why.reason)) != nil {
			return 1
		}
		return 0
	}
	rest, f, ok := w.run(s.Handler, r)
	if f != "" {
		s.log(f.line(r))
	}
	if err := w.send(rest); err != nil || !ok {
		return 1
	}
	return 0
}
