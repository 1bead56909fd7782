package distance_test

import (
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
