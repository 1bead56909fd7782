package nestgen

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nestgen/catalog"
	"nestgen/internal/stricttoml"
	"nestgen/internal/tame"
	"nestgen/packaging"
	"nestgen/plan"
)

// A Hook is what is told after a publish: a command, as its words, or an http or
// https address. The zero Hook is none.
type Hook struct {
	Command []string
	URL     string
}

// IsZero reports whether there is no hook.
func (h Hook) IsZero() bool { return len(h.Command) == 0 && h.URL == "" }

// UnmarshalTOML reads a list of words or an address. No error repeats what it
// read, which may hold a password.
func (h *Hook) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case string:
		*h = Hook{URL: v}
		return nil
	case []any:
		var words []string
		for _, w := range v {
			s, ok := w.(string)
			if !ok || strings.ContainsRune(s, 0) {
				return errors.New(`on_publish: want the words of a command, such as ["/usr/local/bin/purge", "--all"], each in quotes`)
			}
			words = append(words, s)
		}
		*h = Hook{Command: words}
		return nil
	}
	return errors.New(`on_publish: want the words of a command, such as ["/usr/local/bin/purge", "--all"], or an http or https address`)
}

// maxHookTimeout is the most that [Config.OnPublishTimeout] may be.
const maxHookTimeout = time.Hour

func (c *Config) resolveHook() (faults []error) {
	fault := func(format string, args ...any) {
		faults = append(faults, &stricttoml.Error{File: c.File, Text: fmt.Sprintf(format, args...)})
	}
	if h := c.OnPublish; len(h.Command) > 0 && h.Command[0] == "" {
		fault("on_publish: the first word, which is the program, is empty")
	} else if h.URL != "" {
		u, err := url.Parse(h.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
			fault("on_publish: a text in quotes is an http or https address; a command is a list of words")
		}
	}
	if t := time.Duration(c.OnPublishTimeout); t <= 0 || t > maxHookTimeout {
		fault("on_publish_timeout %s: want more than nothing, and one hour at most", c.OnPublishTimeout)
	}
	return faults
}

// A Publication is what a hook is told, as JSON: what has changed since it was
// told last.
type Publication struct {
	// Title and BaseURL are those of the settings.
	Title   string `json:"title"`
	BaseURL string `json:"base_url,omitempty"`

	// SerialFrom is the last serial that was told before, SerialTo the last that
	// is published now. They are equal if pages changed for another reason, such
	// as the settings.
	SerialFrom int64 `json:"serial_from"`
	SerialTo   int64 `json:"serial_to"`

	// Pages are those of the run that tells.
	Pages Pages `json:"pages"`

	// Events counts the events that are about the whole site, by their verbs.
	Events map[catalog.Verb]int64 `json:"events"`

	// Projects are those that have changed, by their names; the first 1000 of
	// them, and More counts the rest.
	Projects []ChangedProject `json:"projects"`
	More     int              `json:"more"`
}

// A ChangedProject is a project with its events, counted by their verbs.
type ChangedProject struct {
	Name   packaging.Name         `json:"name"`
	Events map[catalog.Verb]int64 `json:"events"`
}

// Limits of what a hook is told, and of what it says.
const (
	toldProjects = 1000
	hookOutput   = 64 << 10 // bytes
)

// A HookResult says what became of the hook, in the report.
type HookResult struct {
	// Fault is what went wrong; empty if nothing did.
	Fault string `json:"fault,omitempty"`

	// Output is what the command wrote, or the address answered: the first 64 KiB.
	Output string `json:"output,omitempty"`
}

// What the hook was told is kept in the catalog. metaPublished counts the times that
// pages were published; metaHookTold has the serial and the count that were told last.
// Events that no build has made, of uploads and of what came on demand, are told by the
// next build for that reason, and so is what a hook that failed has missed.
const (
	metaPublished = "hook published"
	metaHookTold  = "hook told"
)

// A hookKnows is how far the hook knows the site.
type hookKnows struct{ serial, count int64 }

func parseHookKnows(s string) (t hookKnows) {
	serial, count, _ := strings.Cut(s, " ")
	// Only this file writes it; of anything else nothing was told.
	t.serial, _ = strconv.ParseInt(serial, 10, 64)
	t.count, _ = strconv.ParseInt(count, 10, 64)
	return t
}

func (t hookKnows) String() string { return fmt.Sprintf("%d %d", t.serial, t.count) }

// knownToHook reads what the hook knows, and what there is to know up to a serial.
func knownToHook(ctx context.Context, cat *catalog.Catalog, serial int64) (was, now hookKnows, err error) {
	text, err := cat.Meta(ctx, metaHookTold)
	if err != nil {
		return was, now, err
	}
	count, err := cat.Meta(ctx, metaPublished)
	was, now.serial = parseHookKnows(text), serial
	now.count, _ = strconv.ParseInt(count, 10, 64) // 0 before the first
	now.serial = max(now.serial, was.serial)       // another run has told more
	return was, now, err
}

// beginHook has a hook that is new begin with this run: what was there before is no
// news.
func (s *site) beginHook(ctx context.Context) error {
	if s.OnPublish.IsZero() || s.opts.DryRun {
		return nil
	}
	known, err := s.catalog.Meta(ctx, metaHookTold)
	if err != nil || known != "" {
		return storage(err)
	}
	serial, err := s.catalog.Serial(ctx)
	if err != nil {
		return storage(err)
	}
	_, now, err := knownToHook(ctx, s.catalog, serial)
	if err != nil {
		return storage(err)
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return tx.SetMeta(metaHookTold, now.String()) }))
}

// countForHook notes, with what was published, that something was.
func (s *site) countForHook(tx *catalog.Tx) error {
	if s.OnPublish.IsZero() {
		return nil
	}
	text, err := tx.Meta(metaPublished)
	if err != nil {
		return err
	}
	n, _ := strconv.ParseInt(text, 10, 64) // 0 before the first
	return tx.SetMeta(metaPublished, strconv.FormatInt(n+1, 10))
}

// hook gives what there is to do when a run that ended well has given the lock of
// the site back: it runs the hook, if something was published that it was not told.
// It comes after everything else, so that the hook may run nestgen; nothing that it
// does or fails to do changes what the run has done, and what goes wrong is a warning
// in the report.
func (s *site) hook(r *Report) func(context.Context) {
	if s.OnPublish.IsZero() || r == nil || r.DryRun {
		return func(context.Context) {}
	}
	if was, now, err := knownToHook(context.Background(), s.catalog, r.Serial); err == nil && was == now {
		return func(context.Context) {}
	}
	written, _ := os.ReadFile(reportFile(s.State)) // none is no report
	return func(ctx context.Context) {
		problems := len(r.Problems)
		r.tellHook(ctx, s.Config, s.log)
		if len(r.Problems) == problems && r.Hook == nil {
			return
		}
		r.finish()
		// The lock is somebody else's by now, and so may be the report.
		if now, _ := os.ReadFile(reportFile(s.State)); !bytes.Equal(now, written) {
			return
		}
		if err := r.save(s.State); err != nil {
			s.log.Warn("the report could not be written again", "error", err)
		}
	}
}

// tellHook runs the hook if there is something to tell it, and if no other run does.
func (r *Report) tellHook(ctx context.Context, c Config, log *slog.Logger) {
	if ctx.Err() != nil {
		return // nobody waits any more; the next build tells it
	}
	// Two runs must not tell the same, and a build that the hook itself has started
	// must not start the hook.
	lock, err := lockHook(c.State)
	if errors.Is(err, unix.EWOULDBLOCK) {
		log.Info("the hook of another run is at work; the next build tells it the rest")
		return
	}
	if err == nil {
		err = r.tell(ctx, c, log)
		lock.Close()
	}
	if err != nil {
		r.problem(plan.Warning, "on_publish", "what was published stands; the next build tells it again", "%v", err)
	}
}

// lockHook takes the lock of the hook, and does not wait for it.
func lockHook(state string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(state, "hook.lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return f, nil
}

// tell finds out what is news, runs the hook, and notes what it was told.
func (r *Report) tell(ctx context.Context, c Config, log *slog.Logger) (err error) {
	cat, err := catalog.Open(c.catalogFile())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	was, now, err := knownToHook(ctx, cat, r.Serial)
	if err != nil || was == now {
		return err
	}
	p, err := c.publication(ctx, cat, was.serial, now.serial)
	if err != nil {
		return err
	}
	p.Pages = r.Pages
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	r.Hook = c.runHook(ctx, p, data)
	log.Info("hook", "serial", p.SerialTo, "projects", len(p.Projects)+p.More, "fault", r.Hook.Fault, "output", tame.Text(r.Hook.Output))
	if r.Hook.Fault != "" {
		return errors.New(r.Hook.Fault)
	}
	return cat.Update(context.WithoutCancel(ctx), Now(), func(tx *catalog.Tx) error { return tx.SetMeta(metaHookTold, now.String()) })
}

// publication collects what has changed between two serials.
func (c *Config) publication(ctx context.Context, cat *catalog.Catalog, from, to int64) (*Publication, error) {
	p := &Publication{Title: c.Title, BaseURL: c.BaseURL, SerialFrom: from, SerialTo: to, Events: map[catalog.Verb]int64{}, Projects: []ChangedProject{}}
	changed := map[packaging.Name]map[catalog.Verb]int64{}
	for e, err := range cat.Events(ctx, from) {
		if err != nil {
			return nil, err
		}
		if e.Serial > to {
			break
		}
		if e.Project == "" {
			p.Events[e.Verb]++
			continue
		}
		of := changed[e.Project]
		if of == nil {
			of = map[catalog.Verb]int64{}
			changed[e.Project] = of
		}
		of[e.Verb]++
	}
	for _, n := range slices.Sorted(maps.Keys(changed)) {
		if len(p.Projects) == toldProjects {
			break
		}
		p.Projects = append(p.Projects, ChangedProject{n, changed[n]})
	}
	p.More = len(changed) - len(p.Projects)
	return p, nil
}

// runHook tells the hook, and waits for it as long as the settings allow.
func (c *Config) runHook(ctx context.Context, p *Publication, data []byte) *HookResult {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(c.OnPublishTimeout), fmt.Errorf("not done after %s (on_publish_timeout)", c.OnPublishTimeout))
	defer cancel()
	var output []byte
	var err error
	if c.OnPublish.URL != "" {
		output, err = c.postHook(ctx, data)
	} else {
		output, err = c.execHook(ctx, p, data)
	}
	result := &HookResult{Output: strings.ToValidUTF8(string(output), "\ufffd")}
	if err != nil {
		result.Fault = err.Error()
	}
	return result
}

// execHook runs a command, without a shell. It gets the news on its standard input
// and a small environment, and what it writes is read together, in the order in
// which it was written. With the command ends all that it has started and that is
// still in its process group.
func (c *Config) execHook(ctx context.Context, p *Publication, data []byte) (output []byte, err error) {
	name := c.OnPublish.Command[0] // the others may hold a password
	// A file, and no pipe, so that nobody has to wait for a command that does not
	// read.
	stdin, err := memory(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer stdin.Close()
	from, to, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer from.Close()
	cmd := exec.Command(name, c.OnPublish.Command[1:]...)
	cmd.Dir = homeOf(c.File)
	cmd.Env = c.hookEnvironment(p)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, to, to
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	to.Close()
	if err != nil {
		return nil, err // it names the program
	}
	read := make(chan []byte)
	go func() { read <- firstBytes(from) }()
	exited := make(chan struct{})
	go func() {
		// The process stays as it is, so that its number is nobody else's when
		// its group is killed.
		for unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		}
		close(exited)
	}()
	var late error
	select {
	case <-exited:
	case <-ctx.Done():
		late = context.Cause(ctx)
	}
	// ESRCH says that nothing is left.
	_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	select {
	case <-exited:
		err = cmd.Wait()
	case <-time.After(killTime):
		late = fmt.Errorf("%w; it cannot be killed", late)
	}
	// What was started in a group of its own may hold the pipe open, and is not
	// waited for.
	_ = from.SetReadDeadline(time.Now().Add(pipeTime))
	output = <-read
	if late != nil {
		err = late
	}
	if err != nil {
		return output, fmt.Errorf("%s: %w%s", name, err, lastLine(output))
	}
	return output, nil
}

const (
	// killTime is how long a process may take to end that was killed; one that
	// hangs in the kernel does not.
	killTime = 10 * time.Second

	// pipeTime is how long is waited for output when the command has ended, if
	// somebody else still holds the pipe.
	pipeTime = time.Second
)

// hookEnvironment is all that a command finds in its environment. NESTGEN_SITE and
// NESTGEN_STATE are what they are to nestgen itself, so that it works on the same
// site there.
func (c *Config) hookEnvironment(p *Publication) []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/local/bin:/usr/bin:/bin"
	}
	return []string{
		"PATH=" + path, "HOME=" + os.Getenv("HOME"),
		"NESTGEN_SITE=" + c.Site, "NESTGEN_STATE=" + c.State,
		fmt.Sprintf("NESTGEN_SERIAL_FROM=%d", p.SerialFrom), fmt.Sprintf("NESTGEN_SERIAL_TO=%d", p.SerialTo),
	}
}

// memory gives a file with some bytes that is in no folder.
func memory(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("publication", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "publication")
	if _, err = f.Write(data); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// firstBytes reads to the end, so that the writer never has to wait, and gives what
// of it may be kept.
func firstBytes(r io.Reader) []byte {
	var b bytes.Buffer
	_, err := io.Copy(&b, io.LimitReader(r, hookOutput))
	if err == nil {
		_, _ = io.Copy(io.Discard, r) // an end before the end is one as well
	}
	return b.Bytes()
}

// lastLine gives the last line of an output with something in it, for a message.
func lastLine(output []byte) string {
	const long = 200
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(output), "\ufffd")), "\n")
	line := strings.TrimSpace(lines[len(lines)-1])
	if len(line) > long {
		line = strings.ToValidUTF8(line[:long], "") + " ..."
	}
	if line == "" {
		return ""
	}
	return ": " + line
}

// postHook posts the news to an address. It follows no redirect and asks no proxy.
// The whole address but its host may be a secret, as with the services that give
// out addresses to post to, and is in nothing that it gives.
func (c *Config) postHook(ctx context.Context, data []byte) (output []byte, err error) {
	u, err := url.Parse(c.OnPublish.URL)
	if err != nil {
		return nil, errors.New("the address cannot be read")
	}
	shown := u.Scheme + "://" + u.Host
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, c.OnPublish.URL, bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: the address cannot be used", shown)
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("User-Agent", c.userAgent())
	transport := &http.Transport{
		DialContext:            (&net.Dialer{}).DialContext,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: hookOutput,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	a, err := client.Do(q)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", shown, c.withoutSecrets(u, inner(ctx, err).Error()))
	}
	defer a.Body.Close()
	// It has the news, whether or not all comes that it has to say.
	output, _ = io.ReadAll(io.LimitReader(a.Body, hookOutput))
	output = []byte(c.withoutSecrets(u, string(output)))
	switch {
	case a.StatusCode >= 300 && a.StatusCode < 400:
		return output, fmt.Errorf("%s: answered %d, a redirect, which is not followed: put the address that it leads to into the settings", shown, a.StatusCode)
	case a.StatusCode < 200 || a.StatusCode >= 400:
		return output, fmt.Errorf("%s: answered %d%s", shown, a.StatusCode, lastLine(output))
	}
	return output, nil
}

// inner gives an error without the address that the client puts around it, and says
// which time was over.
func inner(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// withoutSecrets takes out of a text what an address has besides its host, in any
// form in which a server may have repeated it.
func (c *Config) withoutSecrets(u *url.URL, text string) string {
	secrets := []string{c.OnPublish.URL, u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery, u.Fragment}
	for _, values := range u.Query() {
		secrets = append(secrets, values...)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		secrets = append(secrets, u.User.String(), password, u.User.Username())
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		secrets = append(secrets, part)
	}
	// The longest first, or the rest of it would stay.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, s := range secrets {
		if len(s) > 3 { // shorter ones are no secrets, and in every text
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return text
}
