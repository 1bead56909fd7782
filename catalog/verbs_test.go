package catalog

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// No verb is forgotten that event.go names.
func TestVerbs(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var named []Verb
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if of, ok := v.Type.(*ast.Ident); ok && of.Name == "Verb" {
			text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			named = append(named, Verb(text))
		}
		return true
	})
	if len(named) < 14 || !slices.Equal(slices.Sorted(slices.Values(named)), slices.Sorted(slices.Values(Verbs))) {
		t.Errorf("event.go names %q, Verbs is %q", named, Verbs)
	}
}
