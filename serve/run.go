package serve

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// slow is how long a large file may take over a slow line.
const slow = 2 * time.Hour

// NewServer gives a server for a handler that no slow or greedy client can
// hold up: requests have no body, so the whole of one has to come at once.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           http.MaxBytesHandler(h, 0),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		WriteTimeout:      slow,
		MaxHeaderBytes:    16 << 10,
	}
}

// NewUploadServer gives one for a handler that takes uploads: a request with
// the method POST may have a body, which the handler limits.
func NewUploadServer(h http.Handler) *http.Server {
	s := NewServer(h)
	bodiless := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			h.ServeHTTP(w, r)
		} else {
			bodiless.ServeHTTP(w, r)
		}
	})
	s.ReadTimeout = slow
	return s
}

// grace is how long downloads may go on after the server was told to end.
const grace = 3 * time.Second

// Run serves the site in a folder at a TCP address, as "127.0.0.1:8080", until
// the context ends, which is no error. Port 0 takes any free port. When the
// server can be reached, ready is called with its address, unless it is nil.
func Run(ctx context.Context, listen, site string, ready func(address string)) error {
	s, err := Open(site)
	if err != nil {
		return err
	}
	defer s.Close()
	return RunServer(ctx, NewServer(s), listen, ready)
}

// RunServer does the same with a server of [NewServer] or [NewUploadServer].
func RunServer(ctx context.Context, srv *http.Server, listen string, ready func(address string)) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	if ready != nil {
		ready(l.Addr().String())
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := srv.Shutdown(last); errors.Is(err, context.DeadlineExceeded) {
		return srv.Close()
	} else if err != nil {
		return err
	}
	return nil
}
