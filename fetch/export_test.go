package fetch

import "net/url"

// ReadLinks gives the addresses of the links of a page that crawling looks at.
func ReadLinks(text []byte, base *url.URL) (addresses []string) {
	for _, k := range readLinks(text, resolver{base: base}) {
		addresses = append(addresses, k.address)
	}
	return addresses
}
