package lockfile

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Lock files of public projects are read as a plain reader of TOML and JSON reads
// them, and pylock.toml as packaging does: the same entries with the same files and
// hashes, and the same files refused.
func TestRealLocks(t *testing.T) {
	root := "../../shared/data/reqs"
	data, err := os.ReadFile(filepath.Join(root, "index.json"))
	if err != nil {
		t.Skip("no recorded lock files beside the repository: ", err)
	}
	var index []struct{ File, Kind string }
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	forms := map[string]Form{"pylock": Pylock, "uv.lock": UV, "poetry.lock": Poetry, "pdm.lock": PDM, "Pipfile.lock": Pipenv}
	files, packages, named := 0, 0, 0
	for _, it := range index {
		form, ok := forms[it.Kind]
		if !ok {
			continue
		}
		data, err := os.ReadFile(filepath.Join(root, it.File+".expected.json"))
		if err != nil {
			continue
		}
		type file struct {
			File   string
			Hashes map[string]string
		}
		var want struct {
			Packages []struct {
				Name, Version string
				Files         []file
			}
		}
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(root, it.File))
		if err != nil {
			t.Fatal(err)
		}
		l, problems := Read(form, it.File, text)
		files++
		if want.Packages == nil {
			if !slices.ContainsFunc(problems, func(p Problem) bool { return !p.Warning }) {
				t.Errorf("%s: nothing is wrong with it", it.File)
			}
			continue
		}
		line := func(name, version, file string, hashes map[string]string) string {
			var all []string
			for alg, digest := range hashes {
				all = append(all, alg+":"+digest)
			}
			slices.Sort(all)
			return strings.Join(append([]string{name, version, file}, all...), " ")
		}
		var got, expected []string
		for _, p := range l.Packages {
			got = append(got, line(p.Name, p.Version, "", nil))
			if p.Line == 0 {
				t.Errorf("%s: the line of %s is not known", it.File, p.Name)
			}
			for _, f := range p.Files {
				if f.Name != "" && !(form == Pylock && p.Source == FromURL) { // which are given apart
					got = append(got, line(p.Name, p.Version, f.Name, f.Hashes))
				}
			}
		}
		for _, p := range want.Packages {
			packages++
			expected = append(expected, line(p.Name, p.Version, "", nil))
			for _, f := range p.Files {
				if f.File != "" {
					named++
					expected = append(expected, line(p.Name, p.Version, f.File, f.Hashes))
				}
			}
		}
		slices.Sort(got)
		slices.Sort(expected)
		if !slices.Equal(got, expected) {
			t.Errorf("%s: got\n%s\nwant\n%s", it.File, strings.Join(got, "\n"), strings.Join(expected, "\n"))
		}
	}
	if files == 0 {
		t.Error("no lock file was read")
	}
	t.Logf("%d files, %d packages, %d named files", files, packages, named)
}
