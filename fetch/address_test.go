package fetch

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestZone(t *testing.T) {
	for s, want := range map[string]zone{
		"151.101.0.223": public, "2a04:4e42::223": public, "8.8.8.8": public,
		"10.0.0.1": private, "172.31.255.255": private, "192.168.1.1": private, "100.64.0.1": private, "fd12::1": private, "198.18.0.1": private,
		"127.0.0.1": loopback, "127.9.9.9": loopback, "::1": loopback, "::ffff:127.0.0.1": loopback,
		"169.254.169.254": forbidden, "::ffff:169.254.169.254": forbidden, "fe80::1": forbidden, "fe80::1%eth0": forbidden,
		"0.0.0.0": forbidden, "::": forbidden, "224.0.0.1": forbidden, "ff02::1": forbidden, "255.255.255.255": forbidden, "0.1.2.3": forbidden,
		"100.100.100.200": forbidden, "fd00:ec2::254": forbidden,
		"64:ff9b::a9fe:a9fe": forbidden, "64:ff9b::7f00:1": loopback, "64:ff9b::808:808": public,
		"2002:7f00:1::": loopback, "2002:a00:1::1": private, "::127.0.0.1": loopback, "::10.0.0.1": private,
	} {
		if got := zoneOf(netip.MustParseAddr(s)); got != want {
			t.Errorf("zoneOf(%s) = %d, want %d", s, got, want)
		}
	}
}

// Who may be connected to, by where the upstream is (reliability.md §3 row 15).
func TestGuard(t *testing.T) {
	type step struct {
		host, address string
		ok            bool
	}
	for name, steps := range map[string][]step{
		"on the internet": {
			{"index.example", "8.8.8.8", true}, {"files.example", "1.1.1.1", true}, {"files.example", "10.0.0.1", false},
			{"files.example", "127.0.0.1", false}, {"files.example", "169.254.169.254", false},
			{"index.example", "10.0.0.1", false}, // the answer of the DNS flips
			{"INDEX.example", "127.0.0.1", false},
		},
		"before it is known where": {{"files.example", "10.0.0.1", false}, {"files.example", "8.8.8.8", true}},
		"in a private network": {
			{"index.example", "10.0.0.1", true}, {"files.example", "192.168.0.1", true}, {"files.example", "8.8.8.8", true},
			{"files.example", "127.0.0.1", false}, {"files.example", "169.254.169.254", false}, {"index.example", "127.0.0.1", false},
		},
		"on this machine":         {{"index.example", "127.0.0.1", true}, {"files.example", "10.0.0.1", true}, {"files.example", "::1", true}, {"files.example", "fe80::1", false}},
		"at a forbidden address":  {{"index.example", "169.254.169.254", false}},
		"by way of a proxy at it": {{"proxy.example", "127.0.0.1", true}, {"files.example", "127.0.0.1", false}},
	} {
		g := &guard{host: "index.example", proxy: "proxy.example"}
		for _, s := range steps {
			if err := g.check(s.host, netip.MustParseAddr(s.address)); (err == nil) != s.ok {
				t.Errorf("%s: %s at %s: %v", name, s.host, s.address, err)
			}
		}
	}
	// Hosts that the settings name for crawling may be nearer than the upstream.
	named := &guard{host: "index.example", named: []string{"files.corp.example"}}
	for _, s := range []step{
		{"index.example", "8.8.8.8", true}, {"Files.corp.example", "10.0.0.1", true}, {"files.corp.example", "127.0.0.1", true},
		{"files.corp.example", "169.254.169.254", false}, {"other.corp.example", "10.0.0.1", false},
	} {
		if err := named.check(s.host, netip.MustParseAddr(s.address)); (err == nil) != s.ok {
			t.Errorf("named hosts: %s at %s: %v", s.host, s.address, err)
		}
	}
	g := &guard{host: "169.254.169.254"}
	if err := g.check("169.254.169.254", netip.MustParseAddr("169.254.169.254")); err != nil {
		t.Errorf("named by the settings: %v", err)
	}
	if err := g.check("files.example", netip.MustParseAddr("169.254.169.254")); err == nil {
		t.Errorf("another host at an address that the settings name: no error")
	}
	for host, ok := range map[string]bool{"localhost": false, "x.localhost.": false, "10.0.0.1": false, "8.8.8.8": true, "files.example": true} {
		if err := (&guard{host: "index.example"}).checkLiteral(host); (err == nil) != ok {
			t.Errorf("by proxy, %s: %v", host, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Duration{
		"0": 0, " 120 ": 2 * time.Minute, "Sat, 21 Nov 2026 12:01:00 GMT": time.Minute, "Sat, 21 Nov 2026 11:00:00 GMT": 0,
		"": -1, "-5": -1, "soon": -1, "1.5": -1, "99999999999999999999": -1,
	} {
		got, ok := retryAfter(s, now)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", s, got, want)
		}
	}
}

func TestNetrc(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		host     string
		want     login
		rest     login
		bad      bool
	}{
		{name: "one line", in: "machine H.example login me password secret", host: "h.example", want: login{"me", "secret"}},
		{name: "many lines, comment, account", in: "# c\nmachine h.example # c\n login me\n account x\n password secret\n", host: "h.example", want: login{"me", "secret"}},
		{name: "first entry counts", in: "machine h.example login a password b\nmachine h.example login c password d", host: "h.example", want: login{"a", "b"}},
		{name: "quotes and escapes", in: `machine h.example login "a b" password "x\"y\\z"`, host: "h.example", want: login{"a b", `x"y\z`}},
		{name: "hash inside a password", in: "machine h.example login a password x#y", host: "h.example", want: login{"a", "x#y"}},
		{name: "macro passed over", in: "macdef init\ncd /x\nmachine evil login q password q\n\nmachine h.example login a password b", host: "h.example", want: login{"a", "b"}},
		{name: "default", in: "machine o login x password y\ndefault login d password e", host: "h.example", rest: login{"d", "e"}},
		{name: "unknown word", in: "machine h.example logn me", bad: true},
		{name: "no value", in: "machine h.example login", bad: true},
		{name: "no machine", in: "login x", bad: true},
	} {
		m, rest, err := readNetrc(strings.NewReader(tt.in))
		if (err != nil) != tt.bad || m[tt.host] != tt.want || rest != tt.rest || m["evil"] != (login{}) {
			t.Errorf("%s: %v, %v, %v", tt.name, m, rest, err)
		}
	}
	_, _, err := readNetrc(strings.NewReader("machine a login b password c\n\nmachine d\nlogn e"))
	if err == nil || !strings.Contains(err.Error(), "line 4") {
		t.Errorf("error %v, want one of line 4", err)
	}
}

func FuzzNetrc(f *testing.F) {
	f.Add("machine h login \"a\\\"\" password b\nmacdef x\n\n default login q")
	f.Fuzz(func(t *testing.T, s string) { readNetrc(strings.NewReader(s)) })
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"https://u:canary@h.example/a?token=canary#canary": "https://h.example/a",
		"http://u:canary@ho st/":                           "http://…@…",
		"https://h.example/a/b%2Fc":                        "https://h.example/a/b%2Fc",
		"file:///x/y":                                      "file:///x/y",
	} {
		if got := redact(in); got != want {
			t.Errorf("redact(%q) = %q, want %q", in, got, want)
		}
	}
}

// What isPlain lets through must be what the slow way would have given.
func FuzzResolve(f *testing.F) {
	for _, s := range []string{"https://h.example/a/b-1.0.whl", "http://h:80/a/../b", "https://h/a%2Fb", "//u:p@h/x", "x y", "https://H/x", "https://h:/x", "https://h/."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := resolver{base: mustParse("https://base.example/simple/a/")}
		got, _, err := r.resolve(s)
		if err != nil {
			return
		}
		u := mustParse(got)
		if u == nil || u.User != nil || u.Fragment != "" || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			t.Fatalf("resolve(%q) = %q", s, got)
		}
		if isPlain(got) && u.String() != got {
			t.Fatalf("resolve(%q) = %q, which net/url spells %q", s, got, u)
		}
		if n := filename(got); strings.Contains(n, "/") && !strings.Contains(strings.ToLower(got), "%2f") {
			t.Fatalf("filename(%q) = %q", got, n)
		}
	})
}
func mustParse(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		return nil
	}
	return u
}
