package advisory

import (
	"cmp"
	"fmt"
	"math"
	"strings"
)

// A Severity is how bad a fault is. The zero Severity says that nobody has rated it.
type Severity struct {
	// Rating is that of the score, or what the advisory says without one.
	Rating Rating

	// Tenths is the CVSS base score times ten; 0 if there is none.
	Tenths uint8
}

// A Rating is a severity in a word (CVSS 3.1, section 5).
type Rating uint8

// The ratings.
const (
	Unrated Rating = iota
	Low
	Medium
	High
	Critical
)

var ratings = [...]string{"", "low", "medium", "high", "critical"}

// String gives the word, empty for Unrated.
func (r Rating) String() string {
	if int(r) < len(ratings) {
		return ratings[r]
	}
	return ""
}

// String gives the severity for people, as "high (7.5)"; empty for none.
func (s Severity) String() string {
	if s.Tenths == 0 {
		return s.Rating.String()
	}
	return fmt.Sprintf("%s (%d.%d)", s.Rating, s.Tenths/10, s.Tenths%10)
}

func (s Severity) compare(t Severity) int {
	return cmp.Or(cmp.Compare(s.Rating, t.Rating), cmp.Compare(s.Tenths, t.Tenths))
}

// parseRating reads the word that GitHub's database has for a severity.
func parseRating(word string) Rating {
	switch strings.ToUpper(word) {
	case "LOW":
		return Low
	case "MODERATE", "MEDIUM":
		return Medium
	case "HIGH":
		return High
	case "CRITICAL":
		return Critical
	}
	return Unrated
}

// scored gives the severity of a score in tenths.
func scored(tenths uint8) Severity {
	s := Severity{Tenths: tenths}
	switch {
	case tenths >= 90:
		s.Rating = Critical
	case tenths >= 70:
		s.Rating = High
	case tenths >= 40:
		s.Rating = Medium
	case tenths > 0:
		s.Rating = Low
	}
	return s
}

// The weights of the base metrics (CVSS 3.1, section 7.4). PR has others where the
// scope changes.
var (
	weightAV  = map[string]float64{"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2}
	weightAC  = map[string]float64{"L": 0.77, "H": 0.44}
	weightPR  = map[string]float64{"N": 0.85, "L": 0.62, "H": 0.27}
	weightPRC = map[string]float64{"N": 0.85, "L": 0.68, "H": 0.5}
	weightUI  = map[string]float64{"N": 0.85, "R": 0.62}
	weightCIA = map[string]float64{"H": 0.56, "L": 0.22, "N": 0}
)

// cvss3 gives the base score of a vector of CVSS 3.0 or 3.1, in tenths. Metrics of
// time and place in it have no say. Vectors of other versions, of which 4.0 has a
// score that takes tables of hundreds of entries, are not understood.
func cvss3(vector string) (tenths uint8, ok bool) {
	rest, ok := strings.CutPrefix(vector, "CVSS:3.")
	if !ok || len(rest) < 2 || rest[0] != '0' && rest[0] != '1' || rest[1] != '/' {
		return 0, false
	}
	metric := map[string]string{}
	for part := range strings.SplitSeq(rest[2:], "/") {
		name, value, ok := strings.Cut(part, ":")
		if _, twice := metric[name]; !ok || twice {
			return 0, false
		}
		metric[name] = value
	}
	complete := true
	weigh := func(of map[string]float64, name string) float64 {
		w, ok := of[metric[name]]
		complete = complete && ok
		return w
	}
	changed := metric["S"] == "C"
	if !changed && metric["S"] != "U" {
		return 0, false
	}
	pr := weightPR
	if changed {
		pr = weightPRC
	}
	missed := (1 - weigh(weightCIA, "C")) * (1 - weigh(weightCIA, "I")) * (1 - weigh(weightCIA, "A"))
	iss := 1 - missed
	impact := 6.42 * iss
	if changed {
		impact = 7.52*(iss-0.029) - 3.25*math.Pow(iss-0.02, 15)
	}
	exploit := 8.22 * weigh(weightAV, "AV") * weigh(weightAC, "AC") * weigh(pr, "PR") * weigh(weightUI, "UI")
	if !complete {
		return 0, false
	}
	switch {
	case impact <= 0:
		return 0, true
	case changed:
		return roundUp(min(1.08*(impact+exploit), 10)), true
	}
	return roundUp(min(impact+exploit, 10)), true
}

// roundUp gives the smallest number of tenths that is not less (CVSS 3.1, appendix A).
func roundUp(score float64) uint8 {
	n := int(math.Round(score * 100_000))
	if n%10_000 == 0 {
		return uint8(n / 10_000)
	}
	return uint8(n/10_000 + 1)
}
