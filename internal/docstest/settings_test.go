package docstest

import (
	"encoding"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"nestgen"
)

var update = flag.Bool("update", false, "rewrite docs/settings.md")

const (
	settingsBegin = "<!-- from config.go: run \"make golden\" after a change there -->\n"
	settingsEnd   = "<!-- end -->\n"
)

// docs/settings.md says of every setting what the comments of the Config say,
// and of nothing else.
func TestSettings(t *testing.T) {
	file := filepath.Join(root, "docs", "settings.md")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), settingsBegin)
	_, tail, ok2 := strings.Cut(rest, settingsEnd)
	if !ok || !ok2 {
		t.Fatalf("%s: no lines %q and %q", file, settingsBegin, settingsEnd)
	}
	want := head + settingsBegin + "\n" + settings(t) + settingsEnd + tail
	if *update && want != string(data) {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(data) {
		t.Errorf("%s is not what config.go says: run \"make golden\" and read the diff", file)
	}
}

// settings writes a section for every table of the settings file.
func settings(t *testing.T) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "config.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]map[string]string{} // by type and field
	for _, decl := range f.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok || d.Tok != token.TYPE {
			continue
		}
		for _, spec := range d.Specs {
			s := spec.(*ast.TypeSpec)
			fields, ok := s.Type.(*ast.StructType)
			if !ok {
				continue
			}
			of := map[string]string{}
			for _, field := range fields.Fields.List {
				for _, n := range field.Names {
					of[n.Name] = field.Doc.Text()
				}
				if name, ok := field.Type.(*ast.Ident); ok && field.Names == nil {
					of[name.Name] = field.Doc.Text()
				}
			}
			comments[s.Name.Name] = of
		}
	}
	var b strings.Builder
	for _, table := range []struct {
		title string
		of    reflect.Type
	}{
		{"The site", reflect.TypeFor[nestgen.Config]()},
		{"Each `[[upstream]]`", reflect.TypeFor[nestgen.Upstream]()},
		{"`[filter]`", reflect.TypeFor[nestgen.Filter]()},
		{"Each `[[project]]`", reflect.TypeFor[nestgen.ProjectConfig]()},
		{"Each `[[environment]]`", reflect.TypeFor[nestgen.Environment]()},
		{"Each `[[index]]`", reflect.TypeFor[nestgen.Index]()},
		{"Each `[[on_demand]]`", reflect.TypeFor[nestgen.OnDemand]()},
		{"`[hold]`", reflect.TypeFor[nestgen.Hold]()},
		{"`[fallback]`", reflect.TypeFor[nestgen.Fallback]()},
		{"`[advisories]`", reflect.TypeFor[nestgen.Advisories]()},
		{"Each `[[owner]]`", reflect.TypeFor[nestgen.Owner]()},
	} {
		fmt.Fprintf(&b, "## %s\n\n", table.title)
		keys := keysOf(table.of)
		for i := range table.of.NumField() {
			field := table.of.Field(i)
			text := comments[table.of.Name()][field.Name]
			if field.Anonymous {
				fmt.Fprintf(&b, "### The keys of `[%s]`\n\n%s\n", strings.ToLower(field.Name), text)
				continue
			}
			key, ok := keys[field.Name]
			if !ok {
				continue
			}
			if text == "" {
				t.Errorf("config.go: %s.%s has no comment, which is its manual", table.of.Name(), field.Name)
			}
			heading := "`" + key + "`"
			switch of := field.Type; {
			case isText(of), of.Kind() == reflect.Slice && isText(of.Elem()):
			case reflect.PointerTo(of).Implements(reflect.TypeFor[interface{ UnmarshalTOML(any) error }]()): // no table, as it reads itself
			case of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Struct:
				heading = "`[[" + key + "]]`"
			case of.Kind() == reflect.Struct:
				heading = "`[" + key + "]`"
			}
			fmt.Fprintf(&b, "### %s\n\n%s\n", heading, inKeys(text, field.Name, keys))
		}
	}
	return b.String()
}

// isText reports whether a setting is written as a text.
func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// names are fields whose names are also words for something else.
var names = map[string]bool{"Python": true, "ABIs": true}

// keysOf gives the keys of a table by the names of their fields.
func keysOf(table reflect.Type) map[string]string {
	keys := map[string]string{}
	for i := range table.NumField() {
		if key := table.Field(i).Tag.Get("toml"); key != "" && key != "-" {
			keys[table.Field(i).Name] = key
		}
	}
	return keys
}

var word = regexp.MustCompile(`\b[A-Z][A-Za-z]*\b`)

// inKeys writes a comment for people who know the keys and not the fields: the
// name of a field is replaced where the comment begins with its own, or where
// it stands within a sentence.
func inKeys(text, own string, keys map[string]string) string {
	var b strings.Builder
	last := 0
	for _, at := range word.FindAllStringIndex(text, -1) {
		name := text[at[0]:at[1]]
		before := strings.TrimSpace(text[:at[0]])
		begins := before == "" || strings.HasSuffix(before, ".")
		key, ok := keys[name]
		switch {
		case names[name] && before != "":
			continue
		case name == "Config":
			key, ok = "the site's settings", true
		case ok:
			key = "`" + key + "`"
		}
		if !ok || begins && !(before == "" && name == own) {
			continue
		}
		b.WriteString(text[last:at[0]] + key)
		last = at[1]
	}
	b.WriteString(text[last:])
	return b.String()
}

func TestInKeys(t *testing.T) {
	keys := map[string]string{"Site": "site", "State": "state", "Name": "name"}
	for _, tt := range []struct{ in, own, want string }{
		{"State is on the same disk as Site. Site is another.", "State", "`state` is on the same disk as `site`. Site is another."},
		{"As in Config, for this.", "Name", "As in the site's settings, for this."},
	} {
		if got := inKeys(tt.in, tt.own, keys); got != tt.want {
			t.Errorf("inKeys(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
