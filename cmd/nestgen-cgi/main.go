// Command nestgen-cgi answers what the published tree does not have, and takes
// uploads, behind a web server: as a CGI program that is started for each
// request, or as a FastCGI responder that stays.
//
// It finds its settings by NESTGEN_CONFIG of the environment, which the web
// server or the service manager sets: no client can, because whatever comes with
// a request has a name that begins with HTTP_. It never looks at its arguments,
// which a client can choose (RFC 3875, 4.4), nor below the folder that it was
// started in.
//
// As a CGI program it can read and write only what its settings name, and connect
// only to the ports of the upstreams, where the kernel has Landlock. What else it
// may need (a list that an allowlist names in another folder, a file that a page
// has at an odd port) it gets with NESTGEN_CONFINE=no in the environment.
//
// Started by hand it listens where NESTGEN_LISTEN says: at a Unix socket, as
// "/run/nestgen/fcgi.sock", or at an address of TCP, as "127.0.0.1:9000".
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"nestgen/gateway"
)

// config is where the settings are if NESTGEN_CONFIG does not say. Whoever builds
// the program may set another place, with -ldflags "-X main.config=FILE".
var config = "/etc/nestgen/nestgen.toml"

func main() { os.Exit(run()) }

// run is the whole program: it gives the exit status.
func run() int {
	mode := gateway.Started() // before anything else; see there
	file := os.Getenv("NESTGEN_CONFIG")
	if file == "" {
		file = config
	}
	log := newLog(os.Stderr)
	x := &index{file: file, log: log, clock: time.Now}
	s := &gateway.Server{Handler: x, Prefixes: []string{private}, ErrorLog: prefixed{os.Stderr}}
	listen := os.Getenv("NESTGEN_LISTEN")
	switch {
	case mode == gateway.CGI:
		x.alone = os.Getenv("NESTGEN_CONFINE") != "no"
		// Little is closed: the answer is out, and the server waits for the end.
		defer x.end()
		return s.CGI()
	case mode == gateway.Shell && listen != "":
		return x.serve(s, listen)
	case mode == gateway.Shell:
		log.Error("this program is started by a web server, as CGI or with a FastCGI socket, or listens where NESTGEN_LISTEN says")
		return 2
	}
	defer x.close()
	return s.Run(context.Background())
}

// private is the address below which a web server may hand requests to the
// program, in front of their own.
const private = "/-nest"

// serve answers FastCGI requests at an address until the process is told to end.
func (x *index) serve(s *gateway.Server, address string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	defer x.close()
	l, err := gateway.Listen(ctx, address)
	if err == nil {
		err = s.Serve(ctx, l)
	}
	if err != nil {
		x.log.Error("could not serve", "address", address, "err", err)
		return 1
	}
	return 0
}

// newLog gives a logger for the error log of a web server or of a service, which
// note the time themselves.
func newLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(prefixed{w}, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// prefixed says in a log that others write to, too, whose line it is. Each Write
// is a line.
type prefixed struct{ w io.Writer }

func (p prefixed) Write(line []byte) (int, error) {
	if _, err := p.w.Write(append([]byte("nestgen-cgi: "), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
