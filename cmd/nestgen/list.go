package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"
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

func newShow(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show PROJECT|FILE",
		Short: "Show the files of a project, or one of them, and what happened to them",
		Long: `Print what the index has of a project: its status, its files with their digests
and where they came from, its development links, and its history.

For the name of a distribution file, print that file, its history, and the proof
that the published log of the site has the event by which the index lists it now,
or by which it left. With --json the proof has all that somebody elsewhere needs to
check it: nestgen verify --proof.`,
		Args: cobra.ExactArgs(1),
	}
	asJSON := cmd.Flags().Bool("json", false, "print a JSON object")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		if _, err := packaging.ParseFilename(args[0], ""); err == nil {
			h, err := nestgen.ShowFile(cmd.Context(), c, args[0])
			if !errors.Is(err, fs.ErrNotExist) {
				return showFileHistory(cmd, h, err, *asJSON)
			}
			// A project may have such a name, too.
		}
		n, err := packaging.ParseName(args[0])
		if err != nil {
			return &usageError{err}
		}
		p, events, err := nestgen.Show(cmd.Context(), c, n)
		if errors.Is(err, fs.ErrNotExist) {
			if _, err := packaging.ParseFilename(args[0], ""); err == nil {
				return &usageError{fmt.Errorf("%s: the index has never had a file of this name", args[0])}
			}
			return &usageError{fmt.Errorf("%s: the index has never had a project of this name", n)}
		}
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(cmd.OutOrStdout(), shown(p, events), "  ")
		}
		return printProject(cmd, p, events)
	})
	return cmd
}

func printProject(cmd *cobra.Command, p *catalog.Project, events []catalog.Event) error {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s (%s), from %s\n", p.Display, stateText(p.Status.State), tame.Text(p.Owner))
	if p.Status.Reason != "" {
		fmt.Fprintf(out, "  %s\n", tame.Text(p.Status.Reason))
	}
	if p.Note != "" {
		fmt.Fprintf(out, "  note: %s\n", tame.Text(p.Note))
	}
	if len(p.Files) > 0 {
		fmt.Fprintln(out, "\nFiles:")
	}
	for i := range p.Files {
		printFile(out, &p.Files[i])
	}
	if len(p.Links) > 0 {
		fmt.Fprintln(out, "\nDevelopment links:")
	}
	for _, l := range p.Links {
		fmt.Fprintf(out, "  %s  (%s)\n", tame.Text(l.URL), tame.Text(l.Source))
	}
	return printEvents(out, events)
}

func printFile(out io.Writer, f *catalog.File) {
	size := sizeText(f.Size)
	if f.Announced {
		size += ", on demand"
	}
	fmt.Fprintf(out, "  %s  (%s, %s)\n", f.Filename, size, time.UnixMicro(f.Uploaded).UTC().Format(time.DateTime))
	fmt.Fprintf(out, "    sha256 %s\n", f.SHA256)
	if f.RequiresPython != "" {
		fmt.Fprintf(out, "    requires Python %s\n", tame.Text(f.RequiresPython))
	}
	if f.Yanked.Yanked {
		fmt.Fprintf(out, "    yanked: %s\n", tame.Text(f.Yanked.Reason))
	}
	if f.URL != "" {
		fmt.Fprintf(out, "    from %s\n", tame.Text(f.URL))
	}
}

func printEvents(out io.Writer, events []catalog.Event) error {
	fmt.Fprintln(out, "\nHistory:")
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, e := range events {
		fmt.Fprintf(w, "  %d\t%s\t%s\t%s\t%s\n", e.Serial, time.UnixMicro(e.Time).UTC().Format(time.DateTime), e.Verb, e.Filename, tame.Text(e.Reason))
	}
	return w.Flush()
}

// The shape of show --json.
type (
	showProject struct {
		listLine
		Reason  string      `json:"reason,omitempty"`
		Note    string      `json:"note,omitempty"`
		Serial  int64       `json:"serial"`
		List    []showFile  `json:"file_list"`
		DevURLs []string    `json:"development_links,omitempty"`
		History []showEvent `json:"history"`
	}
	showFile struct {
		Filename       string  `json:"filename"`
		Version        string  `json:"version"`
		Kind           string  `json:"kind"`
		Size           int64   `json:"size"` // -1 if it is not known
		Announced      bool    `json:"announced,omitempty"`
		SHA256         string  `json:"sha256"`
		Path           string  `json:"path"`
		RequiresPython string  `json:"requires_python,omitempty"`
		Uploaded       string  `json:"upload_time"`
		Yanked         bool    `json:"yanked"`
		YankReason     string  `json:"yank_reason,omitempty"`
		Metadata       *string `json:"core_metadata_sha256,omitempty"`
		PublishedBy    string  `json:"published_by,omitempty"` // as the upstream's provenance says
		Source         string  `json:"source"`
		URL            string  `json:"url,omitempty"`
	}
	showEvent struct {
		Serial   int64  `json:"serial"`
		Time     string `json:"time"`
		Verb     string `json:"verb"`
		Filename string `json:"filename,omitempty"`
		Source   string `json:"source"`
		Reason   string `json:"reason,omitempty"`
	}
)

func shown(p *catalog.Project, events []catalog.Event) showProject {
	s := showProject{listLine: listed(p), Reason: p.Status.Reason, Note: p.Note, Serial: p.Serial, List: []showFile{}}
	for i := range p.Files {
		s.List = append(s.List, shownFile(&p.Files[i]))
	}
	for _, l := range p.Links {
		s.DevURLs = append(s.DevURLs, l.URL)
	}
	s.History = shownEvents(events)
	return s
}

func shownFile(f *catalog.File) showFile {
	sf := showFile{
		Filename: f.Filename, Version: f.Version, Kind: f.Kind.String(), Size: f.Size, Announced: f.Announced, SHA256: f.SHA256.String(), Path: f.Path,
		RequiresPython: f.RequiresPython, Uploaded: time.UnixMicro(f.Uploaded).UTC().Format(time.RFC3339),
		Yanked: f.Yanked.Yanked, YankReason: f.Yanked.Reason, Source: f.Source, URL: f.URL,
	}
	if !f.Metadata.IsZero() {
		m := f.Metadata.String()
		sf.Metadata = &m
	}
	if !f.Publisher.IsZero() {
		sf.PublishedBy = f.Publisher.String()
	}
	return sf
}

func shownEvents(events []catalog.Event) []showEvent {
	list := []showEvent{}
	for _, e := range events {
		list = append(list, showEvent{e.Serial, time.UnixMicro(e.Time).UTC().Format(time.RFC3339), string(e.Verb), e.Filename, e.Source, e.Reason})
	}
	return list
}

// projectNames reads project names given on the command line.
func projectNames(args []string) (map[packaging.Name]bool, error) {
	names := map[packaging.Name]bool{}
	for _, a := range args {
		n, err := packaging.ParseName(a)
		if err != nil {
			return nil, &usageError{err}
		}
		names[n] = true
	}
	return names, nil
}
