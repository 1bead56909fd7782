package layout

// unreserved marks the bytes that stand for themselves in a link: letters,
// digits and "-._~" (RFC 3986), and the slash between segments. All the others
// are percent-encoded, those too that a URL would allow: easy_install ends a
// link at a quote, and some servers take "+" for a space.
var unreserved = func() (t [256]bool) {
	for c := range t {
		t[c] = asciiAlnum(byte(c)) || c == '-' || c == '.' || c == '_' || c == '~' || c == '/'
	}
	return t
}()

// Escape gives the link to a path of the tree, relative to the root of the
// site. It does not allocate for a path that needs no escapes.
func Escape(path string) string {
	for i := 0; i < len(path); i++ {
		if !unreserved[path[i]] {
			return string(AppendEscaped(make([]byte, 0, len(path)+8), path))
		}
	}
	return path
}

// AppendEscaped appends [Escape] of a path to b. What it appends needs no
// further escapes in HTML or in JSON.
func AppendEscaped(b []byte, path string) []byte {
	const digits = "0123456789ABCDEF"
	from := 0
	for i := 0; i < len(path); i++ {
		if c := path[i]; !unreserved[c] {
			b = append(b, path[from:i]...)
			b = append(b, '%', digits[c>>4], digits[c&15])
			from = i + 1
		}
	}
	return append(b, path[from:]...)
}
