package fetch

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"nestgen/catalog"
)

// A veil keeps the secret parts of an upstream's address out of everything that
// leaves this package: each of them, wherever an upstream may repeat it, is
// replaced by its number among all parts, as in https://pypi.example/{2}/a.whl.
// The way back needs the address as it is then, so that a token may be replaced
// by a new one. The zero veil hides nothing.
type veil struct {
	parts []string // of the address
	hides []int    // the parts that are hidden, the longest first
	host  string   // without its port, if it is hidden
}

// newVeil makes the veil of an address for the way in which it may be written
// down: what is not a part of that as well is hidden.
func newVeil(root *url.URL, shown string) veil {
	if shown == "" {
		return veil{}
	}
	v := veil{parts: addressParts(root.String())}
	public := addressParts(shown)
	if u, err := url.Parse(shown); err == nil {
		public = append(public, addressParts(u.String())...) // spelled as root is
	}
	for i, p := range v.parts {
		if p != "" && !slices.Contains(public, p) {
			v.hides = append(v.hides, i)
		}
	}
	slices.SortStableFunc(v.hides, func(a, b int) int { return len(v.parts[b]) - len(v.parts[a]) })
	if slices.Contains(v.hides, 0) {
		v.host = root.Hostname()
	}
	return v
}

// addressParts gives the host of an address, the elements of its path, and the
// keys and values of its query.
func addressParts(address string) []string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	parts := strings.FieldsFunc(address, func(r rune) bool { return strings.ContainsRune("/?&;=#", r) })
	if len(parts) > 0 {
		parts[0] = parts[0][strings.LastIndexByte(parts[0], '@')+1:]
	}
	return parts
}

// hide replaces the hidden parts of an address.
func (v *veil) hide(address string) string {
	if len(v.hides) == 0 {
		return address
	}
	return v.replace(address, "/?&;=#")
}

// hideText replaces the hidden parts of the addresses in a text.
func (v *veil) hideText(text string) string {
	if len(v.hides) == 0 {
		return text
	}
	text = v.replace(text, "/?&;=# \t\"'()<>:,")
	if v.host != "" {
		text = strings.ReplaceAll(text, v.host, mark(0))
	}
	return text
}

// replace replaces the hidden parts that stand between two of the characters in
// bounds, or at an end.
func (v *veil) replace(s, bounds string) string {
	var b strings.Builder
	from := 0
	for i := 0; i < len(s); i++ {
		if i > 0 && strings.IndexByte(bounds, s[i-1]) < 0 {
			continue
		}
		for _, n := range v.hides {
			end := i + len(v.parts[n])
			if strings.HasPrefix(s[i:], v.parts[n]) && (end == len(s) || strings.IndexByte(bounds, s[end]) >= 0) {
				b.WriteString(s[from:i])
				b.WriteString(mark(n))
				from, i = end, end-1
				break
			}
		}
	}
	b.WriteString(s[from:])
	return b.String()
}

// mark is what stands for a part.
func mark(n int) string { return "{" + strconv.Itoa(n+1) + "}" }

// reveal undoes hide. An upstream may write a mark itself, and so have a part of
// its address sent to where it wants: it knows all of them.
func (v *veil) reveal(address string) string {
	for _, n := range v.hides {
		address = strings.ReplaceAll(address, mark(n), v.parts[n])
	}
	return address
}

// hideListing hides what a listing says of addresses.
func (v *veil) hideListing(l *catalog.Listing) {
	if len(v.hides) == 0 {
		return
	}
	l.FinalURL = v.hide(l.FinalURL)
	for i := range l.Offers {
		o := &l.Offers[i]
		o.URL, o.Provenance = v.hide(o.URL), v.hide(o.Provenance)
	}
	for i := range l.Warnings {
		l.Warnings[i] = v.hideText(l.Warnings[i])
	}
}

// revealOffer undoes hideListing for one offer.
func (v *veil) revealOffer(o *catalog.Offer) {
	o.URL, o.Provenance = v.reveal(o.URL), v.reveal(o.Provenance)
}

// hideError hides what an error says of addresses.
func (v *veil) hideError(e *Error) {
	e.URL = v.hide(e.URL)
	if text := v.hideText(e.Err.Error()); text != e.Err.Error() {
		e.Err = &veiled{e.Err, text}
	}
}

// A veiled error says less than the one in it.
type veiled struct {
	error
	text string
}

func (e *veiled) Error() string { return e.text }
func (e *veiled) Unwrap() error { return e.error }
