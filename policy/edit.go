package policy

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"nestgen/packaging"
)

// A Target is what a yank, an unyank or an allow is about: some versions of a project,
// or one file of it.
type Target struct {
	Project packaging.Name

	// Versions is a specifier set such as "==1.2", File a file name. One of
	// them is given, or neither for all files of the project.
	Versions string
	File     string
}

// Yank adds a yank to the policy file, which is made if it is not there. It
// takes the place of one of the same target. Everything else in the file stays
// as it is.
func Yank(path string, t Target, reason string, day time.Time) error {
	return edit(path, func(data []byte) ([]byte, error) {
		data = without(without(data, "unyank", t), "yank", t)
		return with(data, "yank", t, reason, day), nil
	})
}

// Unyank takes a yank of just the same target out of the policy file. Where
// there is none it adds an unyank, which lifts the yank that comes from the
// file's source.
func Unyank(path string, t Target, reason string, day time.Time) error {
	return edit(path, func(data []byte) ([]byte, error) {
		if less := without(data, "yank", t); len(less) != len(data) {
			return less, nil
		}
		return with(data, "unyank", t, reason, day), nil
	})
}

// Allow adds an entry that lets in what is held, until the end of a day. It takes
// the place of one of the same target.
func Allow(path string, t Target, reason string, expires, day time.Time) error {
	return edit(path, func(data []byte) ([]byte, error) {
		data = with(without(data, "allow", t), "allow", t, reason, day)
		return fmt.Appendf(data, "expires = %s\n", expires.Format(time.DateOnly)), nil
	})
}

// edit changes a policy file in one step, one after the other. Neither a faulty file nor
// a fault of our own making is ever written.
func edit(path string, change func([]byte) ([]byte, error)) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link into a working copy stays one
	}
	folder, err := lock(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close() // which unlocks
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if _, err := parse(path, data); err != nil {
		return err
	}
	changed, err := change(data)
	if err != nil {
		return err
	}
	if bytes.Equal(changed, data) {
		return nil
	}
	if _, err := parse(path, changed); err != nil {
		return fmt.Errorf("this change would spoil the policy file, which stays as it is: %w", err)
	}
	return renameio.WriteFile(path, changed, 0o644, renameio.WithTempDir(filepath.Dir(path)))
}

// lock waits for the lock on the folder of a policy file. The file itself is replaced, may
// not be there yet, and is often in a working copy, where a lock file would be in the way.
func lock(folder string) (*os.File, error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	for err = syscall.EINTR; err == syscall.EINTR; {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	switch err {
	case nil, syscall.EBADF, syscall.ENOLCK, syscall.EOPNOTSUPP: // NFS does not lock folders
		return f, nil
	}
	f.Close()
	return nil, &os.PathError{Op: "lock", Path: folder, Err: err}
}

// with adds an entry at the end.
func with(data []byte, table string, t Target, reason string, day time.Time) []byte {
	var b bytes.Buffer
	b.Write(data)
	if len(data) > 0 && data[len(data)-1] != '\n' {
		b.WriteByte('\n')
	}
	if len(data) > 0 {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "[[%s]]\nproject = %s\n", table, quote(string(t.Project)))
	if t.Versions != "" {
		fmt.Fprintf(&b, "versions = %s\n", quote(t.Versions))
	}
	if t.File != "" {
		fmt.Fprintf(&b, "file = %s\n", quote(t.File))
	}
	if reason != "" {
		fmt.Fprintf(&b, "reason = %s\n", quote(reason))
	}
	fmt.Fprintf(&b, "date = %s\n", day.Format(time.DateOnly))
	return b.Bytes()
}

// quote writes a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			b.WriteString(`\u` + fmt.Sprintf("%04x", r))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// without takes every entry of a table out that is about just this target.
func without(data []byte, table string, t Target) []byte {
	var out []byte
	for _, block := range blocks(data) {
		if block.table != table || !sameTarget(block.text, table, t) {
			out = append(out, block.text...)
			continue
		}
		// Only what follows the last line of the entry stays: the comments that
		// belong to the next one. At the end of the file, the empty line that
		// with put before the entry goes too.
		rest := trailing(block.text)
		if len(rest) == 0 {
			out = withoutEmptyLine(out)
		}
		out = append(out, rest...)
	}
	return out
}

// withoutEmptyLine takes an empty line off the end.
func withoutEmptyLine(data []byte) []byte {
	if bytes.HasSuffix(data, []byte("\n\n")) {
		return data[:len(data)-1]
	}
	return data
}

type block struct {
	table string // of a [[table]] header; empty for what stands before the first
	text  []byte
}

// blocks cuts a policy file at the headers of its tables. A header inside a
// multi-line string is not one: no entry of a policy is a table of its own, so
// a piece that cannot be read alone belongs to the one before.
func blocks(data []byte) []block {
	var all []block
	for line := range bytes.Lines(data) {
		name, header := headerOf(line)
		if header && (len(all) == 0 || readable(all[len(all)-1].text)) {
			all = append(all, block{table: name})
		}
		if len(all) == 0 {
			all = append(all, block{})
		}
		last := &all[len(all)-1]
		last.text = append(last.text, line...)
	}
	return all
}

func headerOf(line []byte) (string, bool) {
	s := strings.TrimSpace(string(line))
	if !strings.HasPrefix(s, "[[") {
		return "", false
	}
	name, _, ok := strings.Cut(s[2:], "]]")
	return strings.Trim(strings.TrimSpace(name), `"'`), ok
}

func readable(text []byte) bool {
	_, err := parse("", text)
	return err == nil
}

func sameTarget(text []byte, table string, t Target) bool {
	p, err := parse("", text)
	if err != nil {
		return false
	}
	same := func(r rule) bool { return r.File == t.File && spaceless(r.Versions) == spaceless(t.Versions) }
	if table == "allow" {
		return slices.ContainsFunc(p.allows[t.Project], func(a allowRule) bool { return same(a.rule) })
	}
	return slices.ContainsFunc(p.yanks[t.Project], func(y yank) bool { return y.yanked == (table == "yank") && same(y.rule) })
}

func spaceless(s string) string { return strings.Join(strings.Fields(s), "") }

// trailing gives the comment lines and blank lines at the end of a block.
func trailing(text []byte) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	at := len(text)
	for i := len(lines) - 1; i > 0; i-- {
		if l := bytes.TrimSpace(lines[i]); len(l) > 0 && l[0] != '#' {
			break
		}
		at -= len(lines[i])
	}
	rest := bytes.TrimLeft(text[at:], "\r\n")
	return rest
}

// tableLine finds the line of the header of the n-th entry of a table,
// counting from 0; 0 if it cannot be found.
func tableLine(data []byte, table string, n int) int {
	line := 0
	for l := range bytes.Lines(data) {
		line++
		if name, ok := headerOf(l); ok && name == table {
			if n == 0 {
				return line
			}
			n--
		}
	}
	return 0
}

// ParseTarget reads what people write after yank: a project, a project with a
// specifier set (foo==1.2), or the name of a file.
func ParseTarget(s string) (Target, error) {
	if f, err := packaging.ParseFilename(s, ""); err == nil {
		return Target{Project: f.Project, File: s}, nil
	}
	r, err := packaging.ParseRequirement(s)
	if err != nil || len(r.Extras) > 0 || r.URL != "" || strings.Contains(s, ";") {
		return Target{}, fmt.Errorf("%s: want a project, a project and versions such as %s, or the name of a file", strconv.Quote(s), "foo==1.2")
	}
	return Target{Project: packaging.NormalizeName(r.Name), Versions: r.Specifiers.String()}, nil
}
