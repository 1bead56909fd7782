package record_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/provenance"
	"nestgen/record"
	"nestgen/tilelog"
)

const moment = 1795306352123456 // 2026-11-22T00:12:32.123456Z

func aFile() *catalog.File {
	f := &catalog.File{
		Project: "foo", Filename: "foo-1.0-py3-none-any.whl", Spelling: "Foo", Version: "1.0", Kind: packaging.Wheel, Size: 123,
		SHA256: catalog.Digest{1}, BLAKE2b: catalog.Digest{2}, RequiresPython: ">=3.8, <4", Uploaded: moment,
		Yanked: catalog.Yank{Yanked: true, Reason: "broken & <b>"}, Metadata: catalog.Digest{3},
		Signed: true, SignatureSum: catalog.Digest{4}, Provenance: true, ProvenanceSum: catalog.Digest{5},
		Publisher: provenance.Publisher{Kind: "GitHub", Repository: "a/b", Workflow: "release.yml"}, Source: "pypi",
	}
	f.Path = layout.File(f.BLAKE2b, f.Filename)
	return f
}

func anEvent(serial int64, verb catalog.Verb) catalog.Event {
	return catalog.Event{Serial: serial, Time: moment, Verb: verb, Project: "foo", Source: "pypi"}
}

var records = map[string]catalog.Record{
	`{"serial":1,"time":"2026-11-22T00:12:32.123456Z","verb":"add","project":"foo","filename":"foo-1.0-py3-none-any.whl",` +
		`"sha256":"0100000000000000000000000000000000000000000000000000000000000000","source":"pypi","file":{` +
		`"path":"packages/02/00/000000000000000000000000000000000000000000000000000000000000/foo-1.0-py3-none-any.whl","version":"1.0",` +
		`"kind":"bdist_wheel","size":123,"sha256":"0100000000000000000000000000000000000000000000000000000000000000",` +
		`"blake2b_256":"0200000000000000000000000000000000000000000000000000000000000000","requires_python":">=3.8, <4",` +
		`"upload_time":"2026-11-22T00:12:32.123456Z","yanked":"broken & <b>","source_yank":{"yanked":false},` +
		`"metadata_sha256":"0300000000000000000000000000000000000000000000000000000000000000","signed":true,` +
		`"signature_sha256":"0400000000000000000000000000000000000000000000000000000000000000","provenance":true,` +
		`"provenance_sha256":"0500000000000000000000000000000000000000000000000000000000000000",` +
		`"publisher":{"kind":"GitHub","repository":"a/b","workflow":"release.yml"},"spelling":"Foo","source":"pypi"}}`: func() catalog.Record {
		e := anEvent(1, catalog.Add)
		e.Filename, e.SHA256 = "foo-1.0-py3-none-any.whl", catalog.Digest{1}
		return catalog.Record{Event: e, File: aFile()}
	}(),
	`{"serial":2,"time":"2026-11-22T00:12:32.123456Z","verb":"status","project":"foo","source":"pypi","standing":{"state":"archived","reason":"over"}}`: {
		Event: anEvent(2, catalog.Mark), Standing: &catalog.Standing{Status: catalog.Status{State: catalog.Archived, Reason: "over"}},
	},
	`{"serial":3,"time":"2026-11-22T00:12:32.123456Z","verb":"links","project":"foo","source":"pypi","links":[{"url":"https://example.org/a?b&c","egg":"foo","version":"1"}]}`: {
		Event: anEvent(3, catalog.Relink), Links: []catalog.Link{{Project: "foo", URL: "https://example.org/a?b&c", Egg: "foo", Version: "1"}},
	},
	`{"serial":4,"time":"2026-11-22T00:12:32.123456Z","verb":"snapshot","reason":"before"}`: {
		Event: catalog.Event{Serial: 4, Time: moment, Verb: catalog.Snapshot, Reason: "before"},
	},
}

// The form of a record never changes: hashes of it stand in logs.
func TestForm(t *testing.T) {
	var enc record.Encoder
	for want, r := range records {
		got, err := enc.Encode(&r)
		if err != nil || string(got) != want {
			t.Errorf("Encode gives %s, %v\nwant %s", got, err, want)
		}
		if got, err := record.Decode([]byte(want)); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("Decode gives %+v, %v\nwant %+v", got, err, r)
		}
	}
}

// What a file's source says of its being yanked, and what the upstream's address is,
// is told from one another; an address is not told at all.
func TestAddressIsLeftOut(t *testing.T) {
	f := aFile()
	f.URL = "https://user:secret@example.org/foo"
	var enc record.Encoder
	leaf, err := enc.Encode(&catalog.Record{Event: anEvent(1, catalog.Add), File: f})
	if err != nil || strings.Contains(string(leaf), "secret") {
		t.Errorf("%s, %v", leaf, err)
	}
}

// However long and odd texts are, a leaf has room for them, and can be read again.
func TestLongTexts(t *testing.T) {
	var enc record.Encoder
	for _, text := range []string{strings.Repeat("x", 20<<10), strings.Repeat("\x01", 20<<10), strings.Repeat("\xff", 1<<20), strings.Repeat("é\u2028", 9000)} {
		f := aFile()
		f.Yanked.Reason, f.SourceYank, f.RequiresPython = text, catalog.Yank{Yanked: true, Reason: text}, text
		r := catalog.Record{Event: anEvent(1, catalog.Yanking), File: f}
		r.Filename, r.Reason = f.Filename, text
		leaf, err := enc.Encode(&r)
		if err != nil || len(leaf) > record.MaxSize {
			t.Fatalf("%d bytes, %v", len(leaf), err)
		}
		if bytes.Contains(leaf, []byte(`"abridged":true`)) != bytes.Contains(leaf, []byte("sha256:")) {
			t.Errorf("%s", leaf)
		}
		got, err := record.Decode(leaf)
		if err != nil || got.File.SHA256 != f.SHA256 {
			t.Errorf("%v", err)
		}
		leaf = bytes.Clone(leaf)
		if again, err := enc.Encode(&got); err != nil || !bytes.Equal(again, leaf) {
			t.Errorf("%s, then\n%s: %v", leaf, again, err)
		}
	}
}

// The links of one event have room in a leaf, whatever they are made of.
func TestLinksHaveRoom(t *testing.T) {
	for _, n := range []int{8, 12, 60, 500, 8 << 10, 1 << 20} {
		r := catalog.Record{Event: anEvent(1, catalog.Relink)}
		for range max(1, (8<<10)/(n+4)) { // as package catalog counts them
			r.Links = append(r.Links, catalog.Link{Project: r.Project, URL: strings.Repeat("\x01", n-3), Egg: "\x01", Version: "\x01", Source: "\x01"})
		}
		var enc record.Encoder
		if leaf, err := enc.Encode(&r); err != nil {
			t.Errorf("%d of %d bytes: %d, %v", len(r.Links), n, len(leaf), err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for good, r := range records {
		for _, change := range []struct{ old, new string }{
			{`{"serial":`, `{ "serial":`},
			{`"verb":`, `"Verb":`},
			{`"serial":`, `"serial":0,"serial":`},
			{`.123456Z`, `.12345Z`},
			{`}`, `} `},
			{`"project":"foo"`, `"project":"Foo"`},
			{`"serial":`, `"more":1,"serial":`},
			{`"serial":1`, `"serial":-1`},
			{`packages/02/`, `packages/../`},
			{`foo-1.0-py3-none-any.whl"`, `../foo-1.0-py3-none-any.whl"`},
			{`"bdist_wheel"`, `"wheel"`},
			{`"size":123`, `"size":-1`},
			{`"0300`, `"03`},
			{`"signed":true`, `"signed":false`},
			{`"source_yank":{"yanked":false}`, `"source_yank":{"yanked":true,"reason":"broken & <b>"}`},
			{`}`, `,"abridged":true}`},
		} {
			bad := strings.Replace(good, change.old, change.new, 1)
			if bad == good {
				continue
			}
			if _, err := record.Decode([]byte(bad)); !errors.Is(err, record.ErrForm) {
				t.Errorf("record %d with %s: %v", r.Serial, change.new, err)
			}
		}
	}
}

func TestPage(t *testing.T) {
	for want, p := range map[string]catalog.Page{
		"0100000000000000000000000000000000000000000000000000000000000000  12  simple/foo/index.html": {Path: "simple/foo/index.html", Size: 12, SHA256: catalog.Digest{1}},
		"-  0  simple/foo/index.html": {Path: "simple/foo/index.html"},
	} {
		if got := string(record.AppendPage(nil, p)); got != want {
			t.Errorf("AppendPage gives %q, want %q", got, want)
		}
		if got, err := record.DecodePage([]byte(want)); err != nil || got != p {
			t.Errorf("DecodePage(%q) = %+v, %v", want, got, err)
		}
		for i := range want {
			bad := []byte(want)
			bad[i] ^= 1
			if got, err := record.DecodePage(bad); err == nil && got == p {
				t.Errorf("DecodePage(%q) is the same page", bad)
			}
		}
	}
	for _, bad := range []string{"", "-", "-  0", "-  0  ", "-  00  a", "-  -1  a", "-  +1  a", "0  1  a", strings.Repeat("0", 64) + "  1  a"} {
		if p, err := record.DecodePage([]byte(bad)); !errors.Is(err, record.ErrForm) {
			t.Errorf("DecodePage(%q) = %+v, %v", bad, p, err)
		}
	}
}

// What can be read is what would be written.
func FuzzDecode(f *testing.F) {
	for leaf := range records {
		f.Add([]byte(leaf))
	}
	f.Fuzz(func(t *testing.T, leaf []byte) {
		r, err := record.Decode(leaf)
		if err != nil {
			if !errors.Is(err, record.ErrForm) {
				t.Errorf("%v", err)
			}
			return
		}
		var enc record.Encoder
		again, err := enc.Encode(&r)
		if err != nil || !bytes.Equal(again, leaf) {
			t.Errorf("%s\nis written as %s, %v", leaf, again, err)
		}
	})
}

func FuzzDecodePage(f *testing.F) {
	f.Add([]byte("0100000000000000000000000000000000000000000000000000000000000000  12  simple/foo/index.html"))
	f.Add([]byte("-  0  a"))
	f.Fuzz(func(t *testing.T, leaf []byte) {
		if p, err := record.DecodePage(leaf); err == nil && !bytes.Equal(record.AppendPage(nil, p), leaf) {
			t.Errorf("%q is written as %q", leaf, record.AppendPage(nil, p))
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	r := catalog.Record{Event: anEvent(1, catalog.Add), File: aFile()}
	var enc record.Encoder
	b.ReportAllocs()
	for b.Loop() {
		if _, err := enc.Encode(&r); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPagesRoot(t *testing.T) {
	good := "pages 5 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	p, err := record.ParsePagesRoot(tilelog.Checkpoint{Extensions: []string{good}})
	if err != nil || p.Size != 5 || p.String() != good {
		t.Errorf("%+v, %v", p, err)
	}
	for _, lines := range [][]string{
		nil, {good, good}, {""}, {"pages"}, {"pages 5"}, {good + " "}, {" " + good}, {good + "\n"},
		{strings.Replace(good, " 5", " 05", 1)}, {strings.Replace(good, " 5", " +5", 1)}, {strings.Replace(good, " 5", " -5", 1)},
		{strings.Replace(good, " 5", "  5", 1)}, {strings.Replace(good, "U=", "V=", 1)}, {strings.Replace(good, " 5", " 99999999999999999999", 1)},
		{strings.Replace(good, " 5", " 99999999999999999", 1)},
	} {
		if p, err := record.ParsePagesRoot(tilelog.Checkpoint{Extensions: lines}); err == nil {
			t.Errorf("%q is taken for %+v", lines, p)
		}
	}
}
