package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/policy"
)

const targetHelp = `
TARGET is a project ("foo"), versions of one ("foo==1.2", "foo<2"), or the name
of a file ("foo-1.2-py3-none-any.whl").
`

func newYank(s *settings) *cobra.Command {
	return editPolicy(s, &cobra.Command{
		Use:   "yank TARGET [--reason TEXT]",
		Short: "Yank files: installers pass them over unless they are pinned (PEP 592)",
		Long: `Add a yank to the policy file, which is made for a site that never had one. It
takes effect with the next build.
` + targetHelp,
		Example: `  nestgen yank foo==1.2 --reason "loses data on big files"`,
	}, "yanked", policy.Yank)
}

func newUnyank(s *settings) *cobra.Command {
	return editPolicy(s, &cobra.Command{
		Use:   "unyank TARGET",
		Short: "Take back a yank",
		Long: `Take a yank of just this target out of the policy file. Where there is none, an
unyank is added, which lifts the yank that came with the file from its source.
It takes effect with the next build.
` + targetHelp,
		Example: `  nestgen unyank foo==1.2`,
	}, "no longer yanked", policy.Unyank)
}

func newAllow(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "allow TARGET --reason TEXT --expires DATE",
		Short: "Let in what is held, because somebody has looked at it",
		Long: `Add an entry to the policy file that lets in what a hold keeps out: files that
are too young, came too late or after a freeze, or of which nobody knows when
they were uploaded. For a whole project it also says that somebody knows who
has the name now. It takes effect with the next build, and does nothing after
DATE, the last day that it is for; what has come in by then stays. It lifts no
block, no quarantine, and no alarm about bytes that changed.
` + targetHelp,
		Args:    cobra.ExactArgs(1),
		Example: `  nestgen allow foo==1.2.1 --reason "fixes CVE-2026-1234, read by Ann" --expires 2026-12-01`,
	}
	reason := cmd.Flags().String("reason", "", "why, for the log of the index; required")
	expires := cmd.Flags().String("expires", "", "the last day that it is for, as 2026-12-01; required")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		t, err := policy.ParseTarget(args[0])
		if err != nil {
			return &usageError{err}
		}
		if *reason == "" {
			return &usageError{errors.New("an entry that lets something in needs a reason: give --reason")}
		}
		last, err := time.Parse(time.DateOnly, *expires)
		if err != nil {
			return &usageError{fmt.Errorf("--expires %q: want the last day that it is for, as 2026-12-01", *expires)}
		}
		now := nestgen.Now()
		if !now.Before(last.AddDate(0, 0, 1)) {
			return &usageError{fmt.Errorf("--expires %s: that day is over", *expires)}
		}
		err = nestgen.EditPolicy(cmd.Context(), c, func(file string) error { return policy.Allow(file, t, *reason, last, now) })
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s may come in until the end of %s; the next build fetches it\n", c.Policy, args[0], *expires)
		return nil
	})
	return cmd
}

func editPolicy(s *settings, cmd *cobra.Command, done string, edit func(string, policy.Target, string, time.Time) error) *cobra.Command {
	reason := cmd.Flags().String("reason", "", "why, for the people who meet it")
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		t, err := policy.ParseTarget(args[0])
		if err != nil {
			return &usageError{err}
		}
		err = nestgen.EditPolicy(cmd.Context(), c, func(file string) error { return edit(file, t, *reason, nestgen.Now()) })
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s is %s; the next build publishes it\n", c.Policy, args[0], done)
		return nil
	})
	return cmd
}
