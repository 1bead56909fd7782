package tilelog

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// A key signs in tests. Each name and number has its own.
func key(t testing.TB, name string, number byte) (note.Signer, note.Verifier) {
	t.Helper()
	seed := slices.Repeat([]byte{number}, ed25519.SeedSize)
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(name, public)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, verifier.KeyHash(),
		base64.StdEncoding.EncodeToString(append([]byte{1}, seed...)))
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

const origin = "packages.example.org"

func sample() Checkpoint {
	return Checkpoint{Origin: origin, Size: 70_000, Root: LeafHash([]byte("root"))}
}

func sign(t testing.TB, c Checkpoint, signers ...note.Signer) []byte {
	t.Helper()
	signed, err := Sign(c, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// The example of the standard (C2SP tlog-checkpoint) is read, and written as it is.
func TestCheckpointOfTheStandard(t *testing.T) {
	const text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
	c, err := ParseCheckpoint(text)
	if err != nil {
		t.Fatal(err)
	}
	if c.Origin != "example.com/behind-the-sofa" || c.Size != 20852163 || c.Root.String() != "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=" || c.Extensions != nil {
		t.Errorf("read as %+v", c)
	}
	if c.Format() != text {
		t.Errorf("written as %q", c.Format())
	}
}

// What is signed is opened again, and the same each time: signatures are deterministic.
func TestSignAndOpen(t *testing.T) {
	signer, verifier := key(t, origin, 1)
	witness, witnessVerifier := key(t, "witness.example.net/w", 2)
	for _, c := range []Checkpoint{
		sample(),
		{Origin: origin, Root: emptyHash},
		{Origin: origin, Size: MaxSize, Root: Hash{1}, Extensions: []string{"one", "zwei — drei"}},
	} {
		signed := sign(t, c, signer, witness)
		if string(signed) != string(sign(t, c, signer, witness)) {
			t.Error("two signatures differ")
		}
		for _, known := range []note.Verifiers{note.VerifierList(verifier), note.VerifierList(witnessVerifier, verifier)} {
			got, n, err := Open(signed, known)
			if err != nil || !reflect.DeepEqual(got, c) || n.Sigs[0].Name != origin {
				t.Errorf("Open(%q) = %+v, %v", signed, got, err)
			}
		}
	}
}

// No byte of a signed checkpoint can be another one, and none can be added or left out.
func TestEveryByteOfACheckpoint(t *testing.T) {
	signer, verifier := key(t, origin, 1)
	next, nextVerifier := key(t, origin, 2)
	witness, witnessVerifier := key(t, "witness.example.net/w", 3)
	extended := sample()
	extended.Extensions = []string{"until 2027"}
	for _, tt := range []struct {
		name    string
		c       Checkpoint
		signers []note.Signer
		known   note.Verifiers
	}{
		{"one key", sample(), []note.Signer{signer}, note.VerifierList(verifier)},
		{"empty log", Checkpoint{Origin: origin, Root: emptyHash}, []note.Signer{next}, note.VerifierList(verifier, nextVerifier)},
		{"extension", extended, []note.Signer{signer}, note.VerifierList(verifier, witnessVerifier)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			signed := sign(t, tt.c, tt.signers...)
			if _, _, err := Open(signed, tt.known); err != nil {
				t.Fatal(err)
			}
			for i := range signed {
				changed := slices.Clone(signed)
				for b := range 256 {
					if changed[i] = byte(b); changed[i] == signed[i] {
						continue
					}
					if c, _, err := Open(changed, tt.known); err == nil {
						t.Fatalf("byte %d, %q, changed to %q: opened as %+v", i, signed[i], changed[i], c)
					}
				}
				if _, _, err := Open(slices.Delete(slices.Clone(signed), i, i+1), tt.known); err == nil {
					t.Fatalf("byte %d, %q, left out: opened", i, signed[i])
				}
				for _, b := range []byte("\n\r \t=Aa0\x00\xff") {
					if _, _, err := Open(slices.Insert(slices.Clone(signed), i, b), tt.known); err == nil {
						t.Fatalf("%q put before byte %d: opened", b, i)
					}
				}
			}
			for _, more := range []string{"\n", " ", "x", "\r\n", "— ", "\n\n"} {
				if _, _, err := Open(append(slices.Clone(signed), more...), tt.known); err == nil {
					t.Fatalf("%q after the end: opened", more)
				}
			}
		})
	}

	// Of several signatures each is checked. One whose name or key is changed becomes that
	// of an unknown key, which the standard wants passed over: Open tells of it.
	signed := sign(t, sample(), signer, next, witness)
	known := note.VerifierList(verifier, nextVerifier, witnessVerifier)
	for i := range signed {
		changed := slices.Clone(signed)
		for bit := range 8 {
			changed[i] = signed[i] ^ 1<<bit
			c, n, err := Open(changed, known)
			if err == nil && (!reflect.DeepEqual(c, sample()) || len(n.Sigs) != 2 || len(n.UnverifiedSigs) != 1) {
				t.Fatalf("byte %d, %q, changed to %q: opened as %+v with %+v", i, signed[i], changed[i], c, n)
			}
		}
	}
}

// The lines of signatures that the library would pass over are refused.
func TestOpenIsStrict(t *testing.T) {
	signer, verifier := key(t, origin, 1)
	witness, witnessVerifier := key(t, "witness.example.net/w", 2)
	other, otherVerifier := key(t, origin, 3)
	known := note.VerifierList(verifier, witnessVerifier)
	signed := string(sign(t, sample(), signer))
	line := signed[strings.LastIndex(signed, "— "):]

	if _, _, err := Open([]byte(signed+line), known); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("two signatures of one key: %v", err)
	}
	var unknown *note.UnverifiedNoteError
	if _, _, err := Open(sign(t, sample(), other), known); !errors.As(err, &unknown) {
		t.Errorf("an unknown key of the right name: %v", err)
	}
	if _, _, err := Open([]byte(signed), nil); !errors.As(err, &unknown) {
		t.Errorf("no key known: %v", err)
	}
	var invalid *note.InvalidSignatureError
	forged := strings.Replace(signed, "70000", "70001", 1)
	if _, _, err := Open([]byte(forged), known); !errors.As(err, &invalid) {
		t.Errorf("another size: %v", err)
	}

	// A known key signed it, but not for this log: also beside one that is not known.
	text := sample().Format()
	for _, signers := range [][]note.Signer{{witness}, {witness, other}} {
		by, err := note.Sign(&note.Note{Text: text}, signers...)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(by, known); err == nil || !strings.Contains(err.Error(), "not by a known key of that name") {
			t.Errorf("signed by another name: %v", err)
		}
	}
	// Signatures that are no checkpoint, and keys that cannot be told apart.
	by, err := note.Sign(&note.Note{Text: "Ognuno sta solo\n"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(by, known); err == nil {
		t.Error("a note that is no checkpoint is opened")
	}
	if _, _, err := Open([]byte(signed), note.VerifierList(verifier, verifier, otherVerifier)); err == nil {
		t.Error("opened with a key that is known twice")
	}
	if _, _, err := Open([]byte(strings.Repeat("x", MaxCheckpoint)+signed), known); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("too long: %v", err)
	}
}

// Whatever is not exactly a checkpoint is neither read nor signed.
func TestNoCheckpoint(t *testing.T) {
	root := sample().Root.String()
	for _, text := range []string{
		"", "\n", "a\n1\n" + root, "a\n1\n", "a\n", "\n1\n" + root + "\n", "a b\n1\n" + root + "\n", "a+b\n1\n" + root + "\n",
		"a\u00a0b\n1\n" + root + "\n", "a\r\n1\n" + root + "\n", "a\xff\n1\n" + root + "\n", "a\x00\n1\n" + root + "\n",
		"a\n01\n" + root + "\n", "a\n+1\n" + root + "\n", "a\n-1\n" + root + "\n", "a\n1 \n" + root + "\n", "a\n\n" + root + "\n",
		"a\n0x1\n" + root + "\n", "a\n1_0\n" + root + "\n", "a\n9223372036854775808\n" + root + "\n", "a\n72057594037927937\n" + root + "\n",
		"a\n0\n" + root + "\n", "a\n1\n" + root[:43] + "\n", "a\n1\n" + root[:40] + "\n", "a\n1\n" + root + "=\n",
		"a\n1\n" + root[:42] + nextDigit(root[42]) + "=\n", "a\n1\n" + root[:20] + "\r" + root[20:] + "\n",
		"a\n1\n" + strings.ReplaceAll(root, "/", "_") + " \n",
		"a\n1\n" + root + "\n\n", "a\n1\n" + root + "\n\nb\n", "a\n1\n" + root + "\nb\tc\n",
		"a\n1\n" + root + "\n" + strings.Repeat("x\n", 65), "a\n1\n" + root + "\n" + strings.Repeat("x", 1025) + "\n",
		strings.Repeat("a", 1025) + "\n1\n" + root + "\n",
	} {
		if c, err := ParseCheckpoint(text); err == nil {
			t.Errorf("ParseCheckpoint(%.80q) = %+v", text, c)
		} else if len(err.Error()) > 600 {
			t.Errorf("ParseCheckpoint(%.80q): an error of %d bytes", text, len(err.Error()))
		}
	}

	signer, _ := key(t, origin, 1)
	other, _ := key(t, "elsewhere.example.org", 1)
	for _, c := range []Checkpoint{
		{}, {Origin: origin}, {Origin: origin, Size: -1}, {Origin: origin, Size: MaxSize + 1},
		{Origin: "pack ages", Size: 1}, {Origin: "pack+ages", Size: 1},
		{Origin: origin, Size: 1, Extensions: []string{""}}, {Origin: origin, Size: 1, Extensions: []string{"a\n\nb"}},
		{Origin: origin, Size: 1, Extensions: make([]string, 65)},
	} {
		if signed, err := Sign(c, signer); err == nil {
			t.Errorf("Sign(%+v) = %q", c, signed)
		}
	}
	for _, signers := range [][]note.Signer{nil, {other}} {
		if _, err := Sign(sample(), signers...); err == nil || !strings.Contains(err.Error(), "no key of that name") {
			t.Errorf("signed by %d keys of other names: %v", len(signers), err)
		}
	}
}

// nextDigit gives a digit of base64 that differs from c in its last bit.
func nextDigit(c byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return string(digits[strings.IndexByte(digits, c)^1])
}

// Each hash has one text.
func TestParseHash(t *testing.T) {
	h := sample().Root
	s := h.String()
	if got, err := ParseHash(s); err != nil || got != h {
		t.Fatalf("ParseHash(%q) = %s, %v", s, got, err)
	}
	for i := range s {
		for b := range 256 {
			changed := s[:i] + string([]byte{byte(b)}) + s[i+1:]
			if got, err := ParseHash(changed); err == nil && changed != s && got.String() != changed {
				t.Fatalf("ParseHash(%q) = %s", changed, got)
			}
		}
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add(sample().Format())
	f.Add("a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nb\n")
	f.Add("a\n1\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCheckpoint(text)
		if err == nil && c.Format() != text {
			t.Errorf("%q is read as %+v", text, c)
		}
	})
}

func FuzzOpen(f *testing.F) {
	signer, verifier := key(f, origin, 1)
	witness, _ := key(f, "witness.example.net/w", 2)
	known := note.VerifierList(verifier)
	good := sign(f, sample(), signer)
	f.Add(good)
	f.Add(sign(f, sample(), witness, signer))
	f.Add(sign(f, Checkpoint{Origin: origin, Root: emptyHash}, signer))
	f.Fuzz(func(t *testing.T, signed []byte) {
		c, n, err := Open(signed, known)
		if err != nil {
			return
		}
		// The fuzzer has no key: it cannot have made any other checkpoint.
		if !reflect.DeepEqual(c, sample()) && !reflect.DeepEqual(c, Checkpoint{Origin: origin, Root: emptyHash}) {
			t.Errorf("forged: %q", signed)
		}
		if again, err := note.Sign(n); err != nil || len(again) != len(signed) {
			t.Errorf("%q is written as %q, %v", signed, again, err)
		}
	})
}
