package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"

	"nestgen/catalog"
	"nestgen/packaging"
)

// listIndex asks an index for a project's page.
func (s *Source) listIndex(ctx context.Context, n packaging.Name, prev Validators) (catalog.Listing, error) {
	u := s.root.JoinPath(string(n) + "/")
	l, err := s.page(ctx, u, wish{accept: acceptPage, prev: prev})
	// The form may have been found out while the answer was on its way.
	if errors.Is(err, fs.ErrNotExist) && Form(s.form.Load()) != Index {
		form, probeErr := s.findForm(ctx)
		if probeErr != nil {
			return catalog.Listing{}, probeErr
		}
		if form == Page {
			return s.listFlat(ctx, n, prev)
		}
	}
	if err != nil {
		return catalog.Listing{}, err
	}
	s.form.CompareAndSwap(uint32(AnyForm), uint32(Index))
	links := len(l.Offers) + l.left
	keep(&l.Listing, n, false)
	// Only a page that says it is one of an index may have no files. The page
	// of a captive portal, or the one that a server has for everything it does
	// not know, is not the end of a project.
	if len(l.Offers) == 0 && (!l.marked || links > 0) {
		e := fault(Invalid, "none of the page's %d links is a file of the project", links)
		e.URL = l.FinalURL
		return catalog.Listing{}, e
	}
	checkName(&l.Listing, n)
	s.quieten(&l.Listing)
	return l.Listing, nil
}

// quieten takes out warnings that are about the whole upstream and have been
// given with another project's listing.
func (s *Source) quieten(l *catalog.Listing) {
	kept := l.Warnings[:0]
	for _, w := range l.Warnings {
		if strings.HasPrefix(w, "API version ") {
			if _, given := s.onces.LoadOrStore(w, true); given {
				continue
			}
		}
		kept = append(kept, w)
	}
	l.Warnings = kept
	if len(kept) == 0 {
		l.Warnings = nil
	}
}

// probeBytes is how much of the root page is looked at. That of a large index
// has tens of megabytes.
const probeBytes = 256 << 10

// findForm finds out what is at the upstream's address, once: a page that has a
// link to a distribution among its first ones is the page of all files.
func (s *Source) findForm(ctx context.Context) (Form, error) {
	s.probe.Lock()
	defer s.probe.Unlock()
	if f := Form(s.form.Load()); f != AnyForm {
		return f, nil
	}
	form, err := retry(ctx, s, s.root.Path, func(int) (Form, error) { return s.probeOnce(ctx) })
	if errors.Is(err, fs.ErrNotExist) || KindOf(err) == Denied || KindOf(err) == Invalid {
		form, err = Index, nil // many indexes have no root page
	}
	if err == nil {
		s.form.Store(uint32(form))
	}
	return form, err
}

func (s *Source) probeOnce(ctx context.Context) (Form, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.root.String(), nil)
	if err != nil {
		return AnyForm, fault(Invalid, "address: %v", err)
	}
	r.Header.Set("Accept", acceptHTML)
	r.Header.Set("Accept-Encoding", "gzip")
	resp, err := s.client.Do(r)
	if err != nil {
		return AnyForm, classify(err)
	}
	defer resp.Body.Close()
	if e := statusFault(resp); e != nil {
		return AnyForm, e
	}
	if t, _ := contentType(resp.Header); t != "text/html" && t != typeHTML {
		return Index, nil
	}
	var body io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") != "" {
		if body, err = gzip.NewReader(resp.Body); err != nil {
			return AnyForm, readFault(err)
		}
	}
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(body, probeBytes))
	if err != nil && n == 0 {
		return AnyForm, readFault(err)
	}
	if linksToFile(buf.Bytes()) {
		return Page, nil
	}
	return Index, nil
}

// linksToFile reports whether one of a page's links is to a distribution.
func linksToFile(text []byte) bool {
	z := html.NewTokenizer(bytes.NewReader(text))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return false
		case html.StartTagToken:
			name, more := z.TagName()
			if string(name) != "a" {
				continue
			}
			for more {
				var k, v []byte
				k, v, more = z.TagAttr()
				if string(k) != "href" {
					continue
				}
				u, err := url.Parse(strings.TrimSpace(string(v)))
				if err == nil && packaging.KindOf(u.Path) != packaging.UnknownKind {
					return true
				}
			}
		}
	}
}
