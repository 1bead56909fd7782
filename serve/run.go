package serve

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// NewServer gives a server for a handler that no slow or greedy client can
// hold up: requests have no body, so the whole of one has to come at once.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           http.MaxBytesHandler(h, 0),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		WriteTimeout:      2 * time.Hour, // a large file over a slow line
		MaxHeaderBytes:    16 << 10,
	}
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
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	srv := NewServer(s)
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
