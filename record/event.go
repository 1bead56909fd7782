package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/provenance"
)

// MaxSize is how many bytes a leaf may have: what C2SP tlog-tiles has room for in a
// bundle of entries.
const MaxSize = 1<<16 - 1

// maxText is how long a text may be, in bytes, if not all of them have room in a leaf.
const maxText = 1 << 10

// ErrForm is matched by the errors for bytes that are no leaf.
var ErrForm = errors.New("not a record as nestgen writes it")

// The forms of JSON. What is empty is left out. A log is public and forgets nothing, so
// that what is nobody else's business is not part of a record: where an upstream has a
// file, which line of which list or folder is behind one, and who has made a snapshot,
// promoted a file or rolled the index back.
type (
	event struct {
		Serial   int64          `json:"serial"`
		Time     string         `json:"time"` // RFC 3339, in microseconds
		Verb     catalog.Verb   `json:"verb"`
		Project  packaging.Name `json:"project,omitempty"`
		Filename string         `json:"filename,omitempty"`
		SHA256   string         `json:"sha256,omitempty"`
		Source   string         `json:"source,omitempty"`
		Reason   string         `json:"reason,omitempty"`
		File     *file          `json:"file,omitempty"`
		Standing *standing      `json:"standing,omitempty"`
		Links    []link         `json:"links,omitempty"`

		// Abridged says that a text has the form of a digest: all texts were too long,
		// and that of this one stands in its place. It follows from the texts, so that a
		// record which was read has the leaf that it was read from.
		Abridged bool `json:"abridged,omitempty"`
	}
	file struct {
		Path           string     `json:"path"`
		Version        string     `json:"version"`
		Kind           string     `json:"kind"`
		Size           int64      `json:"size"`
		SHA256         string     `json:"sha256,omitempty"`
		BLAKE2b        string     `json:"blake2b_256,omitempty"`
		Announced      bool       `json:"announced,omitempty"`
		RequiresPython string     `json:"requires_python,omitempty"`
		Uploaded       string     `json:"upload_time"`
		Yanked         *string    `json:"yanked,omitempty"` // why
		SourceYank     *yank      `json:"source_yank,omitempty"`
		Metadata       string     `json:"metadata_sha256,omitempty"`
		Signed         bool       `json:"signed,omitempty"`
		SignatureSum   string     `json:"signature_sha256,omitempty"`
		Provenance     bool       `json:"provenance,omitempty"`
		ProvenanceSum  string     `json:"provenance_sha256,omitempty"`
		Publisher      *publisher `json:"publisher,omitempty"`
		Spelling       string     `json:"spelling,omitempty"`
		Source         string     `json:"source,omitempty"`
	}
	yank struct {
		Yanked bool   `json:"yanked"`
		Reason string `json:"reason,omitempty"`
	}
	publisher struct {
		Kind        string `json:"kind,omitempty"`
		Repository  string `json:"repository,omitempty"`
		Workflow    string `json:"workflow,omitempty"`
		Environment string `json:"environment,omitempty"`
	}
	standing struct {
		State  catalog.State `json:"state,omitempty"`
		Reason string        `json:"reason,omitempty"`
		Note   string        `json:"note,omitempty"`
	}
	link struct {
		URL     string `json:"url"`
		Egg     string `json:"egg,omitempty"`
		Version string `json:"version,omitempty"`
	}
)

// An Encoder writes records. It keeps its buffer. The zero Encoder is ready.
type Encoder struct {
	buf bytes.Buffer
}

// Encode gives the leaf of a record, which stands until the next call. A record whose
// texts are too long for a leaf is abridged: their digests stand in their places.
func (e *Encoder) Encode(r *catalog.Record) ([]byte, error) {
	v := eventOf(r)
	v.Abridged = v.abridged()
	b, err := e.marshal(v)
	if err != nil || len(b) <= MaxSize {
		return b, err
	}
	v.texts(shorten)
	v.Abridged = v.abridged()
	if b, err = e.marshal(v); err == nil && len(b) > MaxSize {
		err = fmt.Errorf("record %d: %d bytes", r.Serial, len(b))
	}
	return b, err
}

func (e *Encoder) marshal(v *event) ([]byte, error) {
	e.buf.Reset()
	enc := json.NewEncoder(&e.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("record %d: %w", v.Serial, err)
	}
	return bytes.TrimSuffix(e.buf.Bytes(), []byte("\n")), nil
}

// Decode reads a leaf of the log of events. What it gives is as the log has it, without
// what is not part of a record.
func Decode(leaf []byte) (catalog.Record, error) {
	var e event
	if len(leaf) > MaxSize {
		return catalog.Record{}, fmt.Errorf("%d bytes: %w", len(leaf), ErrForm)
	}
	if err := json.Unmarshal(leaf, &e); err != nil {
		return catalog.Record{}, fmt.Errorf("%w: %w", ErrForm, err)
	}
	r, err := e.record()
	if err != nil {
		return catalog.Record{}, fmt.Errorf("record %d: %w: %w", e.Serial, ErrForm, err)
	}
	var enc Encoder
	again, err := enc.Encode(&r)
	if err != nil || !bytes.Equal(again, leaf) {
		return catalog.Record{}, fmt.Errorf("record %d: %w", e.Serial, ErrForm)
	}
	return r, nil
}

func eventOf(r *catalog.Record) *event {
	e := &event{
		Serial: r.Serial, Time: formatTime(r.Time), Verb: r.Verb, Project: r.Project, Filename: r.Filename,
		SHA256: digits(r.SHA256), Source: r.Source, Reason: r.Reason,
	}
	switch r.Verb {
	case catalog.Add, catalog.Restore, catalog.Arrive, catalog.Change:
		e.Reason = ""
	case catalog.Promotion, catalog.Demotion, catalog.Snapshot, catalog.Drop, catalog.Rollback, catalog.Resume:
		e.Source = ""
	}
	if r.File != nil {
		e.File = fileOf(r.File)
	}
	if s := r.Standing; s != nil {
		e.Standing = &standing{s.Status.State, s.Status.Reason, s.Note}
	}
	for _, l := range r.Links {
		e.Links = append(e.Links, link{l.URL, l.Egg, l.Version})
	}
	e.texts(mend)
	return e
}

func fileOf(f *catalog.File) *file {
	v := &file{
		Path: f.Path, Version: f.Version, Kind: f.Kind.String(), Size: f.Size, SHA256: digits(f.SHA256), BLAKE2b: digits(f.BLAKE2b),
		Announced: f.Announced, RequiresPython: f.RequiresPython, Uploaded: formatTime(f.Uploaded), Metadata: digits(f.Metadata),
		Signed: f.Signed, SignatureSum: digits(f.SignatureSum), Provenance: f.Provenance, ProvenanceSum: digits(f.ProvenanceSum),
		Spelling: f.Spelling, Source: f.Source,
	}
	if f.Yanked.Yanked {
		v.Yanked = &f.Yanked.Reason
	}
	if f.SourceYank != f.Yanked {
		v.SourceYank = &yank{f.SourceYank.Yanked, f.SourceYank.Reason}
	}
	if p := f.Publisher; !p.IsZero() {
		v.Publisher = &publisher{p.Kind, p.Repository, p.Workflow, p.Environment}
	}
	return v
}

func (e *event) record() (r catalog.Record, err error) {
	r.Event = catalog.Event{Serial: e.Serial, Verb: e.Verb, Project: e.Project, Filename: e.Filename, Source: e.Source, Reason: e.Reason}
	if e.Serial < 1 {
		return r, errors.New("serials begin with 1")
	}
	if r.Time, err = parseTime(e.Time); err != nil {
		return r, err
	}
	if r.SHA256, err = parseDigest(e.SHA256); err != nil {
		return r, err
	}
	if n := packaging.NormalizeName(string(e.Project)); n != e.Project {
		return r, fmt.Errorf("project %q", e.Project)
	}
	if e.Filename != "" {
		if err := packaging.CheckFilename(e.Filename); err != nil {
			return r, err
		}
	}
	if e.File != nil {
		if r.File, err = e.File.file(e.Project, e.Filename); err != nil {
			return r, err
		}
	}
	if s := e.Standing; s != nil {
		r.Standing = &catalog.Standing{Status: catalog.Status{State: s.State, Reason: s.Reason}, Note: s.Note}
	}
	for _, l := range e.Links {
		r.Links = append(r.Links, catalog.Link{Project: e.Project, URL: l.URL, Egg: l.Egg, Version: l.Version})
	}
	return r, nil
}

func (v *file) file(project packaging.Name, filename string) (*catalog.File, error) {
	f := &catalog.File{
		Project: project, Filename: filename, Spelling: v.Spelling, Version: v.Version, Size: v.Size, Announced: v.Announced,
		Path: v.Path, RequiresPython: v.RequiresPython, Signed: v.Signed, Provenance: v.Provenance, Source: v.Source,
	}
	if _, name, ok := layout.ParseFile(v.Path); !ok || name != filename || project == "" {
		return nil, fmt.Errorf("path %q is none of file %q of project %q", v.Path, filename, project)
	}
	if f.Size < -1 || f.Size < 0 && !f.Announced {
		return nil, fmt.Errorf("size %d", f.Size)
	}
	var err error
	if f.Kind, err = parseKind(v.Kind); err != nil {
		return nil, err
	}
	if f.Uploaded, err = parseTime(v.Uploaded); err != nil {
		return nil, err
	}
	for _, d := range []struct {
		to   *catalog.Digest
		text string
	}{
		{&f.SHA256, v.SHA256}, {&f.BLAKE2b, v.BLAKE2b}, {&f.Metadata, v.Metadata},
		{&f.SignatureSum, v.SignatureSum}, {&f.ProvenanceSum, v.ProvenanceSum},
	} {
		if *d.to, err = parseDigest(d.text); err != nil {
			return nil, err
		}
	}
	if v.Yanked != nil {
		f.Yanked = catalog.Yank{Yanked: true, Reason: *v.Yanked}
	}
	f.SourceYank = f.Yanked
	if y := v.SourceYank; y != nil {
		f.SourceYank = catalog.Yank{Yanked: y.Yanked, Reason: y.Reason}
	}
	if p := v.Publisher; p != nil {
		f.Publisher = provenance.Publisher{Kind: p.Kind, Repository: p.Repository, Workflow: p.Workflow, Environment: p.Environment}
	}
	return f, nil
}

// texts calls do for every text that somebody else may have written.
func (e *event) texts(do func(*string)) {
	do(&e.Source)
	do(&e.Reason)
	if s := e.Standing; s != nil {
		do(&s.Reason)
		do(&s.Note)
	}
	for i := range e.Links {
		l := &e.Links[i]
		do(&l.URL)
		do(&l.Egg)
		do(&l.Version)
	}
	f := e.File
	if f == nil {
		return
	}
	do(&f.RequiresPython)
	do(&f.Source)
	if f.Yanked != nil {
		why := *f.Yanked
		do(&why)
		f.Yanked = &why
	}
	if f.SourceYank != nil {
		do(&f.SourceYank.Reason)
	}
	if p := f.Publisher; p != nil {
		do(&p.Kind)
		do(&p.Repository)
		do(&p.Workflow)
		do(&p.Environment)
	}
}

// mend makes text of what is not UTF-8, which JSON has no way to say.
func mend(s *string) { *s = strings.ToValidUTF8(*s, "\uFFFD") }

func shorten(s *string) {
	if len(*s) > maxText {
		*s = fmt.Sprintf("%s%x", digestPrefix, sha256.Sum256([]byte(*s)))
	}
}

const digestPrefix = "sha256:"

// abridged reports whether a text has the form that shorten gives it.
func (e *event) abridged() (is bool) {
	e.texts(func(s *string) {
		hex, ok := strings.CutPrefix(*s, digestPrefix)
		if !ok || is {
			return
		}
		d, err := catalog.ParseDigest(hex)
		is = err == nil && d.String() == hex
	})
	return is
}

// timeForm is RFC 3339 in microseconds, all six digits of them.
const timeForm = "2006-01-02T15:04:05.000000Z"

func formatTime(micros int64) string { return time.UnixMicro(micros).UTC().Format(timeForm) }

func parseTime(s string) (int64, error) {
	t, err := time.Parse(timeForm, s)
	return t.UnixMicro(), err
}

func digits(d catalog.Digest) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}

func parseDigest(s string) (catalog.Digest, error) {
	if s == "" {
		return catalog.Digest{}, nil
	}
	d, err := catalog.ParseDigest(s)
	if err == nil && digits(d) != s {
		err = fmt.Errorf("digest %q: want small letters, and not only zeros", s)
	}
	return d, err
}

func parseKind(s string) (packaging.Kind, error) {
	for k := packaging.UnknownKind; k <= packaging.DMG; k++ {
		if k.String() == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("kind %q", s)
}
