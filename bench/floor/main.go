// Command floor does the least that an index generator must do, and nothing
// else, for nestgen to be held against. It checks nothing, keeps nothing and
// recovers from nothing: it is a yardstick.
//
//	floor pack LIST FILE    make a file that is quick to read of a list
//	floor pages FILE DIR    write HTML and JSON pages of the files in it
//	floor scan DIR          read all files of a folder, and hash them
//	floor ask LIST N        ask whether pages have changed, over N connections
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	err := errors.New("usage: floor pack LIST FILE | floor pages FILE DIR | floor scan DIR | floor ask LIST N")
	switch args := os.Args[1:]; {
	case len(args) == 3 && args[0] == "pack":
		err = pack(args[1], args[2])
	case len(args) == 3 && args[0] == "pages":
		err = pages(args[1], args[2])
	case len(args) == 3 && args[0] == "ask":
		err = ask(args[1], args[2])
	case len(args) == 2 && args[0] == "scan":
		err = scan(args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}
