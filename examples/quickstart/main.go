// Command quickstart makes the example site: an allowlist, a policy, a drop
// folder with a wheel, an sdist, an egg and a development link, and an upstream
// to fetch from.
//
//	go run ./examples/quickstart build/demo
//
// What it makes stands in sources/, as text. A folder there that is named like
// a distribution becomes that distribution; pages of the upstream have the
// digests of its files filled in; everything else is copied. The same sources
// give the same bytes, always and everywhere.
package main

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
)

//go:embed all:sources
var embedded embed.FS

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./examples/quickstart DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	sources, err := fs.Sub(embedded, "sources")
	if err != nil {
		return err
	}
	files, err := assemble(sources)
	if err != nil {
		return err
	}
	return write(dir, files)
}
