package distance_test

import (
	"slices"
	"testing"

	"nestgen/internal/distance"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"drop", "drop", 0}, {"drop", "drops", 1}, {"drop", "crop", 1},
		{"kitten", "sitting", 3}, {"linux", "linxu", 2}, {"cp312", "cp32", 1},
	} {
		if got := distance.Between(tt.a, tt.b); got != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := distance.Between(tt.b, tt.a); got != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"ab", "requests", "request", "flask", "x"}
	for word, want := range map[string]string{"reqests": "requests", "requestss": "requests", "flaks": "flask", "jango": "", "": "", "xy": "", "abc": "ab", "zz": ""} {
		if got := distance.Nearest(word, slices.Values(names)); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
