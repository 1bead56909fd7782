package allowlist

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// A decodeError is text that is not in the encoding that it should be in.
type decodeError struct {
	text, hint string
	line       int // 0 if the file as a whole is at fault
}

func (e *decodeError) Error() string { return e.text }

// codingComment is the declaration of PEP 263 as pip looks for it.
var codingComment = regexp.MustCompile(`coding[:=][ \t\n\r\f\v]*([-\w.]+)`)

// The byte order marks. UTF-32 little-endian begins like UTF-16, so it is
// looked for first.
var marks = []struct {
	bom    string
	decode func([]byte) (string, error)
}{
	{"\xef\xbb\xbf", decodeUTF8},
	{"\xff\xfe\x00\x00", func(b []byte) (string, error) { return decodeUTF32(b, littleEndian) }},
	{"\x00\x00\xfe\xff", func(b []byte) (string, error) { return decodeUTF32(b, bigEndian) }},
	{"\xff\xfe", func(b []byte) (string, error) { return decodeUTF16(b, littleEndian) }},
	{"\xfe\xff", func(b []byte) (string, error) { return decodeUTF16(b, bigEndian) }},
}

// decode gives the text of a list: by its byte order mark, else by a coding
// comment in its first two lines, else as UTF-8. pip's last resort, the locale
// of whoever runs it, is not one here: a list means the same under cron.
func decode(b []byte) (string, error) {
	for _, m := range marks {
		if rest, ok := bytes.CutPrefix(b, []byte(m.bom)); ok {
			return m.decode(rest)
		}
	}
	if name := declaredCoding(b); name != "" {
		return decodeAs(b, name)
	}
	s, err := decodeUTF8(b)
	if e, ok := errors.AsType[*decodeError](err); ok {
		e.hint = "save the list as UTF-8, or name its encoding in the first line: # -*- coding: latin-1 -*-"
	}
	return s, err
}

// declaredCoding gives the encoding that a comment in the first two lines
// names, or "".
func declaredCoding(b []byte) string {
	for range 2 {
		line, rest, more := bytes.Cut(b, []byte("\n"))
		if bytes.HasPrefix(line, []byte("#")) {
			if m := codingComment.FindSubmatch(line); m != nil {
				return string(m[1])
			}
		}
		if !more {
			break
		}
		b = rest
	}
	return ""
}

// decodeAs decodes text in an encoding that Python has a codec for.
func decodeAs(b []byte, name string) (string, error) {
	key := strings.ReplaceAll(strings.ToLower(name), "-", "_")
	switch key {
	case "utf_8", "utf8", "u8", "utf", "cp65001", "utf_8_sig":
		return decodeUTF8(b)
	case "ascii", "us_ascii", "646":
		for i, c := range b {
			if c >= utf8.RuneSelf {
				return "", badByte(b, i, "ASCII")
			}
		}
		return string(b), nil
	}
	enc := codings[key]
	if enc == nil {
		return "", &decodeError{
			text: fmt.Sprintf("coding comment: unknown encoding %s", quote(name)),
			hint: "save the list as UTF-8 and drop the comment",
		}
	}
	out, err := enc.NewDecoder().Bytes(b)
	if err != nil {
		return "", &decodeError{text: fmt.Sprintf("not valid %s: %v", name, err)}
	}
	// The decoders put U+FFFD where a byte means nothing.
	if i := bytes.IndexRune(out, utf8.RuneError); i >= 0 {
		return "", &decodeError{text: "not valid " + name, line: lineAt(string(out[:i]))}
	}
	return string(out), nil
}

// codings are the encodings beyond Unicode and ASCII that lists are found in,
// by Python's names with "_" for "-".
var codings = map[string]encoding.Encoding{
	"latin_1": charmap.ISO8859_1, "latin1": charmap.ISO8859_1, "iso_8859_1": charmap.ISO8859_1,
	"iso8859_1": charmap.ISO8859_1, "8859": charmap.ISO8859_1, "cp819": charmap.ISO8859_1, "l1": charmap.ISO8859_1,
	"iso_8859_2": charmap.ISO8859_2, "iso8859_2": charmap.ISO8859_2, "latin2": charmap.ISO8859_2, "latin_2": charmap.ISO8859_2,
	"iso_8859_3": charmap.ISO8859_3, "iso8859_3": charmap.ISO8859_3, "latin3": charmap.ISO8859_3,
	"iso_8859_4": charmap.ISO8859_4, "iso8859_4": charmap.ISO8859_4, "latin4": charmap.ISO8859_4,
	"iso_8859_5": charmap.ISO8859_5, "iso8859_5": charmap.ISO8859_5, "cyrillic": charmap.ISO8859_5,
	"iso_8859_7": charmap.ISO8859_7, "iso8859_7": charmap.ISO8859_7, "greek": charmap.ISO8859_7,
	"iso_8859_9": charmap.ISO8859_9, "iso8859_9": charmap.ISO8859_9, "latin5": charmap.ISO8859_9,
	"iso_8859_15": charmap.ISO8859_15, "iso8859_15": charmap.ISO8859_15, "latin9": charmap.ISO8859_15, "latin_9": charmap.ISO8859_15,
	"cp437": charmap.CodePage437, "cp850": charmap.CodePage850, "cp852": charmap.CodePage852, "cp866": charmap.CodePage866,
	"cp1250": charmap.Windows1250, "windows_1250": charmap.Windows1250,
	"cp1251": charmap.Windows1251, "windows_1251": charmap.Windows1251,
	"cp1252": charmap.Windows1252, "windows_1252": charmap.Windows1252,
	"cp1253": charmap.Windows1253, "windows_1253": charmap.Windows1253,
	"cp1254": charmap.Windows1254, "windows_1254": charmap.Windows1254,
	"koi8_r": charmap.KOI8R, "koi8_u": charmap.KOI8U, "mac_roman": charmap.Macintosh,
	"euc_jp": japanese.EUCJP, "shift_jis": japanese.ShiftJIS, "sjis": japanese.ShiftJIS, "cp932": japanese.ShiftJIS,
	"iso_2022_jp": japanese.ISO2022JP, "euc_kr": korean.EUCKR, "cp949": korean.EUCKR,
	"gbk": simplifiedchinese.GBK, "gb2312": simplifiedchinese.GBK, "cp936": simplifiedchinese.GBK, "gb18030": simplifiedchinese.GB18030,
	"big5": traditionalchinese.Big5, "cp950": traditionalchinese.Big5,
}

func decodeUTF8(b []byte) (string, error) {
	s := string(b)
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return "", badByte(b, i, "UTF-8")
			}
		}
	}
	return s, nil
}

// badByte is the error for byte i of b.
func badByte(b []byte, i int, encoding string) error {
	return &decodeError{
		text: fmt.Sprintf("byte 0x%02x is not valid %s", b[i], encoding),
		line: lineAt(string(b[:i])),
	}
}

// lineAt gives the number of the line that follows text.
func lineAt(text string) int {
	n := 1
	for l := range physicalLines(text) {
		if l.ended {
			n++
		}
	}
	return n
}

type byteOrder bool

const (
	littleEndian byteOrder = false
	bigEndian    byteOrder = true
)

func decodeUTF16(b []byte, order byteOrder) (string, error) {
	var s strings.Builder
	s.Grow(len(b) / 2)
	unit := func(i int) rune {
		if order == bigEndian {
			return rune(b[i])<<8 | rune(b[i+1])
		}
		return rune(b[i+1])<<8 | rune(b[i])
	}
	for i := 0; i < len(b); i += 2 {
		if i+2 > len(b) {
			return "", &decodeError{text: "UTF-16 text ends in the middle of a character", line: lineAt(s.String())}
		}
		r := unit(i)
		if utf16.IsSurrogate(r) {
			pair := utf8.RuneError
			if i+4 <= len(b) {
				pair = utf16.DecodeRune(r, unit(i+2))
			}
			if pair == utf8.RuneError {
				return "", &decodeError{text: fmt.Sprintf("UTF-16 text: half a character, 0x%04x", r), line: lineAt(s.String())}
			}
			r = pair
			i += 2
		}
		s.WriteRune(r)
	}
	return s.String(), nil
}

func decodeUTF32(b []byte, order byteOrder) (string, error) {
	var s strings.Builder
	s.Grow(len(b) / 4)
	for i := 0; i < len(b); i += 4 {
		if i+4 > len(b) {
			return "", &decodeError{text: "UTF-32 text ends in the middle of a character", line: lineAt(s.String())}
		}
		n := uint32(b[i+3])<<24 | uint32(b[i+2])<<16 | uint32(b[i+1])<<8 | uint32(b[i])
		if order == bigEndian {
			n = uint32(b[i])<<24 | uint32(b[i+1])<<16 | uint32(b[i+2])<<8 | uint32(b[i+3])
		}
		if n > utf8.MaxRune || utf16.IsSurrogate(rune(n)) {
			return "", &decodeError{text: fmt.Sprintf("UTF-32 text: 0x%08x is not a character", n), line: lineAt(s.String())}
		}
		s.WriteRune(rune(n))
	}
	return s.String(), nil
}
