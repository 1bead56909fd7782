package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
	"nestgen/trust"
)

func newKey(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Keep the key of the site, and the keys of others that it trusts",
		Long: `A site signs what it gives to others with a key of its own, and takes signatures
of those keys alone that people have said it trusts. A key is one line of text,
NAME+HASH+KEY. The name says whose it is; the fingerprint is for two people to
compare by telephone.

The keys are in the folder keys in the state: "own" is secret, and nobody but the
user of the site may read it; "trusted" has the keys of others, one a line, and
may be edited.`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyNew(s), newKeyShow(s), newKeyTrust(s), newKeyDistrust(s), newKeyList(s), newKeyRotate(s))
	return cmd
}

// A keyLine is what the commands print of a key as JSON.
type keyLine struct {
	Name        string `json:"name"`
	Hash        string `json:"hash"`
	Key         string `json:"key"`
	Fingerprint string `json:"fingerprint"`
	Comment     string `json:"comment,omitempty"`
}

func lineOf(k trust.Key) keyLine {
	return keyLine{k.Name, fmt.Sprintf("%08x", k.Hash), k.Verifier, k.Fingerprint(), k.Comment}
}

// printKey prints the site's own key: to the standard output the line that others
// trust, and the rest to people.
func printKey(cmd *cobra.Command, k trust.Key, asJSON bool) error {
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), lineOf(k), "")
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), k.Verifier); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "nestgen: fingerprint: %s\n", k.Fingerprint())
	return nil
}

func newKeyNew(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new [--name NAME] [--new-log]",
		Short: "Make the key of the site",
		Long: `Make the key that the site signs with, and print the half of it that others get.
A site has one key, which "nestgen key rotate" replaces. A build that has something
to sign makes one if there is none, with the name that stands for --name.

NAME stands in everything that is signed and does not change any more: the host
name of the site, with a path where one host has several sites. It has ASCII
letters, digits and the signs . : / - _ alone. Without --name it is taken from
the setting "base_url", or else it is the name of this machine.

With --new-log a site that has lost what it signed of its log, and cannot get it back
from anywhere, begins another log with another key. Whoever trusts the former key, or
follows the log, has to be told. A site whose log goes on is refused.`,
		Example: `  nestgen key new
  nestgen key new --name packages.example.org/pypi`,
		Args: cobra.NoArgs,
	}
	name := cmd.Flags().String("name", "", "the `name` of the key")
	newLog := cmd.Flags().Bool("new-log", false, "begin another log, because the site has lost its own")
	asJSON := cmd.Flags().Bool("json", false, "print the key as JSON")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, _ []string) error {
		if cmd.Flags().Changed("name") {
			if err := trust.CheckName(*name); err != nil {
				return &usageError{fmt.Errorf("--name: %w", err)}
			}
		}
		var o *trust.Own
		var err error
		if *newLog {
			o, err = nestgen.NewLog(cmd.Context(), c, nestgen.Options{}, *name)
		} else {
			o, err = nestgen.NewKey(c, *name)
		}
		if err != nil {
			return err
		}
		if err := printKey(cmd, o.Key(), *asJSON); err != nil {
			return err // the key is made; key show prints it
		}
		if !*asJSON {
			fmt.Fprintf(cmd.ErrOrStderr(), "nestgen: hint: others trust this site with\n  nestgen key trust '%s'\n", o.Verifier)
			if *newLog {
				fmt.Fprintf(cmd.ErrOrStderr(), "nestgen: hint: \"nestgen build\" publishes the log that begins now\n")
			}
		}
		return nil
	})
	return cmd
}

func newKeyShow(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the key of the site, for others to trust",
		Long: `Print the half of the site's key that others get, as one line for their "nestgen
key trust", and its fingerprint to the standard error.`,
		Args: cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print the key as JSON")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, _ []string) error {
		o, err := nestgen.OwnKey(c)
		if err != nil {
			return err
		}
		return printKey(cmd, o.Key(), *asJSON)
	})
	return cmd
}

func newKeyTrust(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "trust LINE",
		Short: "Trust the key of another site",
		Long: `Add a key to those whose signatures this site takes. LINE is what "nestgen key
show" prints there, and may have a # and a comment behind it. Compare the
fingerprint with somebody there before, not by the way that the line came.`,
		Example: `  nestgen key trust 'packages.example.org+a2c4e6f8+AQ... # by telephone, Ann'`,
		Args:    cobra.ExactArgs(1),
		RunE: s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
			k, err := trust.ParseLine(args[0])
			if err != nil {
				return &usageError{err}
			}
			added, err := nestgen.TrustKey(c, args[0])
			if err != nil {
				return err
			}
			done := "trusted"
			if !added {
				done = "already trusted"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, fingerprint %s\n", done, k.ID(), k.Fingerprint())
			return err
		}),
	}
}

func newKeyDistrust(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "distrust KEY...",
		Short: "Trust keys of other sites no longer",
		Long: `Take keys out of those whose signatures this site takes. KEY is a name, for all
keys of that name, or a hash, NAME+HASH, or a whole line, for one. What came in
under a key before stays. If one of several is not there, none is removed.`,
		Example: `  nestgen key distrust packages.example.org`,
		Args:    cobra.MinimumNArgs(1),
		RunE: s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
			removed, err := c.Keys().Distrust(args...)
			if errors.Is(err, fs.ErrNotExist) {
				return &usageError{fmt.Errorf("%w: see \"nestgen key list\"", err)}
			}
			if err != nil {
				return nestgen.KeyFault(err)
			}
			for _, k := range removed {
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "not trusted any more: %s\n", k.ID()); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

func newKeyList(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys of others that the site trusts",
		Long: `Print a line for every key that the site trusts: its name, its hash, its
fingerprint, and the comment behind it. The site's own key is what "nestgen key
show" prints.`,
		Args: cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a line")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, _ []string) error {
		keys, err := c.Keys().Trusted()
		if err != nil {
			return nestgen.KeyFault(err)
		}
		w := newTable(cmd.OutOrStdout(), *asJSON, "NAME\tHASH\tFINGERPRINT\tCOMMENT")
		for _, k := range keys {
			if err := w.line(lineOf(k), "%s\t%08x\t%s\t%s", k.Name, k.Hash, k.Fingerprint(), tame.Text(k.Comment)); err != nil {
				return err
			}
		}
		return w.end()
	})
	return cmd
}

// A rotatedKey is what key rotate --json prints.
type rotatedKey struct {
	keyLine
	Old    string `json:"old"`
	Serial int64  `json:"serial"`
}

func newKeyRotate(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the key of the site by a new one",
		Long: `Make a new key of the same name for the site, and a statement that the one
replaces the other, which both have signed. The statement goes with what the
site gives to others, so that those who trust the old key come to trust the new
one by themselves. The change is an event in the history of the site.

If the old key may be known to somebody, rotating is not enough: whoever has it
can sign such a statement as well. Have the others distrust it, and trust the
new one by hand.`,
		Args: cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print the new key as JSON")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, _ []string) error {
		r, err := nestgen.RotateKey(cmd.Context(), c, nestgen.Options{})
		if err != nil {
			return err
		}
		newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr()).problems(r.Problems, false)
		k, err := trust.ParseKey(r.New)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(cmd.OutOrStdout(), rotatedKey{lineOf(k), r.Old, r.Event}, "")
		}
		return printKey(cmd, k, false)
	})
	return cmd
}
