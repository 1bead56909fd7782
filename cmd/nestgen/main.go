// Command nestgen makes a complete Python package index out of static files.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
)

func main() {
	// A gateway hands over part of a request as arguments (RFC 3875, 4.4), and
	// whoever can write a request must not be able to drive this program.
	if os.Getenv("GATEWAY_INTERFACE") != "" {
		fmt.Print("Status: 500 nestgen is not a gateway program\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThis program is not meant to be run by a web server.\n")
		os.Exit(1)
	}
	// Most of what a build makes is garbage at once, and a site of a hundred
	// thousand files stays below 64 MiB all the same.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(150)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A second Ctrl-C ends the program at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program: it gives the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	code := exitStatus(err)
	var quiet *statusError
	if !errors.As(err, &quiet) {
		printError(stderr, err)
	}
	return code
}

// The exit statuses that a command finds by itself; [nestgen.Status] has those
// of errors, and every command's help lists all.
const (
	exitDone        = 0
	exitUsage       = 2
	exitKept        = 3
	exitUnreachable = 5
	exitAlarm       = 6
)

// exitHelp is the end of every command's help.
const exitHelp = `Exit status:
  0  all is well
  1  a fault of nestgen itself
  2  wrong usage or settings; nothing was done
  3  done, but something was kept back or rejected; the report lists it
  4  another run holds the lock; nothing was done
  5  no upstream could be reached; the site is as it was
  6  an alarm: bytes that changed, a quarantine, or a removal that looks like an
     accident; the site is safe
  7  the disk or the file system failed; the site is safe
  130  interrupted; what is published stands, and the next run goes on from there
`

// A statusError ends the program with a status after everything there is to
// say has been said.
type statusError struct{ code int }

func (e *statusError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// A usageError is a fault in how the program was called.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func exitStatus(err error) int {
	var status *statusError
	var usage *usageError
	switch {
	case errors.As(err, &status):
		return status.code
	case errors.As(err, &usage):
		return exitUsage
	}
	return nestgen.Status(err)
}

// printError prints an error, one line for each that was joined, and its hint.
func printError(w io.Writer, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			printError(w, e)
		}
		return
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "nestgen: interrupted; what is published stands, and the next run goes on from there")
		return
	}
	fmt.Fprintf(w, "nestgen: %s\n", tame.Text(err.Error()))
	if hint := nestgen.Hint(err); hint != "" {
		fmt.Fprintf(w, "nestgen: hint: %s\n", tame.Text(hint))
	}
}

// knownCommand refuses what is left when no command was found.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	near := ""
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		near = fmt.Sprintf(", did you mean %q?", s[0])
	}
	return &usageError{fmt.Errorf("unknown command %q%s", args[0], near)}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "nestgen",
		Short: "Make a complete Python package index out of static files",
		Long: `nestgen reads an allowlist in the form of a requirements file and folders of
eggs, sdists and wheels, fetches the named versions from upstream indexes, and
writes a tree that any web server can serve to pip and its relatives. It runs
from cron; nothing of it runs while the index is read.

Begin with:

  nestgen init my-index
  cd my-index
  nestgen build
  nestgen serve`,
		Version:           nestgen.Version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
		Args:              knownCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.SetHelpTemplate(root.HelpTemplate() + "\n" + exitHelp)
	cobra.EnableCommandSorting = false // they stand in the order in which one comes to need them
	var s settings
	s.flags(root)
	for _, g := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"The site:", []*cobra.Command{newInit(), newBuild(&s), newPlan(&s), newServe(&s), newVerify(&s), newGC(&s)}},
		{"What it has:", []*cobra.Command{newList(&s), newShow(&s), newLog(&s), newDiff(&s), newProve(&s), newLock(&s), newAudit(&s), newStats(&s)}},
		{"What it may have:", []*cobra.Command{newAllow(&s), newYank(&s), newUnyank(&s), newPromote(&s), newToken(&s)}},
		{"Its past, and other sites:", []*cobra.Command{newSnapshot(&s), newRollback(&s), newExport(&s), newImport(&s), newKey(&s)}},
		{"", []*cobra.Command{newMan()}},
	} {
		if g.title != "" {
			root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		}
		for _, c := range g.commands {
			faultsOfUsage(c)
			c.GroupID = g.title
			root.AddCommand(c)
		}
	}
	return root
}

// faultsOfUsage has wrong arguments of a command, and of those below it, end the
// program as wrong usage.
func faultsOfUsage(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return &usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
			}
			return nil
		}
	}
	for _, below := range c.Commands() {
		faultsOfUsage(below)
	}
}
