package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nestgen/internal/tame"
	"nestgen/monitor"
	"nestgen/trust"
)

// An outside is what verify was told about a site that it sees from outside.
type outside struct {
	log, proof, key, state string
	wait                   time.Duration
}

// check reports whether a site is looked at from outside, and whether all that was said
// goes together.
func (x *outside) check(given func(flag string) bool) (bool, error) {
	log, proof := given("log"), given("proof")
	switch {
	case !log && !proof:
		for _, flag := range []string{"key", "state", "wait"} {
			if given(flag) {
				return false, fmt.Errorf("--%s is for looking at a site from outside: --log says at which", flag)
			}
		}
		return false, nil
	case log && proof:
		return false, errors.New("--log and --proof are two things")
	case given("repair") || given("offline"):
		return false, errors.New("--repair and --offline are about the site of the settings, and not for looking at one from outside")
	case proof && (given("state") || given("wait")):
		return false, errors.New("--state and --wait go with --log")
	case x.key == "":
		return false, errors.New("want the key of the site: --key, with what \"nestgen key show\" prints there")
	case x.log == "" && x.proof == "":
		return false, errors.New("want the address of a site, or the file of a proof")
	}
	return true, nil
}

// verifyLog proves what a site serves by its log.
func verifyLog(cmd *cobra.Command, x outside, asJSON, quiet bool) error {
	t := newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr())
	bars := t.progress(!quiet && !asJSON)
	r, err := monitor.Verify(cmd.Context(), x.log, x.key, monitor.Options{State: x.state, Settle: x.wait, Progress: bars})
	bars.done()
	if r != nil && asJSON {
		if err := writeJSON(t.out, r, "  "); err != nil {
			return err
		}
	} else if r != nil {
		printWatched(t, r, err, quiet)
	}
	switch {
	case r != nil && len(r.Findings) > 0:
		if err != nil {
			printError(t.err, err)
		}
		return status(exitAlarm)
	case errors.Is(err, monitor.ErrInput):
		return &usageError{err}
	case errors.Is(err, monitor.ErrUnreachable):
		printError(t.err, err)
		return status(exitUnreachable)
	case err != nil:
		return err
	case len(r.Unanswered) > 0:
		return status(exitUnreachable)
	}
	return nil
}

// printWatched prints what is wrong to people, and what is proven.
func printWatched(t *terminal, r *monitor.Report, err error, quiet bool) {
	if r.Forked() {
		fmt.Fprintf(t.err, "nestgen: %sthe log of %s was rewritten\n", t.paint(red, "alarm: "), tame.Text(r.Origin))
	}
	var last monitor.Kind
	for _, f := range r.Findings {
		fmt.Fprintf(t.err, "nestgen: %s: %s\n", tame.Text(f.Path), tame.Text(f.Text))
		if f.Kind != last {
			fmt.Fprintln(t.err, t.paint(faint, "nestgen: this means: "+f.Means))
		}
		last = f.Kind
	}
	if r.More > 0 {
		fmt.Fprintf(t.err, "nestgen: and %d more\n", r.More)
	}
	for _, n := range r.Unanswered {
		fmt.Fprintf(t.err, "nestgen: %s: %s; nothing is proven of it\n", tame.Text(n.Path), tame.Text(n.Text))
	}
	if quiet || err != nil {
		return
	}
	if n := len(r.NotReachable); n > 0 {
		fmt.Fprintf(t.out, "%s without an address at this server, such as %s: %s\n", count(int64(n), "page"), tame.Text(r.NotReachable[0].Path), tame.Text(r.NotReachable[0].Text))
	}
	if r.Withheld > 0 {
		fmt.Fprintf(t.out, "not served: %s that nobody is to have\n", count(r.Withheld, "file"))
	}
	if r.Unlisted > 0 {
		fmt.Fprintf(t.out, "%s came since the list of projects was published; the next build lists what came\n", count(r.Unlisted, "project"))
	}
	if r.Behind > 0 {
		fmt.Fprintf(t.out, "%s not made again since a request has brought something; the next build does it\n", count(r.Behind, "page"))
	}
	if r.Since >= 0 {
		fmt.Fprintf(t.out, "the log goes on from the %s that were proven last\n", count(r.Since, "event"))
	}
	if r.Rotations > 0 {
		fmt.Fprintf(t.out, "the key was replaced %s; it is %s\n", times(r.Rotations), r.Key)
	}
	fmt.Fprintf(t.out, "%s: %s, %s and %s (%s) proven, %s\n", tame.Text(r.Origin), count(r.Events, "event"), count(r.Pages, "page"), count(r.Files, "file"), bytesText(r.Bytes), count(int64(len(r.Findings))+r.More, "finding"))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// verifyProof checks a proof that somebody handed over.
func verifyProof(cmd *cobra.Command, x outside, asJSON, quiet bool) error {
	in := cmd.InOrStdin()
	if x.proof != "-" {
		f, err := os.Open(x.proof)
		if err != nil {
			return &usageError{err}
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, monitor.MaxProof+1))
	if err != nil {
		return &usageError{fmt.Errorf("%s: %w", x.proof, err)}
	}
	if _, err := trust.ParseKey(x.key); err != nil {
		return &usageError{err}
	}
	p, err := monitor.ParseProof(data)
	if err != nil {
		return &usageError{fmt.Errorf("%s: %w", x.proof, err)}
	}
	proven, err := p.Check(x.key)
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "nestgen: %s: it proves nothing: %s\n", tame.Text(x.proof), tame.Text(err.Error()))
		return status(exitAlarm)
	}
	out := cmd.OutOrStdout()
	r, c := &proven.Record, &proven.Checkpoint
	if asJSON {
		return writeJSON(out, map[string]any{
			"origin": c.Origin, "key": proven.Key.Verifier, "tree_size": c.Size, "root_hash": c.Root.String(),
			"serial": r.Serial, "time": time.UnixMicro(r.Time).UTC().Format(time.RFC3339Nano), "verb": r.Verb,
			"project": r.Project, "filename": r.Filename, "sha256": r.SHA256.String(),
		}, "  ")
	}
	if quiet {
		return nil
	}
	fmt.Fprintf(out, "Event %d of %s: %s %s, sha256 %s, at %s.\n", r.Serial, tame.Text(c.Origin), r.Verb, tame.Text(cmp.Or(r.Filename, string(r.Project))), r.SHA256, secondText(r.Time))
	fmt.Fprintf(out, "Proven: the key %s has signed a log of %s that has it, and whoever follows\n", proven.Key.ID(), count(c.Size, "event"))
	fmt.Fprintln(out, "that log would see it changed. Not proven: that no later event is about the same, and")
	fmt.Fprintln(out, "what is served; nestgen verify --log finds out both.")
	return nil
}

// splitLines yields the lines of a text without their ends.
func splitLines(text string) iter.Seq[string] {
	return strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n")
}
