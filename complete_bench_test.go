package nestgen

import (
	"fmt"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// BenchmarkCompleteAgain is a build of a completed list of which nothing has
// changed: 100 projects of 30 versions, for three machines.
func BenchmarkCompleteAgain(b *testing.B) {
	const projects, versions = 100, 30
	var files []fetchtest.File
	var list strings.Builder
	for i := range projects {
		for v := range versions {
			files = append(files, wheel(fmt.Sprintf("p%d", i), fmt.Sprintf("1.%d", v), intaketest.Opts{
				RequiresPython: ">=3.8", RequiresDist: []string{fmt.Sprintf("p%d>=1.2", (i+1)%projects), fmt.Sprintf("p%d", (i*7+3)%projects)}}))
		}
		fmt.Fprintf(&list, "p%d\n", i)
	}
	w := newWorld(b, fetchtest.New(b, files...))
	w.Dependencies, w.Environments = Resolve, []string{"cp311-linux-x86_64", "cp312-macos-arm64", "cp313-windows-amd64"}
	w.People, w.Flat, w.LegacyJSON = false, false, "none"
	w.write("allowlist.txt", list.String())
	again := func() *Report {
		r, err := Build(b.Context(), w.Config, Options{})
		if err != nil || r.Status != 0 {
			b.Fatal(err, r)
		}
		return r
	}
	again()
	again()
	b.ReportAllocs()
	for b.Loop() {
		if r := again(); !r.Idle() {
			b.Fatalf("%+v", r)
		}
	}
}
