package fetch_test

import (
	"reflect"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/fetch/fetchtest"
)

const at = "https://pypi.example/simple/foo-bar/"

func TestReadHTMLLink(t *testing.T) {
	h := strings.Repeat("ab", 32)
	md5 := strings.Repeat("cd", 16)
	tests := []struct {
		name, in string
		want     catalog.Offer // Size -1 is filled in
	}{
		{"relative", `<a href="x.whl">`, catalog.Offer{Filename: "x.whl", URL: at + "x.whl"}},
		{"upper case, blanks in href", `<A HREF=" ../x.whl ">`, catalog.Offer{Filename: "x.whl", URL: "https://pypi.example/simple/x.whl"}},
		{"without a scheme", `<a href="//h.example/x.whl">`, catalog.Offer{Filename: "x.whl", URL: "https://h.example/x.whl"}},
		{"no quotes", `<a href=x.whl>`, catalog.Offer{Filename: "x.whl", URL: at + "x.whl"}},
		{"user information dropped", `<a href="http://u:p@h.example/x.whl">`, catalog.Offer{Filename: "x.whl", URL: "http://h.example/x.whl"}},
		{"dots", `<a href="https://h.example/a/../b/./x.whl">`, catalog.Offer{Filename: "x.whl", URL: "https://h.example/b/x.whl"}},
		{"decoded once", `<a href="x%252B1.whl">`, catalog.Offer{Filename: "x%2B1.whl", URL: at + "x%252B1.whl"}},
		{"plus", `<a href="x-1%2Blocal.whl">`, catalog.Offer{Filename: "x-1+local.whl", URL: at + "x-1%2Blocal.whl"}},
		{"query", `<a href="x.whl?a=/b">`, catalog.Offer{Filename: "x.whl", URL: at + "x.whl?a=/b"}},
		{"hash", `<a href="x.whl#sha256=` + h + `">`, catalog.Offer{Filename: "x.whl", URL: at + "x.whl", Hashes: map[string]string{"sha256": h}}},
		{"hash in upper case, egg beside it", `<a href="x.whl#egg=x-1&SHA256=` + strings.ToUpper(h) + `&md5=` + md5 + `&subdirectory=y">`,
			catalog.Offer{Filename: "x.whl", URL: at + "x.whl", Hashes: map[string]string{"sha256": h, "md5": md5}}},
		{"unknown hash", `<a href="x.whl#crc32=abcd">`, catalog.Offer{Filename: "x.whl", URL: at + "x.whl"}},
		{"requires-python escaped", `<a href=x.whl data-requires-python="&gt;=3.9,&lt;4">`, catalog.Offer{Filename: "x.whl", URL: at + "x.whl", RequiresPython: ">=3.9,<4"}},
		{"requires-python raw", `<a href=x.whl data-requires-python=">=3.9,<4">`, catalog.Offer{Filename: "x.whl", URL: at + "x.whl", RequiresPython: ">=3.9,<4"}},
		{"yanked bare (PEP 592)", `<a href=x.whl data-yanked>`, catalog.Offer{Filename: "x.whl", URL: at + "x.whl", Yanked: catalog.Yank{Yanked: true}}},
		{"yanked with a reason", `<a href=x.whl data-yanked="b&lt;&amp;&quot;">`, catalog.Offer{Filename: "x.whl", URL: at + "x.whl", Yanked: catalog.Yank{Yanked: true, Reason: `b<&"`}}},
		{"core-metadata", `<a href=x.whl data-core-metadata="sha256=` + h + `">`,
			catalog.Offer{Filename: "x.whl", URL: at + "x.whl", Metadata: catalog.MetadataOffer{Offered: true, Hashes: map[string]string{"sha256": h}}}},
		{"core-metadata true, the old one too", `<a href=x.whl data-dist-info-metadata="sha256=` + h + `" data-core-metadata="true">`,
			catalog.Offer{Filename: "x.whl", URL: at + "x.whl", Metadata: catalog.MetadataOffer{Offered: true}}},
		{"core-metadata odd (§1.4)", `<a href=x.whl data-core-metadata="perhaps">`, catalog.Offer{Filename: "x.whl", URL: at + "x.whl", Metadata: catalog.MetadataOffer{Offered: true}}},
		{"gpg-sig, provenance", `<a href=x.whl data-gpg-sig="true" data-provenance="https://h.example/p">`,
			catalog.Offer{Filename: "x.whl", URL: at + "x.whl", Signed: true, Provenance: "https://h.example/p"}},
		{"entity without a semicolon stays", `<a href="x.whl?a=1&copy=2">`, catalog.Offer{Filename: "x.whl", URL: at + "x.whl?a=1&copy=2"}},
		{"folder", `<a href="sub/">`, catalog.Offer{URL: at + "sub/"}},
		{"host alone", `<a href="https://h.example">`, catalog.Offer{URL: "https://h.example"}},
	}
	for _, tt := range tests {
		l, err := fetch.ReadHTML([]byte("<html><body>"+tt.in+"text</a></body></html>"), "", base)
		if err != nil || len(l.Offers) != 1 {
			t.Errorf("%s: %d links, error %v, warnings %q", tt.name, len(l.Offers), err, l.Warnings)
			continue
		}
		tt.want.Size = -1
		if !reflect.DeepEqual(l.Offers[0], tt.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.name, l.Offers[0], tt.want)
		}
	}
}

func TestReadHTMLPage(t *testing.T) {
	link := `<a href="x.whl">`
	tests := []struct {
		name, in, label string
		want            []string
	}{
		{"base", `<base href="/f/"><base href="/g/">` + link, "", []string{"https://pypi.example/f/x.whl"}},
		{"base with user information", `<base href="https://u:p@h.example/f/">` + link, "", []string{"https://h.example/f/x.whl"}},
		{"base of a file", `<base href="file:///etc/">` + link, "", nil},
		{"base that is none", `<base href="http://[">` + link + `<a href="https://h.example/y.whl">`, "", []string{"https://h.example/y.whl"}},
		{"base behind the links", link + `<base href="/f/">`, "", []string{"https://pypi.example/f/x.whl"}},
		{"comment", `<!-- ` + link + ` -->` + `<a href="y.whl">`, "", []string{at + "y.whl"}},
		{"script", `<script>var a = '` + link + `'</script><a href="y.whl">`, "", []string{at + "y.whl"}},
		{"no href, mail, script", `<a name="x"><a href="mailto:x.whl"><a href="javascript:x.whl"><a href="y.whl">`, "", []string{at + "y.whl"}},
		{"UTF-16 with a mark", "\xff\xfe<\x00a\x00 \x00h\x00r\x00e\x00f\x00=\x00x\x00>\x00", "", []string{at + "x"}},
		{"header says Latin-1", "<a href=\"\xe9.whl\">", "ISO-8859-1", []string{at + "%C3%A9.whl"}},
		{"meta says Latin-1", "<meta charset=latin1><a href=\"\xe9.whl\">", "", []string{at + "%C3%A9.whl"}},
		{"meta of old says Latin-1", "<meta http-equiv=Content-Type content='text/html; charset=iso-8859-1'><a href=\"\xe9.whl\">", "", []string{at + "%C3%A9.whl"}},
		{"not UTF-8 (C-9)", "<a href=\"\xe9.whl\">", "", []string{at + "%EF%BF%BD.whl"}},
		{"unclosed elements", strings.Repeat("<div>", 20000) + link + `<b><a href="y.whl">`, "", []string{at + "x.whl", at + "y.whl"}},
		{"unclosed elements, base behind", strings.Repeat("<div>", 20000) + link + `<base href="/f/">`, "", []string{"https://pypi.example/f/x.whl"}},
		{"self-closing, in a table", `<table><tr><td><a href="x.whl"/></td></tr></table>`, "", []string{at + "x.whl"}},
		{"NUL in a name", "<a href=\"x\x00.whl\">", "", []string{at + "x%EF%BF%BD.whl"}},
	}
	for _, tt := range tests {
		l, err := fetch.ReadHTML([]byte(tt.in), tt.label, base)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, o := range l.Offers {
			got = append(got, o.URL)
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: links %q, want %q (warnings %q)", tt.name, got, tt.want, l.Warnings)
		}
	}
	l, err := fetch.ReadHTML([]byte(`<html><head><meta name="pypi:repository-version" content="1.9">
		<meta name="pypi:project-status" content="quarantined"><meta name="pypi:project-status-reason" content="bad"></head>
		<body></body></html><!--SERIAL 77-->`), "", base)
	if err != nil || l.Status != (catalog.Status{State: catalog.Quarantined, Reason: "bad"}) || l.Serial != 77 || len(l.Warnings) != 1 {
		t.Errorf("project: %+v, %v", l, err)
	}
	if _, err := fetch.ReadHTML([]byte(`<meta name="pypi:repository-version" content="2.0">`), "", base); err == nil {
		t.Error("API version 2.0 was read (API-3)")
	}
}

func FuzzReadHTML(f *testing.F) {
	f.Add(htmlOf(2), "utf-8")
	f.Add([]byte(`<base href="/x/"><a href="a-1.whl#sha256=00" data-yanked><!--SERIAL 1-->`), "")
	f.Add([]byte(strings.Repeat("<i>", 600)+strings.Join(fetchtest.Hostile, "<a href=")), "latin1")
	f.Fuzz(func(t *testing.T, data []byte, label string) {
		l, err := fetch.ReadHTML(data, label, base)
		if err != nil {
			return
		}
		for _, o := range l.Offers {
			if !strings.HasPrefix(o.URL, "http://") && !strings.HasPrefix(o.URL, "https://") || strings.ContainsAny(o.URL, "# \n") {
				t.Fatalf("address %q", o.URL)
			}
			if o.Size != -1 || o.Yanked.Reason != "" && !o.Yanked.Yanked {
				t.Fatalf("offer %+v", o)
			}
		}
	})
}

// What crawling looks at on a page is as safe to read as the page itself.
func FuzzReadLinks(f *testing.F) {
	f.Add([]byte(`<th>Home Page<td><a href="/x#egg=a_b-dev&md5=0">x</a><a rel="a,download" href="//h/">`))
	f.Add([]byte(strings.Join(fetchtest.Hostile, "<link rel=homepage href=")))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, k := range fetch.ReadLinks(data, base) {
			if !strings.HasPrefix(k, "http://") && !strings.HasPrefix(k, "https://") || strings.ContainsAny(k, "#\n") {
				t.Fatalf("address %q", k)
			}
		}
	})
}
