package confs

import "testing"

// The files can be read by those who wrote them: everything that is to be taken in
// at once is.
func TestParagraphs(t *testing.T) {
	const conf = "a;\n\n# Prose about it,\n# in two lines.\n    #b;\n#<C>\n#    d;\n#</C>\n\n# Other.\n#e;\n"
	got, err := TakeIn([]byte(conf), "two lines")
	if want := "a;\n\n# Prose about it,\n# in two lines.\n    b;\n<C>\n    d;\n</C>\n\n# Other.\n#e;\n"; err != nil || string(got) != want {
		t.Errorf("TakeIn: %q, %v, want %q", got, err, want)
	}
	if got, err = TakeOut([]byte(conf), "a;"); err != nil || string(got) != "#"+conf {
		t.Errorf("TakeOut: %q, %v, want %q", got, err, "#"+conf)
	}
	for _, words := range []string{"a;", "no such words"} {
		if got, err := TakeIn([]byte(conf), words); err == nil {
			t.Errorf("TakeIn of a paragraph with %q, where nothing is out: %q, want an error", words, got)
		}
	}
}

func TestRead(t *testing.T) {
	got, err := Read("../..", "nginx/nestgen-fallback.conf", "/run/nestgen/fcgi.sock", "/other")
	if err != nil {
		t.Fatal(err)
	}
	if got, err = TakeOut(got, "unix:/other"); err != nil {
		t.Error(err)
	}
	if _, err := TakeIn(got, "fcgiwrap starts it"); err != nil {
		t.Error(err)
	}
	if _, err := Read("../..", "nginx/nestgen-fallback.conf", "no such words", ""); err == nil {
		t.Error("words that are not there: no error")
	}
}
