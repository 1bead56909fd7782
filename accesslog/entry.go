package accesslog

import (
	"bytes"
	"time"
)

// An Entry is a request and its answer, as one line of a log tells of them.
type Entry struct {
	// Time is when the request was answered, or came; servers differ. It is in
	// seconds since 1970 UTC.
	Time int64

	Method []byte

	// Path is the path that was asked for, with what was percent-encoded decoded
	// once and without the query. It is empty if the request was for no path, or
	// for one that cannot be decoded.
	Path []byte

	Status int

	// Bytes is how many bytes were sent, of the body alone or of the whole answer,
	// as the server counts.
	Bytes int64

	// Start is where in the file the answer begins: 0 for the whole of it. It is -1
	// for a part of a file (status 206) if the line does not say which. Servers do
	// not log that by themselves; a quoted field behind the user agent that holds
	// the Range or the Content-Range of the exchange (RFC 9110, 14) says it.
	Start int64

	// Agent is what the client calls itself; empty if it does not say or the log
	// does not have it. See [ParseAgent].
	Agent []byte
}

// parse reads a line, which it changes and refers to.
func (e *Entry) parse(line []byte) bool {
	*e = Entry{}
	line = bytes.TrimSuffix(line, []byte{'\r'})
	// Whatever stands in front was written by others, too: a user name may look as a
	// time does. But a quote in it is escaped, and the last thing before the first
	// quote is the time.
	quote := closing(line)
	if quote < 3 || line[quote-1] != ' ' || line[quote-2] != ']' {
		return false
	}
	open := bytes.LastIndexByte(line[:quote], '[')
	if open < 0 {
		return false
	}
	var ok bool
	if e.Time, ok = parseTime(line[open+1 : quote-2]); !ok {
		return false
	}
	request, rest, ok := quoted(line[quote:])
	if !ok {
		return false
	}
	if e.Status, rest, ok = status(rest); !ok {
		return false
	}
	if e.Bytes, rest, ok = size(rest); !ok {
		return false
	}
	e.request(unescape(request))
	return e.behind(rest)
}

// behind reads what stands behind the size: nothing in the common form, the
// referrer and the user agent in the combined one. Fields without quotes may stand
// before them, and anything behind.
func (e *Entry) behind(rest []byte) bool {
	if e.Status == 206 {
		e.Start = -1
	}
	for i := 0; ; i++ {
		at := bytes.IndexByte(rest, '"')
		if at < 0 {
			return true
		}
		var field []byte
		var ok bool
		if field, rest, ok = quoted(rest[at:]); !ok {
			return false
		}
		switch {
		case i == 0: // the referrer
		case i == 1:
			if e.Agent = unescape(field); len(e.Agent) == 1 && e.Agent[0] == '-' {
				e.Agent = nil
			}
			if e.Start == 0 {
				return true
			}
		default:
			if start, ok := rangeStart(field); ok {
				e.Start = start
				return true
			}
		}
	}
}

// closing gives the place of the first quote that is not escaped, -1 for none.
func closing(b []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '"')
		if i < 0 {
			return -1
		}
		at += i
		escapes := 0
		for escapes < at && b[at-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return at
		}
		at++
	}
}

// quoted reads a field in quotes, with which b begins.
func quoted(b []byte) (field, rest []byte, ok bool) {
	end := closing(b[1:])
	if end < 0 {
		return nil, nil, false
	}
	return b[1 : 1+end], b[end+2:], true
}

// word reads a field that a space stands before, up to the next one.
func word(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != ' ' {
		return nil, nil, false
	}
	b = b[1:]
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i], b[i:], i > 0
	}
	return b, nil, true
}

// status reads the status of an answer; 0 for "-", which is none.
func status(b []byte) (code int, rest []byte, ok bool) {
	field, rest, ok := word(b)
	if !ok {
		return 0, nil, false
	}
	if len(field) == 1 && field[0] == '-' {
		return 0, rest, true
	}
	if len(field) != 3 {
		return 0, nil, false
	}
	n, ok := number(field)
	return int(n), rest, ok
}

// size reads a number of bytes; "-" is none (Apache's %b).
func size(b []byte) (n int64, rest []byte, ok bool) {
	field, rest, ok := word(b)
	if !ok {
		return 0, nil, false
	}
	if len(field) == 1 && field[0] == '-' {
		return 0, rest, true
	}
	n, ok = number(field)
	return n, rest, ok
}

// number reads a number of at most 16 digits: sums of many fit an int64.
func number(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || '9' < c {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// rangeStart reads where the first range begins of a Range ("bytes=0-99") or a
// Content-Range ("bytes 0-99/200") field. A range that counts from the end has no
// start to be known.
func rangeStart(b []byte) (start int64, ok bool) {
	rest, ok := bytes.CutPrefix(b, []byte("bytes"))
	if !ok || len(rest) == 0 || rest[0] != '=' && rest[0] != ' ' {
		return 0, false
	}
	first, _, ok := bytes.Cut(rest[1:], []byte("-"))
	if !ok {
		return 0, false
	}
	return number(first)
}

// request reads the request line (RFC 9112, 3): a method, what is asked for, and the
// version of the protocol. What is none leaves the entry without a path: scanners
// send all kinds of things.
func (e *Entry) request(line []byte) {
	method, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok || len(method) > 20 || bytes.ContainsFunc(method, func(r rune) bool { return r < 'A' || 'Z' < r }) {
		return
	}
	e.Method = method
	target := rest
	if i := bytes.LastIndex(rest, []byte(" HTTP/")); i >= 0 {
		target = rest[:i]
	}
	if len(target) > 0 && target[0] != '/' {
		_, host, ok := bytes.Cut(target, []byte("://"))
		slash := bytes.IndexByte(host, '/')
		if !ok || slash < 0 {
			return
		}
		target = host[slash:]
	}
	if i := bytes.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	e.Path = decode(target)
}

// unescape takes back, in place, what servers do to characters that would spoil a
// log: \xHH (nginx, Apache), \" and \\ and the escapes of C (Apache).
func unescape(b []byte) []byte {
	from := bytes.IndexByte(b, '\\')
	if from < 0 {
		return b
	}
	out := b[:from]
	for i := from; i < len(b); i++ {
		c := b[i]
		if c != '\\' || i+1 == len(b) {
			out = append(out, c)
			continue
		}
		i++
		switch c = b[i]; c {
		case 'x':
			if i+2 < len(b) {
				hi, ok1 := hexDigit(b[i+1])
				lo, ok2 := hexDigit(b[i+2])
				if ok1 && ok2 {
					out = append(out, hi<<4|lo)
					i += 2
					continue
				}
			}
			out = append(out, '\\', 'x')
		case '"', '\\':
			out = append(out, c)
		case 'b', 'n', 'r', 't', 'v', 'f':
			out = append(out, ' ') // none of them means anything here
		default:
			out = append(out, '\\', c)
		}
	}
	return out
}

// decode takes back percent-encoding (RFC 3986, 2.1), once and in place; nil if it
// is faulty.
func decode(b []byte) []byte {
	from := bytes.IndexByte(b, '%')
	if from < 0 {
		return b
	}
	out := b[:from]
	for i := from; i < len(b); i++ {
		if b[i] != '%' {
			out = append(out, b[i])
			continue
		}
		if i+2 >= len(b) {
			return nil
		}
		hi, ok1 := hexDigit(b[i+1])
		lo, ok2 := hexDigit(b[i+2])
		if !ok1 || !ok2 {
			return nil
		}
		out = append(out, hi<<4|lo)
		i += 2
	}
	return out
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// parseTime reads a time as "02/Jan/2006:15:04:05 -0700", in seconds since 1970.
func parseTime(b []byte) (int64, bool) {
	if len(b) != len("02/Jan/2006:15:04:05 -0700") || b[2] != '/' || b[6] != '/' || b[11] != ':' || b[14] != ':' || b[17] != ':' || b[20] != ' ' {
		return 0, false
	}
	day, ok1 := number(b[:2])
	year, ok2 := number(b[7:11])
	hour, ok3 := number(b[12:14])
	minute, ok4 := number(b[15:17])
	second, ok5 := number(b[18:20])
	zone, ok6 := number(b[22:26])
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 {
		return 0, false
	}
	month := bytes.Index([]byte("JanFebMarAprMayJunJulAugSepOctNovDec"), b[3:6])
	if month < 0 || month%3 != 0 || year < 1970 || hour > 23 || minute > 59 || second > 60 || zone/100 > 23 || zone%100 > 59 {
		return 0, false
	}
	t := time.Date(int(year), time.Month(month/3+1), int(day), int(hour), int(minute), int(second), 0, time.UTC)
	if second < 60 && t.Day() != int(day) {
		return 0, false // the month has no such day
	}
	offset := 3600*(zone/100) + 60*(zone%100)
	switch b[21] {
	case '+':
		return t.Unix() - offset, true
	case '-':
		return t.Unix() + offset, true
	}
	return 0, false
}
