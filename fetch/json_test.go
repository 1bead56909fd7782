package fetch_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"nestgen/catalog"
	"nestgen/fetch"
)

// page wraps the members of one file into a page.
func page(file string) string {
	return `{"meta":{"api-version":"1.1"},"files":[{"filename":"foo-1.0.tar.gz","url":"foo-1.0.tar.gz",` + file + `}]}`
}

// Members of a file, as contract §1.3 says that they are read.
func TestReadJSONFile(t *testing.T) {
	h := strings.Repeat("ab", 32)
	tests := []struct {
		name, in string
		want     catalog.Offer // Filename, URL and Size -1 are filled in
	}{
		{"no hashes", `"hashes":{}`, catalog.Offer{}},
		{"hash in upper case", `"hashes":{"SHA256":"` + strings.ToUpper(h) + `"}`, catalog.Offer{Hashes: map[string]string{"sha256": h}}},
		{"unknown hash kept", `"hashes":{"sha999":"abcd","sha256":"` + h + `"}`, catalog.Offer{Hashes: map[string]string{"sha256": h, "sha999": "abcd"}}},
		{"escaped key is the key", `"hashes":{"\u0073ha256":"` + h + `"}`, catalog.Offer{Hashes: map[string]string{"sha256": h}}},
		{"key in another case is not", `"hashes":{},"Yanked":true,"SIZE":7`, catalog.Offer{}},
		{"yanked true", `"hashes":{},"yanked":true`, catalog.Offer{Yanked: catalog.Yank{Yanked: true}}},
		{"yanked with a reason", `"hashes":{},"yanked":"bad <&\"> \u00e9"`, catalog.Offer{Yanked: catalog.Yank{Yanked: true, Reason: `bad <&"> é`}}},
		{"yanked empty text is not", `"hashes":{},"yanked":""`, catalog.Offer{}},
		{"yanked false, null", `"hashes":{},"yanked":false`, catalog.Offer{}},
		{"yanked null", `"hashes":{},"yanked":null`, catalog.Offer{}},
		{"yanked number is one, to be safe", `"hashes":{},"yanked":1`, catalog.Offer{Yanked: catalog.Yank{Yanked: true}}},
		{"core-metadata true", `"hashes":{},"core-metadata":true`, catalog.Offer{Metadata: catalog.MetadataOffer{Offered: true}}},
		{"core-metadata empty object", `"hashes":{},"core-metadata":{}`, catalog.Offer{Metadata: catalog.MetadataOffer{Offered: true}}},
		{"core-metadata false wins over the old key", `"hashes":{},"dist-info-metadata":true,"core-metadata":false`, catalog.Offer{}},
		{"core-metadata null does not", `"hashes":{},"core-metadata":null,"dist-info-metadata":true`, catalog.Offer{Metadata: catalog.MetadataOffer{Offered: true}}},
		{"the misnomer", `"hashes":{},"data-dist-info-metadata":{"sha256":"` + h + `"}`, catalog.Offer{Metadata: catalog.MetadataOffer{Offered: true, Hashes: map[string]string{"sha256": h}}}},
		{"the first of three keys", `"hashes":{},"data-dist-info-metadata":false,"dist-info-metadata":true`, catalog.Offer{Metadata: catalog.MetadataOffer{Offered: true}}},
		{"size", `"hashes":{},"size":9223372036854775807`, catalog.Offer{Size: 9223372036854775807}},
		{"size null", `"hashes":{},"size":null`, catalog.Offer{}},
		{"size too large", `"hashes":{},"size":9223372036854775808`, catalog.Offer{}},
		{"size a fraction", `"hashes":{},"size":1.5`, catalog.Offer{}},
		{"size negative", `"hashes":{},"size":-5`, catalog.Offer{}},
		{"upload-time", `"hashes":{},"upload-time":"1970-01-01T00:00:01.5Z"`, catalog.Offer{Uploaded: 1500000}},
		{"upload-time with an offset", `"hashes":{},"upload-time":"1970-01-01T01:00:01+01:00"`, catalog.Offer{Uploaded: 1000000}},
		{"upload-time empty", `"hashes":{},"upload-time":""`, catalog.Offer{}},
		{"upload-time that is none", `"hashes":{},"upload-time":"yesterday"`, catalog.Offer{}},
		{"requires-python", `"hashes":{},"requires-python":">=3.9"`, catalog.Offer{RequiresPython: ">=3.9"}},
		{"requires-python null", `"hashes":{},"requires-python":null`, catalog.Offer{}},
		{"provenance", `"hashes":{},"provenance":"https://u:p@h.example/x"`, catalog.Offer{Provenance: "https://h.example/x"}},
		{"provenance by http", `"hashes":{},"provenance":"http://h.example/x"`, catalog.Offer{}},
		{"provenance relative (API-11)", `"hashes":{},"provenance":"../x"`, catalog.Offer{}},
		{"gpg-sig", `"hashes":{},"gpg-sig":true`, catalog.Offer{Signed: true}},
	}
	for _, tt := range tests {
		l, err := fetch.ReadJSON([]byte(page(tt.in)), base)
		if err != nil || len(l.Offers) != 1 {
			t.Errorf("%s: %d files, error %v, warnings %q", tt.name, len(l.Offers), err, l.Warnings)
			continue
		}
		want := tt.want
		want.Filename, want.URL = "foo-1.0.tar.gz", "https://pypi.example/simple/foo-bar/foo-1.0.tar.gz"
		if want.Size == 0 {
			want.Size = -1
		}
		if !reflect.DeepEqual(l.Offers[0], want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.name, l.Offers[0], want)
		}
	}
}

// Files that are left out, while the rest of the page counts.
func TestReadJSONLeftOut(t *testing.T) {
	for name, file := range map[string]string{
		"not an object":             `"foo-1.0.tar.gz"`,
		"no filename":               `{"url":"x","hashes":{}}`,
		"filename null":             `{"filename":null,"url":"x","hashes":{}}`,
		"no url":                    `{"filename":"foo-2.0.tar.gz","hashes":{}}`,
		"url a number":              `{"filename":"foo-2.0.tar.gz","url":7,"hashes":{}}`,
		"url of another scheme":     `{"filename":"foo-2.0.tar.gz","url":"ftp://h/x","hashes":{}}`,
		"url of a file":             `{"filename":"foo-2.0.tar.gz","url":"file:///x","hashes":{}}`,
		"hashes a text":             `{"filename":"foo-2.0.tar.gz","url":"x","hashes":"sha256"}`,
		"a hash that is a number":   `{"filename":"foo-2.0.tar.gz","url":"x","hashes":{"sha256":1}}`,
		"one hash with two values":  `{"filename":"foo-2.0.tar.gz","url":"x","hashes":{"sha256":"aa","SHA256":"bb"}}`,
		"more hashes than sensible": `{"filename":"foo-2.0.tar.gz","url":"x","hashes":{` + many(40) + `}}`,
	} {
		in := `{"meta":{"api-version":"1.0"},"files":[` + file + `,{"filename":"foo-1.0.tar.gz","url":"foo-1.0.tar.gz","hashes":{}}]}`
		l, err := fetch.ReadJSON([]byte(in), base)
		if err != nil || len(l.Offers) != 1 || l.Offers[0].Filename != "foo-1.0.tar.gz" || len(l.Warnings) != 1 {
			t.Errorf("%s: files %v, warnings %q, error %v", name, l.Offers, l.Warnings, err)
		}
	}
}

func many(n int) string {
	var list []string
	for i := range n {
		list = append(list, `"h`+string(rune('a'+i%26))+string(rune('a'+i/26))+`":"ab"`)
	}
	return strings.Join(list, ",")
}

// Pages that are refused as a whole.
func TestReadJSONRefused(t *testing.T) {
	for name, in := range map[string]string{
		"empty":                       ``,
		"an array":                    `[]`,
		"no meta":                     `{"files":[]}`,
		"no files":                    `{"meta":{"api-version":"1.0"}}`,
		"files null":                  `{"meta":{"api-version":"1.0"},"files":null}`,
		"files an object":             `{"meta":{"api-version":"1.0"},"files":{}}`,
		"meta null":                   `{"meta":null,"files":[]}`,
		"API version 2":               `{"meta":{"api-version":"2.0"},"files":[]}`,
		"API version a number":        `{"meta":{"api-version":1.0},"files":[]}`,
		"API version none":            `{"meta":{"api-version":"1"},"files":[]}`,
		"key twice":                   `{"meta":{},"files":[],"files":[]}`,
		"key twice, once escaped":     `{"meta":{},"files":[],"\u0066iles":[]}`,
		"unknown key twice":           `{"meta":{},"files":[],"x":1,"x":2}`,
		"unknown key twice, many":     `{"meta":{},"files":[],` + many(30) + `,"haa":1}`,
		"key twice in meta":           `{"meta":{"api-version":"1.0","api-version":"1.0"},"files":[]}`,
		"key twice in a file":         page(`"hashes":{},"size":1,"size":2`),
		"key twice in hashes":         page(`"hashes":{"sha256":"aa","sha256":"bb"}`),
		"key twice in what is nested": `{"meta":{},"files":[],"x":{"y":[{"a":1,"a":2}]}}`,
		"something behind it":         `{"meta":{},"files":[]} x`,
		"a byte order mark":           "\ufeff" + `{"meta":{},"files":[]}`,
		"trailing comma":              `{"meta":{},"files":[],}`,
		"single quotes":               `{'meta':{},'files':[]}`,
		"a comment":                   `{"meta":{},/* */"files":[]}`,
		"NaN":                         page(`"hashes":{},"size":NaN`),
		"a number with a zero":        page(`"hashes":{},"size":01`),
		"a number with a plus":        page(`"hashes":{},"size":+1`),
		"a control character":         page("\"hashes\":{},\"yanked\":\"a\nb\""),
		"a wrong escape":              page(`"hashes":{},"yanked":"\x"`),
		"half an escape":              page(`"hashes":{},"yanked":"\u12"`),
		"not UTF-8":                   page("\"hashes\":{},\"yanked\":\"\xff\""),
		"not UTF-8 behind an escape":  page("\"hashes\":{},\"yanked\":\"\\n\xff\""),
		"nested deep":                 `{"meta":{},"files":[],"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
	} {
		if l, err := fetch.ReadJSON([]byte(in), base); err == nil {
			t.Errorf("%s: no error, %d files", name, len(l.Offers))
		}
	}
}

// What a page says of the project.
func TestReadJSONProject(t *testing.T) {
	l, err := fetch.ReadJSON([]byte(`{"name":"Foo.Bar","meta":{"api-version":"1.4","_last-serial":"42","status":"ignored"},
		"versions":["1.0","weird",3],"files":[],"project-status":{"status":"archived","reason":"done"},"alternate-locations":[{"a":[]}]}`), base)
	if err != nil {
		t.Fatal(err)
	}
	if l.Name != "Foo.Bar" || l.Serial != 42 || !reflect.DeepEqual(l.Versions, []string{"1.0", "weird"}) ||
		l.Status != (catalog.Status{State: catalog.Archived, Reason: "done"}) {
		t.Errorf("listing %+v", l)
	}
	l, err = fetch.ReadJSON([]byte(`{"meta":{"api-version":"1.9"},"files":[],"project-status":{"status":"haunted"}}`), base)
	if err != nil || l.Status.State != catalog.Active || len(l.Warnings) != 2 || l.Versions != nil {
		t.Errorf("newer version, unknown status: %+v, %v", l, err)
	}
}

// Every page that encoding/json refuses is refused here too, and of those that
// it takes without a repeated key the same files are read.
func agree(t *testing.T, data []byte) {
	t.Helper()
	l, err := fetch.ReadJSON(data, base)
	if err != nil {
		return
	}
	if !json.Valid(data) {
		t.Fatalf("encoding/json refuses what was read: %q", data)
	}
	if !utf8.Valid(data) {
		t.Fatalf("read a page that is not UTF-8")
	}
	var page struct {
		Files []map[string]any `json:"files"`
	}
	if err := json.Unmarshal(data, &page); err != nil {
		return // files of another shape: they are left out
	}
	names := map[string]bool{}
	for _, f := range page.Files {
		if name, ok := f["filename"].(string); ok {
			names[name] = true
		}
	}
	for _, o := range l.Offers {
		if !names[o.Filename] {
			t.Fatalf("file %q is not one that encoding/json sees", o.Filename)
		}
		if !strings.HasPrefix(o.URL, "http://") && !strings.HasPrefix(o.URL, "https://") || strings.Contains(o.URL, "#") {
			t.Fatalf("address %q", o.URL)
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	f.Add(jsonOf(2))
	f.Add([]byte(`{"meta":{"api-version":"1.0"},"files":[]}`))
	f.Add([]byte(page(`"hashes":{"SHA256":"AB"},"yanked":"\ud83d\ude00\ud83d","core-metadata":{},"size":1e3`)))
	f.Fuzz(func(t *testing.T, data []byte) { agree(t, data) })
}

// The real pages, with every byte changed in turn to one that means something.
func TestReadJSONMutated(t *testing.T) {
	data := []byte(`{"meta":{"api-version":"1.1","_last-serial":3},"name":"a","files":[{"filename":"a-1.tar.gz","url":"../a-1.tar.gz","hashes":{"sha256":"00"},"yanked":"\u00e9\\","size":12,"core-metadata":true,"gpg-sig":null}],"versions":["1"]}`)
	if _, err := fetch.ReadJSON(data, base); err != nil {
		t.Fatal(err)
	}
	for i := range data {
		for _, c := range []byte("\"\\{}[],:0-e.tnu \x00\xff\n") {
			m := append([]byte{}, data...)
			m[i] = c
			agree(t, m)
		}
		agree(t, append(append([]byte{}, data[:i]...), data[i+1:]...))
		if _, err := fetch.ReadJSON(data[:i], base); err == nil {
			t.Errorf("cut after %d bytes: no error", i)
		}
	}
}

// Pages of the public index and of other real ones, in both forms.
func TestRealPages(t *testing.T) {
	files, err := filepath.Glob("../../shared/data/pages/simple-*/*")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no folder ../shared/data beside the repository: the real pages are not part of it")
	}
	for _, file := range files {
		if strings.HasSuffix(file, ".expected.json") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		before := string(data)
		var l catalog.Listing
		if strings.HasSuffix(file, ".json") {
			l, err = fetch.ReadJSON(data, base)
			agree(t, data)
		} else {
			l, err = fetch.ReadHTML(data, "", base)
		}
		if err != nil || len(l.Offers) == 0 {
			t.Errorf("%s: %d files, error %v", filepath.Base(file), len(l.Offers), err)
		}
		if string(data) != before {
			t.Errorf("%s: reading changed the page", filepath.Base(file))
		}
	}
}
