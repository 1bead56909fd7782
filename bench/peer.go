package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// A peer is another generator to time beside nestgen. Its command has in it
// what it works on: {list}, a file with one JSON object a line for each
// distribution, as dumb-pypi reads it; {rows}, the same with the project, version
// and size of each; or {drop}, a folder of distributions. {out} is a path in a
// folder of its own at which there is nothing yet.
type peer struct {
	name string
	argv []string
}

// addPeer reads NAME=COMMAND. The command's words stand between spaces.
func (o *options) addPeer(s string) error {
	name, command, ok := strings.Cut(s, "=")
	words := strings.Fields(command)
	if !ok || name == "" || len(words) == 0 {
		return fmt.Errorf("%q: want NAME=COMMAND", s)
	}
	p := peer{name, words}
	if (p.uses("{list}") || p.uses("{rows}")) == p.uses("{drop}") {
		return fmt.Errorf("%q: want either {list} or {rows}, or {drop}, in the command", s)
	}
	if strings.Contains(words[0], "/") {
		// It runs in another folder than this program.
		program, err := filepath.Abs(words[0])
		if err != nil {
			return err
		}
		words[0] = program
	}
	o.peers = append(o.peers, p)
	return nil
}

func (p *peer) uses(what string) bool { return strings.Contains(strings.Join(p.argv, " "), what) }

// command gives the words with the places put in.
func (p *peer) command(places ...string) []string {
	r := strings.NewReplacer(places...)
	argv := make([]string, len(p.argv))
	for i, w := range p.argv {
		argv[i] = r.Replace(w)
	}
	return argv
}
