package packaging

import (
	"slices"
	"strings"
	"testing"
)

func TestNormalizeLicense(t *testing.T) {
	tests := []struct{ in, want string }{
		{"mit", "MIT"},
		{"mit and apache-2.0", "MIT AND Apache-2.0"},
		{"mit  and  ( apache-2.0+  or  mpl-2.0+ )", "MIT AND (Apache-2.0+ OR MPL-2.0+)"},
		{"((MIT AND (MIT)))", "((MIT AND (MIT)))"},
		{"gpl-2.0-or-later with bison-exception-2.2", "GPL-2.0-or-later WITH Bison-exception-2.2"},
		{"licenseref-public-domain OR 0bsd", "LicenseRef-public-domain OR 0BSD"},
		{"LicenseRef-Beerware-4.2", "LicenseRef-Beerware-4.2"},
		{"(mit) WITH Classpath-exception-2.0", "(MIT) WITH Classpath-exception-2.0"},
		{strings.Repeat("(", 200) + "mit" + strings.Repeat(")", 200), strings.Repeat("(", 200) + "MIT" + strings.Repeat(")", 200)},
	}
	for _, tt := range tests {
		if got, err := NormalizeLicense(tt.in); err != nil || got != tt.want {
			t.Errorf("NormalizeLicense(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	bad := []struct{ in, fault string }{
		{"", "empty"},
		{"  ", "empty"},
		{"and", `nothing before "and"`},
		{"mit with", `nothing after "with"`},
		{"mit or or apache-2.0", `nothing before "or"`},
		{"mit)", "a parenthesis too many"},
		{"(mit", "not closed"},
		{"mit and ( )", "nothing before a closing"},
		{"mit (isc)", "no operator before a parenthesis"},
		{"mit apache-2.0", `no operator before "apache-2.0"`},
		{"Use-it-after-midnight", `unknown license "Use-it-after-midnight"`},
		{"Classpath-exception-2.0", "unknown license"},
		{"mit with mit", `unknown license exception "mit"`},
		{"LicenseRef-License_with_underscores", "letters, digits"},
		{"LicenseRef-a+", "no later versions"},
		{strings.Repeat("(", 201) + "mit" + strings.Repeat(")", 201), "too deep"},
	}
	for _, tt := range bad {
		if got, err := NormalizeLicense(tt.in); err == nil || !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("NormalizeLicense(%q) = %q, %v, want an error with %q", tt.in, got, err, tt.fault)
		}
	}
}

// TestLicenseTables checks what the binary search rests on.
func TestLicenseTables(t *testing.T) {
	for _, table := range [][]string{spdxLicenses[:], spdxExceptions[:]} {
		lower := make([]string, len(table))
		for i, id := range table {
			lower[i] = strings.ToLower(id)
			if j, ok := findID(table, strings.ToUpper(id)); !ok || j != i {
				t.Errorf("%s is not found", id)
			}
		}
		if !slices.IsSorted(lower) || len(slices.Compact(lower)) != len(table) {
			t.Errorf("the table from %s is not sorted, or has one twice", table[0])
		}
	}
}

func FuzzNormalizeLicense(f *testing.F) {
	for _, s := range []string{"mit and (apache-2.0+ or mpl-2.0)", "gpl-2.0-only with classpath-exception-2.0", "LicenseRef-x", "((", "with"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		norm, err := NormalizeLicense(s)
		if err != nil {
			return
		}
		if again, err := NormalizeLicense(norm); err != nil || again != norm {
			t.Errorf("NormalizeLicense(%q) = %q, and of that %q, %v", s, norm, again, err)
		}
	})
}
