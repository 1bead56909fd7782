package monitor

import (
	"bytes"
	"fmt"
)

// For the fuzz functions: what the readers make of pages, as text.

func ReadJSON(page []byte) (string, error) {
	d, err := parseProject(page)
	return fmt.Sprintf("%+v", d), err
}

func ReadHTML(page []byte) (string, error) {
	d, err := readHTML(bytes.NewReader(page))
	return fmt.Sprintf("%+v", d), err
}

func ReadRoot(page []byte) ([]string, error) { return parseRoot(page) }

func ReadRootHTML(page []byte) ([]string, error) { return rootNames(bytes.NewReader(page)) }

var (
	LeadsTo = leadsTo
	Same    = same
)
