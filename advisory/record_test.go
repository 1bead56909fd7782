package advisory_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nestgen/advisory"
	"nestgen/packaging"
)

// parse reads an advisory about foo whose package entry is given.
func parse(t *testing.T, id, affected string) advisory.Record {
	t.Helper()
	p, err := advisory.Parse(fmt.Appendf(nil, `{"id":%q,"affected":[{"package":{"ecosystem":"PyPI","name":"Foo"},%s}]}`, id, affected))
	if err != nil {
		t.Fatalf("%s: %v", affected, err)
	}
	return p.Records["foo"]
}

func events(list string) string { return `"ranges":[{"type":"ECOSYSTEM","events":[` + list + `]}]` }

// The algorithm of the OSV schema, in the order of PEP 440.
func TestAffects(t *testing.T) {
	for _, tt := range []struct {
		name     string
		affected string
		yes, no  string // versions
	}{
		{"from the beginning to a fix", events(`{"introduced":"0"},{"fixed":"2.0"}`), "0.dev0 0 1.0 1.99 2.0a1 2.0.dev1 2.0rc1", "2.0 2.0.0 2.0.post1 2.0+local 2.1 1!0"},
		{"PEP 440, not the alphabet", events(`{"introduced":"1.9"},{"fixed":"1.10"}`), "1.9 1.9.post1 v1.9 1.10rc1", "1.8 1.10 1.10.0 1.11"},
		{"to the last affected", events(`{"introduced":"0"},{"last_affected":"1.5"}`), "1.5 1.5.0 1.4 1.5rc1", "1.5.1 1.5.post1 1.5+x 1.6"},
		{"never fixed", events(`{"introduced":"1.0"}`), "1.0 1.0.0 99 1!0", "0.9 1.0rc1 1.0.dev1"},
		{"two lines in one range", events(`{"introduced":"1.0"},{"fixed":"1.5"},{"introduced":"2.0"},{"fixed":"2.3"}`), "1.0 1.4 2.0 2.2", "0.9 1.5 1.9 2.0rc1 2.3 3"},
		{"written out of order", events(`{"fixed":"2.3"},{"introduced":"2.0"},{"fixed":"1.5"},{"introduced":"1.0"}`), "1.0 1.4 2.0 2.2", "0.9 1.5 1.9 2.3"},
		{"begun again where it was fixed", events(`{"introduced":"0"},{"fixed":"2.0"},{"introduced":"2.0"},{"fixed":"3.0"}`), "1.0 2.0 2.9", "3.0"},
		{"fixed where it began", events(`{"introduced":"2.0"},{"fixed":"2.0"}`), "", "1.9 2.0 3.0"},
		{"in an epoch", events(`{"introduced":"1!1.0"},{"fixed":"1!2.0"}`), "1!1.5", "1.5 2!0"},
		{"within limits", events(`{"introduced":"1.0"},{"limit":"2.0"}`), "1.0 1.9 2.0rc1", "2.0 2.1"},
		{"the last of two limits", events(`{"introduced":"1.0"},{"limit":"2.0"},{"limit":"3.0"}`), "2.5", "3.0"},
		{"no limit", events(`{"introduced":"1.0"},{"limit":"*"}`), "1.0 9", "0.9"},
		{"two events in one", events(`{"introduced":"1.0","fixed":"2.0"}`), "1.0 1.5", "2.0"},
		{"listed", `"versions":["1.0","1.2"]`, "1.0 1.0.0 1.2", "1.1 2"},
		{"listed, not of PEP 440", `"versions":["best","2004d","1.0"]`, "best 2004d 1.0", "worst Best 2004c"},
		{"what is not of PEP 440 is in no range", events(`{"introduced":"0"}`), "1", "best 1.0-foo-bar"},
		{"range or list", events(`{"introduced":"2.0"},{"fixed":"3.0"}`) + `,"versions":["1.0","2.5"]`, "1.0 2.0 2.5", "1.1 3.0"},
		{"SemVer is read as PEP 440", `"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"fixed":"1.2.0"}]}]`, "1.1", "1.2"},
		{"commits say nothing of releases", `"ranges":[{"type":"GIT","repo":"x","events":[{"introduced":"0"},{"fixed":"abc"}]},{"type":"ECOSYSTEM","events":[{"introduced":"2"}]}]`, "2", "1"},
		{"what has no order is as listed", events(`{"introduced":"0"},{"fixed":"1.2.3-SNAPSHOT-x"}`) + `,"versions":["1.0"]`, "1.0", "0.9 1.1 99"},
	} {
		s := advisory.NewSet([]advisory.Record{parse(t, "X-1", tt.affected)})
		for v := range strings.FieldsSeq(tt.yes) {
			if len(s.Find(v)) != 1 {
				t.Errorf("%s: %s is not affected", tt.name, v)
			}
		}
		for v := range strings.FieldsSeq(tt.no) {
			if len(s.Find(v)) != 0 {
				t.Errorf("%s: %s is affected", tt.name, v)
			}
		}
	}
}

// The fixed version is the one that an upgrade within reach needs.
func TestFixed(t *testing.T) {
	two := `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.2.5"}]},{"type":"ECOSYSTEM","events":[{"introduced":"1.3"},{"fixed":"1.4.1"}]}]`
	for _, tt := range []struct{ name, affected, version, want string }{
		{"one", events(`{"introduced":"0"},{"fixed":"2.3.1"}`), "1.0", "2.3.1"},
		{"none", events(`{"introduced":"0"}`), "1.0", ""},
		{"not after the last affected", events(`{"introduced":"0"},{"last_affected":"3"}`), "1.0", ""},
		{"of the own line", two, "1.0", "1.2.5"},
		{"of the next line", two, "1.3.2", "1.4.1"},
		{"affected again", events(`{"introduced":"0"},{"fixed":"1.5"},{"introduced":"1.5"},{"fixed":"2.0"}`), "1.0", "2.0"},
		{"listed though fixed", events(`{"introduced":"0"},{"fixed":"1.5"}`) + `,"versions":["1.5.0"]`, "1.0", ""},
		{"above a listed one", events(`{"introduced":"1.0"},{"fixed":"1.5"}`) + `,"versions":["9.0"]`, "9.0", ""},
		{"by order, not as written", events(`{"introduced":"0"},{"fixed":"1.10"}`), "1.9", "1.10"},
	} {
		found := advisory.NewSet([]advisory.Record{parse(t, "X-1", tt.affected)}).Find(tt.version)
		if len(found) != 1 || found[0].Fixed != tt.want {
			t.Errorf("%s: %+v, want it fixed in %q", tt.name, found, tt.want)
		}
	}
	r := parse(t, "X-1", two+`,"versions":["1.0"]`)
	if got := r.FixedVersions(); !slices.Equal(got, []string{"1.2.5", "1.4.1"}) || len(r.Versions) != 0 {
		t.Errorf("%q, versions %q", got, r.Versions)
	}
}

// What is found does not depend on how many events are written at once or where:
// held against the algorithm as the schema writes it, for every version.
func TestAffectsAsTheSchemaSays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pool := []string{"0.1", "1.0a1", "1.0", "1.0.post1", "1.5", "2.0.dev3", "2.0", "10.0", "1!0.1"}
	kinds := []string{"introduced", "fixed", "last_affected", "limit"}
	for range 3000 {
		type event struct {
			kind, version string
		}
		list := []event{{"introduced", []string{"0", "1.0"}[r.IntN(2)]}}
		for range r.IntN(5) {
			list = append(list, event{kinds[r.IntN(4)], pool[r.IntN(len(pool))]})
		}
		var text []string
		for _, e := range list {
			text = append(text, fmt.Sprintf("{%q:%q}", e.kind, e.version))
		}
		s := advisory.NewSet([]advisory.Record{parse(t, "X-1", events(strings.Join(text, ",")))})
		for _, v := range pool {
			at := func(e event) int {
				if e.kind == "introduced" && e.version == "0" {
					return 1
				}
				return packaging.CompareVersionStrings(v, e.version)
			}
			limited, before := false, false
			for _, e := range list {
				if e.kind == "limit" {
					limited, before = true, before || at(e) < 0
				}
			}
			sorted := slices.Clone(list)
			slices.SortStableFunc(sorted, func(a, b event) int {
				if x, y := a.version == "0", b.version == "0"; x != y {
					if x {
						return -1
					}
					return 1
				}
				return packaging.CompareVersionStrings(a.version, b.version)
			})
			want := false
			for _, e := range sorted {
				switch {
				case e.kind == "introduced" && at(e) >= 0:
					want = true
				case e.kind == "fixed" && at(e) >= 0, e.kind == "last_affected" && at(e) > 0:
					want = false
				}
			}
			want = want && (!limited || before)
			if got := len(s.Find(v)) > 0; got != want {
				t.Fatalf("%v: %s affected: %v, want %v", list, v, got, want)
			}
		}
	}
}

func TestMergeAndOrder(t *testing.T) {
	record := func(id, more string) advisory.Record {
		p, err := advisory.Parse(fmt.Appendf(nil, `{"id":%q,%s,"affected":[{"package":{"ecosystem":"PyPI","name":"foo"},"versions":["1"]}]}`, id, more))
		if err != nil {
			t.Fatal(err)
		}
		return p.Records["foo"]
	}
	found := advisory.NewSet([]advisory.Record{
		record("PYSEC-2024-1", `"aliases":["CVE-2024-1","GHSA-a"],"details":"# Heading\nmore"`),
		record("GHSA-a", `"aliases":["CVE-2024-1"],"summary":"it leaks","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}]`),
		record("PYSEC-2023-9", `"summary":"old"`),
		record("GHSA-b", `"summary":"rated in a word","database_specific":{"severity":"CRITICAL"}`),
		record("MAL-2024-7", `"aliases":["GHSA-b"],"summary":"steals"`),
	}).Find("1.0")
	var ids []string
	for _, f := range found {
		ids = append(ids, f.ID)
	}
	if want := []string{"MAL-2024-7", "GHSA-b", "GHSA-a", "PYSEC-2024-1", "PYSEC-2023-9"}; !slices.Equal(ids, want) {
		t.Errorf("worst first: %q, want %q", ids, want)
	}
	merged := advisory.Merge(found)
	if len(merged) != 4 || merged[0].ID != "MAL-2024-7" || merged[1].ID != "GHSA-b" || merged[2].ID != "GHSA-a" ||
		!slices.Equal(merged[2].Also, []string{"PYSEC-2024-1"}) || merged[2].Summary != "it leaks" || merged[2].Severity.String() != "high (7.5)" {
		t.Errorf("merged %+v", merged)
	}
	if found[3].Summary != "Heading" {
		t.Errorf("an advisory without a summary is known by %q", found[3].Summary)
	}
}

// Scores that the examples of the standard and the national database have.
func TestSeverity(t *testing.T) {
	for vector, want := range map[string]string{
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H":                    "critical (9.8)",
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H":                    "critical (10.0)",
		"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H":                    "high (7.5)",
		"CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N":                    "medium (6.1)",
		"CVSS:3.1/AV:N/AC:L/PR:L/UI:R/S:C/C:L/I:L/A:N":                    "medium (5.4)",
		"CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H":                    "high (7.8)",
		"CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N":                    "low (1.6)",
		"CVSS:3.0/AV:N/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:N":                    "low (3.8)",
		"CVSS:3.0/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N/E:U/RC:C":           "medium (6.4)",
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N":                    "",
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H":                        "",
		"CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H":               "",
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:X/C:H/I:H/A:H":                    "",
		"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N": "",
		"AV:N/AC:L/Au:N/C:P/I:P/A:P":                                      "",
		"CVSS:3.":                                                         "",
		"":                                                                "",
	} {
		p, err := advisory.Parse(fmt.Appendf(nil, `{"id":"X-1","severity":[{"type":"CVSS_V4","score":"x"},{"type":"CVSS_V3","score":%q}],"affected":[{"package":{"ecosystem":"PyPI","name":"foo"},"versions":["1"]}]}`, vector))
		if err != nil || p.Records["foo"].Severity.String() != want {
			t.Errorf("%s: %q, %v; want %q", vector, p.Records["foo"].Severity, err, want)
		}
	}
}
