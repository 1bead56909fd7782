package intake

import (
	"bytes"
	"io"
	"strconv"
)

const (
	tarBlock  = 512
	tarBuffer = 64 << 10

	maxLongName = 64 << 10 // bytes of a GNU long name
	maxPAX      = 1 << 20  // bytes of PAX records
)

// Kinds of members as a nameSet keeps them for a tar file.
const (
	tarFolder = iota
	tarRegular
	tarSymlink
)

// A tarVisitor is told of every member. If keep is true it gets the member's
// content next, which is good until it returns.
type tarVisitor interface {
	member(clean []byte, dir bool, size int64) (keep bool, err error)
	content(data []byte) error
}

// A tarFile walks a tar file, packed or not.
type tarFile struct {
	*judge
	packed unpacker
	names  *nameSet

	buf    []byte
	lo, hi int
	total  int64 // bytes unpacked so far
	limit  int64
	drained

	raw, clean, target []byte
	kept               []byte
	symlinks           map[string]bool
	ext                extension
}

// drained says whether the unpacker has given its end.
type drained struct {
	done bool
	err  error
}

// An extension is what the headers before a member say about it.
type extension struct {
	path, link       []byte
	hasPath, hasLink bool
	size             int64 // -1 for none
	any              bool
}

func (e *extension) reset() {
	*e = extension{path: e.path[:0], link: e.link[:0], size: -1}
}

// walk reads all of the tar file, to the last byte of the packed file.
func (t *tarFile) walk(v tarVisitor) error {
	t.lo, t.hi, t.total, t.drained = 0, 0, 0, drained{}
	t.limit = mayInflate(t.packed.src.size)
	t.symlinks = nil
	t.ext.reset()
	if t.buf == nil {
		t.buf = make([]byte, tarBuffer)
	}
	for count := 0; ; count++ {
		if count > maxMembers {
			return reject("tar: more than %d members", maxMembers)
		}
		b, err := t.next(tarBlock)
		if err == io.EOF && len(b) == 0 {
			if t.ext.any {
				return reject("tar: ends inside a member's headers")
			}
			return t.minor("tar: no mark at the end: cut short")
		}
		if err != nil {
			return t.short(err)
		}
		if isZero(b) {
			if t.ext.any {
				return reject("tar: ends inside a member's headers")
			}
			return t.drain()
		}
		if err := t.header(b, v); err != nil {
			return err
		}
	}
}

// short is the error for data that ends too early.
func (t *tarFile) short(err error) error {
	if err == io.EOF {
		return reject("tar: cut short")
	}
	return err
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// next gives the next n bytes, at most a buffer's length, until the next call.
// At the end of the data it gives what is left with [io.EOF].
func (t *tarFile) next(n int) ([]byte, error) {
	for t.hi-t.lo < n {
		if t.done {
			return t.buf[t.lo:t.hi], t.drained.err
		}
		if err := t.fill(); err != nil {
			t.done, t.drained.err = true, err
		}
	}
	b := t.buf[t.lo : t.lo+n]
	t.lo += n
	return b, nil
}

// fill reads once.
func (t *tarFile) fill() error {
	if t.lo > 0 {
		t.hi = copy(t.buf, t.buf[t.lo:t.hi])
		t.lo = 0
	}
	n, err := t.packed.Read(t.buf[t.hi:])
	t.hi += n
	if t.total += int64(n); t.total > t.limit {
		return reject("tar: %d bytes unpack to more than %d", t.packed.src.size, t.limit)
	}
	return err
}

// skip passes over n bytes.
func (t *tarFile) skip(n int64) error {
	for n > 0 {
		k := int(min(n, int64(max(t.hi-t.lo, tarBlock))))
		if _, err := t.next(k); err != nil {
			return t.short(err)
		}
		n -= int64(k)
	}
	return nil
}

// take appends n bytes and passes over the padding behind them.
func (t *tarFile) take(into []byte, n int64) ([]byte, error) {
	for left := n; left > 0; {
		k := int(min(left, int64(max(t.hi-t.lo, tarBlock))))
		b, err := t.next(k)
		if err != nil {
			return into, t.short(err)
		}
		into = append(into, b...)
		left -= int64(k)
	}
	return into, t.skip(padding(n))
}

func padding(n int64) int64 { return -n & (tarBlock - 1) }

// drain reads what follows the mark at the end, which must be zero bytes, and so
// makes the unpacker check its own end too.
func (t *tarFile) drain() error {
	noted := false
	for {
		k := max(min(t.hi-t.lo, tarBuffer), 1)
		b, err := t.next(k)
		if !noted && !isZero(b) {
			noted = true
			if err := t.minor("tar: something follows the mark at the end"); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if t.total%tarBlock != 0 {
		return t.minor("tar: cut short behind the last member")
	}
	return nil
}

// header reads one member, of which b is the header block.
func (t *tarFile) header(b []byte, v tarVisitor) error {
	if !sumFits(b) {
		return reject("tar: broken header")
	}
	// Mode, owner, group, time and device numbers are nothing to us, but
	// Python takes a broken one for the end of the archive.
	for _, f := range [...][]byte{b[100:108], b[108:116], b[116:124], b[136:148], b[329:337], b[337:345]} {
		if _, ok := number(f); !ok && f[0] != 0xff {
			return reject("tar: member %q: broken number %q in the header", cstring(b[:100]), f)
		}
	}
	size, ok := number(b[124:136])
	if !ok {
		return reject("tar: member %q: broken size", cstring(b[:100]))
	}
	if size > t.limit {
		return reject("tar: %d bytes claim to hold a member of %d", t.packed.src.size, size)
	}
	kind := b[156]
	switch kind {
	case 'x', 'g', 'X':
		return t.pax(kind, size)
	case 'L', 'K':
		return t.long(kind, size)
	}
	if err := t.name(b, kind); err != nil {
		return err
	}
	link := cstring(b[157:257])
	if t.ext.hasLink {
		link = t.ext.link
	}
	if t.ext.size >= 0 && t.ext.size != size {
		return reject("tar: member %q has %d bytes, or %d in its PAX header", t.raw, size, t.ext.size)
	}
	return t.entry(v, kind, link, size)
}

// name puts the member's name into t.raw and its cleaned form into t.clean.
func (t *tarFile) name(b []byte, kind byte) error {
	t.raw = t.raw[:0]
	switch prefix := cstring(b[345:500]); {
	case t.ext.hasPath:
		t.raw = append(t.raw, t.ext.path...)
	case len(prefix) == 0:
		t.raw = append(t.raw, cstring(b[:100])...)
	default:
		t.raw = append(append(append(t.raw, prefix...), '/'), cstring(b[:100])...)
		if string(b[257:263]) != "ustar\x00" {
			// Python puts it in front in every format, others do not.
			if err := t.minor("tar: member %q: a prefix in a format that has none", t.raw); err != nil {
				return err
			}
		}
	}
	clean, err := cleanPath(t.clean[:0], t.raw)
	t.clean = clean
	if err != nil {
		return err
	}
	if bytes.IndexByte(t.raw, '\\') >= 0 {
		return t.minor("tar: member %q: backslash in the name", t.raw)
	}
	return nil
}

// entry judges a member whose headers are complete, and reads it.
func (t *tarFile) entry(v tarVisitor, kind byte, link []byte, size int64) error {
	dir := kind == '5' || kind == 0 && t.raw[len(t.raw)-1] == '/'
	what := tarRegular
	switch {
	case dir:
		what = tarFolder
	case kind == '0', kind == 0:
		if t.raw[len(t.raw)-1] == '/' {
			return reject("tar: member %q is a file with the name of a folder", t.raw)
		}
	case kind == '1', kind == '2':
		if err := t.checkLink(kind, link); err != nil {
			return err
		}
		if kind == '2' {
			what = tarSymlink
		}
	default:
		return reject("tar: member %q is %s", t.raw, tarKind(kind))
	}
	if size != 0 && (what != tarRegular || kind == '1') {
		return reject("tar: member %q is %s with %d bytes", t.raw, tarKind(kind), size)
	}
	if len(t.clean) == 0 {
		if !dir {
			return reject("tar: member %q names the archive's own top", t.raw)
		}
		t.ext.reset()
		return nil
	}
	if t.symlinks != nil && t.belowLink(t.clean) {
		return reject("tar: member %q lies below a symbolic link", t.raw)
	}
	if err := t.unique(what); err != nil {
		return err
	}
	if what == tarSymlink {
		if t.symlinks == nil {
			t.symlinks = make(map[string]bool)
		}
		t.symlinks[string(t.clean)] = true
	}
	keep, err := v.member(t.clean, dir, size)
	if err != nil {
		return err
	}
	t.ext.reset()
	if !keep || what != tarRegular {
		if err := t.skip(size + padding(size)); err != nil {
			return err
		}
		return nil
	}
	if size > maxMetadata {
		return reject("tar: member %q has %d bytes, more than %d", t.raw, size, maxMetadata)
	}
	if t.kept, err = t.take(t.kept[:0], size); err != nil {
		return err
	}
	return v.content(t.kept)
}

// unique holds the name against those before it.
func (t *tarFile) unique(what int) error {
	before := t.names.find(t.clean)
	switch t.names.add(t.clean, what) {
	case sameName:
		if before == tarFolder && what == tarFolder {
			return nil
		}
		return t.minor("tar: two members are called %q", t.raw)
	case clashName:
		return t.minor("tar: member %q differs from another in case only", t.raw)
	}
	return nil
}

// checkLink makes sure that a link leads to something inside the archive, and
// below the same top folder if it is symbolic.
func (t *tarFile) checkLink(kind byte, link []byte) error {
	if kind == '1' {
		var err error
		if t.target, err = cleanPath(t.target[:0], link); err != nil {
			return reject("tar: link %q: %v", t.raw, err)
		}
		if t.names.find(t.target) != tarRegular || t.symlinks != nil && t.belowLink(t.target) {
			return reject("tar: link %q leads to %q, which is no file before it", t.raw, link)
		}
		return nil
	}
	if len(link) == 0 || link[0] == '/' || len(link) > 1 && link[1] == ':' {
		return reject("tar: link %q leads to %q, outside the archive", t.raw, link)
	}
	// Up first and then down only: what comes after a folder that is a link
	// itself leads elsewhere than it seems to.
	up, down := 0, false
	for seg := range bytes.SplitSeq(link, []byte("/")) {
		switch string(seg) {
		case "", ".":
		case "..":
			if down {
				return reject("tar: link %q leads to %q, down and up again", t.raw, link)
			}
			up++
		default:
			down = true
		}
		for _, c := range seg {
			if c < 0x20 || c == 0x7f || c == '\\' {
				return reject("tar: link %q leads to %q", t.raw, link)
			}
		}
	}
	// A link in a/b/c may go up once for each folder below the top.
	if depth := bytes.Count(t.clean, []byte("/")); up > max(depth-1, 0) || depth == 0 && !down {
		return reject("tar: link %q leads to %q, outside its folder", t.raw, link)
	}
	return nil
}

// belowLink reports whether a folder on the way to the path is a symbolic link.
func (t *tarFile) belowLink(path []byte) bool {
	for i, c := range path {
		if c == '/' && t.symlinks[string(path[:i])] {
			return true
		}
	}
	return false
}

func tarKind(kind byte) string {
	switch kind {
	case '1':
		return "a hard link"
	case '2':
		return "a symbolic link"
	case '3':
		return "a character device"
	case '4':
		return "a block device"
	case '5':
		return "a folder"
	case '6':
		return "a FIFO"
	case '7':
		return "a contiguous file"
	case 'S':
		return "a sparse file"
	case 'M':
		return "a part of a split archive"
	case 'V':
		return "a volume label"
	case 'D', 'N':
		return "a record of an incremental backup"
	}
	return "of the unknown kind " + strconv.QuoteRune(rune(kind))
}

// long reads a GNU long name or long link name.
func (t *tarFile) long(kind byte, size int64) error {
	if size > maxLongName {
		return reject("tar: a name of %d bytes", size)
	}
	to, has := &t.ext.path, &t.ext.hasPath
	if kind == 'K' {
		to, has = &t.ext.link, &t.ext.hasLink
	}
	if *has {
		return reject("tar: a member with two long names")
	}
	var err error
	if *to, err = t.take((*to)[:0], size); err != nil {
		return err
	}
	*to = cstring(*to)
	*has, t.ext.any = true, true
	return nil
}

var errPAX = Rejection("tar: broken PAX header")

// pax reads the records of a PAX header (POSIX.1-2001). A global one may only
// hold what does not change what is read.
func (t *tarFile) pax(kind byte, size int64) error {
	if size > maxPAX {
		return reject("tar: a PAX header of %d bytes", size)
	}
	var err error
	if t.kept, err = t.take(t.kept[:0], size); err != nil {
		return err
	}
	if kind != 'g' {
		if t.ext.any {
			return reject("tar: a member with two headers of its own")
		}
		t.ext.any = true
	}
	for b := t.kept; len(b) > 0; {
		digits, rest, ok := bytes.Cut(b, []byte(" "))
		n, err := strconv.ParseUint(string(digits), 10, 31)
		if !ok || err != nil || digits[0] == '0' || int(n) > len(b) || int(n) < len(digits)+2 || b[n-1] != '\n' {
			return errPAX
		}
		record := rest[:int(n)-len(digits)-2]
		b = b[n:]
		key, value, ok := bytes.Cut(record, []byte("="))
		if !ok || len(key) == 0 || bytes.IndexByte(key, 0) >= 0 {
			return errPAX
		}
		if err := t.record(kind, string(key), value); err != nil {
			return err
		}
	}
	return nil
}

// record takes in one PAX record.
func (t *tarFile) record(kind byte, key string, value []byte) error {
	e := &t.ext
	switch key {
	case "path", "linkpath", "size":
		if kind == 'g' {
			return reject("tar: a global header with %q", key)
		}
	case "hdrcharset":
		return t.minor("tar: names in a charset of their own")
	case "uname", "gname":
		if bytes.IndexByte(value, 0) >= 0 {
			return errPAX
		}
		return nil
	case "mtime", "atime", "ctime", "uid", "gid":
		// Some readers give up on these, and some go on.
		digits := bytes.Replace(bytes.TrimPrefix(value, []byte("-")), []byte("."), nil, 1)
		if len(value) > 0 && (len(digits) == 0 || len(digits) > 40 || len(bytes.Trim(digits, "0123456789")) > 0) {
			return errPAX
		}
		return nil
	default:
		if bytes.HasPrefix([]byte(key), []byte("GNU.sparse.")) {
			return reject("tar: a sparse file")
		}
		return nil
	}
	switch key {
	case "path":
		if e.hasPath || len(value) == 0 {
			return errPAX
		}
		e.path, e.hasPath = append(e.path[:0], value...), true
	case "linkpath":
		if e.hasLink {
			return errPAX
		}
		e.link, e.hasLink = append(e.link[:0], value...), true
	case "size":
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 || e.size >= 0 {
			return errPAX
		}
		e.size = n
	}
	return nil
}

// cstring cuts b at its first zero byte.
func cstring(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// sumFits checks a header's checksum. Some old programs added up signed bytes.
func sumFits(b []byte) bool {
	want, ok := number(b[148:156])
	if !ok {
		return false
	}
	var plain, signed int64 = 8 * ' ', 8 * ' '
	for i, c := range b {
		if i < 148 || i >= 156 {
			plain += int64(c)
			signed += int64(int8(c))
		}
	}
	return want == plain || want == signed
}

// number reads a field: octal digits among spaces and zero bytes, or GNU's
// base 256.
func number(b []byte) (int64, bool) {
	if b[0] == 0x80 {
		var n int64
		for _, c := range b[1:] {
			if n >= 1<<54 {
				return 0, false
			}
			n = n<<8 | int64(c)
		}
		return n, true
	}
	b = bytes.TrimLeft(b, " \x00")
	var n int64
	for i, c := range b {
		if c == ' ' || c == 0 {
			// Nothing may follow that some readers would read on to.
			return n, len(bytes.Trim(b[i:], " \x00")) == 0
		}
		if c < '0' || c > '7' || n >= 1<<59 {
			return 0, false
		}
		n = n<<3 | int64(c-'0')
	}
	return n, true
}
