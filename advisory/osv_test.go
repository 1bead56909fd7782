package advisory_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"nestgen/advisory"
	"nestgen/internal/strictjson"
)

// A record as the database has it, shortened.
const real = `{
  "id": "PYSEC-2021-98", "modified": "2023-12-06T01:00:00Z", "published": "2021-05-06T13:15:00Z",
  "aliases": ["GHSA-rxjp-mfm9-w4wr", "CVE-2021-31542"],
  "details": "In Django 2.2 before 2.2.21 … a crafted filename is\npassed on.",
  "references": [{"type": "WEB", "url": "https://example.org/"}],
  "affected": [{
    "package": {"name": "Django", "ecosystem": "PyPI", "purl": "pkg:pypi/django"},
    "ranges": [{"type": "GIT", "repo": "https://x", "events": [{"introduced": "0"}, {"fixed": "04ac1624"}]},
               {"type": "ECOSYSTEM", "events": [{"introduced": "2.2"}, {"fixed": "2.2.21"}, {"introduced": "3.0"}, {"fixed": "3.1.9"}]}],
    "versions": ["2.2", "2.2.1", "3.0", "3.1.8", "2.2-odd-build"],
    "database_specific": {"source": "https://example.org"}
  }, {"package": {"name": "django", "ecosystem": "npm"}, "versions": ["9"]},
     {"package": {"name": "django-x", "ecosystem": "PyPI"}, "versions": ["1"]}],
  "schema_version": "1.6.0"
}`

func TestParse(t *testing.T) {
	p, err := advisory.Parse([]byte(real))
	if err != nil {
		t.Fatal(err)
	}
	want := advisory.Record{
		ID: "PYSEC-2021-98", Aliases: []string{"CVE-2021-31542", "GHSA-rxjp-mfm9-w4wr"},
		Summary: "In Django 2.2 before 2.2.21 … a crafted filename is",
		Ranges:  []advisory.Range{{{advisory.Introduced, "2.2"}, {advisory.Fixed, "2.2.21"}, {advisory.Introduced, "3.0"}, {advisory.Fixed, "3.1.9"}}},
		// What a range has is not kept twice.
		Versions: []string{"2.2-odd-build"},
	}
	if got := p.Records["django"]; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if len(p.Records) != 2 || p.Records["django-x"].ID != p.ID {
		t.Errorf("records %+v", p.Records)
	}
}

func TestParseRefuses(t *testing.T) {
	pkg := func(more string) string {
		return `{"id":"X-1","affected":[{"package":{"ecosystem":"PyPI","name":"foo"},` + more + `}]}`
	}
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "not valid JSON"},
		{"a list", "[]", "not valid JSON"},
		{"something behind", `{"id":"X-1"} x`, "something after the end"},
		{"no id", `{"affected":[]}`, "not that of an advisory"},
		{"an id that climbs", `{"id":"../../x"}`, "not that of an advisory"},
		{"an id that is markup", `{"id":"<script>"}`, "not that of an advisory"},
		{"a key twice", `{"id":"X-1","id":"X-2"}`, "twice"},
		{"withdrawn hidden in another case", `{"id":"X-1","withdrawn":"2024","withdrawn":""}`, "twice"},
		{"not text", `{"id":1}`, "want '\"'"},
		{"not UTF-8", "{\"id\":\"X-1\",\"summary\":\"\xff\"}", "UTF-8"},
		{"deep", `{"id":"X-1","references":` + deep + `}`, "deep"},
		{"a name that is none", `{"id":"X-1","affected":[{"package":{"ecosystem":"PyPI","name":"../x"},"versions":["1"]}]}`, "../x"},
		{"a range that never begins", pkg(`"ranges":[{"type":"ECOSYSTEM","events":[{"fixed":"1"}]}]`), "introduced"},
		{"nothing to go by", pkg(`"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"x y"}]}]`), "no version of PEP 440"},
		{"too many aliases", `{"id":"X-1","aliases":[` + strings.Repeat(`"a",`, 2000) + `"a"]}`, "more than 1000 aliases"},
		{"too many versions", pkg(`"versions":[` + strings.Repeat(`"1",`, 100_001) + `"1"]`), "more than 100000 versions"},
		{"too many events", pkg(events(strings.Repeat(`{"introduced":"0"},`, 10_001) + `{"introduced":"0"}`)), "more than 10000 events"},
		{"too large", `{"id":"X-1","details":"` + strings.Repeat("x", 8<<20) + `"}`, "more than the 8388608"},
	} {
		_, err := advisory.Parse([]byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, err := advisory.Parse([]byte(`{"ID":"X-1"}`)); err == nil || errors.Is(err, strictjson.ErrSyntax) {
		t.Errorf("a key counts as it is spelled: %v", err)
	}
}

func TestParsePassesOver(t *testing.T) {
	for name, text := range map[string]string{
		"withdrawn":         `{"id":"X-1","withdrawn":"2024-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"foo"},"versions":["1"]}]}`,
		"another ecosystem": `{"id":"X-1","affected":[{"package":{"ecosystem":"npm","name":"foo"},"versions":["1"]}]}`,
		"commits only":      `{"id":"X-1","affected":[{"package":{"ecosystem":"PyPI","name":"foo"},"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]}]}`,
		"null everywhere":   `{"id":"X-1","withdrawn":null,"aliases":null,"summary":null,"details":null,"severity":null,"database_specific":null,"affected":null}`,
		"null within":       `{"id":"X-1","affected":[{"package":null,"ranges":null,"versions":null,"severity":null,"database_specific":null}]}`,
	} {
		if p, err := advisory.Parse([]byte(text)); err != nil || len(p.Records) != 0 || p.ID != "X-1" || p.Withdrawn != (name == "withdrawn") {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// Text of an advisory is one tame line.
func TestSummaryIsALine(t *testing.T) {
	for in, want := range map[string]string{
		`# Title\n\ntext`:        "Title",
		`\n\n  two  words \nx`:   "two words",
		`a\u001b[31mb\u202ec`:    "a\ufffd[31mb\ufffdc",
		strings.Repeat("é", 301): strings.Repeat("é", 299) + "…",
		``:                       "",
	} {
		p, err := advisory.Parse(fmt.Appendf(nil, `{"id":"X-1","summary":"%s","affected":[{"package":{"ecosystem":"PyPI","name":"foo"},"versions":["1"]}]}`, in))
		if err != nil || p.Records["foo"].Summary != want {
			t.Errorf("%q: %q, %v", in, p.Records["foo"].Summary, err)
		}
	}
}

// Whatever is read can be asked, and is what it was read as.
func FuzzParse(f *testing.F) {
	f.Add([]byte(real), "1.0")
	f.Add([]byte(`{"id":"MAL-1","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"affected":[{"package":{"ecosystem":"PyPI","name":"a"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"limit":"*"}]}],"versions":["x"]}]}`), "x")
	f.Fuzz(func(t *testing.T, data []byte, version string) {
		p, err := advisory.Parse(data)
		if err != nil {
			return
		}
		for n, r := range p.Records {
			if r.ID != p.ID || !advisory.ValidID(r.ID) || len([]rune(r.Summary)) > 300 || len(r.Ranges)+len(r.Versions) == 0 {
				t.Fatalf("%s: %+v", n, r)
			}
			s := advisory.NewSet([]advisory.Record{r})
			for _, v := range append(r.FixedVersions(), append(r.Versions, version)...) {
				for _, found := range advisory.Merge(s.Find(v)) {
					if found.Fixed != "" && len(s.Find(found.Fixed)) > 0 {
						t.Fatalf("%s is called the fix of %s, and is affected", found.Fixed, v)
					}
				}
			}
			for _, v := range r.Versions {
				if len(s.Find(v)) != 1 {
					t.Fatalf("%q is listed and not affected", v)
				}
			}
		}
	})
}
