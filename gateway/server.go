package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// A Server answers the requests of a web server with a handler. Only Handler
// must be set. It may serve on several listeners at once.
type Server struct {
	// Handler answers the requests.
	Handler http.Handler

	// Prefixes are paths that a request may come below without meaning them,
	// such as "/-nest" of a ScriptAlias. The first one that the path begins
	// with is taken off.
	Prefixes []string

	// ErrorLog gets a line for each answer that went wrong by the handler's
	// fault. If nil, os.Stderr, which web servers put into their error log.
	ErrorLog io.Writer

	// Peers may connect to a FastCGI socket of TCP: whoever can connect says
	// who is authenticated. If nil, those in the variable FCGI_WEB_SERVER_ADDRS
	// (FastCGI, 3.2) if it is set, and else this machine.
	Peers []netip.Prefix

	// MaxRequests is how many FastCGI requests are answered at once. One more
	// waits, and is answered with 503 after a while. If zero, 128.
	MaxRequests int

	// IdleTimeout is how long a FastCGI connection may say nothing while it is
	// its turn, between requests or within a body. If zero, two minutes.
	IdleTimeout time.Duration

	// Grace is how long FastCGI requests may go on after the context of Serve
	// has ended. If zero, ten seconds.
	Grace time.Duration

	logging sync.Mutex
}

func (s *Server) log(line string) {
	w := s.ErrorLog
	if w == nil {
		w = os.Stderr
	}
	s.logging.Lock()
	defer s.logging.Unlock()
	_, _ = io.WriteString(w, line) // there is nowhere else to say it
}

// A Mode is how a process was started.
type Mode int

const (
	Shell   Mode = iota // not by a web server
	CGI                 // for one request, which is in its environment
	FastCGI             // with a listening socket as file descriptor 0
)

// Started tells how this process was started. For CGI and FastCGI it also takes
// HTTP_PROXY out of the environment, so it belongs at the top of main, before
// anything looks at os.Args.
func Started() Mode {
	mode := Shell
	if n, err := syscall.GetsockoptInt(0, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); err == nil && n == 1 {
		mode = FastCGI
	} else if os.Getenv("GATEWAY_INTERFACE") != "" || os.Getenv("REQUEST_METHOD") != "" {
		mode = CGI
	}
	if mode != Shell {
		unsetProxy()
	}
	return mode
}

// Run serves as the process was started, and gives its exit status: as CGI does;
// or as Serve does on the socket that is file descriptor 0, until SIGTERM or
// SIGINT comes. From a shell there is nothing to serve, and the status is 2.
func (s *Server) Run(ctx context.Context) int {
	switch Started() {
	case CGI:
		return s.CGI()
	case FastCGI:
		l, err := net.FileListener(os.Stdin)
		if err != nil {
			s.log(fmt.Sprintf("gateway: %v\n", err))
			return 1
		}
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		if err := s.Serve(ctx, l); err != nil {
			s.log(fmt.Sprintf("gateway: %v\n", err))
			return 1
		}
		return 0
	}
	s.log("gateway: this program is started by a web server, as CGI or with a FastCGI socket\n")
	return 2
}
