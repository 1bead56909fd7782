package fetch

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"

	"nestgen/internal/tame"
)

// prescan is how far into a page its meta elements are looked for, in bytes.
const prescan = 4096

// decodeHTML gives a page as UTF-8 (contract C-9): from the character set that
// a byte order mark, the HTTP header or a meta element names, in this order, or
// else UTF-8 with whatever is not replaced. An unknown one gives a warning.
func decodeHTML(data []byte, label string) (text []byte, warning string) {
	for _, bom := range []struct{ mark, label string }{{"\xef\xbb\xbf", "utf-8"}, {"\xff\xfe", "utf-16le"}, {"\xfe\xff", "utf-16be"}} {
		if bytes.HasPrefix(data, []byte(bom.mark)) {
			data, label = data[len(bom.mark):], bom.label
			break
		}
	}
	if label == "" {
		label = metaCharset(data[:min(len(data), prescan)])
		if strings.HasPrefix(strings.ToLower(label), "utf-16") {
			label = "utf-8" // it could be read, so it is not that
		}
	}
	var enc encoding.Encoding
	if label != "" {
		var name string
		if enc, name = charset.Lookup(label); enc == nil || enc == encoding.Replacement {
			warning = "character set " + quoteShort(label) + " is not known, taken for utf-8"
			enc = nil
		} else if name == "utf-8" {
			enc = nil
		}
	}
	if enc != nil {
		// Text grows to at most three times its size, and a page's size has a
		// limit.
		if text, _, err := transform.Bytes(enc.NewDecoder(), data); err == nil {
			return text, warning
		}
		warning = "page is not of character set " + quoteShort(label)
	}
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	return data, warning
}

// metaCharset gives the character set that a meta element names.
func metaCharset(data []byte) string {
	z := html.NewTokenizer(bytes.NewReader(data))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			if string(name) == "body" || string(name) == "a" {
				return ""
			}
			if string(name) != "meta" {
				continue
			}
			var label, content string
			isType := false
			for more {
				var key, value []byte
				key, value, more = z.TagAttr()
				switch string(key) {
				case "charset":
					label = string(value)
				case "content":
					content = string(value)
				case "http-equiv":
					isType = strings.EqualFold(string(value), "content-type")
				}
			}
			if label == "" && isType {
				label = charsetOf(content)
			}
			if label != "" {
				return strings.TrimSpace(label)
			}
		}
	}
}

// charsetOf gives the charset parameter of a content type, however sloppy.
func charsetOf(contentType string) string {
	_, params, _ := strings.Cut(contentType, ";")
	for p := range strings.SplitSeq(params, ";") {
		if k, v, ok := strings.Cut(p, "="); ok && strings.EqualFold(strings.TrimSpace(k), "charset") {
			return strings.Trim(strings.TrimSpace(v), `"'`)
		}
	}
	return ""
}

func quoteShort(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return `"` + tame.Text(s) + `"`
}
