package fetch

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/packaging"
)

// Which links are files of a project (contract C-10), and what two links of one
// name come to (C-11).
func TestKeep(t *testing.T) {
	sha := strings.Repeat("ab", 32)
	md5 := strings.Repeat("cd", 16)
	for _, tt := range []struct {
		name    string
		project packaging.Name
		strict  bool
		links   string // href values, separated by blanks
		want    []string
	}{
		{"other projects, listings' own links", "foo", false, "?C=N;O=D ../ / foo-1.0.tar.gz bar-1.0.tar.gz foo-1.0.txt foo-1.0-py3-none-any.whl", []string{"foo-1.0.tar.gz", "foo-1.0-py3-none-any.whl"}},
		{"other spellings", "foo-bar", false, "Foo.Bar-1.0.tar.gz foo_bar-1.1.tar.gz FOO-BAR-1.2.zip foobar-1.3.zip", []string{"Foo.Bar-1.0.tar.gz", "foo_bar-1.1.tar.gz", "FOO-BAR-1.2.zip"}},
		{"a longer name, on the project's own page", "foo", false, "foo-bar-1.0.tar.gz", []string{"foo-bar-1.0.tar.gz"}},
		{"a longer name, on a page of all", "foo", true, "foo-bar-1.0.tar.gz foo-1.0.tar.gz", []string{"foo-1.0.tar.gz"}},
		{"eggs and installers", "foo", true, "foo-1.0-py2.7.egg foo-1.0.win32-py2.7.exe foo-1.0.win32.msi", []string{"foo-1.0-py2.7.egg", "foo-1.0.win32-py2.7.exe", "foo-1.0.win32.msi"}},
		{"twice, one with a hash", "foo", false, "foo-1.0.zip foo-1.0.zip#sha256=" + sha, []string{"foo-1.0.zip sha256"}},
		{"two addresses, the stronger hash", "foo", false, "a/foo-1.0.zip#md5=" + md5 + " b/foo-1.0.zip#sha256=" + sha, []string{"b/foo-1.0.zip sha256"}},
		{"two addresses, the first", "foo", false, "a/foo-1.0.zip#md5=" + md5 + " b/foo-1.0.zip#md5=" + md5, []string{"a/foo-1.0.zip md5"}},
		{"a digest that is none", "foo", false, "foo-1.0.zip#sha256=abc foo-2.0.zip#sha256=" + strings.Repeat("xy", 32) + " foo-3.0.zip", []string{"foo-3.0.zip"}},
		{"development link", "foo", false, "https://h.example/master.zip#egg=foo-dev", nil},
	} {
		var page strings.Builder
		for href := range strings.SplitSeq(tt.links, " ") {
			fmt.Fprintf(&page, "<a href=\"%s\">", href)
		}
		l, err := ReadHTML([]byte(page.String()), "", mustParse("https://h.example/x/"))
		if err != nil {
			t.Fatal(err)
		}
		keep(&l, tt.project, tt.strict)
		var got []string
		for _, o := range l.Offers {
			s := strings.TrimPrefix(o.URL, "https://h.example/x/")
			for a := range o.Hashes {
				s += " " + a
			}
			got = append(got, s)
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %q, want %q (warnings %q)", tt.name, got, tt.want, l.Warnings)
		}
	}
}

// Warnings do not grow with the page.
func TestWarningsAreFew(t *testing.T) {
	var l catalog.Listing
	for i := range 1000 {
		warn(&l, "odd thing %d", i)
	}
	if len(l.Warnings) != maxWarnings+1 {
		t.Errorf("%d warnings", len(l.Warnings))
	}
}

// Every hash function that is known gives digests of the length that is known.
func TestAlgorithms(t *testing.T) {
	for _, a := range algorithms {
		if h := a.make(); h.Size() != a.size || hashSize(a.name) != 2*a.size {
			t.Errorf("%s: %d bytes, want %d", a.name, h.Size(), a.size)
		}
	}
	want := map[string]string{}
	for _, a := range algorithms {
		h := a.make()
		h.Write([]byte("abc"))
		want[a.name] = fmt.Sprintf("%x", h.Sum(nil))
	}
	if want["sha3_256"] != "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532" || want["blake2b"][:16] != "ba80a53f981c4d0d" {
		t.Errorf("digests %v", want)
	}
	d := newDigester(want)
	d.Write([]byte("abc"))
	if r, err := d.result(); err != nil || len(r.Verified) != len(algorithms) {
		t.Errorf("%+v, %v", r, err)
	}
	for name := range want {
		d := newDigester(map[string]string{name: want[name]})
		d.Write([]byte("abd"))
		if _, err := d.result(); err == nil {
			t.Errorf("%s: wrong bytes were not seen", name)
		}
	}
}
