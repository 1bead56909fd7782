package templates_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"nestgen/templates"
)

func TestLoadReplacesOneFile(t *testing.T) {
	s, err := templates.Load(fstest.MapFS{
		"front.html":      {Data: []byte(`<p>{{.Name}}</p>{{template "foot" .}}`)},
		"static/logo.png": {Data: []byte("png")},
		"static/site.css": {Data: []byte("p{}")},
		".git/config":     {Data: []byte("passed over")},
		"front.html~":     {Data: []byte("{{passed over")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = s.Execute(&b, templates.Front, map[string]any{"Name": "<x>", "Up": "", "Index": "", "Version": "", "HasFlat": false, "HasEasy": true})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.HasPrefix(got, "<p>&lt;x&gt;</p>") || !strings.Contains(got, "<footer") {
		t.Errorf("front page %q: want the site's own, with the built-in foot", got)
	}
	assets := map[string]string{}
	for _, a := range s.Assets() {
		assets[a.Name] = string(a.Data)
	}
	if assets["logo.png"] != "png" || assets["site.css"] != "p{}" || assets["site.js"] == "" {
		t.Errorf("assets %q", assets)
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct{ about, name, data, want string }{
		{"misspelt name", "fornt.html", "", "template fornt.html: there is none of that name"},
		{"other folder", "css/site.css", "", "templates: folder css: only static may hold files"},
		{"folder below static", "static/a/b.css", "", "templates: folder static/a"},
		{"odd name", "static/a b.css", "", `templates: file "static/a b.css"`},
		{"broken template", "front.html", "{{", "template: front.html:1"},
	}
	for _, tt := range tests {
		_, err := templates.Load(fstest.MapFS{tt.name: {Data: []byte(tt.data)}})
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q…", tt.about, err, tt.want)
		}
	}
}

// The pages work under a policy that allows nothing from elsewhere and nothing
// inline, so neither may stand in any of the files.
func TestNothingFromElsewhere(t *testing.T) {
	foreign := regexp.MustCompile(`(?:https?:)?//[a-z0-9]|@import|url\(`)
	for _, a := range templates.Default().Assets() {
		text := strings.ReplaceAll(string(a.Data), "http://www.w3.org/2000/svg", "") // a name, not an address
		text = regexp.MustCompile(`(?m)(?:^|\s)//\s.*$`).ReplaceAllString(text, "")
		if m := foreign.FindString(text); m != "" {
			t.Errorf("%s refers to %q", a.Name, m)
		}
	}
}

func TestDefaultIsOneSet(t *testing.T) {
	first, second := templates.Default(), templates.Default()
	if first != second {
		t.Error("Default parses the templates anew")
	}
}

func TestDigest(t *testing.T) {
	load := func(files fstest.MapFS) string {
		s, err := templates.Load(files)
		if err != nil {
			t.Fatal(err)
		}
		return s.Digest()
	}
	same := load(fstest.MapFS{})
	if same != templates.Default().Digest() || same != load(fstest.MapFS{"front.html~": {}}) || len(same) != 64 {
		t.Errorf("digests of equal sets differ, or %q is none", same)
	}
	seen := map[string]bool{same: true}
	for _, files := range []fstest.MapFS{
		{"front.html": {Data: []byte("x")}}, {"project.html": {Data: []byte("x")}},
		{"static/a": {Data: []byte("x")}}, {"static/site.css": {Data: []byte("x")}},
	} {
		if d := load(files); seen[d] {
			t.Errorf("%v: a digest that another set has", files)
		} else {
			seen[d] = true
		}
	}
}
