package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

const site = "packages.example.org/pypi"

// open gives the keys of a new folder.
func open(t testing.TB) *Keys {
	t.Helper()
	return Open(filepath.Join(t.TempDir(), "keys"))
}

// own makes a key that is in no folder.
func own(t testing.TB, name string) *Own {
	t.Helper()
	o, err := generate(name)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// step makes the statement of a rotation.
func step(t testing.TB, from, to *Own, serial int64) []byte {
	t.Helper()
	s, err := Rotation{Name: from.Name, Old: from.Verifier, New: to.Verifier, Serial: serial}.sign(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestNew(t *testing.T) {
	k := open(t)
	if _, err := k.Own(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}
	if _, err := k.New("with blank"); err == nil {
		t.Error("a wrong name was taken")
	}
	if _, err := os.Stat(k.dir); err == nil {
		t.Error("the folder was made for nothing")
	}
	o := must(k.New(site))(t)
	again := must(k.Own())(t)
	if again.Verifier != o.Verifier || again.Name != site || again.Signer.KeyHash() != o.Key().Hash {
		t.Errorf("made %v, read %v", o, again)
	}
	if _, err := k.New(site); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), o.Key().ID()) {
		t.Errorf("a second key: %v", err)
	}
	for name, want := range map[string]fs.FileMode{"": fs.ModeDir | 0o700, ownFile: 0o600} {
		if fi := must(os.Lstat(k.path(name)))(t); fi.Mode() != want {
			t.Errorf("%q: mode %v, want %v", name, fi.Mode(), want)
		}
	}
	signed := must(note.Sign(&note.Note{Text: "hello\n"}, again.Signer))(t)
	n := must(note.Open(signed, note.VerifierList(o.Key().Note())))(t)
	if len(n.Sigs) != 1 || n.Sigs[0].Name != site {
		t.Errorf("%+v", n)
	}
}

// The half that nobody may know is in no text that a program makes of a key.
func TestSecretIsNotPrinted(t *testing.T) {
	k := open(t)
	o := must(k.New(site))(t)
	secret := strings.TrimSpace(string(must(os.ReadFile(k.path(ownFile)))(t)))
	if got := fmt.Sprintf("%v %+v %#v %s %q %v %+v %#v %v", o, o, o, o, o, *o, *o, *o, []Own{*o}); strings.Contains(got, secret[len(secret)-44:]) {
		t.Errorf("%s", got)
	}
	_, err := k.Trust(secret)
	if err == nil || strings.Contains(err.Error(), secret[len(secret)-44:]) {
		t.Errorf("trusting the signer key: %v", err)
	}
	for _, broken := range []string{secret, secret[1:] + "\n", secret + "\n\n", secret + "x\n", ""} {
		if err := os.WriteFile(k.path(ownFile), []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Own(); err == nil || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), secret[len(secret)-44:]) {
			t.Errorf("%q: %v", strings.ReplaceAll(broken, secret, "KEY"), err)
		}
	}
}

func TestRefused(t *testing.T) {
	k := open(t)
	must(k.New(site))(t)
	must(k.Trust(own(t, "other.example.org").Verifier))(t)
	chmod := func(name string, mode fs.FileMode) {
		t.Helper()
		if err := os.Chmod(k.path(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o666} {
		chmod(ownFile, mode)
		if _, err := k.Own(); err == nil || !strings.Contains(err.Error(), "chmod 600 "+k.path(ownFile)) {
			t.Errorf("own with mode %#o: %v", mode, err)
		}
		if _, _, err := k.Rotate(0); err == nil {
			t.Errorf("rotated a key of mode %#o", mode)
		}
	}
	chmod(ownFile, 0o600)
	must(k.Own())(t)
	for _, mode := range []fs.FileMode{0o620, 0o602} {
		chmod(trustedFile, mode)
		if _, err := k.Trusted(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("trusted with mode %#o: %v", mode, err)
		}
		if _, err := k.Verifiers().Verifier("x", 1); err == nil || errors.As(err, new(*note.UnknownVerifierError)) {
			t.Errorf("verifiers with mode %#o: %v", mode, err)
		}
	}
	chmod(trustedFile, 0o644)
	must(k.Trusted())(t)
	chmod("", 0o770)
	if _, err := k.Own(); err == nil || !strings.Contains(err.Error(), "chmod 700 "+k.dir) {
		t.Errorf("a folder that others may write: %v", err)
	}
	chmod("", 0o750)
	must(k.Own())(t)
	for _, name := range []string{ownFile, trustedFile, rotationsFile} {
		if err := os.Remove(k.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.Symlink("/dev/zero", k.path(name)); err != nil {
			t.Fatal(err)
		}
		_, one := k.Own()
		_, two := k.Trusted()
		if err := cmpErr(one, two); err == nil || !strings.Contains(err.Error(), "a link") {
			t.Errorf("%s as a link: %v, %v", name, one, two)
		}
		if err := os.Remove(k.path(name)); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(k.path(name), 0o600); err != nil {
			t.Fatal(err)
		}
		_, one = k.Own()
		_, two = k.Trusted()
		if err := cmpErr(one, two); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s as a pipe: %v, %v", name, one, two)
		}
		if err := os.Remove(k.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(k.path(trustedFile), bytes.Repeat([]byte("#\n"), maxTrustedFile/2+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Trusted(); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a large file: %v", err)
	}
}

// cmpErr gives the first error that is not of a file that is not there.
func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// When root makes keys, the user of the folder around them can use them.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of others")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 1234, 5678); err != nil {
		t.Fatal(err)
	}
	k := Open(filepath.Join(dir, "keys"))
	must(k.New(site))(t)
	if _, _, err := k.Rotate(1); err != nil {
		t.Fatal(err)
	}
	must(k.Trust(own(t, "x").Verifier))(t)
	for _, name := range []string{"", ownFile, rotationsFile, trustedFile} {
		if st := must(os.Stat(k.path(name)))(t).Sys().(*syscall.Stat_t); st.Uid != 1234 || st.Gid != 5678 {
			t.Errorf("%q: owner %d:%d", name, st.Uid, st.Gid)
		}
	}
}

func TestRotate(t *testing.T) {
	k := open(t)
	if _, _, err := k.Rotate(1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("rotate without a key: %v", err)
	}
	first := must(k.New(site))(t)
	if s, err := k.Rotations(); err != nil || len(s) != 0 {
		t.Errorf("%q, %v", s, err)
	}
	last := first
	for i, serial := range []int64{0, 7, 7, 12} {
		next, r, err := k.Rotate(serial)
		if err != nil {
			t.Fatal(err)
		}
		if want := (Rotation{site, last.Verifier, next.Verifier, serial}); r != want {
			t.Errorf("%+v, want %+v", r, want)
		}
		statements := must(k.Rotations())(t)
		if len(statements) != i+1 {
			t.Fatalf("%d statements after %d rotations", len(statements), i+1)
		}
		if got := must(ParseRotation(statements[i]))(t); got != r {
			t.Errorf("%+v, want %+v", got, r)
		}
		if o := must(k.Own())(t); o.Verifier != next.Verifier {
			t.Errorf("own is %s, want %s", o.Verifier, next.Verifier)
		}
		last = next
	}
	// A site that has forgotten something rotates all the same, and serials do not fall.
	last, r, err := k.Rotate(11)
	if err != nil || r.Serial != 12 {
		t.Errorf("a serial that falls: %+v, %v", r, err)
	}
	for _, serial := range []int64{-1, -1 << 63} {
		if _, _, err := k.Rotate(serial); err == nil {
			t.Errorf("serial %d", serial)
		}
	}
	current, followed, err := Follow([]string{first.Verifier}, must(k.Rotations())(t))
	if err != nil || !slices.Equal(current, []string{last.Verifier}) || len(followed) != 5 {
		t.Errorf("%q, %+v, %v", current, followed, err)
	}
	if text := must(os.ReadFile(k.path(rotationsFile)))(t); bytes.Contains(text, []byte("PRIVATE")) {
		t.Error("a signer key is in the file of rotations")
	}

	// A key that was lost is not replaced by a new one in silence, and one of
	// another time signs nothing.
	kept := must(os.ReadFile(k.path(ownFile)))(t)
	if err := os.Remove(k.path(ownFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Own(); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("own, lost: %v", err)
	}
	if _, err := k.New(site); err == nil || !strings.Contains(err.Error(), "backup") {
		t.Errorf("new, lost: %v", err)
	}
	for _, o := range []*Own{first, own(t, site)} {
		if err := os.WriteFile(k.path(ownFile), []byte(o.secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Own(); err == nil || !strings.Contains(err.Error(), "another time") {
			t.Errorf("own, of another time: %v", err)
		}
	}
	if err := os.WriteFile(k.path(ownFile), kept, 0o600); err != nil {
		t.Fatal(err)
	}
	must(k.Own())(t)
}

// What was signed is remembered until the site gets a key that has nothing to do with the
// one before, which is put aside; a run that stops on the way never leaves a new key with
// something of the old one, and what was signed is forgotten last.
func TestRenew(t *testing.T) {
	type dead struct{}
	for stop := 1; ; stop++ {
		k := open(t)
		if data, err := k.Signed(); data != nil || err != nil {
			t.Fatalf("%q, %v", data, err)
		}
		must(k.New(site))(t)
		if _, _, err := k.Rotate(3); err != nil {
			t.Fatal(err)
		}
		former := must(k.Own())(t)
		for _, text := range []string{"one\n", "two\n"} {
			if err := k.Remember([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		at, steps := "", 0
		k.step = func(what string) {
			if steps++; steps == stop {
				at = what
				panic(dead{})
			}
		}
		func() {
			defer func() {
				if r := recover(); r != nil && r != (dead{}) {
					panic(r)
				}
			}()
			if _, err := k.Renew("other.example.org"); err != nil {
				t.Fatal(err)
			}
		}()
		k = Open(k.dir)
		signed := string(must(k.Signed())(t))
		now, err := k.Own()
		switch {
		case errors.Is(err, fs.ErrNotExist) && signed == "two\n":
		case err == nil && now.Verifier == former.Verifier && signed == "two\n":
		case err == nil && now.Name == "other.example.org" && (signed == "two\n" || signed == ""):
		default:
			t.Errorf("stopped after %q: own %v, %v; signed %q", at, now, err, signed)
		}
		if at == "" {
			if stop < 5 {
				t.Errorf("only %d steps", stop-1)
			}
			break
		}
		if now, err = k.Renew("other.example.org"); err != nil || string(must(k.Signed())(t)) != "" || len(must(k.Rotations())(t)) != 0 {
			t.Errorf("again after %q: %v, %v", at, now, err)
		}
		if kept, err := k.secret(fmt.Sprintf("%s%08x", formerFile, former.Key().Hash)); err != nil || kept.Verifier != former.Verifier {
			t.Errorf("the former key: %v, %v", kept, err)
		}
	}
	// Whatever is wrong with the former one is in nobody's way.
	k := open(t)
	must(k.New(site))(t)
	if err := os.WriteFile(k.path(ownFile), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Renew(site); err != nil {
		t.Error(err)
	}
	must(k.Own())(t)
}

// Whatever is stopped at any step leaves either what was or what was to be, and
// the same command works afterwards.
func TestStoppedAtAnyStep(t *testing.T) {
	type dead struct{}
	other := own(t, "other.example.org")
	for _, tt := range []struct {
		what   string
		change func(*Keys) error
	}{
		{"new", func(k *Keys) error { _, err := k.New(site); return err }},
		{"rotate", func(k *Keys) error { _, _, err := k.Rotate(5); return err }},
		{"trust", func(k *Keys) error { _, err := k.Trust(other.Verifier); return err }},
	} {
		for stop := 1; ; stop++ {
			k := open(t)
			var before *Own
			if tt.what != "new" {
				must(k.New(site))(t)
				if _, _, err := k.Rotate(3); err != nil {
					t.Fatal(err)
				}
				before = must(k.Own())(t)
			}
			steps, at := 0, ""
			k.step = func(what string) {
				if steps++; steps == stop {
					at = what
					panic(dead{})
				}
			}
			func() {
				defer func() {
					if r := recover(); r != nil && r != (dead{}) {
						panic(r)
					}
				}()
				if err := tt.change(k); err != nil {
					t.Fatal(err)
				}
			}()
			if at == "" {
				if stop < 3 {
					t.Errorf("%s has only %d steps", tt.what, stop-1)
				}
				break
			}
			k = Open(k.dir)
			now, err := k.Own()
			statements := must(k.Rotations())(t)
			switch tt.what {
			case "new":
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s stopped after %q: %v", tt.what, at, err)
				}
				if _, again := k.New(site); (err == nil) != errors.Is(again, fs.ErrExist) {
					t.Errorf("%s stopped after %q: %v, and then %v", tt.what, at, err, again)
				}
			case "rotate":
				if err != nil {
					t.Fatalf("%s stopped after %q: %v", tt.what, at, err)
				}
				current, _, err := Follow([]string{before.Verifier}, statements)
				if err != nil || current[0] != now.Verifier {
					t.Errorf("%s stopped after %q: own is %s, and who follows comes to %q, %v", tt.what, at, now, current, err)
				}
				if rotated := now.Verifier != before.Verifier; rotated != (len(statements) == 2) || len(statements) == 0 {
					t.Errorf("%s stopped after %q: rotated %v, with %d statements", tt.what, at, rotated, len(statements))
				}
				if err := k.Mend(); err != nil {
					t.Errorf("%s stopped after %q: mend: %v", tt.what, at, err)
				}
				if o := must(k.secret(ownFile))(t); o.Verifier != now.Verifier {
					t.Errorf("%s stopped after %q: mended to %s, and it was %s", tt.what, at, o, now)
				}
				if _, _, err := k.Rotate(5); err != nil {
					t.Errorf("%s stopped after %q: %v", tt.what, at, err)
				}
				if left := must(filepath.Glob(k.path("next*")))(t); len(left) != 0 {
					t.Errorf("%s stopped after %q: left over %q", tt.what, at, left)
				}
			case "trust":
				keys := must(k.Trusted())(t)
				if added := must(k.Trust(other.Verifier))(t); added == (len(keys) == 1) {
					t.Errorf("%s stopped after %q: %d keys, then added %v", tt.what, at, len(keys), added)
				}
			}
		}
	}
}

// Processes that change the same folder wait for each other, and those that read
// see a whole state at any time.
func TestAtOnce(t *testing.T) {
	k := open(t)
	first := must(k.New(site))(t)
	var g sync.WaitGroup
	for i := range 4 {
		g.Go(func() {
			if _, _, err := Open(k.dir).Rotate(1); err != nil {
				t.Error(err)
			}
			if _, err := Open(k.dir).Trust(own(t, fmt.Sprint("n", i)).Verifier); err != nil {
				t.Error(err)
			}
		})
		g.Go(func() {
			for range 20 {
				if _, err := Open(k.dir).Own(); err != nil {
					t.Error(err)
				}
				if err := Open(k.dir).Mend(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
	if n := len(must(k.Trusted())(t)); n != 4 {
		t.Errorf("%d keys, want 4", n)
	}
	current, followed, err := Follow([]string{first.Verifier}, must(k.Rotations())(t))
	if err != nil || len(followed) != 4 || current[0] != must(k.Own())(t).Verifier {
		t.Errorf("%q, %d steps, %v", current, len(followed), err)
	}
}

func TestTrust(t *testing.T) {
	k := open(t)
	a, b, b2 := own(t, "a.example.org"), own(t, "b.example.org"), own(t, "b.example.org")
	if keys, err := k.Trusted(); err != nil || len(keys) != 0 {
		t.Errorf("without a folder: %v, %v", keys, err)
	}
	if _, err := k.Distrust("x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("distrust without a folder: %v", err)
	}
	for _, wrong := range []string{"", "# only this", "x", a.secret, a.Verifier + " " + b.Verifier, a.Verifier + "\n" + b.Verifier, a.Verifier[:60], a.Verifier + "\x1b"} {
		if added, err := k.Trust(wrong); err == nil || added {
			t.Errorf("%q was taken", wrong)
		}
	}
	if !must(k.Trust(" "+a.Verifier+"  # site A, by telephone\n"))(t) || must(k.Trust(a.Verifier))(t) {
		t.Error("added is not what was added")
	}
	// People edit the file: with comments, without a line end, in any layout.
	data := must(os.ReadFile(k.path(trustedFile)))(t)
	data = append([]byte("# ours\n\n"), data...)
	if err := os.WriteFile(k.path(trustedFile), append(data, "\t"+b.Verifier+"\r\n# end"...), 0o600); err != nil {
		t.Fatal(err)
	}
	must(k.Trust(b2.Verifier))(t)
	keys := must(k.Trusted())(t)
	if len(keys) != 3 || keys[0].Line != 3 || keys[0].Comment != "site A, by telephone" || keys[1].Verifier != b.Verifier || keys[2].Line != 6 {
		t.Fatalf("%+v", keys)
	}
	for _, o := range []*Own{a, b, b2} {
		if v := must(k.Verifiers().Verifier(o.Name, o.Key().Hash))(t); v.Name() != o.Name {
			t.Errorf("%s: %v", o, v)
		}
	}
	if _, err := k.Verifiers().Verifier("a.example.org", b.Key().Hash); !errors.As(err, new(*note.UnknownVerifierError)) {
		t.Errorf("%v", err)
	}
	if _, err := k.Distrust("c"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if got, err := k.Distrust(a.Name, "c"); !errors.Is(err, fs.ErrNotExist) || got != nil || len(must(k.Trusted())(t)) != 3 {
		t.Errorf("one of two is there: %v, %v", got, err)
	}
	if got := must(k.Distrust(fmt.Sprintf("%08x", b2.Key().Hash)))(t); len(got) != 1 || got[0].Verifier != b2.Verifier {
		t.Errorf("%+v", got)
	}
	must(k.Trust(b2.Verifier))(t)
	if got := must(k.Distrust("b.example.org"))(t); len(got) != 2 {
		t.Errorf("%+v", got)
	}
	if got, want := string(must(os.ReadFile(k.path(trustedFile)))(t)), "# ours\n\n"+a.Verifier+"  # site A, by telephone\n# end\n"; got != want {
		t.Errorf("the file is\n%s, want\n%s", got, want)
	}
	if got := must(k.Distrust(a.Key().ID()))(t); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestParseTrusted(t *testing.T) {
	a, b := own(t, "a"), own(t, "b")
	long := strings.Repeat("x", maxLine)
	for _, tt := range []struct {
		name, data string
		says       string // empty for a file that is right
	}{
		{"nothing", "", ""},
		{"comments", "#\n\n  # x\n" + a.Verifier + "#y\n" + b.Verifier, ""},
		{"twice", a.Verifier + "\n\n" + a.Verifier, "t:3: a second key " + a.Key().ID() + ", which line 1 has"},
		{"cut", a.Verifier + "\n" + b.Verifier[:30], "t:2: "},
		{"letter changed", strings.Replace(a.Verifier, "a+", "c+", 1), "t:1: "},
		{"signer key", "\n" + a.secret, "t:2: this is a signer key"},
		{"name", "a b+00000000+x", "t:1: the name"},
		{"capital hash", strings.ToUpper(a.Verifier[:10]) + a.Verifier[10:], "t:1:"},
		{"long", "#" + long, "t:1: more than 1000 bytes"},
		{"escape", "# \x1b[2J", "t:1:"},
		{"not UTF-8", "# \xff", "t:1:"},
	} {
		keys, err := parseTrusted("t", []byte(tt.data))
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || keys != nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v, %v, want %q", tt.name, keys, err, tt.says)
		}
	}
}

func TestFollow(t *testing.T) {
	var k [6]*Own
	for i := range k {
		k[i] = own(t, site)
	}
	thief, other := own(t, site), own(t, "other.example.org")
	s := func(from, to *Own, serial int64) []byte { return step(t, from, to, serial) }
	keys := func(o ...*Own) (all []string) {
		for _, o := range o {
			all = append(all, o.Verifier)
		}
		return all
	}
	whole := [][]byte{s(k[0], k[1], 3), s(k[1], k[2], 3), s(k[2], k[3], 9)}
	for _, tt := range []struct {
		name     string
		known    []string
		chain    [][]byte
		current  []string
		followed int
		says     string
	}{
		{"nothing", keys(k[0]), nil, keys(k[0]), 0, ""},
		{"from the first", keys(k[0]), whole, keys(k[3]), 3, ""},
		{"from the middle", keys(other, k[1]), whole, keys(other, k[3]), 2, ""},
		{"from the last", keys(k[3]), whole, keys(k[3]), 0, ""},
		{"not ours", keys(other), whole, keys(other), 0, ""},
		{"two of one chain", keys(k[0], other, k[2]), whole, keys(other, k[3]), 3, ""},
		{"first and last", keys(k[3], k[0]), whole, keys(k[3]), 3, ""},
		{"the same twice", keys(k[0], k[0]), nil, keys(k[0]), 0, ""},
		{"beginning is not there", keys(k[1]), whole[1:], keys(k[3]), 2, ""},
		{"gap", keys(k[0]), [][]byte{whole[0], whole[2]}, nil, 0, "does not follow"},
		{"other order", keys(k[0]), [][]byte{whole[1], whole[0]}, nil, 0, "does not follow"},
		{"repeated", keys(k[0]), [][]byte{whole[0], whole[0]}, nil, 0, "does not follow"},
		{"serial falls", keys(k[0]), [][]byte{s(k[0], k[1], 3), s(k[1], k[2], 2)}, nil, 0, "serial 2"},
		{"back again", keys(k[0]), [][]byte{s(k[0], k[1], 3), s(k[1], k[0], 3)}, nil, 0, "given up"},
		{"other name", keys(k[0]), [][]byte{whole[0], s(other, own(t, "other.example.org"), 4)}, nil, 0, "other.example.org"},
		{"fork", keys(k[0]), append(slices.Clone(whole), s(k[1], thief, 4)), nil, 0, ErrFork.Error()},
		{"fork of what is not known", keys(other), append(slices.Clone(whole), s(k[0], thief, 4)), nil, 0, ErrFork.Error()},
		{"wrong known key", []string{"x"}, whole, nil, 0, "x"},
	} {
		known := slices.Clone(tt.known)
		current, followed, err := Follow(known, tt.chain)
		if !slices.Equal(known, tt.known) {
			t.Errorf("%s: changed its input", tt.name)
		}
		if tt.says != "" {
			if err == nil || current != nil || followed != nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, ErrFork) != strings.HasPrefix(tt.name, "fork") {
				t.Errorf("%s: %q, %v, %v, want %q", tt.name, current, followed, err, tt.says)
			}
			continue
		}
		if err != nil || !slices.Equal(current, tt.current) || len(followed) != tt.followed {
			t.Errorf("%s: %q, %d steps, %v, want %q, %d", tt.name, current, len(followed), err, tt.current, tt.followed)
		}
	}

	// Nobody becomes the successor of a key without its signature, nor makes
	// somebody's key the successor of his own.
	r := Rotation{Name: site, Old: k[0].Verifier, New: thief.Verifier, Serial: 1}
	for name, sigs := range map[string][]*Own{
		"thief alone": {thief}, "thief twice": {thief, thief}, "old key alone": {k[0]}, "other order": {thief, k[0]}, "one more": {k[0], thief, k[1]},
	} {
		signers := []note.Signer{}
		for _, o := range sigs {
			signers = append(signers, o.Signer)
		}
		statement := must(note.Sign(&note.Note{Text: r.text()}, signers...))(t)
		if _, _, err := Follow(keys(k[0]), [][]byte{statement}); err == nil {
			t.Errorf("%s: followed", name)
		}
	}
	// A signature under another text does not count.
	stolen := must(note.Open(whole[0], note.VerifierList(k[0].Key().Note(), k[1].Key().Note())))(t)
	forged := fmt.Sprintf("%s\n— %s %s\n", r.text(), site, stolen.Sigs[0].Base64)
	forged += strings.SplitAfter(string(must(r.sign(own(t, site), thief))(t)), "\n")[7]
	if _, _, err := Follow(keys(k[0]), [][]byte{[]byte(forged)}); err == nil {
		t.Error("followed a signature of another text")
	}
	if _, _, err := Follow(nil, make([][]byte, MaxRotations+1)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("too many: %v", err)
	}
}

// No byte of a statement can be changed, removed or added.
func TestEveryByteCounts(t *testing.T) {
	statement := step(t, own(t, "a"), own(t, "a"), 10)
	refused := func(what string, i int, s []byte) {
		if _, err := ParseRotation(s); err == nil {
			t.Errorf("%s at %d: taken:\n%s", what, i, s)
		}
	}
	for i := range statement {
		for bit := range 8 {
			s := bytes.Clone(statement)
			s[i] ^= 1 << bit
			refused("a bit", i, s)
		}
		refused("cut", i, statement[:i])
		refused("removed", i, slices.Delete(bytes.Clone(statement), i, i+1))
		for _, c := range "\n\r A" {
			refused("added", i, slices.Insert(bytes.Clone(statement), i, byte(c)))
		}
	}
	lines := bytes.SplitAfter(statement, []byte("\n"))
	refused("a signature twice", 0, slices.Concat(statement, lines[7]))
	refused("twice", 0, slices.Concat(statement, statement))
}

func TestSplitRotations(t *testing.T) {
	a, b, c := own(t, "a"), own(t, "a"), own(t, "a")
	one, two := step(t, a, b, 1), step(t, b, c, 2)
	for _, want := range [][][]byte{nil, {one}, {one, two}} {
		got := must(SplitRotations(JoinRotations(want)))(t)
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, wrong := range []string{"\n", "x", string(one) + "\n", string(one) + string(two), "\n" + string(one), string(one) + "\n\n" + string(two), strings.Repeat("x", MaxRotation) + string(one)} {
		got, err := SplitRotations([]byte(wrong))
		if err == nil { // the shape may be right, and then the content is not
			_, err = chain(got)
		}
		if err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
	name := strings.Repeat("n", MaxName)
	if s := step(t, own(t, name), own(t, name), 1<<63-1); len(s) != 872 {
		t.Errorf("the longest statement has %d bytes, not what the comment of MaxRotation says", len(s))
	}
}

// A site that trusts another comes along when that one rotates its key, and the
// file stays one that a person can read.
func TestFollowInFolder(t *testing.T) {
	far, k := open(t), open(t)
	first := must(far.New(site))(t)
	other := own(t, "other.example.org")
	must(k.Trust(other.Verifier))(t)
	must(k.Trust(first.Verifier + " # by telephone"))(t)
	for serial := range int64(2) {
		if _, _, err := far.Rotate(serial); err != nil {
			t.Fatal(err)
		}
	}
	last := must(far.Own())(t)
	statements := must(far.Rotations())(t)
	for range 2 {
		if _, err := k.Follow(statements); err != nil {
			t.Fatal(err)
		}
		want := other.Verifier + "\n# rotated at serial 0: " + first.Verifier + "\n" + last.Verifier + " # by telephone\n"
		if got := string(must(os.ReadFile(k.path(trustedFile)))(t)); got != want {
			t.Errorf("the file is\n%s, want\n%s", got, want)
		}
	}
	// Whoever had both keys keeps one line of the new one.
	must(k.Distrust(last.Verifier))(t)
	must(k.Trust(last.Verifier))(t)
	must(k.Trust(first.Verifier))(t)
	if followed := must(k.Follow(statements))(t); len(followed) != 2 {
		t.Errorf("%+v", followed)
	}
	keys := must(k.Trusted())(t)
	if len(keys) != 2 || keys[0].Verifier != other.Verifier || keys[1].Verifier != last.Verifier {
		t.Errorf("%+v", keys)
	}
	// A fork changes nothing.
	fork := append(statements, step(t, first, own(t, site), 5))
	if followed, err := k.Follow(fork); !errors.Is(err, ErrFork) || followed != nil {
		t.Errorf("%v, %v", followed, err)
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ base, host, want string }{
		{"https://packages.example.org/", "box", "packages.example.org"},
		{"https://Packages.Example.org/pypi/", "box", "packages.example.org/pypi"},
		{"https://user:canary@h:443/a//b/?q=1#f", "box", "h/a/b"},
		{"http://h:80/", "", "h"},
		{"http://h:8080/x/", "", "h:8080/x"},
		{"http://[2001:db8::1]:8080/", "", "2001:db8::1:8080"},
		{"https://h/caf%C3%A9 +x", "", "h/caf---x"},
		{"/pypi/", "Build_1.example.org", "build_1.example.org"},
		{"", "", "localhost"},
		{"://", "  ", "localhost"},
		{"", "été", "t"},
		{"https://" + strings.Repeat("h", 300) + "/", "", strings.Repeat("h", MaxName)},
	} {
		got := DefaultName(tt.base, tt.host)
		if got != tt.want || CheckName(got) != nil {
			t.Errorf("DefaultName(%q, %q) = %q, want %q", tt.base, tt.host, got, tt.want)
		}
	}
	for _, wrong := range []string{"", "a b", "a+b", "a\n", "é", "a\x00", "a#", strings.Repeat("x", MaxName+1)} {
		if CheckName(wrong) == nil {
			t.Errorf("CheckName(%q) takes it", wrong)
		}
	}
}

// A fingerprint can be computed without nestgen: printf %s KEY | sha256sum.
func TestFingerprint(t *testing.T) {
	k := must(ParseKey("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"))(t)
	if got, want := k.Fingerprint(), "3e96 17dc e573 0053 cb82 f048 1b9d 289c"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if k.ID() != "sum.golang.org+033de0ae" {
		t.Errorf("%s", k.ID())
	}
}

func FuzzTrusted(f *testing.F) {
	a, b := own(f, "a"), own(f, "b")
	f.Add([]byte(a.Verifier + "\n# x\n\n" + b.Verifier + " # y"))
	f.Add([]byte(a.Verifier + "\n" + a.Verifier))
	f.Add([]byte("\r\n\t#"))
	extra := own(f, "extra")
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseTrusted("trusted", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "trusted:") || keys != nil {
				t.Fatalf("%v, %v", keys, err)
			}
			return
		}
		for _, key := range keys {
			if again, err := ParseKey(key.Verifier); err != nil || again.ID() != key.ID() || key.Note() == nil {
				t.Fatalf("%+v: %v", key, err)
			}
		}
		if len(data) > 1<<16 {
			return
		}
		// What can be read can be changed, and is the same without the change.
		k := open(t)
		if err := os.Mkdir(k.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(k.path(trustedFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
		must(k.Trust(extra.Verifier))(t)
		if now := must(k.Trusted())(t); len(now) != len(keys)+1 {
			t.Fatalf("%d keys of %d", len(now), len(keys))
		}
		must(k.Distrust(extra.Verifier))(t)
		after := must(os.ReadFile(k.path(trustedFile)))(t)
		if !bytes.Equal(bytes.TrimSuffix(after, []byte("\n")), bytes.TrimSuffix(data, []byte("\n"))) {
			t.Fatalf("%q became %q", data, after)
		}
	})
}

func FuzzRotation(f *testing.F) {
	a, b := own(f, "a"), own(f, "a")
	statement := step(f, a, b, 7)
	f.Add(statement)
	f.Add([]byte(rotationHead + "name a\nold a+1+x\nnew a+2+x\nserial 1\n\n— a x\n— a y\n"))
	f.Add(JoinRotations([][]byte{statement, statement}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := ParseRotation(data); err == nil {
			if len(data) > MaxRotation || r.Serial < 0 || r.Old == r.New || CheckName(r.Name) != nil || !strings.HasPrefix(string(data), r.text()) {
				t.Fatalf("%+v of %q", r, data)
			}
		}
		statements, err := SplitRotations(data)
		if err == nil && !bytes.Equal(JoinRotations(statements), data) {
			t.Fatalf("%q became %q", data, JoinRotations(statements))
		}
		current, followed, err := Follow([]string{a.Verifier}, statements)
		if err == nil && (len(current) != 1 || (current[0] != a.Verifier) != (len(followed) > 0)) {
			t.Fatalf("%q, %v", current, followed)
		}
	})
}
