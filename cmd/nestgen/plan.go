package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
	"nestgen/plan"
)

func newPlan(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan [PROJECT...]",
		Short: "Show what a build would add, fetch and withdraw, and why",
		Long: `Find out what the next build would do, and print it: every file that would come
or go, how many bytes would be fetched, and with --why the line of the allowlist,
or the drop folder, that stands behind each. With --why also every file is shown
that is asked for and not listed, behind an x, with the setting or the entry of the
policy that keeps it out. Upstreams are asked for their pages, but no file is
fetched and nothing is changed.

Exit status: 0 if nothing would change, 10 if something would, else as below: 6
if the build would take nothing out of the index, because so many removals look
like an accident.`,
	}
	f := cmd.Flags()
	offline := f.Bool("offline", false, "ask no upstream")
	allow := f.Bool("allow-removals", false, "plan a build with --allow-removals")
	why := f.Bool("why", false, "say why, for every file")
	asJSON := f.Bool("json", false, "print the report as JSON")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		only, err := projectNames(args)
		if err != nil {
			return err
		}
		t := newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr())
		bars := t.progress(!*asJSON)
		p := &planPrinter{why: *why}
		r, err := nestgen.Build(cmd.Context(), c, nestgen.Options{DryRun: true, Offline: *offline, AllowRemovals: *allow, Progress: bars, LeftOut: *why,
			Each: func(d *plan.Project) {
				if len(only) == 0 || slices.Contains(only, d.Name) {
					p.project(d)
				}
			}})
		bars.done()
		if err != nil {
			return err
		}
		if *asJSON {
			if err := printJSON(t.out, r); err != nil {
				return err
			}
		} else {
			if _, err := io.WriteString(t.out, p.text.String()); err != nil {
				return err
			}
			t.problems(r.Problems, false)
			fmt.Fprintln(t.out, summary(r))
		}
		if r.Status == exitDone && r.Added.Count+r.Changed.Count+r.Withdrawn.Count+r.Relinked > 0 {
			return status(exitChanges)
		}
		return status(r.Status)
	})
	return cmd
}

// exitChanges is the status of a plan that would change something.
const exitChanges = 10

// A planPrinter writes a plan for people.
type planPrinter struct {
	text strings.Builder
	why  bool
}

func (p *planPrinter) project(d *plan.Project) {
	fmt.Fprintf(&p.text, "%s\n", d.Name)
	for _, t := range d.Take {
		p.line("+", t.File, fmt.Sprintf("%s, from a drop folder", bytesText(t.Size)), t.Why)
	}
	for _, c := range d.Fetch {
		if c.Here != nil {
			p.line("~", c.Offer.Filename, "what stands beside it, from "+c.Source, c.Why)
			continue
		}
		p.line("+", c.Offer.Filename, fmt.Sprintf("%s, from %s", sizeText(c.Offer.Size), c.Source), c.Why)
	}
	for _, c := range d.Announce {
		p.line("+", c.Offer.Filename, sizeText(c.Offer.Size)+", on demand, from "+c.Source, c.Why)
	}
	for _, k := range d.Keep {
		if k.Changed {
			p.line("~", k.File.Filename, "what is said of it changes", k.Why)
		}
	}
	for _, w := range d.Withdraw {
		p.line("-", w.File.Filename, sizeText(w.File.Size), []string{w.Reason})
	}
	if !p.why {
		return
	}
	for _, l := range d.LeftOut {
		p.line("x", l.Offer.Filename, l.Objection.String(), l.Why)
	}
}

// sizeText writes a size that may not be known.
func sizeText(size int64) string {
	if size < 0 {
		return "size unknown"
	}
	return bytesText(size)
}

func (p *planPrinter) line(sign, file, what string, why []string) {
	fmt.Fprintf(&p.text, "  %s %s  (%s)\n", sign, tame.Text(file), tame.Text(what))
	if !p.why {
		return
	}
	for _, w := range why {
		fmt.Fprintf(&p.text, "      %s\n", tame.Text(w))
	}
}
