package main

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
	"nestgen/policy"
)

func newPromote(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "promote TARGET... FROM TO",
		Short: "Have one index of the site list what another one lists",
		Long: `Promote files that the index FROM lists to the index TO, which is an [[index]] of
the settings. TO lists them from now on, whatever becomes of them in FROM or in
the site: only the policy's blocks and quarantines, and --remove, take them out of
it again. FROM may be / for the site's own index. What changes is published at
once, and the history of each project says who did it, and why.

Either everything that is named is promoted or nothing.
` + targetHelp,
		Example: `  nestgen promote foo==1.2 testing prod --reason "passed all tests"
  nestgen promote -r release.txt testing prod
  nestgen promote --all-files --dry-run testing prod
  nestgen promote --remove foo==1.2 prod`,
	}
	f := cmd.Flags()
	lists := f.StringArrayP("requirement", "r", nil, "take targets from a `FILE`, one a line")
	all := f.Bool("all-files", false, "promote everything that FROM lists")
	remove := f.Bool("remove", false, "take promotions back: TARGET... INDEX")
	dry := f.BoolP("dry-run", "n", false, "say what would be done, and do nothing")
	reason := f.String("reason", "", "why, for the history")
	by := f.String("by", "", "who does it, for the history (default: your user name)")
	asJSON := f.Bool("json", false, "print what was done as JSON")
	cmd.Args = func(_ *cobra.Command, args []string) error {
		indexes := 2
		if *remove {
			indexes = 1
		}
		targets := len(args) - indexes
		switch {
		case targets < 0 && *remove:
			return fmt.Errorf("want targets and the index to take them out of")
		case targets < 0:
			return fmt.Errorf("want targets, the index that has them, and the one that is to list them")
		case *all && (targets > 0 || len(*lists) > 0):
			return fmt.Errorf("--all-files goes with no target")
		case !*all && targets == 0 && len(*lists) == 0:
			return fmt.Errorf("no target; --all-files takes everything")
		}
		return nil
	}
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		p := nestgen.Promotion{Remove: *remove, Who: cmp.Or(*by, userName()), Why: *reason}
		last := len(args) - 1
		p.To, args = args[last], args[:last]
		if !*remove {
			last := len(args) - 1
			p.From, args = args[last], args[:last]
		}
		var err error
		if p.Targets, err = targets(args, *lists); err != nil {
			return &usageError{err}
		}
		if !*all && len(p.Targets) == 0 {
			return &usageError{fmt.Errorf("%s: no target in it", strings.Join(*lists, ", "))}
		}
		t := newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr())
		done, err := nestgen.Promote(cmd.Context(), c, nestgen.Options{DryRun: *dry}, p)
		if err != nil {
			return err
		}
		if *asJSON {
			err = writeJSON(t.out, done, "  ")
		} else {
			t.problems(done.Problems, false)
			err = printPromoted(t, done, *remove, p.To)
		}
		if err != nil {
			return err
		}
		for _, p := range done.Problems {
			if p.Level == "alarm" {
				return status(exitAlarm)
			}
		}
		return nil
	})
	return cmd
}

func printPromoted(t *terminal, d *nestgen.Promoted, remove bool, to string) error {
	sign, done := "+", "promoted to "+to
	if remove {
		sign, done = "-", "no longer promoted to "+to
	}
	if d.DryRun {
		done = "would be " + done
	}
	for _, f := range d.Files {
		more := ""
		if f.Stays {
			more = "  (still listed: it is inherited, or a line of the index chooses it)"
		}
		if _, err := fmt.Fprintf(t.out, "%s %s%s\n", sign, tame.Text(f.Filename), more); err != nil {
			return err
		}
	}
	line := fmt.Sprintf("%s %s", count(int64(len(d.Files)), "file"), done)
	if d.Already > 0 {
		line += fmt.Sprintf(", %d already", d.Already)
	}
	if !d.DryRun {
		line += fmt.Sprintf("; %s written", count(int64(d.Pages.Written), "page"))
	}
	_, err := fmt.Fprintln(t.out, line)
	return err
}

// targets reads targets of the command line, and of files with one a line.
func targets(args, files []string) (all []policy.Target, err error) {
	for _, a := range args {
		t, err := policy.ParseTarget(a)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	for _, name := range files {
		of, err := readTargets(name)
		if err != nil {
			return nil, err
		}
		all = append(all, of...)
	}
	return all, nil
}

// readTargets reads a file as pip's freeze writes it: comments begin with "#".
func readTargets(name string) (all []policy.Target, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(" "+lines.Text(), " #")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		t, err := policy.ParseTarget(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		all = append(all, t)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

// userName is the name of the user who runs the program, behind sudo as well.
func userName() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}
