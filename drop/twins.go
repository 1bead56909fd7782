package drop

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"iter"
	"slices"
)

// Twins gives the files that have their name in common with another: each time
// two or more entries with the same Filename, in the order of Entries, which
// is the order of precedence. Whether they are the same file twice or a
// conflict, SHA256 tells (contract FN-8): one that was not inspected yet has
// none. Snippets are not among them.
//
// It reads the entries twice and holds eight bytes for each meanwhile, and
// nothing at all where one folder holds everything.
func (v *View) Twins() iter.Seq2[[]Entry, error] {
	return func(yield func([]Entry, error) bool) {
		twins, err := v.twins()
		if err != nil {
			yield(nil, err)
			return
		}
		for _, t := range twins {
			if !yield(t, nil) {
				return
			}
		}
	}
}

func (v *View) twins() ([][]Entry, error) {
	double, err := v.doubleNames()
	if err != nil || len(double) == 0 {
		return nil, err
	}
	type found struct {
		Entry
		at int
	}
	var all []found
	seed := v.seed
	for e, err := range v.entries(func(r *row) bool {
		return isFile(r) && double[maphash.Bytes(seed, lastName(r.path))]
	}) {
		if err != nil {
			return nil, err
		}
		all = append(all, found{e, len(all)})
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.Filename(), b.Filename()), cmp.Compare(a.at, b.at))
	})
	var out [][]Entry
	for lo := 0; lo < len(all); {
		hi := lo + 1
		for hi < len(all) && all[hi].Filename() == all[lo].Filename() {
			hi++
		}
		if hi-lo > 1 {
			var t []Entry
			for _, f := range all[lo:hi] {
				t = append(t, f.Entry)
			}
			out = append(out, t)
		}
		lo = hi
	}
	return out, nil
}

// doubleNames gives the hashes of names that are there twice; now and then of
// two names that have the same hash.
func (v *View) doubleNames() (map[uint64]bool, error) {
	if len(v.dirs) == 1 && v.counts.Folders == 1 && v.Complete() {
		return nil, nil
	}
	var sums []uint64
	err := v.each(func(r *row) bool {
		if isFile(r) {
			sums = append(sums, maphash.Bytes(v.seed, lastName(r.path)))
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(sums)
	double := make(map[uint64]bool)
	for i := 1; i < len(sums); i++ {
		if sums[i] == sums[i-1] {
			double[sums[i]] = true
		}
	}
	return double, nil
}

func isFile(r *row) bool { return r.state != Gone && r.facts.kind == Distribution }

func lastName(path []byte) []byte { return path[bytes.LastIndexByte(path, '/')+1:] }
