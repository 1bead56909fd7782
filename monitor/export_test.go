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

// JSONType is the media type that is asked for where a page as JSON is wanted.
const JSONType = jsonType

var (
	LeadsTo = leadsTo
	Same    = same
)
