// Command bench times nestgen as a whole process: what it takes to make all
// pages, to find nothing to do, to take in one file, to look at a full drop
// folder, to ask an upstream what is new and to fetch from it; and what somebody
// waits for who asks nestgen-cgi behind a web server. Beside it, in turn, run the
// least program that does the same and whatever else is given with -peer.
// docs/performance.md says what the figures mean.
//
//	go run ./bench                    everything, at 1,000, 10,000 and 100,000 files
//	go run ./bench -only pages,drop -files 100000 -runs 9
//	go run ./bench -quick             1,000 and 10,000 files, each thing once
//
// Run as root it makes a file system of its own for each measurement, because
// ext4 is slow for minutes after many files were deleted; otherwise it works in
// a folder of -dir.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	var o options
	files := flag.String("files", "1000,10000,100000", "sizes of the data sets, in files")
	only := flag.String("only", "", "which to run of "+strings.Join(benchNames(), ",")+"; empty for all")
	flag.IntVar(&o.runs, "runs", 5, "runs of each thing; medians are printed")
	flag.StringVar(&o.nestgen, "nestgen", "", "the program to time; empty to build it")
	flag.StringVar(&o.cgi, "nestgen-cgi", "", "the program behind web servers; empty to build it")
	flag.StringVar(&o.python, "python", "", "a Python with pip, for lazyinstall; empty for python3")
	flag.StringVar(&o.dir, "dir", "", "where to work; empty for /dev/shm or the folder for temporary files")
	flag.BoolVar(&o.noMount, "no-mount", false, "make no file system, even as root")
	flag.Func("peer", "NAME=COMMAND to time beside; it has {list}, {rows} or {drop} in it, and {out} (repeat)", o.addPeer)
	asJSON := flag.Bool("json", false, "print JSON")
	quick := flag.Bool("quick", false, "1,000 and 10,000 files, each thing once, short waits")
	flag.Parse()
	if *quick {
		*files = "1000,10000"
		o.quick()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	rows, err := bench(ctx, o, *files, *only)
	if perr := printRows(*asJSON, rows); err == nil {
		err = perr
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func printRows(asJSON bool, rows []Row) error {
	if !asJSON {
		return printTable(os.Stdout, rows)
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(rows)
}

// bench reads the lists of sizes and names, and runs what they ask for.
func bench(ctx context.Context, o options, files, only string) ([]Row, error) {
	for s := range strings.SplitSeq(files, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-files %q: want numbers", files)
		}
		o.sizes = append(o.sizes, n)
	}
	slices.Sort(o.sizes)
	if only != "" {
		o.only = strings.Split(only, ",")
		for _, name := range o.only {
			if !slices.Contains(benchNames(), name) {
				return nil, fmt.Errorf("-only %s: there are %s", name, strings.Join(benchNames(), ", "))
			}
		}
	}
	return run(ctx, o)
}
