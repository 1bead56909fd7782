package generate_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/generate"
	"nestgen/layout"
	"nestgen/packaging"
)

// group makes changes of events, and says each as "SERIALS PROJECT: LINE | LINE".
func group(t *testing.T, events []catalog.Event) (said []string) {
	t.Helper()
	for c, err := range generate.GroupChanges(giving(events)) {
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, l := range c.Lines {
			lines = append(lines, l.String()+"/"+string(l.Tone()))
		}
		said = append(said, fmt.Sprintf("%d-%d %s: %s", c.First, c.Last, c.Project, strings.Join(lines, " | ")))
	}
	return said
}

func giving(events []catalog.Event) func(func(catalog.Event, error) bool) {
	return func(yield func(catalog.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func TestGroupChanges(t *testing.T) {
	file := func(verb catalog.Verb, name, reason string) catalog.Event {
		return catalog.Event{Verb: verb, Project: "foo", Filename: name, Reason: reason}
	}
	of := func(verb catalog.Verb, reason string) catalog.Event {
		return catalog.Event{Verb: verb, Project: "foo", Reason: reason}
	}
	tests := []struct {
		about  string
		events []catalog.Event
		want   string
	}{
		{"one file, and nobody is told why", []catalog.Event{file("add", "foo-1.0.tar.gz", "allowlist.txt:3")}, "1.0 added/good"},
		{"files of a release", []catalog.Event{file("add", "foo-1.0.tar.gz", "a"), file("add", "foo-1.0-py3-none-any.whl", "b")}, "1.0 added (2 files)/good"},
		{"releases, the newest first", []catalog.Event{file("add", "foo-1.9.tar.gz", ""), file("add", "foo-1.10.tar.gz", "")}, "1.10, 1.9 added (2 files)/good"},
		{"six releases", []catalog.Event{file("add", "foo-1.tar.gz", ""), file("add", "foo-2.tar.gz", ""), file("add", "foo-3.tar.gz", ""), file("add", "foo-4.tar.gz", ""), file("add", "foo-5.tar.gz", ""), file("add", "foo-6.tar.gz", "")},
			"6, 5, 4, 3, 2 and 1 more version added (6 files)/good"},
		{"a name that says no version", []catalog.Event{file("withdraw", "strange", "gone")}, "strange withdrawn: gone/bad"},
		{"a version that is none", []catalog.Event{file("restore", "foo-final.tar.gz", "x")}, "final restored/good"},
		{"several verbs", []catalog.Event{file("add", "foo-2.0.tar.gz", ""), file("withdraw", "foo-1.0.tar.gz", "the allowlist keeps other versions")},
			"2.0 added/good | 1.0 withdrawn: the allowlist keeps other versions/bad"},
		{"reasons apart", []catalog.Event{file("yank", "foo-2.0.tar.gz", "broken"), file("yank", "foo-1.0.tar.gz", "leaks"), file("yank", "foo-1.0.zip", "leaks")},
			"2.0 yanked: broken/warn | 1.0 yanked (2 files): leaks/warn"},
		{"yanked without a reason, and no more", []catalog.Event{file("yank", "foo-2.0.tar.gz", ""), file("unyank", "foo-1.0.tar.gz", "")}, "2.0 yanked/warn | 1.0 no longer yanked/good"},
		{"a reason of several lines", []catalog.Event{file("yank", "foo-2.0.tar.gz", " two\n lines ")}, "2.0 yanked: two lines/warn"},
		{"came on demand", []catalog.Event{file("arrive", "foo-2.0.tar.gz", "asked for")}, "2.0 fetched/good"},
		{"said of in another way", []catalog.Event{file("change", "foo-2.0.tar.gz", "")}, "2.0 changed/"},
		{"status", []catalog.Event{of("status", "archived: use bar: it is better")}, "status is archived: use bar: it is better/warn"},
		{"status without a reason", []catalog.Event{of("status", "quarantined")}, "status is quarantined/bad"},
		{"status as others", []catalog.Event{of("status", "active")}, "status is active/"},
		{"spelling", []catalog.Event{of("status", "name written Foo")}, "name is written Foo/"},
		{"links", []catalog.Event{of("links", "")}, "development links changed/"},
		{"promoted", []catalog.Event{file("promote", "foo-2.0.tar.gz", "/ > prod: passed: all")}, "2.0 promoted to prod: passed: all/good"},
		{"promoted to two", []catalog.Event{file("promote", "foo-2.0.tar.gz", "/ > a"), file("promote", "foo-2.0.tar.gz", "/ > b")}, "2.0 promoted to a/good | 2.0 promoted to b/good"},
		{"promoted in some other way", []catalog.Event{file("promote", "foo-2.0.tar.gz", "by hand")}, "2.0 promoted: by hand/good"},
		{"demoted", []catalog.Event{file("demote", "foo-2.0.tar.gz", "prod: broken")}, "2.0 no longer promoted to prod: broken/bad"},
		{"demoted without a word", []catalog.Event{file("demote", "foo-2.0.tar.gz", "")}, "2.0 no longer promoted/bad"},
		{"more links than one event has", []catalog.Event{of("links", ""), of("links+", ""), of("links+", "")}, "development links changed/"},
		{"bytes that are let go", []catalog.Event{file("expire", "foo-2.0.tar.gz", "not fetched for 180d")}, "2.0 let go until somebody asks for it: not fetched for 180d/"},
		{"a key", []catalog.Event{of("key", "b+2 replaces a+1")}, "the site has another key: b+2 replaces a+1/warn"},
		{"a snapshot", []catalog.Event{of("snapshot", "2026-w47 serial 7")}, "snapshot 2026-w47 of serial 7 made/"},
		{"a snapshot of which little is known", []catalog.Event{of("snapshot", "2026")}, "snapshot made: 2026/"},
		{"a snapshot that goes", []catalog.Event{of("drop", "2026-w47 serial 7")}, "snapshot 2026-w47 of serial 7 dropped/"},
		{"a rollback", []catalog.Event{of("rollback", "serial 1234")}, "brought back to serial 1234/warn"},
		{"a rollback to a snapshot", []catalog.Event{of("rollback", "good serial 1234")}, "brought back to the snapshot good, serial 1234/warn"},
		{"a rollback to nobody knows what", []catalog.Event{of("rollback", "")}, "brought back to an older state/warn"},
		{"a rollback that ends", []catalog.Event{of("resume", "serial 1234")}, "no longer held back at serial 1234/"},
		{"an import", []catalog.Event{of("import", "site-b: serials 1 to 9, bundle 5f3a0123456789ab")}, "bundle 5f3a01234567 came in: serials 1 to 9 under the tag site-b/"},
		{"an import of which little is known", []catalog.Event{of("import", "site-b")}, "a bundle came in: site-b/"},
		{"what the catalog notes for itself", []catalog.Event{file("known", "foo-1.0.tar.gz", "")}, "1.0 known when the history came to be kept whole/"},
		{"a verb of later", []catalog.Event{file("recall", "foo-2.0.tar.gz", "after 180 days"), file("recall", "foo-2.0.zip", "after 180 days")}, "recall 2.0 (2 files): after 180 days/"},
		{"a verb of later about a project", []catalog.Event{of("review", "by Ann")}, "review: by Ann/"},
		{"a verb of later without a word", []catalog.Event{of("review", "")}, "review/"},
	}
	worded := map[catalog.Verb]bool{}
	for _, tt := range tests {
		for i := range tt.events {
			tt.events[i].Serial = int64(i + 1)
		}
		last := len(tt.events)
		for _, e := range tt.events {
			worded[e.Verb] = true
		}
		want := []string{fmt.Sprintf("1-%d foo: %s", last, tt.want)}
		if got := group(t, tt.events); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", tt.about, got, want)
		}
		slices.Reverse(tt.events)
		if got := group(t, tt.events); !slices.Equal(got, want) {
			t.Errorf("%s, the newest first: %q, want %q", tt.about, got, want)
		}
	}
	for _, v := range catalog.Verbs {
		if !worded[v] {
			t.Errorf("the verb %s is not among these", v)
		}
	}
}

// A change ends where the project or the time is another.
func TestGroupChangesEnd(t *testing.T) {
	events := []catalog.Event{
		{Serial: 1, Time: 1, Verb: "links", Project: "a"},
		{Serial: 2, Time: 1, Verb: "status", Project: "a", Reason: "active"},
		{Serial: 3, Time: 1, Verb: "links", Project: "b"},
		{Serial: 4, Time: 2, Verb: "links", Project: "b"},
		{Serial: 5, Time: 2, Verb: "snapshot", Reason: "x"},
	}
	want := []string{"1-2 a: development links changed/ | status is active/", "3-3 b: development links changed/", "4-4 b: development links changed/", "5-5 : snapshot made: x/"}
	if got := group(t, events); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	slices.Reverse(events)
	slices.Reverse(want)
	if got := group(t, events); !slices.Equal(got, want) {
		t.Errorf("the newest first: %q, want %q", got, want)
	}
	if got := group(t, nil); got != nil {
		t.Errorf("no events make %q", got)
	}

	fault := errors.New("fault")
	failing := func(yield func(catalog.Event, error) bool) {
		_ = yield(events[0], nil) && yield(catalog.Event{}, fault)
	}
	for c, err := range generate.GroupChanges(failing) {
		if err != fault {
			t.Errorf("%+v, %v: a change that may not be whole", c, err)
		}
	}
	read := 0
	endless := func(yield func(catalog.Event, error) bool) {
		for read = 1; yield(catalog.Event{Serial: int64(read), Time: int64(read), Verb: "links"}, nil); read++ {
		}
	}
	for range generate.GroupChanges(endless) {
		break
	}
	if read != 2 {
		t.Errorf("%d events read for one change", read)
	}
}

// However much happened at once, what is said of it has an end.
func TestChangesHaveAnEnd(t *testing.T) {
	var events []catalog.Event
	for i := range 3000 {
		e := catalog.Event{Serial: int64(i + 1), Time: 1, Verb: catalog.Add, Project: "foo", Filename: fmt.Sprintf("foo-%d.tar.gz", i)}
		if i >= 2000 {
			e.Verb, e.Reason = catalog.Yanking, fmt.Sprint("reason ", i, strings.Repeat(" and so on", 20))
		}
		events = append(events, e)
	}
	h := generate.History{Origin: events[0]}
	for c := range generate.GroupChanges(giving(events)) {
		h.Changes = append(h.Changes, c)
	}
	if len(h.Changes) != 1 || len(h.Changes[0].Lines) != 21 {
		t.Fatalf("%d changes", len(h.Changes))
	}
	lines := h.Changes[0].Lines
	if got := lines[0].String(); got != "1999, 1998, 1997, 1996, 1995 and 1,995 more versions added (2,000 files)" || len(lines[0].Files) != 10 || lines[0].More != 1990 {
		t.Errorf("%q, %d files and %d", got, len(lines[0].Files), lines[0].More)
	}
	if got := lines[20].String(); got != "and 981 more changes" {
		t.Errorf("%q", got)
	}
	pages := tree{}
	if err := (&generate.Site{People: true, Changes: generate.SiteChanges}).ChangesPages(h, pages); err != nil {
		t.Fatal(err)
	}
	for path, page := range pages {
		if checkPage(t, path, path, []byte(page)); len(page) > 32<<10 {
			t.Errorf("%s has %d bytes", path, len(page))
		}
	}
}

// The pages show the newest, and feeds fewer of them.
func TestChangesLimits(t *testing.T) {
	var h generate.History
	var events []catalog.Event
	for i := 1000; i > 0; i-- {
		events = append(events, catalog.Event{Serial: int64(i), Time: int64(i) * 1e9, Verb: "links", Project: "foo"})
	}
	for c := range generate.GroupChanges(giving(events)) {
		h.Changes = append(h.Changes, c)
	}
	foo := &catalog.Project{Name: "foo", Display: "foo", Files: []catalog.File{newFile("foo", "foo-1.tar.gz", "1", packaging.Sdist)}}
	site := generate.Site{People: true, Changes: generate.ProjectChanges}
	pages := tree{}
	if err := errors.Join(site.ChangesPages(h, pages), site.ProjectChangesPages(foo, h, pages)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		layout.ChangesHTML: generate.ChangesLimit, layout.ChangesAtom: 100, layout.ChangesJSON: 100,
		layout.ProjectChangesHTML("foo"): 100, layout.ProjectChangesAtom("foo"): 100, layout.ProjectChangesJSON("foo"): 100,
	} {
		if got := strings.Count(pages[path], "\n<li id=") + strings.Count(pages[path], "<entry>") + strings.Count(pages[path], "\n{\"id\""); got != want {
			t.Errorf("%s shows %d changes, want %d", path, got, want)
		}
	}
}

// A change is the same one on every feed, wherever the site is and whatever it is
// called, and however it is grouped with what comes after it.
func TestChangesKeepTheirNames(t *testing.T) {
	events := []catalog.Event{{Serial: 7, Time: 7, Verb: "add", Project: "foo", Filename: "foo-1.tar.gz"}, {Serial: 8, Time: 7, Verb: "add", Project: "foo", Filename: "foo-1.zip"}}
	names := map[string]int{}
	for _, site := range []generate.Site{{Title: "a"}, {Title: "b", BaseURL: "https://index.example/"}} {
		for n := range events {
			h := generate.History{Origin: catalog.Event{Serial: 1}}
			for c := range generate.GroupChanges(giving(events[:n+1])) {
				h.Changes = append(h.Changes, c)
			}
			site.Changes = generate.SiteChanges
			pages := tree{}
			if err := site.ChangesPages(h, pages); err != nil {
				t.Fatal(err)
			}
			if len(pages) != 2 {
				t.Errorf("%d pages without people", len(pages))
			}
			for _, e := range parseXML(t, "feed", []byte(pages[layout.ChangesAtom])).all("entry") {
				names[e.one(t, "feed", "id").Text]++
			}
		}
	}
	if len(names) != 1 {
		t.Errorf("one change is called %v", names)
	}
	other := events[0]
	other.Serial++
	for c := range generate.GroupChanges(giving([]catalog.Event{other})) {
		pages := tree{}
		if err := (&generate.Site{Changes: generate.SiteChanges}).ChangesPages(generate.History{Changes: []generate.Change{c}}, pages); err != nil {
			t.Fatal(err)
		}
		for name := range names {
			if strings.Contains(pages[layout.ChangesAtom], name) {
				t.Error("another change has the same name")
			}
		}
	}
}

// Pages are made as the settings say, and of projects that have pages.
func TestWhichChangesPages(t *testing.T) {
	gone := &catalog.Project{Name: "gone", Display: "gone"}
	here := &catalog.Project{Name: "here", Display: "here", Status: catalog.Status{State: catalog.Quarantined}}
	for of, want := range map[generate.ChangesOf]int{generate.NoChanges: 0, generate.SiteChanges: 3, generate.ProjectChanges: 6} {
		site := generate.Site{People: true, Changes: of}
		pages := tree{}
		if err := errors.Join(site.ChangesPages(generate.History{}, pages), site.ProjectChangesPages(gone, generate.History{}, pages), site.ProjectChangesPages(here, generate.History{}, pages)); err != nil {
			t.Fatal(err)
		}
		if len(pages) != want {
			t.Errorf("%d: %d pages, want %d", of, len(pages), want)
		}
		if paths := site.ChangesPaths(); len(paths) != min(want, 3) {
			t.Errorf("%d: paths %q", of, paths)
		}
		for _, path := range site.ChangesPaths() {
			if pages[path] == "" {
				t.Errorf("%d: no %s", of, path)
			}
		}
	}
}

// Of a project that is quarantined no file is named, and each change keeps its name.
func TestChangesOfAQuarantinedProject(t *testing.T) {
	events := []catalog.Event{
		{Serial: 1, Time: 1, Verb: catalog.Add, Project: "foo", Filename: "foo-1.0.tar.gz", SHA256: catalog.Digest{0xab, 0xcd}},
		{Serial: 2, Time: 1, Verb: "recall", Project: "foo", Filename: "foo-1.0.tar.gz", Reason: "bad"},
		{Serial: 3, Time: 1, Verb: catalog.Mark, Project: "foo", Reason: "quarantined: steals keys"},
	}
	render := func(state catalog.State) tree {
		h := generate.History{States: map[packaging.Name]catalog.State{"foo": state}}
		for c := range generate.GroupChanges(giving(events)) {
			h.Changes = append(h.Changes, c)
		}
		pages := tree{}
		site := generate.Site{People: true, Changes: generate.ProjectChanges}
		p := &catalog.Project{Name: "foo", Display: "foo", Status: catalog.Status{State: state}, Files: []catalog.File{newFile("foo", "foo-1.0.tar.gz", "1.0", packaging.Sdist)}}
		if err := errors.Join(site.ChangesPages(h, pages), site.ProjectChangesPages(p, h, pages)); err != nil {
			t.Fatal(err)
		}
		return pages
	}
	before, after := render(catalog.Active), render(catalog.Quarantined)
	id := parseXML(t, "feed", []byte(before[layout.ChangesAtom])).one(t, "feed", "entry").one(t, "feed", "id").Text
	for path, page := range after {
		checkPage(t, path, path, []byte(page))
		if strings.Contains(page, "1.0.tar") || strings.Contains(page, "1.0 added") || strings.Contains(page, "abcd0000") {
			t.Errorf("%s names a file: %s", path, page)
		}
		if !strings.Contains(page, "added") || !strings.Contains(page, "recall") || !strings.Contains(page, "steals keys") {
			t.Errorf("%s does not say what happened: %s", path, page)
		}
		if !strings.HasSuffix(path, ".html") && !strings.Contains(page, id) {
			t.Errorf("%s: no %s", path, id)
		}
		if !strings.Contains(before[path], "1.0 added") {
			t.Errorf("%s did not name the version before", path)
		}
	}
}
