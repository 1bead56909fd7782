package plan

// Filtering gives a function that looks through what is on offer with the filters
// alone, and says how much they object to.
func Filtering(in Input) func() (objections int) {
	all := in.candidates(nil)
	return func() (objections int) {
		for i := range all {
			all[i].against = nil
		}
		filters(&in, all)
		versionFilters(&in, all)
		for i := range all {
			if all[i].against != nil {
				objections++
			}
		}
		return objections
	}
}
