package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"os/exec"
	"syscall"
	"time"

	"nestgen/bench/dataset"
)

// releasesOfHit is how many releases a project has that a measurement of the
// fallback asks for: some 60 files.
const releasesOfHit = 30

// startsPerRun is how often each program is started for each of -runs.
const startsPerRun = 20

// A start is a CGI program and what it is asked for.
type start struct {
	what   string
	argv0  string
	path   string
	status string // what it answers with
	check  func(body []byte) error
	target string

	took []usage
}

// startup measures nestgen-cgi from its start to its end, as CGI, for what it can
// answer by itself.
func (l *lab) startup(ctx context.Context, _ int) (err error) {
	known := history("known", releasesOfHit, 0)
	x, err := l.newFarIndex([]*dataset.Project{known})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.close()) }()
	s, err := l.newLazySite("site", x)
	if err != nil {
		return err
	}
	nothing := func([]byte) error { return nil }
	const atMost = "median <= 5 ms"
	page := func(body []byte) error {
		_, err := checkPage(known, x.url+"known/", body)
		return err
	}
	starts := []*start{
		{what: "floor: net/http/cgi, 404", argv0: l.bare, path: "/simple/own-name/", status: "404", check: nothing},
		{what: "nestgen-cgi: a name that may not come", argv0: l.cgi, path: "/simple/own-name/", status: "404", check: nothing, target: atMost},
		{what: "nestgen-cgi: a page that is fresh", argv0: l.cgi, path: "/simple/known/", status: "200", check: page, target: atMost},
		{what: "nestgen-cgi: a remembered 404", argv0: l.cgi, path: "/simple/unknown/", status: "404", check: nothing, target: atMost},
	}
	began := load()
	for run := -1; run < startsPerRun*l.runs; run++ { // the first makes the site and what is remembered
		for _, p := range starts {
			u, err := p.run(ctx, s, l.owner)
			if err != nil {
				return fmt.Errorf("%s: %w", p.what, err)
			}
			if run >= 0 {
				p.took = append(p.took, u)
			}
		}
	}
	if n := x.requests.Load(); n != 2 {
		return fmt.Errorf("%d requests to the upstream, want one for each name that may come", n)
	}
	for _, p := range starts {
		took := make([]time.Duration, len(p.took))
		for i, u := range p.took {
			took[i] = time.Duration(u.Wall * float64(time.Second))
		}
		r := Row{Bench: "startup, exec to exit", What: p.what, Runs: len(took), Target: p.target, Load: began, FreshFS: l.fresh, Answers: answersOf(took, nil)}
		r.fill(p.took)
		if p != starts[0] {
			r.OfFirst = median(p.took, func(u *usage) float64 { return u.cpu() }, starts[0].took)
		}
		l.rows = append(l.rows, r)
	}
	return nil
}

// run starts the program for one request, as web servers do.
func (p *start) run(ctx context.Context, s *lazySite, owner *syscall.Credential) (usage, error) {
	cmd := exec.CommandContext(ctx, p.argv0)
	cmd.Env = []string{
		"PATH=/usr/bin:/bin", "NESTGEN_CONFIG=" + s.config,
		"GATEWAY_INTERFACE=CGI/1.1", "SERVER_SOFTWARE=bench", "SERVER_PROTOCOL=HTTP/1.1", "SERVER_NAME=127.0.0.1", "SERVER_PORT=80",
		"REMOTE_ADDR=127.0.0.1", "REMOTE_PORT=1024", "REQUEST_METHOD=GET", "REQUEST_URI=" + p.path, "QUERY_STRING=",
		"SCRIPT_NAME=", "PATH_INFO=" + p.path, "HTTP_HOST=127.0.0.1", "HTTP_ACCEPT=" + asJSON,
	}
	cmd.Dir = s.root
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	began := time.Now()
	err := cmd.Run()
	u := usage{Wall: time.Since(began).Seconds()}
	if err != nil {
		return u, fmt.Errorf("%w\n%s", err, said.Bytes())
	}
	u.User, u.System = cmd.ProcessState.UserTime().Seconds(), cmd.ProcessState.SystemTime().Seconds()
	answer := bufio.NewReader(&out)
	header, err := textproto.NewReader(answer).ReadMIMEHeader()
	if err != nil {
		return u, err
	}
	body, err := io.ReadAll(answer)
	if err != nil {
		return u, err
	}
	if status := header.Get("Status"); len(status) < 3 || status[:3] != p.status {
		return u, fmt.Errorf("%s, want %s\n%s", status, p.status, said.Bytes())
	}
	return u, p.check(body)
}
