package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A service is what the connections of one listener share.
type service struct {
	*Server
	idle  time.Duration
	most  int
	base  context.Context // of all requests
	slots chan struct{}   // a place for each request that is being answered
	work  sync.WaitGroup  // one for each connection

	mu    sync.Mutex
	conns map[*connection]struct{}
}

// Serve answers FastCGI requests that come over l until ctx ends. Then it
// takes no more of them, lets the ones that are being answered go on for the
// time of Grace, and returns nil if that was enough. The context of a request
// ends when the web server aborts it or goes away, and when that time is over.
//
// Any number of connections may be open, each for one request at a time; a
// server that sends a second one meanwhile is told so (FCGI_CANT_MPX_CONN). What
// comes over them is taken for hostile: sizes and times are limited, and a
// record that is none ends its connection.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	unsetProxy()
	peers, err := s.peers()
	if err != nil {
		return err
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	v := &service{Server: s, idle: s.IdleTimeout, most: s.MaxRequests, base: base, conns: map[*connection]struct{}{}}
	if v.idle <= 0 {
		v.idle = 2 * time.Minute
	}
	if v.most <= 0 {
		v.most = 128
	}
	v.slots = make(chan struct{}, v.most)

	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	err = v.accept(ctx, l, peers)
	return errors.Join(err, v.shutdown(cancel))
}

// accept takes connections until the listener is closed or fails.
func (v *service) accept(ctx context.Context, l net.Listener, peers []netip.Prefix) error {
	// Idle connections need a place too: a server keeps some in reserve.
	places := make(chan struct{}, 4*v.most)
	for pause := time.Duration(0); ; {
		rw, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				rw.Close()
			}
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM),
			errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ECONNABORTED), errors.Is(err, syscall.EINTR):
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			wait(ctx, pause)
			continue
		case err != nil:
			return err
		}
		pause = 0
		if !welcome(rw.RemoteAddr(), peers) {
			v.log(fmt.Sprintf("gateway: %.100q may not connect\n", rw.RemoteAddr().String()))
			rw.Close()
			continue
		}
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			rw.Close()
			return nil
		}
		v.connect(rw, func() { <-places })
	}
}

// connect serves a connection in the background.
func (v *service) connect(rw net.Conn, done func()) {
	c := &connection{s: v, rw: rw, mem: memories.Get().(*memory)}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conns[c] = struct{}{}
	v.work.Go(func() {
		defer done()
		c.serve()
		c.handler.Wait() // it uses the same memory
		v.mu.Lock()
		delete(v.conns, c)
		v.mu.Unlock()
		c.mem.in.Reset(nil)
		memories.Put(c.mem)
	})
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// enter takes a place for a request, and reports whether it got one in time.
func (v *service) enter(ctx context.Context) bool {
	select {
	case v.slots <- struct{}{}:
		return true
	default:
	}
	t := time.NewTimer(queueTimeout)
	defer t.Stop()
	select {
	case v.slots <- struct{}{}:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

func (v *service) leave() { <-v.slots }

// shutdown lets the requests that are being answered end.
func (v *service) shutdown(cancel context.CancelFunc) error {
	grace := v.Grace
	if grace <= 0 {
		grace = 10 * time.Second
	}
	v.mu.Lock()
	for c := range v.conns {
		c.retire()
	}
	v.mu.Unlock()
	done := make(chan struct{})
	go func() {
		v.work.Wait()
		close(done)
	}()
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-t.C:
	}
	v.mu.Lock()
	cut := 0
	for c := range v.conns {
		if c.cut() {
			cut++
		}
	}
	v.mu.Unlock()
	cancel() // only now: what ends by it is cut off as well
	if cut == 0 {
		return nil // only servers that did not hang up
	}
	return fmt.Errorf("shutdown: %d requests cut off after %v", cut, grace)
}

// peers gives who may connect by TCP.
func (s *Server) peers() ([]netip.Prefix, error) {
	list, ok := os.LookupEnv("FCGI_WEB_SERVER_ADDRS")
	switch {
	case s.Peers != nil:
		return s.Peers, nil
	case !ok || list == "":
		return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, nil
	}
	var peers []netip.Prefix
	for f := range strings.SplitSeq(list, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(f))
		if err != nil {
			return nil, fmt.Errorf("FCGI_WEB_SERVER_ADDRS: %w", err)
		}
		peers = append(peers, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
	}
	return peers, nil
}

// welcome reports whether an address may connect. Of Unix sockets the file
// system says who may.
func welcome(addr net.Addr, peers []netip.Prefix) bool {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return true
	}
	a := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, p := range peers {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Listen listens for a web server at a Unix socket, as "/run/nestgen/fcgi.sock",
// or at an address of TCP, as "127.0.0.1:9000". A Unix socket belongs to this
// user and may be used by the group (0660); one that nobody listens at any more
// is replaced.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	if !strings.HasPrefix(address, "/") {
		return lc.Listen(ctx, "tcp", address)
	}
	l, err := lc.Listen(ctx, "unix", address)
	if errors.Is(err, syscall.EADDRINUSE) && abandoned(ctx, address) {
		if err := os.Remove(address); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		l, err = lc.Listen(ctx, "unix", address)
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(address, 0o660); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// abandoned reports whether a path is a socket that nobody listens at.
func abandoned(ctx context.Context, path string) bool {
	fi, err := os.Lstat(path)
	if err != nil || fi.Mode().Type() != fs.ModeSocket {
		return false
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		c.Close()
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
