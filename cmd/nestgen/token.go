package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/access"
	"nestgen/internal/tame"
)

func newToken(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke the tokens by which people upload",
		Long: `A token is what a program uploads with, in the place of a password: twine, uv,
poetry, flit, "setup.py upload". It lets whoever has it upload files of the
projects that it was made for, and do nothing else.

The file of tokens, "tokens" in [fallback] of the settings, has a hash of each,
by which it can be checked and not be found out. A change counts from the next
request on; nothing has to be started anew.`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenAdd(s), newTokenList(s), newTokenRevoke(s))
	return cmd
}

func newTokenAdd(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add [--note TEXT] [--expires WHEN] PROJECT...",
		Short: "Make a token and print it, this once",
		Long: `Make a token that may upload to some projects, and print it. It is stored
nowhere: one that was lost is revoked, and another one made.

Each PROJECT is the name of a project in any spelling, the beginning of names
with a star at the end ("acme-*", which is not acme itself), or "*" for every
project. Quote the star, or the shell may take it for file names.

WHEN is a time from now ("90d", "1w 2d"), or a date ("2027-01-31"), the last day
in UTC on which the token is good. Without it the token is good until it is
revoked.`,
		Example: `  nestgen token add --note "CI of foo" --expires 90d foo
  nestgen token add 'acme-*'`,
		Args: cobra.MinimumNArgs(1),
	}
	note := cmd.Flags().String("note", "", "what the token is for, in one line of `text`")
	expires := cmd.Flags().String("expires", "", "`when` it stops to be good: a time from now or a date")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		now := time.Now()
		t := access.Token{Note: *note}
		var err error
		if t.Scope, err = access.ParseScope(args); err != nil {
			return &usageError{err}
		}
		if cmd.Flags().Changed("expires") {
			if t.Expires, err = parseExpiry(*expires, now); err != nil {
				return &usageError{fmt.Errorf("--expires: %w", err)}
			}
		}
		t, secret, err := access.Add(c.Fallback.Tokens, t, now)
		if err != nil {
			return tokenFault(err)
		}
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), secret); err != nil {
			// Nobody has it, and nobody ever will.
			_, undone := access.Revoke(c.Fallback.Tokens, t.ID)
			return errors.Join(err, undone)
		}
		e := cmd.ErrOrStderr()
		fmt.Fprintf(e, "nestgen: made token %s for %s, %s; it is not shown again\n", t.ID, t.Scope, expiryText(t, now))
		fmt.Fprintf(e, "nestgen: hint: in ~/.pypirc, for twine and most others:\n%s", pypirc(c.BaseURL))
		if c.Uploads == "" {
			fmt.Fprintf(e, "nestgen: hint: %s has no \"uploads\" yet, so that nothing can be uploaded\n", tame.Text(c.File))
		}
		return nil
	})
	return cmd
}

// pypirc gives what a client's settings have to say, but for the token.
func pypirc(base string) string {
	if base == "" {
		base = "https://packages.example.org/"
	}
	return `  [distutils]
  index-servers = ours

  [ours]
  repository = ` + base + `legacy/
  username = __token__
  password = (the token)
`
}

// parseExpiry reads when a token stops to be good.
func parseExpiry(s string, now time.Time) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	var d nestgen.Duration
	if err := d.UnmarshalText([]byte(s)); err != nil || d == 0 {
		return time.Time{}, fmt.Errorf("%q: want a time from now, such as 90d or 1w 2d, or a date, such as %s", s, now.AddDate(0, 3, 0).Format(time.DateOnly))
	}
	return now.Add(time.Duration(d)), nil
}

func expiryText(t access.Token, now time.Time) string {
	switch {
	case t.Expires.IsZero():
		return "good until it is revoked"
	case t.Expired(now):
		return "expired " + t.Expires.UTC().Format(time.DateTime)
	}
	return "good until " + t.Expires.UTC().Format(time.DateTime) + " UTC"
}

// tokenFault tells a token or a file of tokens that is wrong from a disk that
// fails.
func tokenFault(err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, ok := errors.AsType[*os.LinkError](err); ok {
		return err
	}
	return &usageError{err}
}

func newTokenList(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tokens, without what they are",
		Long: `Print a line for every token: the id by which it is revoked, when it was made,
when it expires, in UTC, what it may upload to, and its note. The tokens
themselves are not known here.`,
		Args: cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a line")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, _ []string) error {
		tokens, err := access.Load(c.Fallback.Tokens)
		if err != nil {
			return tokenFault(err)
		}
		now := time.Now()
		w := newTable(cmd.OutOrStdout(), *asJSON, "ID\tCREATED\tEXPIRES\tPROJECTS\tNOTE")
		for _, t := range tokens {
			expires := "never"
			if !t.Expires.IsZero() {
				expires = t.Expires.UTC().Format(time.DateTime)
			}
			if t.Expired(now) {
				expires += " (expired)"
			}
			if err := w.line(tokenLine(t, now), "%s\t%s\t%s\t%s\t%s", t.ID, t.Created.UTC().Format(time.DateTime), expires, t.Scope, tame.Text(t.Note)); err != nil {
				return err
			}
		}
		return w.end()
	})
	return cmd
}

// A listedToken is what token list --json says of one.
type listedToken struct {
	ID       string    `json:"id"`
	Projects []string  `json:"projects"`
	Note     string    `json:"note,omitempty"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`
	Expired  bool      `json:"expired"`
}

func tokenLine(t access.Token, now time.Time) listedToken {
	l := listedToken{ID: t.ID, Projects: t.Scope.Patterns(), Note: t.Note, Created: t.Created.UTC(), Expired: t.Expired(now)}
	if !t.Expires.IsZero() {
		l.Expires = t.Expires.UTC()
	}
	return l
}

func newTokenRevoke(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke ID...",
		Short: "Revoke tokens: nobody can upload with them any more",
		Long: `Take tokens out of the file. ID is what "nestgen token list" shows, and what the
log of uploads names. If one of several is not there, none is revoked.`,
		Args: cobra.MinimumNArgs(1),
	}
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		tokens, err := access.Load(c.Fallback.Tokens)
		if err != nil {
			return tokenFault(err)
		}
		var unknown []string
		for _, id := range args {
			if !slices.ContainsFunc(tokens, func(t access.Token) bool { return t.ID == id }) {
				unknown = append(unknown, id)
			}
		}
		if len(unknown) > 0 {
			return &usageError{fmt.Errorf("there is no token with the id %s: see \"nestgen token list\"", strings.Join(unknown, ", "))}
		}
		for _, id := range slices.Compact(slices.Sorted(slices.Values(args))) {
			t, err := access.Revoke(c.Fallback.Tokens, id)
			if errors.Is(err, fs.ErrNotExist) {
				continue // somebody else was faster
			}
			if err != nil {
				return tokenFault(err)
			}
			text := t.Scope.String()
			if t.Note != "" {
				text += ": " + t.Note
			}
			fmt.Fprintf(cmd.OutOrStdout(), "revoked %s (%s)\n", t.ID, tame.Text(text))
		}
		return nil
	})
	return cmd
}
