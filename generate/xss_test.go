package generate_test

import (
	"fmt"
	"strings"
	"testing"

	"nestgen/advisory"
	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/provenance"
)

// Things that break out of text, of attributes with either quote, of comments,
// of elements that hold raw text, of URLs and of scripts.
var payloads = []string{
	`<script>alert(1)</script>`,
	`"><script>alert(1)</script>`,
	`'><script>alert(1)</script>`,
	`</title><script>alert(1)</script>`,
	`</a><img src=x onerror=alert(1)>`,
	`"onmouseover="alert(1)`,
	`'onmouseover='alert(1)`,
	`" autofocus onfocus=alert(1) x="`,
	`--><svg onload=alert(1)>`,
	`]]><svg/onload=alert(1)>`,
	`<svg><style><img/src=x onerror=alert(1)>`,
	`<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>`,
	`<iframe srcdoc="<script>alert(1)</script>">`,
	`<base href="http://evil.example/">`,
	`<meta http-equiv="refresh" content="0;url=http://evil.example/">`,
	`<link rel=stylesheet href=http://evil.example/x.css>`,
	`<form action=http://evil.example><button>`,
	`<a href="http://evil.example/foo-9.9.tar.gz#egg=foo-9.9">foo-9.9.tar.gz</a>`,
	`javascript:alert(1)`,
	`JaVaScRiPt:alert(1)`,
	" \tjava\nscript:alert(1)",
	`data:text/html,<script>alert(1)</script>`,
	`vbscript:msgbox(1)`,
	`//evil.example/x`,
	`\x3cscript\x3ealert(1)`,
	`&lt;script&gt;alert(1)&lt;/script&gt;`,
	`&#x3C;script&#x3E;`,
	"<scr\x00ipt>alert(1)</scr\x00ipt>",
	"\xc0\xbcscript\xc0\xbe",
	"+ADw-script+AD4-alert(1)",
	`{{.}}{{template "front.html"}}`,
	"${alert(1)}`;alert(1)//",
	"<plaintext>",
	"</body></html><script src=//evil.example>",
	"href=http://evil.example/foo-9.9.tar.gz rel=homepage",
	"\u2028\u2029<script>\ufeff",
	"\x1b[31m\x07\u0085\ufdd0\U0001ffff\r\n\x0c",
}

// No text of a catalog or of the settings gets a script, a handler, a foreign
// address or a link of its own into any page.
func TestNoPayloadGetsThrough(t *testing.T) {
	fields := map[string]func(s *generate.Site, p *catalog.Project, x string){
		"title":           func(s *generate.Site, p *catalog.Project, x string) { s.Title = x },
		"program version": func(s *generate.Site, p *catalog.Project, x string) { s.Version = x },
		"base URL":        func(s *generate.Site, p *catalog.Project, x string) { s.BaseURL = "https://index.example/" + x },
		"display":         func(s *generate.Site, p *catalog.Project, x string) { p.Display = x },
		"note":            func(s *generate.Site, p *catalog.Project, x string) { p.Note = x },
		"status reason":   func(s *generate.Site, p *catalog.Project, x string) { p.Status.Reason = x },
		"file name": func(s *generate.Site, p *catalog.Project, x string) {
			f := &p.Files[1]
			f.Filename = "foo-2" + x + ".tar.gz"
			f.Path = layout.File(f.BLAKE2b, f.Filename)
		},
		"version": func(s *generate.Site, p *catalog.Project, x string) { p.Files[0].Version, p.Files[1].Version = x, x },
		"requires-python": func(s *generate.Site, p *catalog.Project, x string) {
			p.Files[0].RequiresPython, p.Files[1].RequiresPython = x, x
		},
		"yank reason": func(s *generate.Site, p *catalog.Project, x string) {
			p.Files[0].Yanked = catalog.Yank{Yanked: true, Reason: x}
		},
		"advisory": func(s *generate.Site, p *catalog.Project, x string) {
			p.Advisories = []advisory.Record{
				{ID: x, Aliases: []string{x, "CVE-1"}, Summary: x, Versions: []string{"1.0", "2"},
					Ranges: []advisory.Range{{{Kind: advisory.Introduced, Version: "0"}, {Kind: advisory.Fixed, Version: "9" + x}}}},
				{ID: "MAL-1" + x, Aliases: []string{"CVE-1"}, Versions: []string{"1.0"}},
			}
		},
		"publisher": func(s *generate.Site, p *catalog.Project, x string) {
			p.Files[0].Publisher = provenance.Publisher{Kind: x, Repository: x, Workflow: x, Environment: x}
		},
		"link": func(s *generate.Site, p *catalog.Project, x string) {
			p.Links = []catalog.Link{{Project: p.Name, URL: x, Egg: "foo"}, {Project: p.Name, URL: "https://x.example/" + x, Egg: "foo"}}
		},
		"link name": func(s *generate.Site, p *catalog.Project, x string) {
			p.Links = []catalog.Link{{Project: p.Name, URL: "https://x.example/", Egg: x}}
		},
		"link version": func(s *generate.Site, p *catalog.Project, x string) {
			p.Links = []catalog.Link{{Project: p.Name, URL: "https://x.example/", Egg: "foo", Version: x}}
		},
	}
	rendered, refused := 0, 0
	for field, set := range fields {
		for i, x := range payloads {
			in := &input{
				site:  everything(),
				index: generate.AllIndexPages,
				projects: []*catalog.Project{{
					Name: "foo", Display: "Foo",
					Files: []catalog.File{
						newFile("foo", "foo-1.0-py3-none-any.whl", "1.0", packaging.Wheel),
						newFile("foo", "foo-2.tar.gz", "2", packaging.Sdist),
					},
				}},
			}
			in.site.Advised = true
			in.projects[0].Files[0].Provenance = true
			in.projects[0].Files[0].Source, in.projects[0].Files[1].Source = "pypi", "pypi"
			in.projects[0].Files[1].Uploaded = 1_700_000_000_000_000
			set(&in.site, in.projects[0], x)

			// A file whose name is no name for a file is not published at all.
			_, _, stored := layout.ParseFile(in.projects[0].Files[1].Path)
			if err := in.site.Project(in.projects[0], tree{}); (err == nil) != stored {
				t.Errorf("%s %q: error %v", field, x, err)
			}
			if !stored {
				refused++
				continue
			}
			for path, page := range in.render(t) {
				checkPage(t, fmt.Sprintf("%s, payload %d: %s", field, i, path), path, []byte(page))
			}
			rendered++
		}
	}
	if rendered < 400 || rendered+refused != len(fields)*len(payloads) {
		t.Errorf("%d combinations rendered, %d refused", rendered, refused)
	}
}

// Nor does a text of what is held.
func TestNoPayloadGetsThroughWhatIsHeld(t *testing.T) {
	for field, set := range map[string]func(h *catalog.Hold, x string){
		"file name": func(h *catalog.Hold, x string) { h.Filename = x },
		"version":   func(h *catalog.Hold, x string) { h.Version = x },
		"source":    func(h *catalog.Hold, x string) { h.Source = x },
		"rule":      func(h *catalog.Hold, x string) { h.Rule = x },
		"reason":    func(h *catalog.Hold, x string) { h.Reason = x },
	} {
		for i, x := range payloads {
			h := catalog.Hold{Project: "foo", Filename: "foo-1.tar.gz", Version: "1", Source: "up", Rule: "min_age", Reason: "young", Uploaded: 1, Until: 2}
			set(&h, x)
			pages := tree{}
			if err := (&generate.Site{People: true}).HeldPages([]catalog.Hold{h}, pages); err != nil {
				t.Fatal(err)
			}
			for path, page := range pages {
				checkPage(t, fmt.Sprintf("held, %s, payload %d: %s", field, i, path), path, []byte(page))
			}
		}
	}
}

// Nor does what clients say of themselves.
func TestNoPayloadGetsThroughTheStatistics(t *testing.T) {
	for i, x := range payloads {
		row := []generate.StatisticsRow{{Name: x, Downloads: 1}}
		pages := tree{}
		d := &generate.Statistics{Until: x, Projects: row, Pythons: row, Clients: row, Systems: row, Days: row}
		if err := (&generate.Site{People: true}).StatisticsPages(d, pages); err != nil {
			t.Fatal(err)
		}
		for path, page := range pages {
			checkPage(t, fmt.Sprintf("statistics, payload %d: %s", i, path), path, []byte(page))
		}
	}
}

// Nor does a text of what changed get through its pages and its feeds.
func TestNoPayloadGetsThroughWhatChanged(t *testing.T) {
	for field, set := range map[string]func(s *generate.Site, p *catalog.Project, e *catalog.Event, x string){
		"title": func(s *generate.Site, _ *catalog.Project, _ *catalog.Event, x string) { s.Title = x },
		"base URL": func(s *generate.Site, _ *catalog.Project, _ *catalog.Event, x string) {
			s.BaseURL = "https://index.example/" + x
		},
		"display":   func(_ *generate.Site, p *catalog.Project, _ *catalog.Event, x string) { p.Display = x },
		"project":   func(_ *generate.Site, _ *catalog.Project, e *catalog.Event, x string) { e.Project = packaging.Name(x) },
		"file name": func(_ *generate.Site, _ *catalog.Project, e *catalog.Event, x string) { e.Filename = x },
		"version": func(_ *generate.Site, _ *catalog.Project, e *catalog.Event, x string) {
			e.Filename = "foo-1" + x + ".tar.gz"
		},
		"source": func(_ *generate.Site, _ *catalog.Project, e *catalog.Event, x string) { e.Source = x },
		"reason": func(_ *generate.Site, _ *catalog.Project, e *catalog.Event, x string) { e.Reason = x },
		"status": func(_ *generate.Site, _ *catalog.Project, e *catalog.Event, x string) {
			e.Verb, e.Filename, e.Reason = catalog.Mark, "", x+": "+x
		},
		"spelling": func(_ *generate.Site, _ *catalog.Project, e *catalog.Event, x string) {
			e.Verb, e.Filename, e.Reason = catalog.Mark, "", "name written "+x
		},
		"promotion": func(_ *generate.Site, _ *catalog.Project, e *catalog.Event, x string) {
			e.Verb, e.Reason = catalog.Promotion, x+" > "+x+": "+x
		},
		"verb": func(_ *generate.Site, _ *catalog.Project, e *catalog.Event, x string) { e.Verb = catalog.Verb(x) },
	} {
		for i, x := range payloads {
			in := &input{
				site:     generate.Site{People: true, Changes: generate.ProjectChanges},
				projects: []*catalog.Project{{Name: "foo", Display: "Foo", Files: []catalog.File{newFile("foo", "foo-1.0.tar.gz", "1.0", packaging.Sdist)}}},
				events:   []catalog.Event{{Serial: 1, Time: 1, Verb: catalog.Withdraw, Project: "foo", Filename: "foo-1.0.tar.gz", Source: "up", Reason: "why"}},
			}
			set(&in.site, in.projects[0], &in.events[0], x)
			h := in.history(t, "")
			pages := tree{}
			if err := in.site.ChangesPages(h, pages); err != nil {
				t.Fatal(err)
			}
			if err := in.site.ProjectChangesPages(in.projects[0], h, pages); err != nil {
				t.Fatal(err)
			}
			if len(pages) != 6 {
				t.Fatalf("%d pages", len(pages))
			}
			for path, page := range pages {
				checkPage(t, fmt.Sprintf("changes, %s, payload %d: %s", field, i, path), path, []byte(page))
			}
		}
	}
}

// Nor does a note of a snapshot.
func TestNoPayloadGetsThroughASnapshot(t *testing.T) {
	for i, x := range payloads {
		pages := tree{}
		all := []catalog.Tagged{{Tag: "a", Serial: 1, Time: 1, Rule: x, Note: x}}
		if err := (&generate.Site{Title: x, People: true}).SnapshotsPage(all, pages); err != nil {
			t.Fatal(err)
		}
		checkPage(t, fmt.Sprintf("payload %d", i), layout.SnapshotsHTML, []byte(pages[layout.SnapshotsHTML]))
	}
}

// The pages show the text that they escape, they do not drop it.
func TestTextStays(t *testing.T) {
	p := &catalog.Project{Name: "foo", Display: "foo", Note: `a <b> & "c"`, Status: catalog.Status{State: catalog.Quarantined}}
	pages := tree{}
	if err := (&generate.Site{People: true}).Project(p, pages); err != nil {
		t.Fatal(err)
	}
	page := pages[layout.PeopleProject("foo")]
	if got := text(parseHTML(t, "people", []byte(page))); !strings.Contains(got, p.Note) {
		t.Errorf("the note is not on the page: %s", page)
	}
}
