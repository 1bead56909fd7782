package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const vectorDir = "../../../shared/data/pep-vectors"

// TestRuleVectors holds the rules on versions, specifiers, requirements and
// markers against the recorded answers of the reference implementation. An
// answer of any of its releases counts.
func TestRuleVectors(t *testing.T) {
	for _, name := range []string{
		"versions", "version-order", "specifiers", "spec-contains", "spec-filter", "spec-set-theory",
		"requirements", "markers", "marker-eval", "names", "depgroups",
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(vectorDir, name+".json"))
			if errors.Is(err, fs.ErrNotExist) {
				t.Skip("no vectors beside the repository; the tables of package packaging stand alone")
			}
			if err != nil {
				t.Fatal(err)
			}
			var vectors []struct {
				In  json.RawMessage
				Out map[string]any
				Alt map[string]map[string]any
			}
			if err := decode(data, &vectors); err != nil {
				t.Fatal(err)
			}
			if len(vectors) == 0 {
				t.Fatal("no vectors in the file")
			}
			for _, v := range vectors {
				got := ask(t, v.In)
				ok := agrees(v.Out, got)
				for _, alt := range v.Alt {
					ok = ok || agrees(alt, got)
				}
				if !ok {
					t.Errorf("%s\ngives %v\nwant  %v", v.In, got, v.Out)
				}
			}
		})
	}
}

// ask puts one question by the line protocol.
func ask(t *testing.T, question json.RawMessage) map[string]any {
	t.Helper()
	var line, out bytes.Buffer
	if err := json.Compact(&line, question); err != nil {
		t.Fatal(err)
	}
	if err := answer(&line, &out); err != nil {
		t.Fatal(err)
	}
	var a map[string]any
	if err := decode(out.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// decode keeps numbers as text, since versions have numbers beyond float64.
func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(v)
}

// agrees compares the keys of the wanted answer. What is absent, null, empty
// or false is one, and the white space and quotes of a marker do not count.
func agrees(want, got map[string]any) bool {
	if want["ok"] == false || got["ok"] == false {
		return want["ok"] == got["ok"]
	}
	for key, w := range want {
		g := got[key]
		if nothing(w) && nothing(g) || reflect.DeepEqual(w, g) {
			continue
		}
		ws, ok1 := w.(string)
		gs, ok2 := g.(string)
		if ok1 && ok2 && (key == "marker" || key == "norm") && strings.ReplaceAll(ws, "'", `"`) == strings.ReplaceAll(gs, "'", `"`) {
			continue
		}
		return false
	}
	return true
}

func nothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// A question of an unknown operation and an unreadable one.
func TestAnswer(t *testing.T) {
	if got := ask(t, json.RawMessage(`{"op": "no such thing"}`)); got["unsupported"] != true {
		t.Errorf("unknown operation: %v", got)
	}
	if err := answer(strings.NewReader("{\n"), &bytes.Buffer{}); err == nil {
		t.Error("unreadable question: no error")
	}
}
