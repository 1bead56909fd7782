package generate_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/layout"
	"nestgen/packaging"
)

// python runs a script with a JSON value on its standard input and decodes
// what it prints. It skips the test where Python or a module is missing.
func python(t *testing.T, script string, in, out any) {
	t.Helper()
	exe, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 on this machine")
	}
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-W", "ignore", "-c", script)
	cmd.Stdin = bytes.NewReader(data)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if strings.Contains(stderr.String(), "ModuleNotFoundError") || strings.Contains(stderr.String(), "ImportError") {
			t.Skipf("python3 has not what this test needs: %s", lastLine(stderr.String()))
		}
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(stdout.Bytes(), out); err != nil {
		t.Fatalf("%v\n%s", err, stdout.String())
	}
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// pipLinks prints what pip's own parser makes of each page.
const pipLinks = `
import json, sys
from pip._internal.index.collector import IndexContent, parse_links
from pip._internal.models.link import Link
out = {}
for url, page in json.load(sys.stdin).items():
    kind = "application/vnd.pypi.simple.v1+json" if page.startswith("{") else "text/html"
    content = IndexContent(page.encode(), kind, "utf-8", url)
    out[url] = []
    for link in parse_links(content):
        meta = link.metadata_link()
        out[url].append({
            "Filename": link.filename, "URL": link.url_without_fragment,
            "Hashes": getattr(link, "_hashes", None) and dict(link._hashes) or {link.hash_name: link.hash},
            "Python": link.requires_python or "",
            "Yanked": link.is_yanked, "Reason": link.yanked_reason or "",
            "Metadata": meta.hash if meta is not None and meta.hash else "",
        })
json.dump(out, sys.stdout)
`

type pipLink struct {
	Filename, URL, Python, Reason, Metadata string
	Hashes                                  map[string]string
	Yanked                                  bool
}

// pip reads from each form of each page just what the catalog says.
func TestPipReadsThePages(t *testing.T) {
	p := &catalog.Project{Name: "foo", Display: "Foo", Files: []catalog.File{
		newFile("foo", "foo-1!1.0+local.1-py3-none-any.whl", "1!1.0+local.1", packaging.Wheel),
		newFile("foo", "foo-1.0.tar.gz", "1.0", packaging.Sdist),
		newFile("foo", "foo-1.1.zip", "1.1", packaging.Sdist),
		newFile("foo", "foo-1.2-py3-none-any.whl", "1.2", packaging.Wheel),
	}}
	p.Files[0].Metadata = p.Files[1].SHA256
	p.Files[0].RequiresPython = ">=3.8,!=3.9.*,<4"
	p.Files[0].Provenance = true
	p.Files[1].Yanked = catalog.Yank{Yanked: true, Reason: "bad <&\"> é\nhref=x"}
	p.Files[1].Signed = true
	p.Files[2].Yanked = catalog.Yank{Yanked: true}
	p.Files[2].Uploaded = 1_700_000_000_123_456

	const base = "https://index.example/pub/"
	site, pages := generate.Site{BaseURL: base}, tree{}
	if err := site.Project(p, pages); err != nil {
		t.Fatal(err)
	}
	if err := site.Index(site.Whole(each([]*catalog.Project{p})), pages.create, nil, generate.Flat); err != nil {
		t.Fatal(err)
	}
	var want []pipLink
	for _, f := range p.Files {
		l := pipLink{
			Filename: f.Filename, URL: base + layout.Escape(f.Path), Python: f.RequiresPython,
			Hashes: map[string]string{"sha256": f.SHA256.String()}, Yanked: f.Yanked.Yanked, Reason: f.Yanked.Reason,
		}
		if !f.Metadata.IsZero() {
			l.Metadata = f.Metadata.String()
		}
		want = append(want, l)
	}

	in := map[string]string{}
	for path, page := range pages {
		in[base+strings.TrimSuffix(strings.TrimSuffix(path, "index.html"), "index.v1_json")+"?"+path] = page
	}
	var got map[string][]pipLink
	python(t, pipLinks, in, &got)
	if len(got) != 4 { // HTML, JSON, alias, flat
		t.Errorf("pip read %d pages", len(got))
	}
	for url, links := range got {
		if diff := cmp.Diff(want, links); diff != "" {
			t.Errorf("%s: pip reads something else (-want +got):\n%s", url, diff)
		}
	}
}

// easyInstall prints which files and repositories easy_install would take for
// each requirement, having read the page.
const easyInstall = `
import json, sys
from urllib.parse import urljoin
import setuptools
from pkg_resources import Requirement
from setuptools.package_index import HREF, PackageIndex, htmldecode
q = json.load(sys.stdin)
index = PackageIndex(search_path=[])
for m in HREF.finditer(q["page"]):
    index.process_url(urljoin(q["base"], htmldecode(m.group(1))))
out = {}
for text in q["requirements"]:
    req = Requirement.parse(text)
    out[text] = [d.location for d in index[req.key] if d in req]
json.dump(out, sys.stdout)
`

// Row 3, API-20 and API-21: easy_install finds an sdist under the name that
// its project goes by, and a development link.
func TestEasyInstallReadsThePage(t *testing.T) {
	ns := &catalog.Project{Name: "ns-pkg", Display: "ns.pkg", Files: []catalog.File{
		newFile("ns-pkg", "ns_pkg-1.0.tar.gz", "1.0", packaging.Sdist),
	}}
	tool := &catalog.Project{Name: "my-tool", Display: "my-tool",
		Files: []catalog.File{newFile("my-tool", "my_tool-1.4.tar.gz", "1.4", packaging.Sdist)},
		Links: []catalog.Link{{Project: "my-tool", URL: "https://svn.example/my/trunk?a=1&b=2", Egg: "my_tool", Version: "1.5.dev0"}},
	}
	const base = "https://index.example/"
	site, pages := generate.Site{}, tree{}
	if err := site.Index(site.Whole(each([]*catalog.Project{tool, ns})), pages.create, nil, generate.Easy); err != nil {
		t.Fatal(err)
	}
	var got map[string][]string
	python(t, easyInstall, map[string]any{
		"base": base + "easy/", "page": pages[layout.Easy],
		"requirements": []string{"ns.pkg==1.0", "ns-pkg==1.0", "my-tool==1.4", "my-tool==1.5.dev0"},
	}, &got)

	sdist := func(p *catalog.Project) string { return base + p.Files[0].Path }
	dev := "https://svn.example/my/trunk?a=1&b=2#egg=my_tool-1.5.dev0"
	hashed := sdist(ns) + "#sha256=" + ns.Files[0].SHA256.String()
	alias := sdist(ns) + "#egg=ns.pkg-1.0"
	want := map[string][]string{
		"ns.pkg==1.0":       {alias},
		"ns-pkg==1.0":       {hashed, alias}, // the best first: it checks the digest
		"my-tool==1.4":      {sdist(tool) + "#sha256=" + tool.Files[0].SHA256.String()},
		"my-tool==1.5.dev0": {dev},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("easy_install finds something else (-want +got):\n%s", diff)
	}
}
