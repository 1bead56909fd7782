package fetch

import (
	"errors"
	"io/fs"
	"net/url"
	"strings"
	"testing"
)

func openVeil(t testing.TB, address, shown string) veil {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = nil
	return newVeil(u, shown)
}

func TestVeil(t *testing.T) {
	for _, tt := range []struct{ address, shown, in, out string }{
		{"https://h.example/canary/simple/", "", "https://h.example/canary/a.whl", "https://h.example/canary/a.whl"},
		{"https://h.example/canary/simple/", "https://h.example/canary/simple/", "https://h.example/canary/a.whl", "https://h.example/canary/a.whl"},
		{"https://h.example/canary/simple/", "https://h.example/${T}/simple/", "https://h.example/canary/files/a.whl", "https://h.example/{2}/files/a.whl"},
		{"https://h.example/canary/simple/", "https://h.example/${T}/simple/", "https://cdn.example/x/canary", "https://cdn.example/x/{2}"},
		{"https://h.example/canary/simple/", "https://h.example/${T}/simple/", "https://h.example/canary/canary/canary", "https://h.example/{2}/{2}/{2}"},
		{"https://h.example/canary/simple/", "https://h.example/${T}/simple/", "https://h.example/canary-1.0.whl", "https://h.example/canary-1.0.whl"},
		{"https://h.example/x-canary/y/", "https://h.example/x-${T}/y/", "https://h.example/x-canary/a.whl", "https://h.example/{2}/a.whl"},
		{"https://h.example/p?token=canary", "https://h.example/p?token=****", "https://h.example/a.whl?token=canary&x=1", "https://h.example/a.whl?token={4}&x=1"},
		{"https://canary.example:8443/s/", "https://${T}.example:8443/s/", "https://canary.example:8443/s/a.whl", "https://{1}/s/a.whl"},
		{"https://h.example/canary/simple/", "${INDEX}", "https://h.example/canary/simple/a.whl", "https://{1}/{2}/{3}/a.whl"},
		{"https://joe:pw@h.example/x/", "https://joe:****@h.example/x/", "https://h.example/x/a.whl", "https://h.example/x/a.whl"},
		{"https://h.example/a b/", "https://h.example/a b/", "https://h.example/a%20b/x.whl", "https://h.example/a%20b/x.whl"},
		{"https://h.example/ab/abc/", "https://h.example/${S}/${T}/", "https://h.example/abc/ab/x.whl", "https://h.example/{3}/{2}/x.whl"},
	} {
		v := openVeil(t, tt.address, tt.shown)
		got := v.hide(tt.in)
		if got != tt.out {
			t.Errorf("%s as %s: hide(%q) = %q, want %q", tt.address, tt.shown, tt.in, got, tt.out)
		}
		if back := v.reveal(got); back != tt.in {
			t.Errorf("%s as %s: reveal(%q) = %q, want %q", tt.address, tt.shown, got, back, tt.in)
		}
	}
}

// What is hidden is the part, so that the way back leads to what stands in its
// place by then.
func TestVeilOfAnotherToken(t *testing.T) {
	old := openVeil(t, "https://h.example/old/simple/", "https://h.example/${T}/simple/")
	now := openVeil(t, "https://h.example/new/simple/", "https://h.example/${T}/simple/")
	if got := now.reveal(old.hide("https://h.example/old/a.whl")); got != "https://h.example/new/a.whl" {
		t.Errorf("got %q", got)
	}
}

func TestVeilOfAnError(t *testing.T) {
	v := openVeil(t, "https://canary.example:8443/secret/simple/", "${INDEX}")
	e := fault(Unreachable, "lookup canary.example: no such host, redirected from (https://canary.example:8443/secret/x): %w", fs.ErrPermission)
	e.URL = "https://canary.example:8443/secret/simple/a/"
	v.hideError(e)
	if text := e.Error(); strings.Contains(text, "canary") || strings.Contains(text, "secret") || !errors.Is(e, fs.ErrPermission) {
		t.Errorf("%v", e)
	}
}

// Whatever an upstream links to is hidden, and can be fetched after all.
func FuzzVeil(f *testing.F) {
	f.Add("https://h.example/canary/simple/", "https://h.example/${T}/simple/", "https://h.example/canary/a.whl?canary=canary&canary")
	f.Add("/name@", "x", "//x")
	f.Add("https://h.example/a/ab/", "${X}", "https://h.example//a/a/ab/a?a")
	f.Fuzz(func(t *testing.T, address, shown, link string) {
		u, err := url.Parse(address)
		if err != nil || strings.ContainsAny(address+link, "{}") {
			return
		}
		u.User = nil
		v := newVeil(u, shown)
		hidden := v.hide(link)
		if back := v.reveal(hidden); back != link {
			t.Errorf("%q as %q: %q became %q and %q", address, shown, link, hidden, back)
		}
		if again := v.hide(hidden); again != hidden {
			t.Errorf("%q as %q: %q still says something: %q", address, shown, hidden, again)
		}
	})
}
