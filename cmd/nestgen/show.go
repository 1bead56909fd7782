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
	"nestgen/monitor"
	"nestgen/packaging"
)

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
	fmt.Fprintf(out, "  %s  (%s, %s)\n", f.Filename, size, secondText(f.Uploaded))
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
		fmt.Fprintf(w, "  %d\t%s\t%s\t%s\t%s\n", e.Serial, secondText(e.Time), e.Verb, e.Filename, tame.Text(e.Reason))
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

// The shape of show --json for a file.
type showOne struct {
	Project   string         `json:"project"`
	Filename  string         `json:"filename"`
	File      *showFile      `json:"file"` // null if the index lists it no more
	History   []showEvent    `json:"history"`
	Inclusion *monitor.Proof `json:"inclusion"` // null if the log does not have it yet
}

// showFileHistory prints what the index has of one file, and the proof of it.
func showFileHistory(cmd *cobra.Command, h *nestgen.FileHistory, err error, asJSON bool) error {
	if err != nil {
		return err
	}
	name := h.Events[0].Filename
	if asJSON {
		one := showOne{Project: string(h.Project.Name), Filename: name, History: shownEvents(h.Events), Inclusion: proofOf(h.Inclusion)}
		if h.File != nil {
			f := shownFile(h.File)
			one.File = &f
		}
		return writeJSON(cmd.OutOrStdout(), one, "  ")
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s of %s\n\n", name, h.Project.Display)
	if h.File == nil {
		fmt.Fprintln(out, "  The index lists it no more.")
	} else {
		printFile(out, h.File)
	}
	if err := printEvents(out, h.Events); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nIn the log:")
	p := proofOf(h.Inclusion)
	if p == nil {
		fmt.Fprintln(out, "  not yet; the next build takes it there")
		return nil
	}
	fmt.Fprintf(out, "  event %d, leaf hash %s\n", p.Serial, p.LeafHash)
	fmt.Fprintf(out, "  of %s, root hash %s\n", count(p.TreeSize, "event"), p.RootHash)
	if p.Checkpoint == "" {
		fmt.Fprintln(out, "  (the log is not published)")
	}
	fmt.Fprintln(out, "\nProof:")
	for _, hash := range p.Hashes {
		fmt.Fprintf(out, "  %s\n", hash)
	}
	if p.Checkpoint != "" {
		fmt.Fprintf(out, "\nCheckpoint:\n%s", indented(p.Checkpoint))
	}
	return nil
}

// proofOf gives a proof as others check it.
func proofOf(i *nestgen.Inclusion) *monitor.Proof {
	if i == nil {
		return nil
	}
	p := &monitor.Proof{
		Serial: i.Serial, Record: string(i.Record), LeafHash: i.Leaf.String(), TreeSize: i.Size, RootHash: i.Root.String(),
		Hashes: []string{}, Checkpoint: string(i.Checkpoint), Keys: string(i.Keys),
	}
	for _, h := range i.Proof {
		p.Hashes = append(p.Hashes, h.String())
	}
	return p
}

// indented gives lines of text with blanks before each that is not empty.
func indented(text string) string {
	out := ""
	for line := range splitLines(text) {
		if line != "" {
			line = "  " + tame.Text(line)
		}
		out += line + "\n"
	}
	return out
}
