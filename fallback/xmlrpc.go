package fallback

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"nestgen/catalog"
	"nestgen/upload"
)

// The limits of XML-RPC. changesAtOnce is how many changes one answer has at most,
// as at PyPI: whoever wants more asks again from the last one on.
const (
	maxCall       = 16 << 10 // bytes of a call
	maxCallTokens = 256
	maxAnswer     = 64 << 20
	changesAtOnce = 50_000
)

// noXMLRPC is the answer to every other method of XML-RPC. The clients of it show
// the status line alone.
func noXMLRPC() *upload.Problem {
	return &upload.Problem{
		Status: http.StatusGone,
		Text:   "XML-RPC is not supported: all projects are at /simple/, the files of one at /simple/NAME/, in JSON too",
	}
}

func isXML(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (kind == "text/xml" || kind == "application/xml")
}

// xmlrpc answers the three methods by which mirrors find out what has changed
// (contract C-5); all others are over. They ask of the catalog what its events are
// and nothing else.
func (h *Handler) xmlrpc(w http.ResponseWriter, r *http.Request) {
	c, err := readCall(http.MaxBytesReader(w, r.Body, maxCall))
	if err != nil {
		noXMLRPC().Write(w, r)
		return
	}
	a := &answerXML{}
	a.WriteString(xml.Header + "<methodResponse><params><param><value>")
	switch {
	case c.method == "changelog_last_serial" && len(c.params) == 0:
		err = h.lastSerial(r, a)
	case c.method == "changelog_since_serial" && len(c.params) == 1:
		err = h.changes(r, a, c.params[0])
	case c.method == "list_packages_with_serial" && len(c.params) == 0:
		err = h.serials(r, a)
	default:
		err = errNoMethod
	}
	if errors.Is(err, errNoMethod) || errors.Is(err, errTooLong) {
		noXMLRPC().Write(w, r)
		return
	}
	if err != nil {
		h.refuse(w, r, err, slog.String("method", c.method))
		return
	}
	a.WriteString("</value></param></params></methodResponse>\n")
	header := w.Header()
	header.Set("Content-Type", "text/xml; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(a.Len()))
	_, _ = a.WriteTo(w) // the client may be gone
}

func (h *Handler) lastSerial(r *http.Request, a *answerXML) error {
	n, err := h.o.Site.Serial(r.Context())
	if err == nil {
		err = a.number(n)
	}
	return err
}

// changes gives an array of name, version, time in seconds since 1970, what was
// done, and serial. The version is nil: an event is about a file.
func (h *Handler) changes(r *http.Request, a *answerXML, since string) error {
	after, err := strconv.ParseInt(since, 10, 64)
	if err != nil {
		return errNoMethod
	}
	a.WriteString("<array><data>")
	n := 0
	for e, err := range h.o.Site.Changes(r.Context(), after) {
		if err != nil {
			return err
		}
		if n++; n > changesAtOnce {
			break
		}
		a.WriteString("<value><array><data><value>")
		a.text(string(e.Project))
		a.WriteString("</value><value><nil/></value><value>")
		if err := a.number(e.Time / 1_000_000); err != nil {
			return err
		}
		a.WriteString("</value><value>")
		a.text(actionOf(e))
		a.WriteString("</value><value>")
		if err := a.number(e.Serial); err != nil {
			return err
		}
		a.WriteString("</value></data></array></value>")
	}
	a.WriteString("</data></array>")
	return nil
}

// actionOf says what an event did in the words that mirrors know.
func actionOf(e catalog.Event) string {
	switch e.Verb {
	case catalog.Add, catalog.Restore:
		return "add file " + e.Filename
	case catalog.Withdraw:
		return "remove file " + e.Filename
	case catalog.Yanking:
		return "yank file " + e.Filename
	case catalog.Unyank:
		return "unyank file " + e.Filename
	}
	return strings.TrimSpace("update " + e.Filename)
}

// serials gives a struct of all projects with their serials.
func (h *Handler) serials(r *http.Request, a *answerXML) error {
	a.WriteString("<struct>")
	for p, err := range h.o.Site.Serials(r.Context()) {
		if err != nil {
			return err
		}
		a.WriteString("<member><name>")
		_ = xml.EscapeText(a, []byte(p.Name)) // to memory
		a.WriteString("</name><value>")
		if err := a.number(p.Serial); err != nil {
			return err
		}
		a.WriteString("</value></member>")
	}
	a.WriteString("</struct>")
	return nil
}

// An answerXML is an answer on its way. It is held whole, because an answer without
// a length would not be seen to break off.
type answerXML struct{ bytes.Buffer }

var errTooLong = errors.New("the answer is too long")

// number writes an integer. The specification has four bytes for one; eight are an
// extension that is read everywhere.
func (a *answerXML) number(n int64) error {
	if a.Len() > maxAnswer {
		return errTooLong
	}
	if n == int64(int32(n)) {
		fmt.Fprintf(a, "<int>%d</int>", n)
	} else {
		fmt.Fprintf(a, "<i8>%d</i8>", n)
	}
	return nil
}

func (a *answerXML) text(s string) {
	a.WriteString("<string>")
	_ = xml.EscapeText(a, []byte(s)) // to memory
	a.WriteString("</string>")
}

// A call is a method with its parameters as they are written.
type call struct {
	method string
	params []string
}

var errNoMethod = errors.New("no such method")

// readCall reads a call: a method name and scalar parameters. It takes no document
// type, so that there are no entities but the five of XML.
func readCall(r io.Reader) (c call, err error) {
	d := xml.NewDecoder(r)
	var path []string
	for range maxCallTokens {
		t, err := d.Token()
		if err == io.EOF && c.method != "" && len(path) == 0 {
			return c, nil
		}
		if err != nil {
			return call{}, errNoMethod
		}
		switch t := t.(type) {
		case xml.Directive:
			return call{}, errNoMethod
		case xml.StartElement:
			path = append(path, t.Name.Local)
			if strings.Join(path, "/") == "methodCall/params/param" {
				c.params = append(c.params, "")
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			switch strings.Join(path, "/") {
			case "methodCall/methodName":
				c.method += strings.TrimSpace(string(t))
			case "methodCall/params/param/value", "methodCall/params/param/value/int", "methodCall/params/param/value/i4",
				"methodCall/params/param/value/i8", "methodCall/params/param/value/string":
				c.params[len(c.params)-1] += strings.TrimSpace(string(t))
			}
		}
	}
	return call{}, errNoMethod
}
