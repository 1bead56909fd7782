package layout

import "strings"

// A tree may hold several indexes: that of the site at its root, and others
// below a prefix of one or two folders, as "prod" or "snapshots/2026-01". Each has
// pages as the site's own has them. They share the store and the static files.

// prefixDepth is how many folders a prefix has at most.
const prefixDepth = 2

// Below gives the place of a path of an index that is below a prefix; the empty
// prefix is that of the site's own index.
func Below(prefix, path string) string {
	if prefix == "" {
		return path
	}
	return prefix + "/" + path
}

// CutPrefix takes a path of the tree apart into the prefix of the index that it
// belongs to and what is below that. It goes by the shape of the path alone.
func CutPrefix(path string) (prefix, rest string) {
	end := 0
	for range prefixDepth {
		segment, _, below := strings.Cut(path[end:], "/")
		if !below || !prefixSegment(segment) {
			break
		}
		end += len(segment) + 1
	}
	if end == 0 {
		return "", path
	}
	return path[:end-1], path[end:]
}

// ValidPrefix reports whether an index may lie below a prefix: one or two folders
// of small letters, digits, "-" and "_" that none of the site's own are.
func ValidPrefix(prefix string) bool {
	found, rest := CutPrefix(prefix + "/")
	return found == prefix && rest == ""
}

// prefixSegment reports whether a folder may be one of a prefix.
func prefixSegment(s string) bool {
	if s == "" || len(s) > 100 || s[0] == '-' || s[0] == '_' || IsRoom(s) || s == "legacy" {
		return false // uploads go to /legacy/
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
