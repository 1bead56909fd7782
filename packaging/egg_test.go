package packaging

import (
	"strings"
	"testing"
)

func TestParseEgg(t *testing.T) {
	tests := []struct {
		in   string
		want Filename
	}{
		{"pytz-2008g-py2.3.egg", Filename{Name: "pytz", Version: "2008g", Python: "2.3"}},
		{"foo_bar-1.0-py2.7-linux-x86_64.egg", Filename{Name: "foo_bar", Version: "1.0", Python: "2.7", Platform: "linux-x86_64"}},
		{"foo-1.0.egg", Filename{Name: "foo", Version: "1.0"}},
		{"foo.egg", Filename{Name: "foo"}},
		{"foo-1.0-py2.5.egg.zip", Filename{Name: "foo", Version: "1.0", Python: "2.5", Ext: ".egg.zip"}},
		{"foo-1.0-junk.egg", Filename{Name: "foo", Version: "1.0"}},
		{"foo-1.0-PY2.5.egg", Filename{Name: "foo", Version: "1.0", Python: "2.5"}},
		{"foo-1.0-py.egg", Filename{Name: "foo", Version: "1.0"}},
	}
	for _, tt := range tests {
		tt.want.Kind = Egg
		if tt.want.Ext == "" {
			tt.want.Ext = ".egg"
		}
		if got, err := ParseEgg(tt.in); err != nil || got != tt.want {
			t.Errorf("ParseEgg(%q) = %+v, %v, want %+v", tt.in, got, err, tt.want)
		}
	}
	for _, s := range []string{".egg", "-1.0.egg", "foo-1.0.zip", "foo-1.0.EGG", ""} {
		if f, err := ParseEgg(s); err == nil {
			t.Errorf("ParseEgg(%q) = %+v", s, f)
		}
	}
}

func FuzzParseEgg(f *testing.F) {
	for _, s := range []string{"foo-1.0-py2.7-linux-x86_64.egg", "foo.egg", "--.egg", "a-b-py.egg.zip"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseEgg(s)
		if err != nil {
			return
		}
		if strings.Contains(got.Name+got.Version+got.Python, "-") || !strings.HasPrefix(s, got.Name) {
			t.Errorf("ParseEgg(%q) = %+v", s, got)
		}
	})
}
