package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"nestgen"
	"nestgen/catalog"
)

func changesOf(changes ...nestgen.LoggedChange) func(func(nestgen.LoggedChange, error) bool) {
	return func(yield func(nestgen.LoggedChange, error) bool) {
		for _, c := range changes {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// Somebody who watches sees colours and hears that there is more; a file and a pipe get
// neither, and nobody gets what would drive a terminal.
func TestLogOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	c := nestgen.LoggedChange{First: 3, Last: 4, Time: 1_800_000_000_000_000, Project: "foo"}
	c.Lines = append(c.Lines, changeLine(catalog.Add, "2.0 added", ""), changeLine(catalog.Yanking, "1.0 yanked", "bad\x1b[2J"), changeLine(catalog.Withdraw, "0.9 withdrawn", "gone"), changeLine("links", "development links changed", ""))
	show := func(wide, asked bool) (string, string) {
		t.Helper()
		var out, err bytes.Buffer
		if e := logChanges(&terminal{out: &out, err: &err, wide: wide}, changesOf(c), asked, 1); e != nil {
			t.Fatal(e)
		}
		return out.String(), err.String()
	}
	want := "SERIAL  TIME                 PROJECT  WHAT\n" +
		"3-4     2027-01-15 08:00:00  foo      \x1b[32m2.0 added\x1b[0m\n" +
		"                                      \x1b[33m1.0 yanked: bad\uFFFD[2J\x1b[0m\n" +
		"                                      \x1b[31m0.9 withdrawn: gone\x1b[0m\n" +
		"                                      development links changed\n"
	out, err := show(true, false)
	if out != want || err != "nestgen: hint: these are the newest 1; -n 0 shows all\n" {
		t.Errorf("%q\n%q", out, err)
	}
	if out, err := show(true, true); out != want || err != "" {
		t.Errorf("asked for so many: %q\n%q", out, err)
	}
	var none, hint bytes.Buffer
	if e := logChanges(&terminal{out: &none, err: &hint, wide: true}, changesOf(), true, 1); e != nil || none.Len() > 0 || hint.String() != "nestgen: nothing that has changed is so\n" {
		t.Errorf("nothing: %q, %q, %v", none.String(), hint.String(), e)
	}
	plainly := func(about string, wide bool) {
		t.Helper()
		if out, _ := show(wide, true); strings.Contains(out, "\x1b") || !strings.Contains(out, "1.0 yanked: bad\uFFFD[2J") {
			t.Errorf("%s: %q", about, out)
		}
	}
	plainly("a pipe", false)
	t.Setenv("NO_COLOR", "1")
	plainly("no colours wanted", true)
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	plainly("no colours to be had", true)
}

func changeLine(verb catalog.Verb, text, reason string) nestgen.LoggedLine {
	return nestgen.LoggedLine{Verb: verb, Text: text, Reason: reason}
}

// What was read before a fault is printed, and the fault is told.
func TestLogEndsWithAFault(t *testing.T) {
	fault := errors.New("fault")
	var out bytes.Buffer
	failing := func(yield func(catalog.Event, error) bool) {
		_ = yield(catalog.Event{Serial: 1, Time: 1, Verb: "add", Project: "foo", Filename: "foo-1.tar.gz\x07", Reason: "a\nb"}, nil) && yield(catalog.Event{}, fault)
	}
	if err := logEvents(&terminal{out: &out}, failing, false, false, 0); !errors.Is(err, fault) {
		t.Errorf("%v", err)
	}
	if s := out.String(); strings.Count(s, "\n") != 2 || !strings.Contains(s, "foo-1.tar.gz\uFFFD") || !strings.Contains(s, "a\uFFFDb") {
		t.Errorf("%q", s)
	}
}
