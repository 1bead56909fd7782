package fetch

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// readNetrc reads a netrc file: the login of each machine, by its name in lower
// case, and that of the default entry. As for Python's netrc module, a token
// may be quoted, a backslash takes the next character as it is, a comment goes
// from a token that begins with # to the end of the line, and a macro goes to
// the next empty line. The first entry for a machine counts.
func readNetrc(r io.Reader) (machines map[string]login, rest login, err error) {
	t := netrcTokens{in: bufio.NewReader(io.LimitReader(r, 1<<20)), line: 1}
	machines = map[string]login{}
	hasRest := false
	word, ok := t.next()
	for ok {
		var host string
		top, line := word, t.line
		switch top {
		case "machine":
			if host, ok = t.next(); !ok {
				return nil, login{}, fmt.Errorf("line %d: machine without a name", line)
			}
		case "default":
		case "macdef":
			t.skipMacro()
			word, ok = t.next()
			continue
		default:
			return nil, login{}, fmt.Errorf("line %d: %q is none of machine, default and macdef", line, top)
		}
		var l login
		for {
			if word, ok = t.next(); !ok || word == "machine" || word == "default" || word == "macdef" {
				break
			}
			var field *string
			switch word {
			case "login", "user":
				field = &l.user
			case "password":
				field = &l.password
			case "account":
				field = new(string)
			default:
				return nil, login{}, fmt.Errorf("line %d: %q is none of login, password and account", t.line, word)
			}
			value, more := t.next()
			if !more {
				return nil, login{}, fmt.Errorf("line %d: %s without a value", t.line, word)
			}
			*field = value
		}
		if top == "default" {
			if !hasRest {
				rest, hasRest = l, true
			}
			continue
		}
		host = strings.ToLower(host)
		if _, there := machines[host]; !there {
			machines[host] = l
		}
	}
	if t.err != nil {
		return nil, login{}, t.err
	}
	return machines, rest, nil
}

type netrcTokens struct {
	in   *bufio.Reader
	line int
	err  error
}

// next gives the next token, false at the end of the file. A quoted token may
// be empty.
func (t *netrcTokens) next() (string, bool) {
	for {
		c, ok := t.byte()
		switch {
		case !ok:
			return "", false
		case isBlank(c):
			continue
		case c == '#':
			t.skipLine()
			continue
		}
		var b strings.Builder
		if c == '"' {
			for {
				c, ok = t.byte()
				if !ok || c == '"' {
					return b.String(), true
				}
				if c == '\\' {
					if c, ok = t.byte(); !ok {
						return b.String(), true
					}
				}
				b.WriteByte(c)
			}
		}
		for ok && !isBlank(c) {
			if c == '\\' {
				if c, ok = t.byte(); !ok {
					break
				}
			}
			b.WriteByte(c)
			c, ok = t.byte()
		}
		if ok && c == '\n' {
			// The line is counted when the next token is read, so that errors
			// name the line of this one.
			t.line--
			t.in.UnreadByte()
		}
		return b.String(), true
	}
}

func (t *netrcTokens) byte() (byte, bool) {
	c, err := t.in.ReadByte()
	if err != nil {
		if err != io.EOF {
			t.err = err
		}
		return 0, false
	}
	if c == '\n' {
		t.line++
	}
	return c, true
}

func (t *netrcTokens) skipLine() {
	for c, ok := t.byte(); ok && c != '\n'; c, ok = t.byte() {
	}
}

// skipMacro reads to the end of the next empty line.
func (t *netrcTokens) skipMacro() {
	t.skipLine()
	for blank := false; ; {
		c, ok := t.byte()
		if !ok {
			return
		}
		if c == '\n' {
			if blank {
				return
			}
			blank = true
		} else if !isBlank(c) {
			blank = false
		}
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
