package intake

import "fmt"

// A Rejection is why a file may not enter the index. It is about the file and
// stands for good; every other error of this package is about reading it and may
// pass. The text does not name the file.
type Rejection string

func (r Rejection) Error() string { return string(r) }

func reject(format string, args ...any) error {
	return Rejection(fmt.Sprintf(format, args...))
}

// maxWarnings bounds what one odd file can write into the report.
const maxWarnings = 12

// A judge decides what becomes of a fault.
type judge struct {
	how      Strictness
	warnings []string
	dropped  int
}

// minor is for a fault that leaves all readers of the file with the same
// content. It is a warning for a mirrored file and a rejection for others.
func (j *judge) minor(format string, args ...any) error {
	if j.how != Mirrored {
		return reject(format, args...)
	}
	j.warn(format, args...)
	return nil
}

// warn notes what is odd and never refused.
func (j *judge) warn(format string, args ...any) {
	if len(j.warnings) == maxWarnings {
		j.dropped++
		return
	}
	j.warnings = append(j.warnings, fmt.Sprintf(format, args...))
}

// report gives the warnings, with a count of those that were too many.
func (j *judge) report() []string {
	if j.dropped == 0 {
		return j.warnings
	}
	return append(j.warnings, fmt.Sprintf("and %d warnings more", j.dropped))
}
