package allowlist

import (
	"errors"
	"strings"
	"testing"
)

// RF-1, row 44.
func TestDecode(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"UTF-8", "caf\xc3\xa9", "café"},
		{"UTF-8 mark", "\xef\xbb\xbfcaf\xc3\xa9", "café"},
		{"UTF-16 little-endian", "\xff\xfec\x00\xe9\x00\x3d\xd8\x00\xde", "cé😀"},
		{"UTF-16 big-endian", "\xfe\xff\x00c\x00\xe9\xd8\x3d\xde\x00", "cé😀"},
		{"UTF-32 little-endian", "\xff\xfe\x00\x00c\x00\x00\x00\x00\xf6\x01\x00", "c😀"},
		{"UTF-32 big-endian", "\x00\x00\xfe\xff\x00\x00\x00c\x00\x01\xf6\x00", "c😀"},
		{"mark beats comment", "\xef\xbb\xbf# coding: latin-1\n\xc3\xa9", "# coding: latin-1\né"},
		{"comment in line 1", "# -*- coding: latin-1 -*-\n\xe9", "# -*- coding: latin-1 -*-\né"},
		{"comment in line 2", "x\n# vim: set fileencoding=cp1252 :\n\x80", "x\n# vim: set fileencoding=cp1252 :\n€"},
		{"comment in line 3 is none", "x\n\n# coding: latin-1\n\xc3\xa9", "x\n\n# coding: latin-1\né"},
		{"not in a comment", "x # coding: latin-1\n\xc3\xa9", "x # coding: latin-1\né"},
		{"KOI8-R", "#coding:koi8-r\n\xc6", "#coding:koi8-r\nф"},
		{"Shift JIS", "#coding=shift_jis\n\x82\xa0", "#coding=shift_jis\nあ"},
		{"ASCII", "#coding=ascii\nx", "#coding=ascii\nx"},
		{"underscore for dash", "#coding=UTF_8\n\xc3\xa9", "#coding=UTF_8\né"},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		if got, err := decode([]byte(tt.in)); err != nil || got != tt.want {
			t.Errorf("%s: decode(%q) = %q, %v, want %q", tt.name, tt.in, got, err, tt.want)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	tests := []struct {
		name, in, text string
		line           int
	}{
		{"latin-1 without a comment", "a\r\nb\ncaf\xe9", "byte 0xe9 is not valid UTF-8", 3},
		{"UTF-8 mark, other text", "\xef\xbb\xbf\xff", "byte 0xff is not valid UTF-8", 1},
		{"surrogate in UTF-8", "\xed\xa0\x80", "byte 0xed is not valid UTF-8", 1},
		{"odd UTF-16", "\xff\xfea\x00\n\x00b", "ends in the middle", 2},
		{"half a UTF-16 character", "\xff\xfe\x3d\xd8a\x00", "half a character, 0xd83d", 1},
		{"UTF-16 ends with half a character", "\xff\xfe\x3d\xd8", "half a character", 1},
		{"short UTF-32", "\x00\x00\xfe\xff\x00", "ends in the middle", 1},
		{"UTF-32 out of range", "\x00\x00\xfe\xff\x00\x11\x00\x00", "0x00110000 is not a character", 1},
		{"unknown encoding", "# coding: klingon\n", `unknown encoding "klingon"`, 0},
		{"not ASCII", "# coding: ascii\n\n\xe9", "not valid ASCII", 3},
		{"not GBK", "# coding: gbk\n\xff", "not valid gbk", 2},
	}
	for _, tt := range tests {
		_, err := decode([]byte(tt.in))
		e, ok := errors.AsType[*decodeError](err)
		if !ok || !strings.Contains(e.text, tt.text) || e.line != tt.line {
			t.Errorf("%s: decode(%q) gives %+v, want %q in line %d", tt.name, tt.in, err, tt.text, tt.line)
		}
	}
	if l := readText("a\ncaf\xe9"); len(l.Wants) != 0 || l.Problems[0].Pip != PipRefusesFile || !strings.Contains(l.Problems[0].Hint, "coding: latin-1") {
		t.Errorf("a list in latin-1 without a comment gives %+v", l)
	}
}
