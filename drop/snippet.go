package drop

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"nestgen/catalog"
	"nestgen/internal/secret"
	"nestgen/packaging"
)

// LinkOptions says what a snippet may hold.
type LinkOptions struct {
	// AllowFile lets "file:" addresses through, which make sense only where
	// every client sees the same file system.
	AllowFile bool

	// RefuseSecrets rejects a link that carries a password or a token. If
	// false, there is a warning, and the page shows the secret to everybody.
	RefuseSecrets bool
}

const (
	// linkRules is the version of what ParseSnippet accepts.
	linkRules = 1

	maxSnippet = 64 << 10
	maxLinks   = 256
	maxURL     = 2048
)

// ErrSecret is matched by the error for a link with a password or a token,
// when such links are refused.
var ErrSecret = errors.New("link carries a password or token")

// ParseSnippet reads a link snippet: a small file that names repositories
// which easy_install may check out. name is its file name; what it has before
// the ending stands for the project when the snippet itself names none.
//
// A snippet is either HTML, of which the anchors count, or lines: an address,
// and after it, if wanted, "egg=NAME" and "version=VERSION". Empty lines and
// what follows a "#" at the beginning of a line or after a blank are comments.
// The Internet shortcuts of Windows are read as well. What an address has
// after "#egg=" is NAME, NAME-dev, NAME-VERSION or NAME==VERSION.
//
// All links of a snippet are for one project. Warnings and errors never show a
// password or a token.
func ParseSnippet(name string, data []byte, o LinkOptions) (links []catalog.Link, warnings []string, err error) {
	if len(data) > maxSnippet {
		return nil, nil, fmt.Errorf("longer than %d KiB", maxSnippet>>10)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, nil, errors.New("not UTF-8 text")
	}
	var found []address
	if isHTML(data) {
		found, err = anchors(data)
	} else {
		found, err = addresses(data)
	}
	if err != nil {
		return nil, nil, err
	}
	if len(found) == 0 {
		return nil, nil, errors.New("no address in it")
	}
	for _, a := range found {
		l, warns, err := a.link(name, o)
		if err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", a.line, err)
		}
		for _, w := range warns {
			warnings = append(warnings, fmt.Sprintf("line %d: %s", a.line, w))
		}
		if len(links) > 0 && links[0].Project != l.Project {
			return nil, nil, fmt.Errorf("line %d: link for %s after one for %s: one snippet is for one project",
				a.line, l.Project, links[0].Project)
		}
		links = append(links, l)
	}
	return links, warnings, nil
}

// An address is what a snippet has of one link.
type address struct {
	line    int
	url     string
	egg     string // of an "egg=" line
	version string // of a "version=" line
}

// isHTML looks at the first character that is neither blank nor comment.
func isHTML(data []byte) bool {
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' {
			return line[0] == '<'
		}
	}
	return false
}

func anchors(data []byte) ([]address, error) {
	var out []address
	z := html.NewTokenizer(bytes.NewReader(data))
	line := 1
	for {
		typ := z.Next()
		at := line
		line += bytes.Count(z.Raw(), []byte("\n"))
		switch typ {
		case html.ErrorToken:
			if err := z.Err(); err != io.EOF {
				return nil, fmt.Errorf("line %d: %w", at, err)
			}
			return out, nil
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			if t.DataAtom != atom.A {
				continue
			}
			for _, a := range t.Attr {
				if a.Namespace != "" || a.Key != "href" {
					continue
				}
				if len(out) == maxLinks {
					return nil, fmt.Errorf("line %d: more than %d links", at, maxLinks)
				}
				out = append(out, address{line: at, url: strings.TrimSpace(a.Val)})
				break
			}
		}
	}
}

func addresses(data []byte) ([]address, error) {
	var out []address
	shortcut := false
	n := 0
	for raw := range strings.Lines(string(data)) {
		n++
		line := uncomment(raw)
		if line == "" {
			continue
		}
		if line[0] == '[' && line[len(line)-1] == ']' {
			shortcut = true
			continue
		}
		key, value, isKey := strings.Cut(line, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		switch {
		case isKey && key == "url":
			line = value
		case isKey && (key == "egg" || key == "version"):
			if len(out) == 0 {
				return nil, fmt.Errorf("line %d: %s= before any address", n, key)
			}
			last := &out[len(out)-1]
			field := &last.egg
			if key == "version" {
				field = &last.version
			}
			if value == "" || *field != "" {
				return nil, fmt.Errorf("line %d: %s= is empty or there twice", n, key)
			}
			*field = value
			continue
		case shortcut:
			continue // IconFile= and the like
		}
		if len(out) == maxLinks {
			return nil, fmt.Errorf("line %d: more than %d links", n, maxLinks)
		}
		out = append(out, address{line: n, url: line})
	}
	return out, nil
}

// uncomment cuts a comment off: a "#" that begins the line or comes after a
// blank, as the "#" of a fragment does not.
func uncomment(line string) string {
	line = strings.TrimSpace(line)
	for i := 0; i < len(line); i++ {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return strings.TrimSpace(line[:i])
		}
	}
	return line
}

// link checks an address and makes a link of it.
func (a address) link(file string, o LinkOptions) (catalog.Link, []string, error) {
	var warnings []string
	raw, fragment, _ := strings.Cut(a.url, "#")
	u, err := parseAddress(raw, o)
	if err != nil {
		return catalog.Link{}, nil, err
	}
	if shown, hidden := secret.Address(u.address); hidden {
		if o.RefuseSecrets {
			return catalog.Link{}, nil, fmt.Errorf("%w: %s", ErrSecret, shown)
		}
		warnings = append(warnings, "link carries a password or token, which everybody can read on the page: "+shown)
	}
	spec := ""
	for param := range strings.SplitSeq(fragment, "&") {
		key, value, _ := strings.Cut(param, "=")
		switch {
		case key == "egg" && spec == "":
			if spec, err = url.PathUnescape(value); err != nil {
				return catalog.Link{}, nil, errors.New("egg= in the address is not percent-encoded")
			}
		case param != "":
			// easy_install reads "egg=" only as the whole fragment.
			warnings = append(warnings, "everything but egg= is dropped from the fragment")
		}
	}
	if a.egg != "" {
		if spec != "" && spec != a.egg {
			warnings = append(warnings, "egg= of the line holds, not that of the address")
		}
		spec = a.egg
	}
	if spec == "" {
		spec = strings.TrimSuffix(path.Base(file), path.Ext(file))
	}
	egg, version, err := parseEgg(spec)
	if err != nil {
		return catalog.Link{}, nil, err
	}
	if a.version != "" {
		version = a.version
	}
	if strings.EqualFold(version, "dev") {
		version = ""
	}
	if version != "" && !packaging.ValidVersion(version) {
		if !plainVersion(version) {
			return catalog.Link{}, nil, fmt.Errorf("version %q: letters, digits, '.', '+', '!', '_' and '-' only", cut(version))
		}
		warnings = append(warnings, fmt.Sprintf("version %q does not follow PEP 440", version))
	}
	return catalog.Link{
		Project: packaging.NormalizeName(egg), URL: u.address, Egg: egg, Version: version,
	}, warnings, nil
}

// parseEgg splits what stands after "egg=". The version begins at the first
// dash before a digit; "-dev" at the end and an egg's "-py2.4" are no part of
// it.
func parseEgg(s string) (egg, version string, err error) {
	name := s
	if n, v, ok := strings.Cut(s, "=="); ok {
		name, version = n, v
	} else {
		if n := len(s) - len("-dev"); n > 0 && strings.EqualFold(s[n:], "-dev") {
			name = s[:n]
		}
		for i := 0; i+1 < len(name); i++ {
			if name[i] == '-' && '0' <= name[i+1] && name[i+1] <= '9' {
				name, version = name[:i], name[i+1:]
				break
			}
		}
		if i := strings.LastIndex(version, "-py"); i > 0 && digits(version[i+len("-py"):]) {
			version = version[:i]
		}
	}
	if len(name) > maxProject || !packaging.ValidName(name) {
		return "", "", fmt.Errorf("egg %q: not a project name", cut(s))
	}
	return name, version, nil
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789.") == ""
}

func plainVersion(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case strings.IndexByte(".+!_-", c) >= 0:
		default:
			return false
		}
	}
	return len(s) <= 100
}

// A parsedURL is an address that passed, in parts and as it is published.
type parsedURL struct {
	url.URL
	address string
	base    string // scheme without the tool before the "+"
}

// parseAddress checks an address. Its errors do not show it, because a
// password may stand anywhere in one that cannot be parsed.
func parseAddress(raw string, o LinkOptions) (*parsedURL, error) {
	if len(raw) > maxURL {
		return nil, fmt.Errorf("address longer than %d bytes", maxURL)
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return nil, errors.New("address holds a character that must be percent-encoded")
		}
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		if at := strings.IndexByte(raw, '@'); at > 0 && strings.IndexByte(raw[at:], ':') > 0 {
			return nil, errors.New("not an address with a scheme: write ssh://USER@HOST/PATH")
		}
		return nil, errors.New("not an address with a scheme")
	}
	scheme = strings.ToLower(scheme)
	base, ok := allowedScheme(scheme, o.AllowFile)
	if !ok {
		return nil, errors.New("scheme is not allowed: http, https, ssh, svn, git, hg, or one of the last three with '+' and a transport")
	}
	u, err := url.Parse(scheme + "://" + rest)
	if err != nil || u.Opaque != "" {
		return nil, errors.New("not a valid address")
	}
	switch {
	case base == "file":
		if u.Host != "" && u.Host != "localhost" || u.User != nil || !strings.HasPrefix(u.Path, "/") {
			return nil, errors.New("a file address has three slashes and no host")
		}
	case u.Hostname() == "":
		return nil, errors.New("address without a host")
	case strings.HasPrefix(u.Hostname(), "-") || strings.HasPrefix(u.User.Username(), "-"):
		// A version control tool could take it for an option.
		return nil, errors.New("host or user begins with a dash")
	}
	return &parsedURL{*u, scheme + "://" + rest, base}, nil
}

// allowedScheme gives what the bytes go over: "https" for "git+https".
func allowedScheme(s string, file bool) (base string, ok bool) {
	tool, base, plus := strings.Cut(s, "+")
	if !plus {
		base = tool
	}
	vcs := tool == "svn" || tool == "git" || tool == "hg"
	switch base {
	case "http", "https", "ssh":
		return base, vcs || !plus
	case "svn", "git", "hg":
		return base, base == tool
	case "file":
		return base, file && (vcs || !plus)
	}
	return "", false
}

// ReadLinks reads the snippet of an entry and records the outcome: its links
// may be listed, perhaps with a warning, or it is rejected, and then there are
// none. The Source of a link is the snippet's path below its drop directory.
// Errors are those of [View.Inspect].
func (v *View) ReadLinks(e Entry) ([]catalog.Link, error) {
	var links []catalog.Link
	var unread error
	err := v.Inspect(e, func(f *File) (Outcome, error) {
		data, err := io.ReadAll(io.NewSectionReader(f, 0, maxSnippet+1))
		if err != nil {
			unread = err
			return Outcome{}, err
		}
		var warnings []string
		links, warnings, err = ParseSnippet(e.Filename(), data, v.opts.Links)
		if err != nil {
			o := Outcome{Verdict: Rejected, Reason: err.Error()}
			if errors.Is(err, ErrSecret) {
				o.Hint = "put the password where the client keeps it, for example in ~/.netrc"
			}
			return o, nil
		}
		for i := range links {
			links[i].Source = e.Path
		}
		return Outcome{
			Verdict: Accepted, SHA256: sha256.Sum256(data), Project: links[0].Project,
			Reason: strings.Join(warnings, "; "),
		}, nil
	})
	if unread != nil && !errors.Is(err, ErrSkipped) {
		return nil, v.skipped(e, unread)
	}
	if err != nil {
		return nil, err
	}
	return links, nil
}
