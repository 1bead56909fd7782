package accesslog

import (
	"strings"

	"nestgen/internal/strictjson"
)

// A Client is what a user agent says of itself. Each of its fields has one of a few
// values, or is short and has no character that anything could mind.
type Client struct {
	// Name is that of the program as it is known here, "browser", "crawler", or
	// "unknown".
	Name string

	// Version is that of the program; empty if it is not known, or no program is
	// meant.
	Version string

	// Python is the version of Python, as "3.12"; empty if it is not known.
	Python string

	// System is the operating system: "Linux", "macOS", "Windows" or one of a few
	// more, "other", or empty if it is not known.
	System string
}

// unknownClient is a client that nothing is known of.
var unknownClient = Client{Name: "unknown"}

// maxAgent is how many bytes of a user agent are looked at: pip's are the longest
// that are meant well, with some 600.
const maxAgent = 4 << 10

// clients are the programs that are known by their names, in small letters.
var clients = map[string]string{
	"pip": "pip", "uv": "uv", "poetry": "poetry", "pdm": "pdm", "unearth": "unearth", "hatch": "hatch", "rye": "rye", "pex": "pex",
	"pixi": "pixi", "rattler": "rattler", "conda": "conda", "mamba": "mamba", "setuptools": "setuptools", "distribute": "distribute",
	"buildout": "buildout", "zc.buildout": "buildout", "twine": "twine", "flit": "flit", "maturin": "maturin",
	"bandersnatch": "bandersnatch", "devpi-server": "devpi", "z3c.pypimirror": "z3c.pypimirror", "pep381client": "pep381client",
	"pep381client-proxy": "pep381client", "artifactory": "Artifactory", "nexus": "Nexus", "nestgen": "nestgen", "pypiserver": "pypiserver",
	"pip-audit": "pip-audit", "bazel": "Bazel", "homebrew": "Homebrew", "renovate": "Renovate",
	"curl": "curl", "wget": "Wget", "aria2": "aria2", "python-requests": "requests", "python-httpx": "httpx",
	"python-urllib": "Python-urllib", "go-http-client": "Go-http-client",
}

// systems are the operating systems by the names that platform.system() gives of
// them, in small letters.
var systems = map[string]string{
	"linux": "Linux", "darwin": "macOS", "macos": "macOS", "windows": "Windows", "freebsd": "FreeBSD", "openbsd": "OpenBSD",
	"netbsd": "NetBSD", "dragonfly": "DragonFly", "sunos": "Solaris", "aix": "AIX", "android": "Android", "emscripten": "Emscripten",
}

// ParseAgent reads a user agent in one of the forms that clients of Python package
// indexes have:
//
//	pip/24.2 {"installer":…,"python":"3.12.1","system":{"name":"Linux",…},…}    pip since 6.0; uv, Hatch
//	pip/1.5.6 CPython/2.7.6 Linux/3.13.0                                        older pip, poetry, pdm, twine
//	setuptools/65.5.0 Python-urllib/3.11                                        easy_install, buildout
//	Python-urllib/2.7 setuptools/18.0                                           their older forms
//	bandersnatch/5.0 (cpython 3.8.2-final0, Linux x86_64) (aiohttp 3.6.2)
//
// Of browsers and crawlers nothing else is told.
func ParseAgent(agent string) Client {
	if agent == "" || len(agent) > maxAgent {
		return unknownClient
	}
	first, rest, _ := strings.Cut(agent, " ")
	name, version, _ := strings.Cut(first, "/")
	known := clients[strings.ToLower(name)]
	if known == "" {
		return stranger(agent, name)
	}
	c := Client{Name: known, Version: versionText(version)}
	if i := strings.IndexByte(rest, '{'); i >= 0 && c.readJSON(rest[i:]) {
		return c
	}
	c.readWords(rest)
	if known == clients["python-urllib"] {
		// The version is that of Python. Whoever works with it stands behind.
		user := strings.TrimSpace(rest)
		name, version, _ := strings.Cut(user, "/")
		c.Python, c.Version = pythonText(c.Version), ""
		if tool := clients[strings.ToLower(name)]; tool != "" {
			c.Name, c.Version = tool, versionText(version)
		}
	}
	return c
}

// stranger tells people from machines, as far as they do not deny it.
func stranger(agent, name string) Client {
	lower := strings.ToLower(agent)
	for _, word := range []string{"bot", "crawl", "spider", "slurp"} {
		if strings.Contains(lower, word) {
			return Client{Name: "crawler"}
		}
	}
	switch strings.ToLower(name) {
	case "mozilla", "opera", "safari", "firefox", "links", "lynx", "w3m":
		return Client{Name: "browser"}
	}
	return unknownClient
}

// readWords reads what stands behind the name in the forms that are not JSON.
func (c *Client) readWords(rest string) {
	words := strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '(' || r == ')' || r == ',' })
	for i, w := range words {
		name, version, ok := strings.Cut(w, "/")
		if !ok && i+1 < len(words) {
			version = words[i+1]
		}
		lower := strings.ToLower(name)
		if lower == "cpython" || lower == "python-urllib" || lower == "python" {
			// A later one counts: a tool names what it is made of first.
			if p := pythonText(version); p != "" {
				c.Python = p
			}
		} else if s := systems[lower]; s != "" {
			c.System = s
		}
	}
}

// members are those of the JSON of pip and of those who do as it does.
var members = []string{"python", "system"}

// readJSON reads what pip and others tell of where they run, up to the end of the
// first value.
func (c *Client) readJSON(text string) bool {
	s := strictjson.New([]byte(text))
	var python, system string
	err := s.Object(members, func(key int) error {
		switch {
		case key == 0 && s.Peek() == '"':
			b, err := s.Text()
			python = string(b)
			return err
		case key == 1 && s.Peek() == '{':
			return s.Object([]string{"name"}, func(key int) error {
				if key != 0 || s.Peek() != '"' {
					return s.Skip()
				}
				b, err := s.Text()
				system = string(b)
				return err
			})
		}
		return s.Skip()
	})
	if err != nil {
		return false
	}
	c.Python = pythonText(python)
	if system != "" {
		if c.System = systems[strings.ToLower(system)]; c.System == "" {
			c.System = "other"
		}
	}
	return true
}

// versionText gives a version that may be shown; empty for what is none.
func versionText(s string) string {
	if s == "" || len(s) > 40 || s[0] < '0' || '9' < s[0] {
		return ""
	}
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		if !('a' <= c && c <= 'z' || '0' <= s[i] && s[i] <= '9' || strings.IndexByte(".+!_-", s[i]) >= 0) {
			return ""
		}
	}
	return s
}

// pythonText gives the first two numbers of a version of Python.
func pythonText(s string) string {
	major, rest, ok := strings.Cut(s, ".")
	end := 0
	for end < len(rest) && '0' <= rest[end] && rest[end] <= '9' {
		end++
	}
	if !ok || len(major) != 1 || major < "1" || "9" < major || end == 0 || end > 2 {
		return ""
	}
	if end < len(rest) && strings.IndexByte(".abcrd+-", rest[end]) < 0 || end > 1 && rest[0] == '0' {
		return ""
	}
	return major + "." + rest[:end]
}
