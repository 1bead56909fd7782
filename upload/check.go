package upload

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"nestgen/packaging"
)

// form checks what was read and makes the form of it.
func (f *formReader) form() (*Form, error) {
	for _, name := range formFields {
		for _, v := range f.values[name] {
			if v != f.values[name][0] {
				return nil, bad("the form has more than one %s", name)
			}
		}
	}
	action, err := ParseAction(f.value(":action"))
	if err != nil {
		return nil, &Problem{Status: http.StatusBadRequest, Text: err.Error()}
	}
	if action == ListClassifiers {
		return nil, bad(":action list_classifiers comes with GET, not with POST")
	}
	for _, name := range []string{"protocol_version", "protcol_version"} { // Python 2.7 misspells it
		if v := f.value(name); v != "" && v != "1" {
			return nil, bad("%s %s is not 1", name, quote(v))
		}
	}
	form := &Form{
		Action:    action,
		Name:      f.value("name"),
		Version:   f.value("version"),
		Pyversion: f.value("pyversion"),
		Metadata:  f.metadata(),
	}
	if form.Name != "" {
		if form.Project, err = packaging.ParseName(form.Name); err != nil {
			return nil, bad("invalid project name %s: letters, digits, '.', '_' and '-' only, with a letter or digit at both ends", quote(form.Name))
		}
	}
	if action == FileUpload {
		err = f.checkFile(form)
	}
	if err != nil {
		return nil, err
	}
	return form, nil
}

// value gives the value of a field, without the blanks around it.
func (f *formReader) value(name string) string {
	if len(f.values[name]) == 0 {
		return ""
	}
	return strings.TrimSpace(f.values[name][0])
}

// checkFile holds name, version, file name, file type and digests against each
// other.
func (f *formReader) checkFile(form *Form) error {
	switch {
	case form.Name == "":
		return bad("the form has no name")
	case form.Version == "":
		return bad("the form has no version")
	case f.content == nil:
		return bad("the form has no content")
	}
	if err := f.checkFilename(form); err != nil {
		return err
	}
	n, err := f.checkDigests()
	if err != nil {
		return err
	}
	if n == 0 {
		form.note("no digest was given: nothing says that the bytes are those that were sent")
	}
	form.Size = f.content.size
	form.Digests = f.content.digests()

	if f.signatureName == form.Filename+".asc" {
		form.Signature = f.signature
	} else if f.signatureName != "" {
		form.note("the signature %s is not called %s.asc: left out", quote(f.signatureName), form.Filename)
	}
	if text := f.value("attestations"); text != "" {
		var array []json.RawMessage
		if err := json.Unmarshal([]byte(text), &array); err != nil || array == nil {
			return &Problem{Status: http.StatusBadRequest, Text: "attestations is not a JSON array", Err: err}
		}
		form.Attestations = []byte(f.values["attestations"][0])
	}
	return nil
}

func (form *Form) note(format string, args ...any) {
	form.Notes = append(form.Notes, fmt.Sprintf(format, args...))
}

// checkFilename reads the file's name and holds it against the rest.
func (f *formReader) checkFilename(form *Form) error {
	s := f.content.filename
	file, err := packaging.ParseFilename(s, form.Project)
	if err != nil {
		p := &Problem{Status: http.StatusBadRequest, Text: "Invalid file name " + quote(s), Err: err}
		if e, ok := errors.AsType[*packaging.FilenameError](err); ok {
			p.Text += ": " + e.Fault
			if e.Remedy != "" {
				p.Text += " (" + e.Remedy + ")"
			}
			if errors.Is(err, packaging.ErrNotDistribution) {
				p.Text += "; a wheel, an sdist or another distribution is expected"
			}
		}
		return p
	}
	if !sameVersion(file.Version, form.Version) {
		return bad("version %s is not that of the file %s, which is %s", quote(form.Version), s, file.Version)
	}
	switch filetype := f.value("filetype"); {
	case filetype == "":
		form.note("no filetype was given: %s, by the file's name", file.Kind)
	case filetype != file.Kind.String():
		return bad("filetype %s does not fit the file %s, which is %s by its name", quote(filetype), s, file.Kind)
	}
	if file.Warning != "" {
		form.note("%s: %s", s, file.Warning)
	}
	form.Filename, form.File = s, file
	return nil
}

// sameVersion compares the version of a file name with the form's. Those that
// are none by PEP 440 may differ in what stands between letters and digits:
// file names of wheels, eggs and RPMs cannot have every character.
func sameVersion(file, form string) bool {
	a, errA := packaging.ParseVersion(file)
	b, errB := packaging.ParseVersion(form)
	if errA == nil && errB == nil {
		return a.String() == b.String()
	}
	loose := func(s string) string {
		return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'a' || r > 'z')
		}), "-")
	}
	return errA != nil && errB != nil && loose(file) == loose(form)
}
