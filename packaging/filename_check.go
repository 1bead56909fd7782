package packaging

import "fmt"

// maxFilename is the longest file name in bytes that common file systems take.
const maxFilename = 255

// CheckFilename reports whether a file of this name may stand in the tree:
// printable ASCII without slash, backslash, space and percent sign, not
// beginning with a dot or a dash, and at most 255 bytes (contract FN-6). Such a
// name means the same to every file system, shell and web server, encoded or
// not. An error is a [*FilenameError].
func CheckFilename(s string) error {
	fault := ""
	switch {
	case s == "":
		fault = "empty"
	case len(s) > maxFilename:
		fault = fmt.Sprintf("%d bytes long, more than %d", len(s), maxFilename)
	case s[0] == '.' || s[0] == '-':
		fault = fmt.Sprintf("begins with %q", s[:1])
	default:
		for _, r := range s {
			if r <= ' ' || r >= 0x7f || r == '/' || r == '\\' || r == '%' {
				fault = fmt.Sprintf("holds %q", r)
				break
			}
		}
	}
	if fault == "" {
		return nil
	}
	return &FilenameError{Filename: s, Fault: fault}
}
