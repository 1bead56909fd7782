package main

import (
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/catalog"
	"nestgen/internal/tame"
	"nestgen/packaging"
)

func newList(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the projects of the index",
		Long: `Print a line for every project of the index: its name, its newest version, how
many files it has, their size, and where they come from; with --index, of another
index of the site. It reads the catalog and works while a build runs.

With --held, print a line for every file that is asked for and may not come in
yet: its project and name, when it may, and what holds it.`,
		Args: cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a line")
	index := cmd.Flags().String("index", "/", "the `NAME` of an [[index]], or snapshots/TAG; / is the site's own")
	held := cmd.Flags().Bool("held", false, "list what may not come in yet")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, _ []string) error {
		if *held {
			return listHeld(cmd, c, *asJSON)
		}
		w := newTable(cmd.OutOrStdout(), *asJSON, "PROJECT\tNEWEST\tFILES\tSIZE\tSOURCE\tSTATUS")
		for p, err := range nestgen.List(cmd.Context(), c, *index) {
			if err != nil {
				return errors.Join(w.end(), err)
			}
			l := listed(p)
			if err := w.line(l, "%s\t%s\t%d\t%s\t%s\t%s", l.Project, l.Newest, l.Files, bytesText(l.Bytes), tame.Text(l.Source), l.Status); err != nil {
				return err
			}
		}
		return w.end()
	})
	return cmd
}

// A heldLine is what list --held says of a file.
type heldLine struct {
	Project  string  `json:"project"`
	Version  string  `json:"version"`
	Filename string  `json:"filename"`
	Source   string  `json:"source"`
	Rule     string  `json:"rule"`
	Reason   string  `json:"reason"`
	Uploaded *string `json:"upload-time"` // null if it is not known
	Until    *string `json:"until"`       // null if a person has to decide
}

func listHeld(cmd *cobra.Command, c nestgen.Config, asJSON bool) error {
	held, err := nestgen.Held(cmd.Context(), c)
	if err != nil {
		return err
	}
	w := newTable(cmd.OutOrStdout(), asJSON, "PROJECT\tFILE\tUNTIL\tHELD BY")
	for _, h := range held {
		until := "a person decides"
		if h.Until != 0 {
			until = time.UnixMicro(h.Until).UTC().Format(time.DateOnly+" 15:04") + " UTC"
		}
		l := heldLine{string(h.Project), h.Version, h.Filename, h.Source, h.Rule, h.Reason, timeOf(h.Uploaded), timeOf(h.Until)}
		if err := w.line(l, "%s\t%s\t%s\t%s: %s", h.Project, tame.Text(h.Filename), until, tame.Text(h.Rule), tame.Text(h.Reason)); err != nil {
			return err
		}
	}
	return w.end()
}

// timeOf writes a time given in microseconds since 1970 UTC; nil for none.
func timeOf(micros int64) *string {
	if micros == 0 {
		return nil
	}
	s := time.UnixMicro(micros).UTC().Format(time.RFC3339)
	return &s
}

// A listLine is what list says of a project.
type listLine struct {
	Project string `json:"project"`
	Newest  string `json:"newest,omitempty"`
	Files   int    `json:"files"`

	// Announced is how many of the files come when somebody asks for them.
	Announced int `json:"announced,omitempty"`

	Bytes  int64  `json:"bytes"`
	Links  int    `json:"links,omitempty"`
	Source string `json:"source"`
	Status string `json:"status"`
}

func listed(p *catalog.Project) listLine {
	l := listLine{Project: p.Display, Files: len(p.Files), Links: len(p.Links), Source: p.Owner, Status: stateText(p.Status.State)}
	for _, f := range p.Files {
		l.Bytes += f.Held()
		if f.Announced {
			l.Announced++
		}
	}
	if n := len(p.Files); n > 0 {
		l.Newest = p.Files[n-1].Version
	}
	return l
}

func stateText(s catalog.State) string {
	if s == catalog.Active {
		return "active"
	}
	return string(s)
}

// projectNames reads project names given on the command line: each once, sorted.
func projectNames(args []string) ([]packaging.Name, error) {
	var names []packaging.Name
	for _, a := range args {
		n, err := packaging.ParseName(a)
		if err != nil {
			return nil, &usageError{err}
		}
		names = append(names, n)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
