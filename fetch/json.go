package fetch

import (
	"bytes"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"nestgen/catalog"
	"nestgen/internal/strictjson"
	"nestgen/packaging"
)

// Limits on what one page may hold.
const (
	maxOffers   = 250_000
	maxVersions = 250_000
	maxHashes   = 16
	maxText     = 16 << 10 // a yank's or a status' reason, a name, a specifier
	maxWarnings = 50
)

// The keys that are looked at. The order is that of the constants below.
var (
	pageKeys   = []string{"meta", "name", "files", "versions", "project-status"}
	metaKeys   = []string{"api-version", "_last-serial"}
	statusKeys = []string{"status", "reason"}
	fileKeys   = []string{
		"filename", "url", "hashes", "requires-python", "size", "upload-time", "yanked",
		"core-metadata", "dist-info-metadata", "data-dist-info-metadata", "provenance", "gpg-sig",
	}
)

const (
	keyFilename = iota
	keyURL
	keyHashes
	keyRequiresPython
	keySize
	keyUploadTime
	keyYanked
	keyCoreMetadata
	keyDistInfoMetadata
	keyDataDistInfoMetadata
	keyProvenance
	keyGPGSig
)

// ReadJSON reads a project's page in JSON (PEP 691, to API version 1.4) that
// came from base. It gives all files in their order, those included that are
// none of the project or have hashes that are none; nothing of data is kept. A page that is not of this
// form, that has a key twice, or that is of another major version of the API is
// an error; a file of which only a part is wrong is left out, or taken without
// that part, with a warning.
func ReadJSON(data []byte, base *url.URL) (catalog.Listing, error) {
	l, err := readJSON(data, base)
	return l.Listing, err
}

func readJSON(data []byte, base *url.URL) (listed, error) {
	p := jsonPage{
		Scanner: *strictjson.New(data),
		links:   resolver{base: base, local: base.Scheme == "file"},
		texts:   map[string]string{},
	}
	p.list.FinalURL = redact(base.String())
	if p.Peek() != '{' {
		return listed{}, p.Fail("not an object")
	}
	if err := p.page(); err != nil {
		return listed{}, err
	}
	if err := p.End(); err != nil {
		return listed{}, err
	}
	return listed{Listing: p.list, marked: true, left: p.left}, nil
}

// A jsonPage is a page while it is read.
type jsonPage struct {
	strictjson.Scanner
	links resolver
	list  catalog.Listing
	texts map[string]string // texts that come again and again, once
	left  int               // files that were left out
	arena []byte            // the texts of one file, before they are copied
}

func (p *jsonPage) page() error {
	meta, files := false, false
	err := p.Object(pageKeys, func(key int) error {
		switch key {
		case 0:
			meta = true
			return p.meta()
		case 1:
			if p.Peek() != '"' {
				p.warn("name is not a text")
				return p.Skip()
			}
			name, err := p.Text()
			p.list.Name = clip(name)
			return err
		case 2:
			files = true
			if p.Peek() != '[' {
				return p.Fail("files is not an array")
			}
			p.list.Offers = make([]catalog.Offer, 0, min(p.Len()/400, maxOffers))
			return p.Array(p.file)
		case 3:
			return p.versions()
		case 4:
			return p.status()
		}
		return p.Skip()
	})
	switch {
	case err != nil:
		return err
	case !meta:
		return fmt.Errorf("not a page of an index: no %q", "meta")
	case !files:
		return fmt.Errorf("not a page of an index: no %q", "files")
	}
	return nil
}

func (p *jsonPage) meta() error {
	if p.Peek() != '{' {
		return p.Fail("meta is not an object")
	}
	return p.Object(metaKeys, func(key int) error {
		switch {
		case key == 0 && p.Peek() == '"':
			v, err := p.Text()
			if err != nil {
				return err
			}
			warning, err := checkAPI(string(v))
			if warning != "" {
				p.warn("%s", warning)
			}
			return err
		case key == 0:
			return p.Fail("api-version is not a text")
		case key == 1:
			return p.serial()
		}
		return p.Skip()
	})
}

// serial reads the last serial: a number, or a text as old mirrors write it.
func (p *jsonPage) serial() error {
	switch p.Peek() {
	case '"':
		t, err := p.Text()
		if n, bad := strconv.ParseInt(string(t), 10, 64); bad == nil && n >= 0 {
			p.list.Serial = n
		}
		return err
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		n, _, err := p.Integer()
		p.list.Serial = n
		return err
	}
	return p.Skip()
}

// checkAPI checks the version of the API that a page says it is of (contract
// API-3). A newer minor version is only worth a warning.
func checkAPI(v string) (warning string, err error) {
	major, minor, ok := strings.Cut(v, ".")
	n, bad := strconv.ParseUint(minor, 10, 16)
	switch {
	case major != "1":
		return "", fmt.Errorf("API version %.20q: only versions 1.x are known", v)
	case !ok || bad != nil:
		return "", fmt.Errorf("API version %.20q: not two numbers", v)
	case n > 4:
		return fmt.Sprintf("API version 1.%d is newer than 1.4, what it adds is not seen", n), nil
	}
	return "", nil
}

func (p *jsonPage) versions() error {
	if p.Peek() != '[' {
		p.warn("versions is not an array")
		return p.Skip()
	}
	p.list.Versions = []string{}
	return p.Array(func() error {
		if p.Peek() != '"' {
			p.warn("a version is not a text")
			return p.Skip()
		}
		v, err := p.Text()
		if err != nil {
			return err
		}
		if len(p.list.Versions) == maxVersions {
			return p.Fail("more than %d versions", maxVersions)
		}
		p.list.Versions = append(p.list.Versions, clip(v))
		return nil
	})
}

func (p *jsonPage) status() error {
	if p.Peek() != '{' {
		if p.Peek() != 'n' {
			p.warn("project-status is not an object")
		}
		return p.Skip()
	}
	var state, reason string
	err := p.Object(statusKeys, func(key int) error {
		if key < 0 || p.Peek() != '"' {
			return p.Skip()
		}
		t, err := p.Text()
		if key == 0 {
			state = clip(t)
		} else {
			reason = clip(t)
		}
		return err
	})
	setStatus(&p.list, state, reason)
	return err
}

// setStatus notes a project's status marker (PEP 792). An unknown one is as
// good as none.
func setStatus(l *catalog.Listing, state, reason string) {
	switch s := catalog.State(state); s {
	case "", "active":
		l.Status = catalog.Status{Reason: reason}
	case catalog.Archived, catalog.Deprecated, catalog.Quarantined:
		l.Status = catalog.Status{State: s, Reason: reason}
	default:
		warn(l, "project status %.40q is not known, taken for active", state)
	}
}

// file reads one element of files.
func (p *jsonPage) file() error {
	if len(p.list.Offers) == maxOffers {
		return p.Fail("more than %d files", maxOffers)
	}
	if p.Peek() != '{' {
		p.left++
		p.warn("a file is not an object")
		return p.Skip()
	}
	f := jsonFile{size: -1}
	err := p.Object(fileKeys, func(key int) error { return p.member(&f, key) })
	if err != nil {
		return err
	}
	switch {
	case f.fault != "":
	case f.filename == nil:
		f.fault = "no filename"
	case f.url == nil:
		f.fault = "no url"
	}
	var address string
	if f.fault == "" {
		if address, _, err = p.links.resolve(string(f.url)); err != nil {
			f.fault = err.Error()
		}
	}
	if f.fault != "" {
		p.left++
		p.warn("file %.80q left out: %s", f.filename, f.fault)
		return nil
	}
	p.add(&f, address)
	return nil
}

// A jsonFile is a file while it is read. Its texts are parts of the page.
type jsonFile struct {
	filename, url, requiresPython, reason, provenance []byte
	hashes, metaHashes                                []hashText
	hashBuf, metaBuf                                  [2]hashText
	size, uploaded                                    int64
	yanked, signed, metadata                          bool
	metaKey                                           int // the key that metadata came from, 0 for none
	fault                                             string
}

// A hashText is one member of hashes.
type hashText struct{ algorithm, value []byte }

func (p *jsonPage) member(f *jsonFile, key int) (err error) {
	kind := p.Peek()
	switch {
	case key < 0:
		return p.Skip()
	case key == keyFilename && kind == '"':
		f.filename, err = p.Text()
	case key == keyURL && kind == '"':
		f.url, err = p.Text()
	case key == keyHashes && kind == '{':
		f.hashes, err = p.hashes(f.hashBuf[:0], f)
	case key == keyRequiresPython && kind == '"':
		f.requiresPython, err = p.Text()
		if len(f.requiresPython) > maxText {
			f.requiresPython = nil
		}
	case key == keyUploadTime && kind == '"':
		var t []byte
		t, err = p.Text()
		f.uploaded = uploadTime(string(t))
	case key == keyProvenance && kind == '"':
		f.provenance, err = p.Text()
	case key == keySize && (kind == '-' || '0' <= kind && kind <= '9'):
		n, ok, bad := p.Integer()
		if ok {
			f.size = n
		}
		return bad
	case key == keyYanked && kind == '"':
		f.reason, err = p.Text()
		f.yanked = len(f.reason) > 0
	case key == keyYanked && (kind == 't' || kind == 'f'):
		var w string
		w, err = p.Word()
		f.yanked = w == "true"
	case key == keyGPGSig && (kind == 't' || kind == 'f'):
		var w string
		w, err = p.Word()
		f.signed = w == "true"
	case key >= keyCoreMetadata && key <= keyDataDistInfoMetadata:
		return p.metadata(f, key, kind)
	case kind == 'n':
		_, err = p.Word() // null is as good as nothing (contract §1.3)
	default:
		// What must be right makes the file useless, the rest is left out. A
		// yank that cannot be read is taken for one.
		switch key {
		case keyFilename, keyURL, keyHashes:
			f.fault = fileKeys[key] + " is not of the right type"
		case keyYanked:
			f.yanked = true
			fallthrough
		default:
			p.warn("file %.80q: %s is not of the right type", f.filename, fileKeys[key])
		}
		return p.Skip()
	}
	return err
}

// metadata reads one of the three keys that may say whether there is a
// metadata file (contract API-8): the first of them that is there and not null
// counts, whatever their order on the page.
func (p *jsonPage) metadata(f *jsonFile, key int, kind byte) error {
	if kind == 'n' || f.metaKey != 0 && f.metaKey < key {
		return p.Skip()
	}
	switch kind {
	case '{':
		f.metaKey, f.metadata = key, true
		var err error
		f.metaHashes, err = p.hashes(f.metaBuf[:0], nil)
		return err
	case 't', 'f':
		w, err := p.Word()
		f.metaKey, f.metadata, f.metaHashes = key, w == "true", nil
		return err
	}
	return p.Skip()
}

// hashes reads an object of hashes. One that is wrong makes file useless, for
// without it the bytes could not be checked as the index wants; of a nil file
// it is left out.
func (p *jsonPage) hashes(list []hashText, f *jsonFile) ([]hashText, error) {
	err := p.Dict(func(key []byte) error {
		if p.Peek() != '"' {
			if f != nil {
				f.fault = fmt.Sprintf("hash %.20q is not a text", key)
			}
			return p.Skip()
		}
		value, err := p.Text()
		if err != nil {
			return err
		}
		key, value = lowered(key), lowered(value)
		bad := ""
		if len(list) == maxHashes {
			bad = "is one too many"
		}
		for _, h := range list {
			if string(h.algorithm) == string(key) && string(h.value) != string(value) {
				bad = "comes with two values"
			}
		}
		if bad == "" {
			list = append(list, hashText{key, value})
		} else if f != nil {
			f.fault = fmt.Sprintf("hash %.20q %s", key, bad)
		}
		return nil
	})
	return list, err
}

// add keeps a file. Its texts become parts of one string, so that nothing of
// the page is kept.
func (p *jsonPage) add(f *jsonFile, address string) {
	b := p.arena[:0]
	b = append(b, f.filename...)
	b = append(b, address...)
	for _, h := range f.hashes {
		b = append(b, h.value...)
	}
	provenance := f.provenance
	if len(provenance) > maxURL {
		provenance = nil
	}
	b = append(b, provenance...)
	p.arena = b
	all := string(b)
	cut := func(n int) (s string) {
		s, all = all[:n], all[n:]
		return s
	}
	o := catalog.Offer{
		Filename:       cut(len(f.filename)),
		URL:            cut(len(address)),
		Size:           f.size,
		RequiresPython: p.intern(f.requiresPython),
		Yanked:         catalog.Yank{Yanked: f.yanked, Reason: p.intern(f.reason)},
		Uploaded:       f.uploaded,
		Signed:         f.signed,
		Metadata:       catalog.MetadataOffer{Offered: f.metadata},
	}
	if len(f.hashes) > 0 {
		o.Hashes = make(map[string]string, len(f.hashes))
		for _, h := range f.hashes {
			o.Hashes[p.intern(h.algorithm)] = cut(len(h.value))
		}
	}
	o.Provenance = p.provenance(cut(len(provenance)))
	if f.metadata && len(f.metaHashes) > 0 {
		o.Metadata.Hashes = make(map[string]string, len(f.metaHashes))
		for _, h := range f.metaHashes {
			o.Metadata.Hashes[p.intern(h.algorithm)] = p.intern(h.value)
		}
	}
	p.list.Offers = append(p.list.Offers, o)
}

// provenance gives the address of a file's attestations, empty unless it is
// absolute and secure (contract API-11).
func (p *jsonPage) provenance(s string) string {
	if s == "" || isPlain(s) && strings.HasPrefix(s, "https:") {
		return s
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		p.warn("provenance %.80q is not an absolute https address", redact(s))
		return ""
	}
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	return u.String()
}

// intern gives a text that was there before without another copy of it.
func (p *jsonPage) intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := p.texts[string(b)]; ok {
		return s
	}
	s := clip(b)
	if len(p.texts) < 4096 {
		p.texts[s] = s
	}
	return s
}

func (p *jsonPage) warn(format string, args ...any) { warn(&p.list, format, args...) }

// warn adds a warning to a listing, up to a limit.
func warn(l *catalog.Listing, format string, args ...any) {
	switch {
	case len(l.Warnings) < maxWarnings:
		l.Warnings = append(l.Warnings, fmt.Sprintf(format, args...))
	case len(l.Warnings) == maxWarnings:
		l.Warnings = append(l.Warnings, "and more")
	}
}

// clip copies a text, cut to the limit.
func clip(b []byte) string {
	if len(b) > maxText {
		return strings.ToValidUTF8(string(b[:maxText]), "")
	}
	return string(b)
}

// uploadTime reads an upload-time: RFC 3339, or nothing.
func uploadTime(s string) int64 {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0
	}
	return max(0, t.UnixMicro())
}

// lowered gives b with its ASCII letters in lower case, copied only if it was
// not.
func lowered(b []byte) []byte {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			return bytes.ToLower(b)
		}
	}
	return b
}

// checkName warns of a page that says it is another project's.
func checkName(l *catalog.Listing, n packaging.Name) {
	if l.Name != "" && !n.Spells(l.Name) {
		warn(l, "the page says that it is of project %.80q", l.Name)
	}
}
