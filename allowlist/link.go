package allowlist

import (
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"nestgen/packaging"
)

// vcsSchemes are the URL schemes of repositories that pip can check out.
var vcsSchemes = []string{
	"git+http", "git+https", "git+ssh", "git+git", "git+file",
	"hg+file", "hg+http", "hg+https", "hg+ssh", "hg+static-http",
	"svn+ssh", "svn+http", "svn+https", "svn+svn", "svn+file",
	"bzr+http", "bzr+https", "bzr+ssh", "bzr+sftp", "bzr+ftp", "bzr+lp", "bzr+file",
}

// systems are the version control systems by the start of those schemes.
var systems = []string{"git", "hg", "svn", "bzr"}

// scheme gives the scheme of a URL in lower case, "" if there is none (RFC
// 3986, section 3.1).
func scheme(s string) string {
	name, _, ok := strings.Cut(s, ":")
	if !ok || name == "" {
		return ""
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return ""
		}
	}
	return strings.ToLower(name)
}

// isURL reports whether a requirement is a URL and nothing else.
func isURL(s string) bool {
	switch sch := scheme(s); sch {
	case "http", "https", "file", "ftp":
		return true
	default:
		return slices.Contains(vcsSchemes, sch)
	}
}

// A link is a URL in the parts that a requirement is interested in.
type link struct {
	url      string
	scheme   string
	host     string // with port, without user and password
	path     string // percent-decoded
	fragment string // as written, from the first #
}

// parseLink takes a URL apart. It takes anything: what is not a URL has no
// scheme, and a path that cannot be decoded stays as it is.
func parseLink(s string) link {
	l := link{url: s, scheme: scheme(s)}
	rest := s
	if l.scheme != "" {
		rest = rest[len(l.scheme)+1:]
	}
	rest, l.fragment, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	if r, ok := strings.CutPrefix(rest, "//"); ok {
		l.host, rest = r, ""
		if i := strings.IndexByte(r, '/'); i >= 0 {
			l.host, rest = r[:i], r[i:]
		}
		l.host = l.host[strings.LastIndexByte(l.host, '@')+1:]
	}
	l.path = rest
	if p, err := url.PathUnescape(rest); err == nil {
		l.path = p
	}
	return l
}

// kind tells what the link leads to. A link with a scheme that means nothing
// is no kind: ok is false.
func (l link) kind() (k Kind, ok bool) {
	switch l.scheme {
	case "http", "https", "ftp":
		return Archive, true
	case "file":
		return Path, true
	}
	return VCS, slices.Contains(vcsSchemes, l.scheme)
}

// filename gives the last segment of the path.
func (l link) filename() string {
	f := path.Base(strings.TrimRight(l.path, "/"))
	if f == "." || f == ".." || f == "/" {
		return ""
	}
	return f
}

// isWheel reports whether the link leads to a wheel.
func (l link) isWheel() bool { return extension(l.filename()) == ".whl" }

// parameter gives the value of a name in the fragment: the first "#name=" or
// "&name=", anywhere behind, up to the next "&".
func (l link) parameter(name string) (string, bool) {
	for _, sep := range []string{"#", "&"} {
		if i := strings.Index("#"+l.fragment, sep+name+"="); i >= 0 {
			v, _, _ := strings.Cut(l.fragment[i+len(name)+1:], "&")
			return v, true
		}
	}
	return "", false
}

// hashNames are the digests that a fragment may carry.
var hashNames = []string{"sha512", "sha384", "sha256", "sha224", "sha1", "md5"}

// hashes gives the digests in the fragment, in lower case; nil without any.
func (l link) hashes() map[string]string {
	var m map[string]string
	for _, name := range hashNames {
		if v, ok := l.parameter(name); ok {
			if m == nil {
				m = make(map[string]string)
			}
			m[name] = strings.ToLower(v)
		}
	}
	return m
}

// revision gives what a repository's URL names after the last @ of its path.
func (l link) revision() string {
	i := strings.LastIndexByte(l.path, '@')
	if i < 0 {
		return ""
	}
	return l.path[i+1:]
}

// local gives the absolute path of a file: URL, made absolute against dir.
func (l link) local(dir string) string {
	p := filepath.FromSlash(l.path)
	if !filepath.IsAbs(p) {
		p = filepath.Join(dir, p)
	}
	return filepath.Clean(p)
}

// fileURL gives the file: URL of an absolute path.
func fileURL(p string) string {
	var b strings.Builder
	b.WriteString("file://")
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("/_.-~", c) >= 0:
			b.WriteByte(c)
		default:
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// archiveExtensions are the file name extensions that make pip take a word for
// a file.
var archiveExtensions = []string{
	".zip", ".whl",
	".tar.bz2", ".tbz",
	".tar.gz", ".tgz", ".tar",
	".tar.xz", ".txz", ".tlz", ".tar.lz", ".tar.lzma",
}

// isArchive reports whether a path has the extension of an archive.
func isArchive(p string) bool {
	return slices.Contains(archiveExtensions, strings.ToLower(extension(filepath.Base(p))))
}

// extension gives the extension of a file name, ".tar" and what follows it
// taken together. A name of dots and an extension only has none.
func extension(name string) string {
	stem, ext := splitExtension(name)
	if tar := len(stem) - len(".tar"); tar >= 0 && strings.EqualFold(stem[tar:], ".tar") {
		return stem[tar:] + ext
	}
	return ext
}

func splitExtension(name string) (stem, ext string) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 || strings.Trim(name[:i], ".") == "" {
		return name, ""
	}
	return name[:i], name[i:]
}

// An egg is a link's egg fragment in its parts.
type egg struct {
	name    string // as written: with the version, without the rest
	project string // without the version
	version string // as easy_install has it behind the name: "dev", "0.1.1dev-r7031"
	extras  string // "[a,b]" or ""
	clause  string // "==1.2" or "", in lists of old
}

// parseEgg reads an egg fragment. ok is false if there is no project name in
// it.
func parseEgg(s string) (e egg, ok bool) {
	if v, err := url.PathUnescape(s); err == nil {
		s = v
	}
	s = trimSpace(s)
	e.name = s
	if i := strings.IndexAny(s, "[=<>!~ "); i >= 0 {
		e.name, s = s[:i], s[i:]
		if strings.HasPrefix(s, "[") {
			if j := strings.IndexByte(s, ']'); j >= 0 {
				e.extras, s = s[:j+1], s[j+1:]
			}
		}
		e.clause = trimSpace(s)
	}
	e.project, e.version = splitEggVersion(e.name)
	return e, packaging.ValidName(e.project)
}

// splitEggVersion splits the name that easy_install expects in a fragment,
// NAME-VERSION. A fragment is far more often a name alone, and names have
// dashes too: the version is only taken for one if it is "dev", or begins like
// one that has a dot ("0.1.1dev-r7031").
func splitEggVersion(s string) (project, version string) {
	for i := 0; i < len(s); i++ {
		if s[i] == '-' && i > 0 && eggVersion(s[i+1:]) {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func eggVersion(s string) bool {
	if s == "dev" {
		return true
	}
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	return digits > 0 && len(s) > digits+1 && s[digits] == '.' && '0' <= s[digits+1] && s[digits+1] <= '9'
}
