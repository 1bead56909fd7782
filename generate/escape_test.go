package generate

import (
	"bytes"
	"encoding/json"
	stdhtml "html"
	"html/template"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var escaped = template.Must(template.New("").Parse(`<a title="{{.}}">{{.}}</a>`))

// What no HTML document may hold comes out as U+FFFD; html/template lets most
// of it through.
func replaceable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0x7F && r < 0xA0 || r&0xFFFE == 0xFFFE || r >= 0xFDD0 && r <= 0xFDEF {
			return utf8.RuneError
		}
		return r
	}, s)
	return s // Map has made U+FFFD of each byte that is not UTF-8
}

func FuzzAppendHTML(f *testing.F) {
	for _, s := range []string{
		`bad <&"> é`, ">=3.8,!=3.9.*", "===href=x", "a\nb\r\x00\x1b\x85\uFDD0\U0001FFFF", "\xff\xc3", "x href = y rel=z", "😀", "&amp;",
	} {
		f.Add(s)
	}
	look := regexp.MustCompile(`(?i)(?:href|rel)\s*=`)
	f.Fuzz(func(t *testing.T, s string) {
		got := string(appendHTML([]byte("x"), s))[1:]
		if strings.ContainsAny(got, "<>\"'\n\r\x00") || !utf8.ValidString(got) {
			t.Errorf("appendHTML(%q) = %q", s, got)
		}
		if m := look.FindString(got); m != "" {
			t.Errorf("appendHTML(%q) = %q, in which old clients see %q", s, got, m)
		}
		clean, cleaned := replaceable(s), clean
		if back := stdhtml.UnescapeString(got); back != clean {
			t.Errorf("appendHTML(%q) decodes to %q, want %q", s, back, clean)
		}
		if want := strings.ReplaceAll(clean, "\r", "\n"); cleaned(s) != want {
			t.Errorf("clean(%q) = %q, want %q", s, cleaned(s), want)
		}
		var b bytes.Buffer
		if err := escaped.Execute(&b, clean); err != nil {
			t.Fatal(err)
		}
		ours := `<a title="` + got + `">` + got + `</a>`
		if theirs := b.String(); stdhtml.UnescapeString(ours) != stdhtml.UnescapeString(theirs) {
			t.Errorf("appendHTML(%q): %q, html/template has %q", s, ours, theirs)
		}
	})
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{`bad <&"> é`, "a\\b\n\r\t\x00\x1f\x7f", "\xff\xc3\x28\xed\xa0\x80", "\u2028😀"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := appendString(nil, s)
		var ours, theirs string
		if err := json.Unmarshal(got, &ours); err != nil {
			t.Fatalf("appendString(%q) = %s: %v", s, got, err)
		}
		std, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(std, &theirs); err != nil {
			t.Fatal(err)
		}
		if ours != theirs || !utf8.Valid(got) {
			t.Errorf("appendString(%q) = %s, encoding/json has %s", s, got, std)
		}
	})
}

func FuzzAppendTime(f *testing.F) {
	f.Add(int64(1))
	f.Add(int64(1700000000_000000))
	f.Add(int64(951782400_000001)) // 29 February 2000
	f.Add(int64(maxTime))
	f.Fuzz(func(t *testing.T, micro int64) {
		if !known(micro) {
			return
		}
		got := string(appendTime(nil, micro))
		at := time.UnixMicro(micro).UTC()
		want := at.Format("2006-01-02T15:04:05Z")
		if at.Nanosecond() != 0 {
			want = at.Format("2006-01-02T15:04:05.000000Z")
		}
		if got != want {
			t.Errorf("appendTime(%d) = %q, want %q", micro, got, want)
		}
	})
}

func FuzzLinkURL(f *testing.F) {
	f.Add("https://x/y?a=1&b=\"><script>#z \x00é")
	f.Add("javascript:alert(1)")
	f.Fuzz(func(t *testing.T, s string) {
		for _, got := range []string{linkURL(s), cleanURL(s)} {
			if strings.ContainsAny(got, "\"'<> #`\\{}|^") || strings.IndexFunc(got, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
				t.Errorf("%q became %q", s, got)
			}
		}
		if got := cleanURL(s); strings.ContainsAny(got, "&=") || string(appendHTML(nil, got)) != got {
			t.Errorf("cleanURL(%q) = %q", s, got)
		}
		if again := linkURL(linkURL(s)); again != linkURL(s) {
			t.Errorf("linkURL(%q) changes what it made: %q", s, again)
		}
	})
}

func TestKnownTimes(t *testing.T) {
	for micro, want := range map[int64]bool{0: false, -1: false, 1: true, maxTime: true, maxTime + 1: false} {
		if known(micro) != want {
			t.Errorf("known(%d) = %v", micro, !want)
		}
	}
	if got := string(appendTime(nil, maxTime)); got != "9999-12-31T23:59:59.999999Z" {
		t.Errorf("the last time is %s", got)
	}
}

func TestLinkSchemes(t *testing.T) {
	tests := []struct {
		url       string
		easy, web bool
	}{
		{"https://svn.example.org/foo/trunk", true, true},
		{"HTTP://x/y", true, true},
		{"svn+http://x/y", true, false}, // API-22
		{"git+https://x/y@main", true, false},
		{"git+ssh://git@x/y", true, false},
		{"svn://x/y", true, false},
		{"file:///srv/repo", true, false},
		{"svn+file:///srv/repo", true, false},
		{"bzr+lp:foo", true, false},
		{"hg+static-http://x", true, false},
		{"javascript:alert(1)", false, false},
		{"JavaScript:alert(1)", false, false},
		{"data:text/html,x", false, false},
		{"vbscript:x", false, false},
		{"git+javascript\t:x", false, false},
		{" https://x", false, false},
		{"https:", false, false},
		{"https:x", true, false},
		{"/relative", false, false},
		{"", false, false},
	}
	for _, tt := range tests {
		if got := isEasyLink(tt.url); got != tt.easy {
			t.Errorf("isEasyLink(%q) = %v", tt.url, got)
		}
		if got := isWebLink(tt.url); got != tt.web {
			t.Errorf("isWebLink(%q) = %v", tt.url, got)
		}
	}
}
