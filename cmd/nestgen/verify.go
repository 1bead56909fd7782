package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
)

func newVerify(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Read the whole site and report every difference from the catalog",
		Long: `Hash every file of the store, render every page again, and compare: what is
missing, what has other bytes, and what lies in the tree and does not belong
there. With --repair, damaged files are taken anew from where they came from,
and pages that differ are published again.

With --log and --key, look at a site from outside instead, with its public key
alone, and without any settings: prove that its history was only ever added to,
that every page and every file that it serves is the one that was published, and
that the index says what the history says. The address is that of the root of the
site, or a folder. --state remembers how far the history was, so that one that was
rewritten or taken back is found the next time, even if it is signed.

With --proof and --key, check the proof that "nestgen show FILE --json" has
printed, without asking anybody; "-" reads it from the standard input.

Exit status of both: 0 if all of it is proven, 5 if the site left something
unanswered, 6 if something is wrong.`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	repair := f.Bool("repair", false, "mend what can be mended")
	offline := f.Bool("offline", false, "ask no upstream for damaged files")
	asJSON := f.Bool("json", false, "print what was found as JSON")
	quiet := f.BoolP("quiet", "q", false, "print nothing when all is well")
	var x outside
	f.StringVar(&x.log, "log", "", "look from outside at the site at this `ADDRESS`, or in this folder")
	f.StringVar(&x.proof, "proof", "", "check the proof in this `FILE`")
	f.StringVar(&x.key, "key", "", "the `KEY` of the site, as \"nestgen key show\" prints it there")
	f.StringVar(&x.state, "state", "", "the `FILE` that remembers the history between two runs with --log")
	f.DurationVar(&x.wait, "wait", 20*time.Second, "how long something has to stay wrong, since a site may be published meanwhile")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if ok, err := x.check(f.Changed); err != nil {
			return &usageError{err}
		} else if ok && x.proof != "" {
			return verifyProof(cmd, x, *asJSON, *quiet)
		} else if ok {
			return verifyLog(cmd, x, *asJSON, *quiet)
		}
		c, err := s.load()
		if err != nil {
			return err
		}
		t := newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr())
		bars := t.progress(!*quiet && !*asJSON)
		v, err := nestgen.Verify(cmd.Context(), c, nestgen.Options{Offline: *offline, Progress: bars}, *repair)
		bars.done()
		if err != nil {
			return err
		}
		if *asJSON {
			if err := writeJSON(t.out, v, "  "); err != nil {
				return err
			}
		} else {
			for _, d := range v.Findings {
				mended := ""
				if d.Repaired {
					mended = " (repaired)"
				}
				fmt.Fprintf(t.err, "nestgen: %s: %s%s\n", tame.Text(d.Path), tame.Text(d.Text), mended)
			}
			if !*quiet {
				if v.Waiting > 0 {
					fmt.Fprintf(t.out, "%s changed by requests; the next build makes the pages anew\n", count(int64(v.Waiting), "project"))
				}
				fmt.Fprintf(t.out, "%s (%s) and %s verified, %s\n", count(v.Files, "file"), bytesText(v.Bytes), count(v.Pages, "page"), count(int64(len(v.Findings)), "difference"))
			}
		}
		if !v.Whole() {
			return status(exitAlarm)
		}
		return nil
	}
	return cmd
}
