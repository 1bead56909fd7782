package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"nestgen/bench/dataset"
	"nestgen/packaging"
)

// fields is what stands of a file in one line of a packed list, with tabs
// between: everything that a page says, ready to be printed.
const (
	fieldProject = iota
	fieldFilename
	fieldVersion
	fieldSHA256
	fieldMetadata
	fieldPython
	fieldYanked
	fieldSize
	fieldUploaded
	fields
)

// pack makes a list quick to read, sorted by project.
func pack(list, file string) error {
	in, err := os.Open(list)
	if err != nil {
		return err
	}
	defer in.Close()
	type row struct{ project, text string }
	var rows []row
	for d := json.NewDecoder(bufio.NewReader(in)); ; {
		var l dataset.Row
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		n := string(packaging.NormalizeName(l.Project))
		rows = append(rows, row{n, strings.Join([]string{
			fieldProject: n, fieldFilename: l.Filename, fieldVersion: l.Version,
			fieldSHA256: strings.TrimPrefix(l.Hash, "sha256="), fieldMetadata: strings.TrimPrefix(l.CoreMetadata, "sha256="),
			fieldPython: l.RequiresPython, fieldYanked: l.YankedReason, fieldSize: strconv.FormatInt(l.Size, 10),
			fieldUploaded: time.Unix(l.Uploaded, 0).UTC().Format(time.RFC3339),
		}, "\t")})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.project, b.project) })
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	for _, r := range rows {
		w.WriteString(r.text + "\n") // the error stays for Flush
	}
	return errors.Join(w.Flush(), out.Close())
}
