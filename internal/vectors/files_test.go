package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// fileVectors is where the recorded answers of the reference tools are, when
// they are at hand.
const fileVectors = "../../../shared/data/pep-vectors"

// TestFileVectors holds the answers about names, tags, licenses and metadata
// against the recorded ones. It compares more than the runner of the vectors
// does: the errors of invalid metadata, too.
func TestFileVectors(t *testing.T) {
	if _, err := os.Stat(fileVectors); err != nil {
		t.Skipf("no recorded vectors here: %v", err)
	}
	for _, set := range []string{
		"names", "wheel-filenames", "sdist-filenames", "egg-filenames", "tags", "licenses", "metadata",
	} {
		t.Run(set, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(fileVectors, set+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var vectors []struct {
				In  json.RawMessage
				Out map[string]any
				Alt map[string]map[string]any
			}
			if err := json.Unmarshal(data, &vectors); err != nil {
				t.Fatal(err)
			}
			for _, v := range vectors {
				var q struct{ Op string }
				if err := json.Unmarshal(v.In, &q); err != nil {
					t.Fatal(err)
				}
				got := viaJSON(t, ops[q.Op](v.In))
				ok := sameAnswer(v.Out, got)
				for _, alt := range v.Alt {
					ok = ok || sameAnswer(alt, got)
				}
				if !ok {
					t.Errorf("%s\n got %v\nwant %v", v.In, got, v.Out)
				}
			}
		})
	}
}

// viaJSON gives an answer as the asker reads it.
func viaJSON(t *testing.T, answer any) map[string]any {
	t.Helper()
	data, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// sameAnswer reports whether got has all that want has. Sets have no order, and
// null, an empty list and a missing key are one.
func sameAnswer(want, got map[string]any) bool {
	for k, w := range want {
		g := got[k]
		if k == "tags" || k == "errors" {
			w, g = sorted(w), sorted(g)
		}
		if isNothing(w) && isNothing(g) || k == "errors" && isCrash(w) {
			continue
		}
		if !reflect.DeepEqual(w, g) {
			return false
		}
	}
	return true
}

// isCrash reports whether a list of errors is the name of a Python exception,
// where the reference fell over and a list of fields was due.
func isCrash(errs any) bool {
	words := errs.([]string)
	return len(words) == 1 && 'A' <= words[0][0] && words[0][0] <= 'Z'
}

func sorted(v any) any {
	list, _ := v.([]any)
	words := make([]string, len(list))
	for i, w := range list {
		words[i], _ = w.(string)
	}
	slices.Sort(words)
	return words
}

func isNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}
