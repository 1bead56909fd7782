package upload

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// A Problem is an answer that is not a success. It is an error, so that it can
// be handed up to where answers are written.
type Problem struct {
	Status int

	// Text is what a person reads, in one line. Most clients show it as the
	// reason phrase of the status line, the others as the body.
	Text string

	// Challenge asks for credentials, for status 401.
	Challenge bool

	// Allow is the value of the header Allow, for status 405.
	Allow string

	// Err is what is behind it, for the log. It is not sent.
	Err error

	exists bool // the text may say that the file exists
}

// Error gives the text, not what is behind it.
func (p *Problem) Error() string { return p.Text }

// Unwrap gives Err.
func (p *Problem) Unwrap() error { return p.Err }

// Exists is the answer to other bytes under the name of a file that is there,
// or was. twine, poetry and pdm pass over a file that is answered so when they
// are told to skip existing ones: they look for status 400 with these words in
// the reason or in the body. detail follows, if there is any.
func Exists(filename, detail string) *Problem {
	text := "File already exists: " + filename
	if detail != "" {
		text += ", " + detail
	}
	return &Problem{Status: http.StatusBadRequest, Text: text, exists: true}
}

// Unauthorized asks for credentials. The realm has to be "pypi", or setup.py
// register does not answer.
func Unauthorized(text string) *Problem {
	return &Problem{Status: http.StatusUnauthorized, Text: text, Challenge: true}
}

// Forbidden refuses for good: no client asks for another password after it.
func Forbidden(text string) *Problem {
	return &Problem{Status: http.StatusForbidden, Text: text}
}

// NoDocs is the answer to [DocUpload].
func NoDocs() *Problem {
	return &Problem{Status: http.StatusGone, Text: "Uploading documentation is not supported"}
}

// bad makes the answer to a form that is wrong.
func bad(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusBadRequest, Text: fmt.Sprintf(format, args...)}
}

func tooLarge(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusRequestEntityTooLarge, Text: "Too large: " + fmt.Sprintf(format, args...)}
}

// quote quotes what a client sent, cut to a length that can be read.
func quote(s string) string {
	const limit = 100
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return strconv.Quote(s)
}

// takenWrong finds what makes a client take a problem for another one: that the
// file is there already, which it may pass over, or, with the last of them,
// that poetry has to register the project and try again. A client's own words,
// quoted in a text, can hold any of it.
var takenWrong = regexp.MustCompile(`(?i)already exist|updating asset|cannot be updated|already been taken|overwrite artifact|was ever registered`)

// text gives the text as it is sent: one line, not too long, and without words
// that do not mean what clients read in them.
func (p *Problem) text() string {
	const limit = 2000
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(p.Text, "\ufffd"))
	if s == "" {
		s = http.StatusText(p.Status)
	}
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return takenWrong.ReplaceAllStringFunc(s, func(words string) string {
		if p.exists && strings.EqualFold(words, "already exist") {
			return words
		}
		return strings.ReplaceAll(words, " ", "\u00a0")
	})
}

// maxReason is how many bytes of a reason phrase every server and client passes
// on.
const maxReason = 200

// Reason gives the reason phrase for the status line: the text with nothing but
// characters of ISO-8859-1, which is how it is to be sent and how HTTP/1.1
// clients read it, and a question mark for the others; at most 200 of them and
// never a line end (contract UP-13).
func (p *Problem) Reason() string {
	var phrase []rune
	for _, r := range p.text() {
		switch {
		case r == '…':
			phrase = append(phrase, '.', '.', '.')
		case r > 0xff:
			phrase = append(phrase, '?')
		default:
			phrase = append(phrase, r)
		}
	}
	if len(phrase) > maxReason {
		phrase = append(phrase[:maxReason-3], '.', '.', '.')
	}
	return string(phrase)
}

// unread is how much of a body is read only to be thrown away, so that its
// sender comes to reading the answer.
const unread = 256 << 20

// Write answers a request with the problem. First it reads what is left of the
// body, up to 256 MiB: hardly any client looks at the answer before it has sent
// everything, and one that finds the connection closed shows that instead of
// the reason. A client that waits to be told to continue is not made to.
func (p *Problem) Write(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, unread) // its faults are the client's
	}
	h := w.Header()
	if p.Challenge {
		h.Set("WWW-Authenticate", `Basic realm="pypi"`)
	}
	if p.Allow != "" {
		h.Set("Allow", p.Allow)
	}
	setReason(w, p.Reason())
	kind := bodyType(r.Header.Values("Accept"))
	write(w, p.Status, kind, p.body(kind))
}

// body gives the text in the form that the client likes best.
func (p *Problem) body(kind string) []byte {
	text, title := p.text(), http.StatusText(p.Status)
	var v any
	switch kind {
	case typeJSON:
		v = struct {
			Message string `json:"message"`
			Code    string `json:"code"`
			Title   string `json:"title"`
		}{text, fmt.Sprintf("%d %s", p.Status, text), title}
	case typeProblem:
		v = struct {
			Type   string `json:"type"`
			Title  string `json:"title"`
			Status int    `json:"status"`
			Detail string `json:"detail"`
		}{"about:blank", title, p.Status, text}
	default:
		return []byte(text + "\n")
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return append(data, '\n')
}

// WriteOK answers a request with status 200 and a text. The status line says
// just OK: setup.py shows that.
func WriteOK(w http.ResponseWriter, text string) {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	write(w, http.StatusOK, typePlain, []byte(text))
}

func write(w http.ResponseWriter, status int, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // nobody is left to tell
}

// The media types of answers. uv reads JSON only where the type stands alone,
// without parameters.
const (
	typePlain   = "text/plain; charset=utf-8"
	typeJSON    = "application/json"
	typeProblem = "application/problem+json" // RFC 9457
)

// bodyType chooses the type of an answer's body. JSON is for those who ask for
// it by name and prefer it to text; of equals the more telling one wins.
func bodyType(accept []string) string {
	plain, best, bestQ := -1.0, typePlain, 0.0
	for _, line := range accept {
		for item := range strings.SplitSeq(line, ",") {
			kind, q := acceptItem(item)
			switch kind {
			case typeProblem, typeJSON:
				if q > bestQ || q == bestQ && q > 0 && kind == typeProblem {
					best, bestQ = kind, q
				}
			case "text/plain":
				plain = q
			}
		}
	}
	if plain > bestQ {
		return typePlain
	}
	return best
}

// acceptItem reads one item of an Accept header. The last q counts, and one
// that is no number is 0.
func acceptItem(item string) (kind string, q float64) {
	kind, params, _ := strings.Cut(item, ";")
	q = 1
	for p := range strings.SplitSeq(params, ";") {
		if k, v, _ := strings.Cut(p, "="); strings.EqualFold(strings.TrimSpace(k), "q") {
			n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err != nil || n != n {
				n = 0
			}
			q = min(n, 1)
		}
	}
	return strings.ToLower(strings.TrimSpace(kind)), q
}
