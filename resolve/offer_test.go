package resolve

import (
	"fmt"
	"slices"
	"testing"

	"nestgen/packaging"
	"nestgen/target"
)

func TestOffer(t *testing.T) {
	machine, err := target.Parse("cp312-linux-x86_64")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		files []File
		want  []string
	}{
		{"the most exact wheel, then any, then the sdist",
			[]File{{As: "a-1.tar.gz"}, {As: "a-1-py3-none-any.whl"}, {As: "a-1-cp312-cp312-manylinux_2_17_x86_64.whl"}, {As: "a-2.tar.gz"}},
			[]string{"a-1-cp312-cp312-manylinux_2_17_x86_64.whl", "a-2.tar.gz"}},
		{"not what is for others",
			[]File{{As: "a-1-cp312-cp312-win_amd64.whl"}, {As: "a-1-cp311-cp311-manylinux_2_17_x86_64.whl"}, {As: "a-1-py3.12.egg"}, {As: "a-1.win32.exe"}}, nil},
		{"the highest build", []File{{As: "a-1-2-py3-none-any.whl"}, {As: "a-1-10-py3-none-any.whl"}, {As: "a-1-py3-none-any.whl"}},
			[]string{"a-1-10-py3-none-any.whl"}},
		{"one that is not yanked before a better one that is",
			[]File{{As: "a-1-py3-none-any.whl", Yanked: true}, {As: "a-1.tar.gz"}, {As: "a-2.tar.gz", Yanked: true}},
			[]string{"a-1.tar.gz", "a-2.tar.gz yanked"}},
		{"Requires-Python", []File{{As: "a-1.tar.gz", RequiresPython: ">=3.13"}, {As: "a-2.tar.gz", RequiresPython: ">=3.5.*"}, {As: "a-3.tar.gz", RequiresPython: "<4"}},
			[]string{"a-2.tar.gz", "a-3.tar.gz"}},
		{"two spellings of a version", []File{{As: "a-1.0.tar.gz"}, {As: "a-1-py3-none-any.whl"}}, []string{"a-1-py3-none-any.whl"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.files {
				if tt.files[i].Filename, err = packaging.ParseFilename(tt.files[i].As, "a"); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, c := range Offer(&machine, tt.files) {
				text := c.Filename
				if c.Yanked {
					text += " yanked"
				}
				got = append(got, text)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %v\nwant %v", fmt.Sprint(got), tt.want)
			}
		})
	}
}
