// Command vectors answers rule vectors: it reads one JSON question a line on
// standard input and writes one JSON answer a line on standard output, so that
// any set of recorded answers of the reference tools can be held against the
// packages of this project. It is a test helper and is not shipped.
//
// A question names its operation in "op". An operation that this project does
// not have is answered with {"unsupported": true}, invalid input with
// {"ok": false}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// An answerer takes a whole question and gives the answer to it, a value for
// encoding/json.
type answerer func(question json.RawMessage) any

// ops holds every operation by name. The files of this command add to it from
// their init functions, one file for each part of the rules.
var ops = map[string]answerer{}

// invalid is the answer to a question whose input breaks the rules.
var invalid = map[string]any{"ok": false}

func main() {
	if err := answer(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "vectors:", err)
		os.Exit(1)
	}
}

// answer serves the line protocol until r ends, flushing after every answer
// because the asker may wait for it before it asks again.
func answer(r io.Reader, w io.Writer) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), 64<<20)
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for in.Scan() {
		var q struct {
			Op string `json:"op"`
		}
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			return fmt.Errorf("question %q: %w", in.Text(), err)
		}
		var a any = map[string]any{"unsupported": true}
		if f := ops[q.Op]; f != nil {
			a = f(in.Bytes())
		}
		if err := enc.Encode(a); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return in.Err()
}
