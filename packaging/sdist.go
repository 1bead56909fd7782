package packaging

import (
	"fmt"
	"strings"
)

// ParseSdist reads an sdist's file name by today's rules (PEP 625): ".tar.gz"
// or ".zip", and a PEP 440 version right of the last dash. It asks nothing of
// the name; [ParseFilename], the reader for what a mirror lists, does. An error
// is a [*FilenameError].
func ParseSdist(s string) (Filename, error) {
	f := Filename{Kind: Sdist, Ext: ".tar.gz"}
	stem, ok := strings.CutSuffix(s, f.Ext)
	if !ok {
		f.Ext = ".zip"
		if stem, ok = strings.CutSuffix(s, f.Ext); !ok {
			return Filename{}, &FilenameError{Filename: s, Fault: `extension is neither ".tar.gz" nor ".zip"`}
		}
	}
	i := strings.LastIndexByte(stem, '-')
	if i < 0 {
		return Filename{}, &FilenameError{Filename: s, Fault: "no dash between a project name and a version"}
	}
	f.Name, f.Version = stem[:i], stem[i+1:]
	if f.Version, ok = normalVersion(f.Version); !ok {
		return Filename{}, &FilenameError{Filename: s, Fault: fmt.Sprintf("version %q does not follow PEP 440", stem[i+1:])}
	}
	f.Project = NormalizeName(f.Name)
	return f, nil
}

// SdistFilename gives the file name of an sdist that is built today (PEP 625):
// the normalized name with underscores, and the version, which has to be
// normalized (contract FN-7).
func SdistFilename(n Name, v Version) string {
	return strings.ReplaceAll(string(n), "-", "_") + "-" + v.String() + ".tar.gz"
}
