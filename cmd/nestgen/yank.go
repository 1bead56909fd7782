package main

import (
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
` + targetHelp + exitHelp,
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
` + targetHelp + exitHelp,
		Example: `  nestgen unyank foo==1.2`,
	}, "no longer yanked", policy.Unyank)
}

func editPolicy(s *settings, cmd *cobra.Command, done string, edit func(string, policy.Target, string, time.Time) error) *cobra.Command {
	reason := cmd.Flags().String("reason", "", "why, for the people who meet it")
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := s.load()
		if err != nil {
			return err
		}
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
	}
	return cmd
}
