package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// A table prints what a command lists: lines below the heads of their columns, or a
// JSON object a line. It prints some at a time, so that a long list begins at once.
// Without a line there are no heads.
type table struct {
	out    io.Writer
	text   *tabwriter.Writer
	heads  string
	asJSON bool
	lines  int
}

func newTable(out io.Writer, asJSON bool, heads string) *table {
	return &table{out: out, text: tabwriter.NewWriter(out, 0, 8, 2, ' ', 0), heads: heads, asJSON: asJSON}
}

// line prints v as JSON, or its cells as a line of text, with tabs between them.
func (t *table) line(v any, format string, cells ...any) error {
	if t.asJSON {
		return writeJSON(t.out, v, "")
	}
	if t.lines == 0 {
		fmt.Fprintln(t.text, t.heads)
	}
	if _, err := fmt.Fprintf(t.text, format+"\n", cells...); err != nil {
		return err
	}
	if t.lines++; t.lines%1000 == 0 {
		return t.text.Flush()
	}
	return nil
}

// end prints what is left.
func (t *table) end() error { return t.text.Flush() }
