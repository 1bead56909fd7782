package gateway

import "net/http"

// maxReason is how many bytes a reason phrase may have. The servers cut off or
// refuse a header that does not fit their buffers.
const maxReason = 200

// SetReason gives the answer a reason phrase of its own, which replaces the
// standard one of its status. It has to come before WriteHeader and the first
// Write. The phrase is sent in ISO-8859-1: characters outside it become "?",
// control characters spaces, and what is longer than 200 bytes is cut off.
//
// It reports whether w, or what w unwraps to, takes a phrase; the server of
// net/http does not, and HTTP/2 has none: say the same in the body.
func SetReason(w http.ResponseWriter, phrase string) bool {
	for {
		switch v := w.(type) {
		case interface{ SetReason(string) }:
			v.SetReason(phrase)
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return false
		}
	}
}

// appendReason appends a phrase as it may stand in a status line.
func appendReason(b []byte, phrase string) []byte {
	end := len(b) + maxReason
	for _, r := range phrase {
		if len(b) == end {
			break
		}
		switch {
		case r < ' ' || r == 0x7f:
			r = ' '
		case 0x80 <= r && r < 0xa0 || r > 0xff:
			r = '?'
		}
		b = append(b, byte(r))
	}
	return b
}
