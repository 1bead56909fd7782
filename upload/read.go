package upload

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Read reads the form of a request. When the uploaded file comes, stage is
// called for the place to write it to; that is at most once, and not at all for
// a form that brings no file. The stage belongs to the caller, who throws it
// away when there is an error or when the form's action is not [FileUpload].
//
// An error that the client has to hear is a [*Problem]. Any other comes from
// the stage. Read does not read on after a fault: [Problem.Write] does.
func Read(r *http.Request, stage func() (Stage, error), limits Limits) (*Form, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		if a := r.URL.Query().Get(":action"); a == ListClassifiers.String() {
			return &Form{Action: ListClassifiers}, nil
		}
	}
	if r.Method != http.MethodPost {
		return nil, &Problem{
			Status: http.StatusMethodNotAllowed,
			Text:   "This is the address for uploads: send a form with POST",
			Allow:  http.MethodPost,
		}
	}
	limits = limits.withDefaults()
	if r.ContentLength > limits.Body {
		return nil, tooLarge("the request has %d bytes, more than %d", r.ContentLength, limits.Body)
	}
	body, err := newBody(r, limits.Body)
	if err != nil {
		return nil, err
	}
	f := &formReader{limits: limits, stage: stage, values: map[string][]string{}}
	if err := f.read(body); err != nil {
		return nil, err
	}
	return f.form()
}

// A body is what a request has after its header. To the multipart reader it has
// no proper end: that takes a body that ends in the header of a part for one that
// ends with its last boundary, and a file could lose what follows it.
type body struct {
	r        io.Reader
	boundary string
	tail     []byte // the last bytes, as many as a last boundary may have
}

// newBody prepares the body for being split.
func newBody(r *http.Request, limit int64) (*body, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil || kind != "multipart/form-data":
		return nil, &Problem{
			Status: http.StatusUnsupportedMediaType,
			Text:   fmt.Sprintf("Content-Type %s is not multipart/form-data", quote(r.Header.Get("Content-Type"))),
		}
	case params["boundary"] == "":
		return nil, bad("the Content-Type multipart/form-data has no boundary")
	case r.Body == nil:
		return nil, bad("the request has no body")
	}
	return &body{r: http.MaxBytesReader(nil, r.Body, limit), boundary: params["boundary"]}, nil
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	keep := len(b.boundary) + len("\n----\r\n")
	b.tail = append(b.tail, p[max(0, n-keep):n]...)
	b.tail = b.tail[max(0, len(b.tail)-keep):]
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// ended reports whether the body ends with its last boundary. It is for one
// without a line end behind that.
func (b *body) ended() bool {
	return bytes.HasSuffix(bytes.TrimRight(b.tail, "\r\n"), []byte("\n--"+b.boundary+"--"))
}

// A formReader takes in one form.
type formReader struct {
	limits Limits
	stage  func() (Stage, error)

	values map[string][]string // of the text fields that are known
	parts  int
	text   int64 // bytes read of all but the file

	content       *content // nil until the file came
	signature     []byte
	signatureName string
}

// read takes in field by field. The multipart reader takes every framing that
// is met: distutils puts a line end before the first boundary, and its register
// ends all lines with a bare line feed (contract UP-3).
func (f *formReader) read(b *body) error {
	for parts := multipart.NewReader(b, b.boundary); ; {
		p, err := parts.NextPart()
		if err == io.EOF || err != nil && errors.Is(err, io.ErrUnexpectedEOF) && b.ended() {
			return nil
		}
		if err != nil {
			return f.unreadable(err)
		}
		if f.parts++; f.parts > f.limits.Fields {
			return tooLarge("the form has more than %d fields", f.limits.Fields)
		}
		if err := f.part(p); err != nil {
			return err
		}
	}
}

// part takes in one field.
func (f *formReader) part(p *multipart.Part) error {
	// Part.FileName cuts folders off, which would make "../../etc/x" a name
	// like any other.
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	if err != nil || params["name"] == "" {
		return bad("field %d of the form has no name", f.parts)
	}
	name := params["name"]
	filename, isFile := params["filename"]
	switch {
	case name == "content":
		if !isFile {
			return bad("the field content has no file name")
		}
		return f.readContent(p, filename)
	case name == "gpg_signature" && isFile:
		data, err := f.readField(p, name)
		f.signature, f.signatureName = data, filename
		return err
	case known(name):
		data, err := f.readField(p, name)
		if err != nil {
			return err
		}
		if v := plain(data); v != "" {
			f.values[name] = append(f.values[name], v)
		}
		return nil
	}
	n, err := io.Copy(io.Discard, io.LimitReader(p, f.limits.Field+1))
	return f.count(name, n, err)
}

// readField reads one field that is not the file.
func (f *formReader) readField(p *multipart.Part, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(p, f.limits.Field+1))
	return data, f.count(name, int64(len(data)), err)
}

// count holds what was read of a field against the limits.
func (f *formReader) count(name string, n int64, err error) error {
	f.text += n
	switch {
	case err != nil:
		return f.unreadable(err)
	case n > f.limits.Field:
		return tooLarge("the field %s has more than %d bytes", quote(name), f.limits.Field)
	case f.text > f.limits.Text:
		return tooLarge("the fields of the form have more than %d bytes together", f.limits.Text)
	}
	return nil
}

// plain gives the text of a field, without what distutils sends for an empty
// one: "UNKNOWN" in Python 2, "None" in Python 3 (contract UP-6).
func plain(data []byte) string {
	v := string(data)
	if !utf8.ValidString(v) {
		v = strings.ToValidUTF8(v, "\ufffd")
	}
	switch strings.TrimSpace(v) {
	case "", "UNKNOWN", "None":
		return ""
	}
	return v
}

// readContent streams the file to the stage.
func (f *formReader) readContent(p *multipart.Part, filename string) error {
	if f.content != nil {
		return bad("the form has more than one content")
	}
	f.content = &content{filename: filename}
	if a := f.values[":action"]; a != nil && a[0] != FileUpload.String() {
		_, err := io.Copy(io.Discard, p)
		return f.unreadable(err) // of no use to any other action
	}
	s, err := f.stage()
	if err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	f.content.stage = stageWriter{Stage: s}
	f.content.hash(f.expected())
	// What comes from the multipart reader comes in pieces of 4 KiB.
	w := bufio.NewWriterSize(f.content, 64<<10)
	n, err := w.ReadFrom(io.LimitReader(p, f.limits.File+1))
	if err == nil {
		err = w.Flush()
	}
	f.content.size = n
	switch {
	case f.content.stage.err != nil:
		return fmt.Errorf("stage: %w", f.content.stage.err)
	case err != nil:
		return f.unreadable(err)
	case n > f.limits.File:
		return tooLarge("the file %s has more than %d bytes", quote(filename), f.limits.File)
	}
	return nil
}

// unreadable makes the answer to a body that cannot be read to its end.
func (f *formReader) unreadable(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge("the request has more than %d bytes", e.Limit)
	}
	text := "the form cannot be read"
	if errors.Is(err, io.ErrUnexpectedEOF) {
		text = "the form ends before its last boundary"
		if f.parts > 0 {
			text += fmt.Sprintf(", in or after field %d", f.parts)
		}
	}
	return &Problem{Status: http.StatusBadRequest, Text: text, Err: err}
}
