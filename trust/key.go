package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// MaxName is how long the name of a key may be, in bytes.
const MaxName = 100

// maxVerifier is how long a verifier key can be: its name, a plus, 8 digits, a
// plus, and 33 bytes in base64.
const maxVerifier = MaxName + 1 + 8 + 1 + 44

// ed25519Alg is the byte in front of a key that says what it is (C2SP
// signed-note, "Signature types").
const ed25519Alg = 1

// A Key is a verifier key.
type Key struct {
	// Name is the name of the key, which is the origin of what it signs.
	Name string
	// Hash is the first half of what notes know it by; Name is the other.
	Hash uint32
	// Verifier is the key itself, as [note.NewVerifier] takes it.
	Verifier string
	// Comment is what stands behind it in the file, without the #. It is empty
	// for a key from elsewhere.
	Comment string
	// Line is where it stands in the file, from 1. It is 0 for a key from
	// elsewhere.
	Line int

	verifier note.Verifier
}

// ID is how a person names one key among several of one name: name+hash.
func (k Key) ID() string { return fmt.Sprintf("%s+%08x", k.Name, k.Hash) }

// Note gives the key as package note uses it.
func (k Key) Note() note.Verifier { return k.verifier }

// Fingerprint is what two people compare by telephone: the first half of the
// SHA-256 of the text of the key, without a line end, in groups of four digits.
func (k Key) Fingerprint() string {
	sum := sha256.Sum256([]byte(k.Verifier))
	digits := hex.EncodeToString(sum[:16])
	var groups []string
	for i := 0; i < len(digits); i += 4 {
		groups = append(groups, digits[i:i+4])
	}
	return strings.Join(groups, " ")
}

// CheckName refuses what cannot be the name of a key: a name has 1 to 100 of the
// letters, digits and signs that a host name with a port and a path has.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("the name of a key is empty")
	case len(name) > MaxName:
		return fmt.Errorf("the name %.40q and so on: %d bytes, and the name of a key has at most %d", name, len(name), MaxName)
	case strings.ContainsFunc(name, func(r rune) bool { return !inName(r) }):
		return fmt.Errorf("the name %q: the name of a key has ASCII letters, digits and the signs .:/-_ alone", name)
	}
	return nil
}

func inName(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(".-_/:", r)
}

// DefaultName gives the name that a key has if nobody said another: the host and
// the path of the site's address, such as packages.example.org/pypi, or else the
// name of the machine. It is always a name that [CheckName] takes.
func DefaultName(baseURL, hostname string) string {
	if name := clean(ofAddress(baseURL)); name != "" {
		return name
	}
	if name := clean(strings.ToLower(hostname)); name != "" {
		return name
	}
	return "localhost"
}

// ofAddress gives host and path of an address, and nothing for what has no host.
func ofAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	name := strings.ToLower(u.Hostname())
	if p := u.Port(); p != "" && !(u.Scheme == "https" && p == "443") && !(u.Scheme == "http" && p == "80") {
		name += ":" + p
	}
	return name + path.Clean("/"+u.Path)
}

// clean makes a name of a text, or nothing if nothing is left of it.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if inName(r) {
			return r
		}
		return '-'
	}, s)
	return strings.Trim(s[:min(len(s), MaxName)], "/-")
}

// ParseKey reads a verifier key. It takes one spelling of it alone, so that two
// keys are the same exactly when their texts are.
func ParseKey(s string) (Key, error) {
	if strings.HasPrefix(s, "PRIVATE+KEY+") {
		// The text is not repeated: it is a secret.
		return Key{}, errors.New(`this is a signer key, which is secret; what others get is the verifier key that "nestgen key show" prints`)
	}
	if len(s) > maxVerifier {
		return Key{}, fmt.Errorf("%.40q and so on: too long for a verifier key", s)
	}
	name, rest, _ := strings.Cut(s, "+")
	_, b64, ok := strings.Cut(rest, "+")
	if !ok {
		return Key{}, fmt.Errorf("%q is not a verifier key: want name+hash+key, as \"nestgen key show\" prints it", s)
	}
	if err := CheckName(name); err != nil {
		return Key{}, err
	}
	v, err := note.NewVerifier(s)
	if err != nil {
		return Key{}, fmt.Errorf("%q is not a verifier key: %w: a letter may be missing or wrong", s, err)
	}
	raw, err := base64.StdEncoding.DecodeString(b64)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != ed25519Alg {
		return Key{}, fmt.Errorf("%q is not an Ed25519 key", s)
	}
	if same, err := note.NewEd25519VerifierKey(name, raw[1:]); err != nil || same != s {
		return Key{}, fmt.Errorf("%q is not how this key is written, which is %s", s, same)
	}
	return Key{Name: name, Hash: v.KeyHash(), Verifier: s, verifier: v}, nil
}

// An Own is the key of the site itself.
type Own struct {
	// Signer signs; its name is Name.
	Signer note.Signer
	// Verifier is the verifier key, for others.
	Verifier string
	// Name is the name of the key.
	Name string

	secret string // the signer key
}

// Key gives the half that others may have.
func (o *Own) Key() Key {
	k, err := ParseKey(o.Verifier)
	if err != nil {
		panic(err) // Verifier is made by newOwn alone
	}
	return k
}

// String gives the verifier key, so that no %v ever prints the other half.
func (o Own) String() string { return o.Verifier }

// GoString does the same for %#v.
func (o Own) GoString() string { return o.Verifier }

// newOwn reads a signer key. No error has any of its text.
func newOwn(secret string) (*Own, error) {
	s, err := note.NewSigner(secret)
	if err != nil {
		return nil, fmt.Errorf("not a signer key: %w", err)
	}
	if err := CheckName(s.Name()); err != nil {
		return nil, err
	}
	fields := strings.SplitN(secret, "+", 5) // base64 has pluses of its own
	raw, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize || raw[0] != ed25519Alg {
		return nil, errors.New("not an Ed25519 signer key")
	}
	public := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	v, err := note.NewEd25519VerifierKey(s.Name(), public)
	if err != nil {
		return nil, err
	}
	return &Own{Signer: s, Verifier: v, Name: s.Name(), secret: secret}, nil
}
