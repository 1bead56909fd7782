package generate

import (
	"bytes"
	"strconv"
	"time"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/templates"
)

// heldLimit is how many files the page of what is held shows to people. The one for
// programs has them all.
const heldLimit = 1000

// A HeldPage is what the template of the page of what is held is executed with.
type HeldPage struct {
	*Shared

	// Files says how many there are; empty if nothing is held. More says how many
	// of them are not shown, or is empty.
	Files string
	More  string

	// Projects are those that something is held of.
	Projects []HeldProject
}

// A HeldProject is what is held of a project, the newest version first.
type HeldProject struct {
	Name  packaging.Name
	Files []HeldFile
}

// A HeldFile is a file that may not come in yet. Its times are for people, in UTC.
type HeldFile struct {
	Filename string
	Version  string

	// Source is who offers it, and Uploaded when it was uploaded there, empty if
	// that is not known.
	Source   string
	Uploaded string

	// Until is when it may come in; empty if somebody has to decide.
	Until string

	// Rule is the setting that holds it, and Reason what it has against it.
	Rule, Reason string
}

// HeldPages makes the pages of what is held, which is sorted as [catalog.SortHolds]
// does: the one for programs, and with People the one for people. Equal holds make
// the same bytes whenever they are made.
func (s *Site) HeldPages(hs []catalog.Hold, sink Sink) error {
	if err := sink.Put(layout.HeldJSON, appendHeldJSON(nil, hs)); err != nil || !s.People {
		return err
	}
	page, err := s.heldHTML(hs)
	if err != nil {
		return err
	}
	return sink.Put(layout.HeldHTML, page)
}

// HeldPaths gives the paths of the pages of what is held.
func (s *Site) HeldPaths() []string {
	if s.People {
		return []string{layout.HeldJSON, layout.HeldHTML}
	}
	return []string{layout.HeldJSON}
}

func (s *Site) heldHTML(hs []catalog.Hold) ([]byte, error) {
	shared, err := s.shared(new(parts), layout.HeldHTML)
	if err != nil {
		return nil, err
	}
	v := &HeldPage{Shared: shared}
	if len(hs) > 0 {
		v.Files = countText(len(hs))
	}
	if more := len(hs) - heldLimit; more > 0 {
		v.More = countText(more)
		hs = hs[:heldLimit]
	}
	for i := range hs {
		h := &hs[i]
		if n := len(v.Projects); n == 0 || v.Projects[n-1].Name != h.Project {
			v.Projects = append(v.Projects, HeldProject{Name: h.Project})
		}
		p := &v.Projects[len(v.Projects)-1]
		p.Files = append(p.Files, HeldFile{
			Filename: clean(h.Filename), Version: clean(h.Version), Source: clean(h.Source),
			Uploaded: momentText(h.Uploaded), Until: momentText(h.Until), Rule: clean(h.Rule), Reason: clean(h.Reason),
		})
	}
	var w bytes.Buffer
	err = s.templates().Execute(&w, templates.Held, v)
	return w.Bytes(), err
}

// filesText says how many files there are.
func filesText(n int) string {
	if n == 1 {
		return "1 file"
	}
	return countText(n) + " files"
}

// momentText gives a time to the minute, or nothing for one that is not known.
func momentText(micro int64) string {
	if !known(micro) {
		return ""
	}
	return time.UnixMicro(micro).UTC().Format(time.DateOnly + " 15:04")
}

// appendHeldJSON appends the document of what is held. A time that is not known, or
// an end that does not come by itself, is null.
func appendHeldJSON(b []byte, hs []catalog.Hold) []byte {
	b = append(b, `{"meta":{"held-version":"1.0"},"count":`...)
	b = strconv.AppendInt(b, int64(len(hs)), 10)
	b = append(b, `,"held":[`...)
	for i := range hs {
		h := &hs[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n{\"project\":"...)
		for _, member := range [...]struct{ key, value string }{
			{"", string(h.Project)}, {"version", h.Version}, {"filename", h.Filename}, {"source", h.Source}, {"rule", h.Rule}, {"reason", h.Reason},
		} {
			if member.key != "" {
				b = append(b, `,"`...)
				b = append(b, member.key...)
				b = append(b, `":`...)
			}
			b = appendString(b, member.value)
		}
		b = append(b, `,"upload-time":`...)
		b = appendMoment(b, h.Uploaded)
		b = append(b, `,"until":`...)
		b = appendMoment(b, h.Until)
		b = append(b, '}')
	}
	return append(b, "]}\n"...)
}

func appendMoment(b []byte, micro int64) []byte {
	if !known(micro) {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = appendTime(b, micro)
	return append(b, '"')
}
