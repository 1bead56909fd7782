package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"

	"nestgen/catalog"
	"nestgen/packaging"
)

// Limits on third-party pages (contract C-15).
const (
	maxCrawled     = 50      // pages for one project
	maxCrawledPage = 5 << 20 // bytes of one of them, unpacked
)

// Crawl is [Source.List] for a project whose files may be on pages elsewhere, as
// old indexes have it: those that its page names as homepage or for downloads
// (rel, or a cell of the table that PyPI once had) are read as well, one level
// deep, and the links to archives of the project on them are taken for its files
// where the index has none of that name. Of the index's own, those with #egg=
// come first (contract C-13, C-14).
//
// Only pages and files on the hosts are looked at, and on the upstream's own;
// redirects that lead away from them are not followed. A host is a name, an
// address, or the end of names with "*." in front. A page that cannot be had is an
// error, because the files on it are not gone; one that the server does not have,
// that is none of HTML, or that a rule forbids is passed over with a warning.
//
// The listing has no validators: of a page that has not changed it is not known
// what stands on those that it names.
func (s *Source) Crawl(ctx context.Context, n packaging.Name, hosts []string, prev Validators) (catalog.Listing, error) {
	if s.local != nil || Form(s.form.Load()) == Page {
		return s.List(ctx, n, prev)
	}
	l, err := s.crawl(ctx, n, hosts, prev.Serial)
	if err != nil {
		return catalog.Listing{}, s.label(err, n, "", s.root.String())
	}
	s.veil.hideListing(&l)
	return l, nil
}

func (s *Source) crawl(ctx context.Context, n packaging.Name, hosts []string, serial int64) (catalog.Listing, error) {
	page, err := s.page(ctx, s.root.JoinPath(string(n)+"/"), wish{accept: acceptHTML, prev: Validators{Serial: serial}, links: true})
	if err != nil {
		return catalog.Listing{}, err
	}
	l := &page.Listing
	l.ETag, l.LastModified = "", ""
	links := len(l.Offers) + page.left
	eggsFirst(l, page.links, n)
	keep(l, n, false)
	found, err := s.crawlPages(ctx, n, hosts, page.links, l)
	if err != nil {
		return catalog.Listing{}, err
	}
	if len(l.Offers)+len(found) == 0 && (!page.marked || links > 0) {
		e := fault(Invalid, "none of the page's %d links is a file of the project, nor any on the pages that it names", links)
		e.URL = l.FinalURL
		return catalog.Listing{}, e
	}
	l.Offers = append(l.Offers, found...)
	checkName(l, n)
	s.quieten(l)
	return *l, nil
}

// eggsFirst puts the links with an #egg= of the project before the others, the
// last of them first.
func eggsFirst(l *catalog.Listing, links []pageLink, n packaging.Name) {
	eggs := map[string]bool{}
	for _, k := range links {
		name, _, ok := strings.Cut(k.egg, "-")
		for ok && !n.Spells(name) { // a name may have dashes in it
			var part string
			part, _, ok = strings.Cut(k.egg[len(name)+1:], "-")
			name += "-" + part
		}
		if ok {
			eggs[k.address] = true
		}
	}
	if len(eggs) == 0 {
		return
	}
	var first, rest []catalog.Offer
	for _, o := range l.Offers {
		if eggs[o.URL] {
			first = append(first, o)
		} else {
			rest = append(rest, o)
		}
	}
	slices.Reverse(first)
	l.Offers = append(first, rest...)
}

// crawlPages gives the files of a project on the pages that its own page names.
// What is odd about them becomes a warning of its listing.
func (s *Source) crawlPages(ctx context.Context, n packaging.Name, hosts []string, links []pageLink, l *catalog.Listing) (found []catalog.Offer, err error) {
	have := map[string]bool{}
	for i := range l.Offers {
		have[l.Offers[i].Filename] = true
	}
	within := context.WithValue(ctx, confinement{}, hosts)
	var all catalog.Listing
	seen := map[string]bool{}
	for _, k := range links {
		if !k.crawl || seen[k.address] || packaging.KindOf(filename(k.address)) != packaging.UnknownKind {
			continue
		}
		if len(seen) == maxCrawled {
			warn(l, "more than %d pages to look at, the rest is left out", maxCrawled)
			break
		}
		seen[k.address] = true
		u, err := url.Parse(k.address)
		if err == nil {
			err = s.mayCrawl(u, hosts)
		}
		var page listed
		if err == nil {
			page, err = s.page(within, u, wish{accept: acceptHTML, most: maxCrawledPage, links: true})
		}
		switch KindOf(err) {
		case Unreachable, Stale, Stopped, Storage:
			return nil, err
		}
		if err != nil {
			warn(l, "page %s was passed over: %v", redact(k.address), errText(err))
			continue
		}
		eggs := map[string]bool{}
		for _, k := range page.links {
			eggs[k.address] = eggs[k.address] || k.egg != ""
		}
		for i := range page.Offers {
			o := &page.Offers[i]
			if eggs[o.URL] || have[o.Filename] || packaging.KindOf(o.Filename) == packaging.UnknownKind || belongs(o.Filename, n, true) != nil {
				continue
			}
			to, err := url.Parse(o.URL)
			if err == nil {
				err = s.mayCrawl(to, hosts)
			}
			if err != nil {
				warn(l, "file %.80q on page %s was passed over: %v", o.Filename, redact(k.address), errText(err))
				continue
			}
			// What else a stranger's page says of a file counts for nothing.
			all.Offers = append(all.Offers, catalog.Offer{Filename: o.Filename, URL: o.URL, Hashes: o.Hashes, Size: -1})
		}
		if len(all.Offers) > maxOffers {
			return nil, fault(Invalid, "more than %d files on the pages that it names", maxOffers)
		}
	}
	keep(&all, n, true)
	for _, w := range all.Warnings {
		warn(l, "%s", w)
	}
	return all.Offers, nil
}

// mayCrawl says why a third-party page or file is not asked for.
func (s *Source) mayCrawl(u *url.URL, hosts []string) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fault(Refused, "scheme %q: neither http nor https", u.Scheme)
	case u.Scheme != "https" && s.root.Scheme == "https":
		return fault(Refused, "the index is read by https, and it would come by http")
	case !isPort(u.Port()):
		return fault(Refused, "port %s: there is none of this number", quoteShort(u.Port()))
	case !s.isOfHosts(u.Hostname(), hosts):
		return fault(Refused, "the host %s is not one that the settings name", quoteShort(u.Hostname()))
	}
	return nil
}

// isOfHosts reports whether a host is the upstream's own or one of a list.
func (s *Source) isOfHosts(host string, hosts []string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == strings.ToLower(s.root.Hostname()) || slices.ContainsFunc(hosts, func(h string) bool { return IsHost(h, host) })
}

// IsHost reports whether a host is the one that a pattern names, or one of those:
// "*.example.net" is every name below example.net.
func IsHost(pattern, host string) bool {
	pattern, host = bareHost(pattern), bareHost(host)
	if end, open := strings.CutPrefix(pattern, "*"); open {
		return len(host) > len(end) && strings.HasSuffix(host, end)
	}
	return pattern == host
}

// literalHosts gives those of the patterns that name one host.
func literalHosts(patterns []string) (hosts []string) {
	for _, p := range patterns {
		if !strings.HasPrefix(p, "*") {
			hosts = append(hosts, bareHost(p))
		}
	}
	return hosts
}

// bareHost gives a host in lower case, an address without its brackets.
func bareHost(host string) string { return strings.ToLower(strings.Trim(host, "[]")) }

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && n > 0
}

// Within confines what is asked for with the context to some hosts and the
// upstream's own, wherever redirects lead, if address is on one of the hosts.
func Within(ctx context.Context, address string, hosts []string) context.Context {
	u, err := url.Parse(address)
	if err != nil || !slices.ContainsFunc(hosts, func(h string) bool { return IsHost(h, u.Hostname()) }) {
		return ctx
	}
	return context.WithValue(ctx, confinement{}, hosts)
}

// confinement is the key of the hosts that a context is confined to.
type confinement struct{}

// confined says why a context may not ask a host.
func (s *Source) confined(ctx context.Context, host string) error {
	hosts, ok := ctx.Value(confinement{}).([]string)
	if ok && !s.isOfHosts(host, hosts) {
		return fault(Refused, "a redirect to %s, which is not a host that the settings name", quoteShort(host))
	}
	return nil
}

// A pageLink is a link of a page of HTML with what only crawling looks at.
type pageLink struct {
	address string
	egg     string // of the fragment
	crawl   bool   // to the homepage, or to a page with downloads
}

// maxPageLinks is how many links of a page are looked at for that.
const maxPageLinks = 100_000

// readLinks gives the links of a page of HTML (contract C-13, C-14).
func readLinks(text []byte, links resolver) (all []pageLink) {
	z := html.NewTokenizer(bytes.NewReader(text))
	z.SetMaxBuf(1 << 20) // of one token
	cells := map[string]bool{"home page": true, "download url": true}
	inHeader, next := false, false // the next link is one of those
	for len(all) < maxPageLinks {
		switch z.Next() {
		case html.ErrorToken:
			return all // the page itself was read whole before
		case html.TextToken:
			if !inHeader {
				continue
			}
			title := strings.ToLower(strings.TrimSpace(string(z.Text())))
			for cell := range cells {
				if strings.HasPrefix(title, cell) {
					delete(cells, cell) // the first counts
					next = true
				}
			}
			inHeader = inHeader && title == ""
		case html.EndTagToken:
			inHeader = false
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			inHeader = string(name) == "th"
			var href, rel string
			has := false
			for more {
				var k, v []byte
				k, v, more = z.TagAttr()
				switch {
				case string(k) == "href" && !has:
					href, has = string(v), true
				case string(k) == "rel" && rel == "":
					rel = string(v)
				}
			}
			if !has || string(name) != "a" && rel == "" {
				continue
			}
			address, fragment, err := links.resolve(href)
			k := pageLink{crawl: next || isCrawlRel(rel)}
			next = false
			if err != nil || !k.crawl && !strings.Contains(fragment, "egg=") {
				continue
			}
			k.address = strings.Clone(address)
			for part := range strings.SplitSeq(fragment, "&") {
				if egg, ok := strings.CutPrefix(part, "egg="); ok {
					k.egg = strings.ReplaceAll(strings.ToLower(egg), "_", "-")
				}
			}
			all = append(all, k)
		}
	}
	return all
}

// isCrawlRel reports whether a rel attribute names a homepage or downloads.
// easy_install splits it at commas, devpi at spaces.
func isCrawlRel(rel string) bool {
	for _, r := range strings.FieldsFunc(strings.ToLower(rel), func(c rune) bool { return strings.ContainsRune(", \t\r\n\f", c) }) {
		if r == "homepage" || r == "download" {
			return true
		}
	}
	return false
}

// CheckHost says why a text names no host, or end of names, for crawling.
func CheckHost(pattern string) error {
	host := strings.TrimPrefix(pattern, "*.")
	u, err := url.Parse("http://" + host + "/")
	switch {
	case host == "" || strings.ContainsAny(host, "*/@?# "):
		return errors.New("want the name of a host, or *. and the end of names")
	case err != nil || u.Hostname() != strings.Trim(host, "[]") || u.Port() != "":
		return fmt.Errorf("want the name of a host alone, without scheme, port and path")
	case host != pattern && !strings.Contains(strings.Trim(host, "."), "."):
		return errors.New("all names of a whole domain of the first level are not a list of hosts")
	}
	return nil
}
