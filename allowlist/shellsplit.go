package allowlist

import "errors"

// The ways in which shellSplit fails.
var (
	errOpenQuote  = errors.New("a quotation mark is not closed")
	errOpenEscape = errors.New("nothing follows the backslash at the end")
)

// shellSplit splits s into words as Python's shlex.split does: at spaces, tabs,
// CR and LF; '…' is literal; in "…" a backslash escapes only a backslash or a
// double quote; elsewhere it escapes any character. There are no comments and
// no variables.
func shellSplit(s string) ([]string, error) {
	var words []string
	var word []byte
	inWord := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t', '\r', '\n':
			if inWord {
				words = append(words, string(word))
				word, inWord = word[:0], false
			}
		case '\'':
			inWord = true
			for i++; ; i++ {
				if i == len(s) {
					return nil, errOpenQuote
				}
				if s[i] == '\'' {
					break
				}
				word = append(word, s[i])
			}
		case '"':
			inWord = true
			for i++; ; i++ {
				if i == len(s) {
					return nil, errOpenQuote
				}
				if s[i] == '"' {
					break
				}
				if s[i] == '\\' {
					i++
					if i == len(s) {
						return nil, errOpenEscape
					}
					if s[i] != '\\' && s[i] != '"' {
						word = append(word, '\\')
					}
				}
				word = append(word, s[i])
			}
		case '\\':
			inWord = true
			i++
			if i == len(s) {
				return nil, errOpenEscape
			}
			word = append(word, s[i])
		default:
			inWord = true
			word = append(word, c)
		}
	}
	if inWord {
		words = append(words, string(word))
	}
	return words, nil
}
