package intaketest_test

import (
	"bytes"
	"testing"

	"nestgen/intake"
	"nestgen/intake/intaketest"
	"nestgen/packaging"
)

// What the package makes passes the strictest inspection, says what it was
// asked to say, and comes out the same every time.
func TestMadeFilesAreValid(t *testing.T) {
	o := intaketest.Opts{
		RequiresPython: ">=3.8", RequiresDist: []string{"other>=1"}, Summary: "A test",
		Spelling: "Some.Name", Files: map[string]string{"data/a,b.txt": "x", "data/ü.txt": "y"}, Pad: 5000,
	}
	makers := map[string]func() (string, []byte){
		"wheel":            func() (string, []byte) { return intaketest.Wheel("some-name", "1.0", o) },
		"wheel with build": func() (string, []byte) { o := o; o.Build = "2a"; return intaketest.Wheel("some-name", "1.0", o) },
		"egg":              func() (string, []byte) { return intaketest.Egg("some-name", "1.0", o) },
	}
	for _, ext := range []string{"", ".tgz", ".zip", ".tar", ".tar.xz", ".txz", ".tar.zst", ".tar.lzma", ".tar.Z"} {
		makers["sdist"+ext] = func() (string, []byte) { o := o; o.Ext = ext; return intaketest.Sdist("some-name", "1.0", o) }
	}
	for what, make := range makers {
		t.Run(what, func(t *testing.T) {
			filename, data := make()
			facts, err := intake.Inspect(bytes.NewReader(data), int64(len(data)), filename, "", intake.Upload)
			if err != nil {
				t.Fatalf("%s: %v", filename, err)
			}
			if facts.Filename.Project != "some-name" || facts.Filename.Version != "1.0" || facts.Display != "Some.Name" ||
				facts.RequiresPython != ">=3.8" || facts.Core.Summary != "A test" || len(facts.Warnings) > 0 {
				t.Errorf("%s: facts = %+v", filename, facts)
			}
			if got := facts.Metadata != nil; got != (facts.Filename.Kind == packaging.Wheel) {
				t.Errorf("%s: metadata %q", filename, facts.Metadata)
			}
			if _, again := make(); !bytes.Equal(data, again) {
				t.Errorf("%s: made twice, different bytes", filename)
			}
		})
	}
}
