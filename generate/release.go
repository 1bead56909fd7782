package generate

import "nestgen/catalog"

// A release is the files of one version. Spellings of one version are releases
// of their own, as the listings of versions have it.
type release struct {
	version string
	files   []*catalog.File
}

// releases groups files, in the order in which their versions come first. It
// keeps pointers into files.
func releases(files []catalog.File) []release {
	var names versionSet
	at := make([]int, len(files)) // which release a file is of
	var counts []int
	for i := range files {
		k, isNew := names.add(files[i].Version)
		if isNew {
			counts = append(counts, 0)
		}
		at[i] = k
		counts[k]++
	}
	rs := make([]release, len(counts))
	all := make([]*catalog.File, len(files))
	for k, n := range counts {
		rs[k] = release{names.list[k], all[:0:n]}
		all = all[n:]
	}
	for i, k := range at {
		rs[k].files = append(rs[k].files, &files[i])
	}
	return rs
}

// yank gives the yank of a release: it is yanked when all of its files are,
// for the first reason that one of them gives.
func (r *release) yank() catalog.Yank {
	y := catalog.Yank{Yanked: len(r.files) > 0}
	for _, f := range r.files {
		if !f.Yanked.Yanked {
			return catalog.Yank{}
		}
		if y.Reason == "" {
			y.Reason = f.Yanked.Reason
		}
	}
	return y
}

// requiresPython is what the release asks of Python: what its first file does
// that asks for anything.
func (r *release) requiresPython() string {
	for _, f := range r.files {
		if f.RequiresPython != "" {
			return f.RequiresPython
		}
	}
	return ""
}

// uploaded is when the first file of the release came, 0 if that is not known.
func (r *release) uploaded() int64 {
	var first int64
	for _, f := range r.files {
		if known(f.Uploaded) && (first == 0 || f.Uploaded < first) {
			first = f.Uploaded
		}
	}
	return first
}
