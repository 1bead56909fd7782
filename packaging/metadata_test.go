package packaging

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const ordinaryMetadata = `Metadata-Version: 2.4
Name: Foo.Bar
Version: 1.0
Summary: A thing
Keywords: one, two,three
Author-email: A <a@example.org>
License-Expression: MIT
License-File: LICENSE
Project-URL: Home, https://example.org/,x
Project-URL: Source , https://example.org/src
Classifier: Programming Language :: Python :: 3
Classifier: Topic :: Software Development
Requires-Python: >=3.9
Requires-Dist: bar>=1
Requires-Dist: baz; extra == "test"
Provides-Extra: test
Description-Content-Type: text/markdown; charset=UTF-8; variant=GFM

# Foo

It does things.
`

func TestParseMetadata(t *testing.T) {
	m := ParseMetadata([]byte(ordinaryMetadata))
	m.present = 0
	want := &Metadata{
		MetadataVersion:        "2.4",
		Name:                   "Foo.Bar",
		Version:                "1.0",
		Summary:                "A thing",
		Description:            "# Foo\n\nIt does things.\n",
		DescriptionContentType: "text/markdown; charset=UTF-8; variant=GFM",
		AuthorEmail:            "A <a@example.org>",
		LicenseExpression:      "MIT",
		RequiresPython:         ">=3.9",
		Keywords:               []string{"one", "two", "three"},
		Classifiers:            []string{"Programming Language :: Python :: 3", "Topic :: Software Development"},
		LicenseFiles:           []string{"LICENSE"},
		ProvidesExtra:          []string{"test"},
		RequiresDist:           []string{"bar>=1", `baz; extra == "test"`},
		ProjectURLs:            []ProjectURL{{"Home", "https://example.org/,x"}, {"Source", "https://example.org/src"}},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("ParseMetadata = %+v\nwant %+v", m, want)
	}
	if errs := ParseMetadata([]byte(ordinaryMetadata)).Validate(); len(errs) > 0 {
		t.Errorf("ordinary metadata has errors: %v", errs)
	}
}

// TestMetadataReading has what old and hand-made files do to a reader.
func TestMetadataReading(t *testing.T) {
	tests := []struct {
		what     string
		in       string
		field    func(*Metadata) any
		want     any
		unparsed string // as fmt prints it
		warning  string // a part of one
	}{
		{"CRLF", "Name: foo\r\nVersion: 1\r\n\r\nbody\r\n", metaName, "foo", "[]", ""},
		{"CRLF in the body stays", "Name: foo\r\n\r\na\r\nb\r\n", metaDescription, "a\r\nb\r\n", "[]", ""},
		{"CR alone ends a line", "Name: foo\rVersion: 1\r", metaName, "foo", "[]", ""},
		{"field name in capitals", "NAME:foo\n", metaName, "foo", "[]", ""},
		{"no space after the colon, tabs", "Name:\t foo \n", metaName, "foo ", "[]", ""},
		{"no line end at all", "Name: foo", metaName, "foo", "[]", ""},
		{"empty", "", metaName, "", "[]", ""},
		{"folded description keeps its folds", "Description: a\n        b\n\n", metaDescription, "a\n        b", "[]", ""},
		{"folded from the first line on", "Description: \n        b\n", metaDescription, "\n        b", "[]", ""},
		{"vertical tab does not end a line", "Author: a\vb\n", metaAuthor, "a\vb", "[]", ""},
		{"UTF-8", "Author: Tarek Ziadé\n", metaAuthor, "Tarek Ziadé", "[]", ""},
		{"Latin-1 field", "Author: Andr\xe9\n", metaAuthor, "André", "[{author [André]}]", ""},
		{"Latin-1 body", "Name: foo\n\ncaf\xe9", metaDescription, "café", "[{description [caf\xe9]}]", "not UTF-8"},
		{"repeated field", "Name: foo\nName: bar\n", metaName, "foo", "[{name [foo bar]}]", ""},
		{"unknown fields are kept together", "X-Y: 1\nName: foo\nx-y: 2\n", metaName, "foo", "[{x-y [1 2]}]", ""},
		{"description as field and as body", "Description: a\n\nb\n", metaDescription, "b\n", "[{description [a b\n]}]", ""},
		{"description repeated, and as body", "Description: a\nDescription: b\n\nc\n", metaDescription, "c\n", "[{description [a b c\n]}]", ""},
		{"control character is malformed", "Na\x01me: foo\n", metaName, "", "[]", "line 1"},
		{"line without a colon is malformed", "Name", metaName, "", "[]", "line 1"},
		{"two links with one label", "Project-URL: A, b\nProject-URL: A, c\n",
			func(m *Metadata) any { return m.ProjectURLs }, []ProjectURL{{"A", "b"}, {"A", "c"}}, "[{project-url [A, b A, c]}]", ""},
		{"link without a comma", "Project-URL: https://x\n",
			func(m *Metadata) any { return m.ProjectURLs }, []ProjectURL{{"https://x", ""}}, "[]", ""},
		{"empty Import-Name says nothing is there", "Import-Name:\n",
			func(m *Metadata) any { return m.ImportNames }, []string{}, "[]", ""},
		{"fields end at the first malformed line", "Name: foo\noops\nVersion: 1\n", metaDescription, "oops\nVersion: 1\n", "[]", "line 2 is not of a field"},
		{"space before the colon is malformed", "Name : foo\n", metaName, "", "[]", "line 1"},
		{"byte order mark is malformed", "\ufeffName: foo\n", metaName, "", "[]", "line 1"},
		{"continuation of nothing", "  x\nName: foo\n", metaName, "foo", "[]", "line 1 continues no field"},
		{"colon without a name", "Name: foo\n: x\n y\nVersion: 1\n", metaVersion, "1", "[]", "line 2 has no field name"},
		{"mail separator first", "From a@b\nName: foo\n", metaName, "foo", "[]", "line 1 is a mail separator"},
		{"mail separator between", "Name: foo\nFrom a@b\nVersion: 1\n", metaVersion, "1", "[]", "line 2 is a mail separator"},
		{"mail separator last", "Name: foo\nFrom a@b\n\nx\n", metaDescription, "From a@b\nx\n", "[]", ""},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			m := ParseMetadata([]byte(tt.in))
			if got := tt.field(m); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
			}
			if got := fmt.Sprint(m.Unparsed); got != tt.unparsed {
				t.Errorf("%q: unparsed %q, want %q", tt.in, got, tt.unparsed)
			}
			if got := strings.Join(m.Warnings, "; "); !strings.Contains(got, tt.warning) || (tt.warning == "") != (got == "") {
				t.Errorf("%q: warnings %q, want %q", tt.in, got, tt.warning)
			}
		})
	}
}

func metaName(m *Metadata) any        { return m.Name }
func metaVersion(m *Metadata) any     { return m.Version }
func metaAuthor(m *Metadata) any      { return m.Author }
func metaDescription(m *Metadata) any { return m.Description }

func TestMetadataHas(t *testing.T) {
	m := ParseMetadata([]byte("Name: foo\nSummary:\nAuthor: a\nAuthor: b\nX: y\n"))
	for field, want := range map[string]bool{"name": true, "summary": true, "version": false, "author": false, "x": false} {
		if m.Has(field) != want {
			t.Errorf("Has(%q) = %v", field, !want)
		}
	}
}

func TestMetadataValidate(t *testing.T) {
	const head = "Metadata-Version: 2.5\nName: foo\nVersion: 1.0\n"
	tests := []struct {
		what string
		in   string
		want string // the fields in error
	}{
		{"nothing", "", "[metadata-version name version]"},
		{"good", head, "[]"},
		{"version of the specification that never was", "Metadata-Version: 1.3\nName: foo\nVersion: 1\n", "[metadata-version]"},
		{"name", "Metadata-Version: 2.1\nName: -foo\nVersion: 1\n", "[name]"},
		{"version", "Metadata-Version: 2.1\nName: foo\nVersion: x\n", "[version]"},
		{"field that is too new", "Metadata-Version: 2.3\nName: foo\nVersion: 1\nLicense-Expression: MIT\n", "[license-expression]"},
		{"field of the same age", "Metadata-Version: 2.4\nName: foo\nVersion: 1\nLicense-Expression: MIT\n", "[]"},
		{"unknown field", head + "Foo: x\n", "[foo]"},
		{"repeated field, once in the list", "Metadata-Version: 2.1\nName: foo\nName: bar\nVersion: 1\n", "[name]"},
		{"summary of two lines", head + "Summary: a\n  b\n", "[summary]"},
		{"dynamic", head + "Dynamic: Requires-Dist\n", "[]"},
		{"dynamic name", head + "Dynamic: Name\n", "[dynamic]"},
		{"dynamic what", head + "Dynamic: Foo\n", "[dynamic]"},
		{"extra", head + "Provides-Extra: a b\n", "[provides-extra]"},
		{"requires-python", head + "Requires-Python: >=3.8.*\n", "[requires-python]"},
		{"requires-dist", head + "Requires-Dist: foo\nRequires-Dist: foo;bogus\n", "[requires-dist]"},
		{"license", head + "License-Expression: nonsense\n", "[license-expression]"},
		{"import", head + "Import-Name: a.b; private\nImport-Namespace: é.x\n", "[]"},
		{"import of a keyword", head + "Import-Name: a.class\n", "[import-name]"},
		{"import with an option", head + "Import-Name: a; public\n", "[import-name]"},
		{"import of no identifier", head + "Import-Namespace: a-b\n", "[import-namespace]"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			fields := []string{}
			for _, err := range ParseMetadata([]byte(tt.in)).Validate() {
				if err.Fault == "" || !strings.Contains(err.Error(), err.Field) {
					t.Errorf("error %q says nothing", err)
				}
				fields = append(fields, err.Field)
			}
			slices.Sort(fields)
			if got := fmt.Sprint(fields); got != tt.want {
				t.Errorf("%q: errors in %s, want %s", tt.in, got, tt.want)
			}
		})
	}
}

func TestContentTypeFault(t *testing.T) {
	good := []string{
		"text/plain", "TEXT/PLAIN", "text/x-rst; charset=UTF-8", "text/markdown;variant=CommonMark",
		`text/markdown ; variant="GFM"; charset = UTF-8`, "text/plain; a}b", "text/plain; {b}", "text/plain;",
		"text/plain/x", "text/plain; charset=UTF-8; charset=x", "text/plain; variant=x", `text/plain; charset="UTF\-8"`,
	}
	for _, s := range good {
		if fault := contentTypeFault(s); fault != "" {
			t.Errorf("%q: %s", s, fault)
		}
	}
	bad := []string{
		"", "plain", "text/html", "application/json", "text/plain; charset=utf-8", "text/markdown; variant=commonmark",
		"text/plain; Charset=latin-1", "text/plain; charset", "text/plain; x*", "text/plain\n", `text/plain; charset="`,
	}
	for _, s := range bad {
		if contentTypeFault(s) == "" {
			t.Errorf("%q passes", s)
		}
	}
}

// PEP 639
func TestLicenseFileFault(t *testing.T) {
	for _, s := range []string{"LICENSE", "licenses/LICENSE.MIT", ".", "c:x", "a b"} {
		if fault := licenseFileFault(s); fault != "" {
			t.Errorf("%q: %s", s, fault)
		}
	}
	for _, s := range []string{"", "../x", "a/../b", "/x", "C:/x", `a\b`, `C:\x`, "licenses/*", "./x", "a//b", "a/", "c:./x"} {
		if licenseFileFault(s) == "" {
			t.Errorf("%q passes", s)
		}
	}
}

func TestDescriptionText(t *testing.T) {
	tests := []struct{ what, in, want string }{
		{"from the body", "Name: x\n\na\n  b\nc\n", "a\n  b\nc\n"},
		{"folded with eight spaces", "Description: a\n        b\n          c\n        \n        d\n", "a\nb\n  c\n\nd"},
		{"folded with a bar", "Description: a\n       |b\n       |  c\n", "a\nb\n  c"},
		{"one line", "Description: a\n", "a"},
		{"none", "Name: x\n", ""},
	}
	for _, tt := range tests {
		if got := ParseMetadata([]byte(tt.in)).DescriptionText(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.want)
		}
	}
}

func TestParseMetadataAllocs(t *testing.T) {
	n := testing.AllocsPerRun(100, func() { ParseMetadata([]byte(ordinaryMetadata)) })
	if n > 24 {
		t.Errorf("ParseMetadata allocates %v times, want at most 24", n)
	}
}

func BenchmarkParseMetadata(b *testing.B) {
	data := []byte(ordinaryMetadata + strings.Repeat("All work and no play makes Jack a dull boy.\n", 100))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		ParseMetadata(data)
	}
}

func FuzzParseMetadata(f *testing.F) {
	for _, s := range []string{
		ordinaryMetadata, "Name: foo\r\n\r\nbody", "From a\n: b\n c\nFrom d\n", "Description: a\n\nb\xe9", "Project-URL: ,\n",
		"Description-Content-Type: text/plain; a=\"b\\", "License-File: c:\nImport-Name: ;\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := ParseMetadata(b)
		m.DescriptionText()
		for _, err := range m.Validate() {
			if err.Field == "" || err.Fault == "" {
				t.Errorf("error %+v says nothing", err)
			}
		}
		for _, u := range m.Unparsed {
			if m.Has(u.Name) && u.Name != "description" {
				t.Errorf("field %q is both read and not", u.Name)
			}
			if len(u.Values) == 0 {
				t.Errorf("field %q has no value", u.Name)
			}
		}
	})
}
