package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/internal/tame"
	"nestgen/monitor"
)

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
