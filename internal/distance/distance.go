// Package distance tells how far two words are from each other, for those who say
// which one was probably meant.
package distance

import "iter"

// Between is how many bytes must be changed, added or taken away to make b of a
// (Levenshtein).
func Between(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Nearest gives the name that a word was probably meant to be: the one that two bytes
// or less are different in, or the first of these; empty if there is none.
func Nearest(word string, names iter.Seq[string]) string {
	best, far := "", 3
	for name := range names {
		if abs(len(word)-len(name)) >= far {
			continue
		}
		if d := Between(word, name); d < far && d < len(name) {
			best, far = name, d
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }
