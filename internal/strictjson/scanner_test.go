package strictjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"nestgen/internal/strictjson"
)

// read reads one value of whatever kind.
func read(text string) error {
	s := strictjson.New([]byte(text))
	if err := s.Skip(); err != nil {
		return err
	}
	return s.End()
}

func TestSkip(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":[1,-2.5e3,"x",true,false,null,{}]}`: "", ` [ ] `: "", `"\u00e9\ud83d\ude00\n"`: "",
		`{"a":1,"a":2}`: "twice", `{"a":1,"\u0061":2}`: "twice", `{"a":1}x`: "after the end", `[1,]`: "not a value", `{"a"}`: "want",
		`"a`: "no end", "\"\x01\"": "control", "\"\xff\"": "UTF-8", `"\x"`: "escape", `01`: "after the end", `1.`: "number", ``: "not a value", `nul`: "not a value",
		strings.Repeat("[", 100) + strings.Repeat("]", 100): "deep",
	} {
		err := read(text)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !errors.Is(err, strictjson.ErrSyntax)) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
}

func TestObjectKnowsKeysAsTheyAreSpelled(t *testing.T) {
	s := strictjson.New([]byte(`{"Name":"a","name":"b","other":{"name":1}}`))
	got := ""
	err := s.Object([]string{"name"}, func(key int) error {
		if key < 0 {
			return s.Skip()
		}
		text, err := s.Text()
		got += string(text)
		return err
	})
	if err != nil || got != "b" {
		t.Errorf("%q, %v", got, err)
	}
}

// What is taken here every reader of JSON takes.
func FuzzSkip(f *testing.F) {
	f.Add(`{"a":[1,-2.5e3,"x\u00e9\ud800",true,null,{}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		if read(text) == nil && !json.Valid([]byte(text)) {
			t.Fatalf("%q is taken", text)
		}
	})
}
