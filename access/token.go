package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"time"
)

// A Token is what is known of a token: everything but the secret itself.
type Token struct {
	// ID names the token to people: in lists, in the log, to revoke it.
	ID string

	// Note is what it is for, in one line; may be empty.
	Note string

	// Scope is what may be uploaded with it.
	Scope Scope

	Created time.Time

	// Expires is when it stops to be valid; zero for never.
	Expires time.Time

	hash digest
}

// A digest is the SHA-256 of a token. A fast hash is enough: a token has 256
// random bits, which nobody tries out. A password would need a slow one.
type digest [sha256.Size]byte

// Expired reports whether the token has stopped to be valid.
func (t Token) Expired(now time.Time) bool {
	return !t.Expires.IsZero() && !now.Before(t.Expires)
}

// What a token looks like to scanners for leaked secrets:
//
//	nestgen-[a-z2-7]{58}
//
// 32 random bytes and a checksum of them, in base32. The checksum tells a token
// from what only looks like one without asking anybody.
const (
	tokenPrefix = "nestgen-"
	randomBytes = 32
	sumBytes    = 4
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// checksum gives the CRC-32 (IEEE) of a token's prefix and random bytes.
func checksum(random []byte) []byte {
	sum := crc32.ChecksumIEEE(append([]byte(tokenPrefix), random...))
	return binary.BigEndian.AppendUint32(nil, sum)
}

// newSecret makes a token.
func newSecret() string {
	b := make([]byte, randomBytes, randomBytes+sumBytes)
	rand.Read(b) // ends the program rather than fail
	return tokenPrefix + encoding.EncodeToString(append(b, checksum(b)...))
}

// IsToken reports whether s is written as a token is, checksum included.
// Whether it is one that was given out is another matter.
func IsToken(s string) bool {
	text, ok := strings.CutPrefix(s, tokenPrefix)
	if !ok || len(text) != encoding.EncodedLen(randomBytes+sumBytes) {
		return false
	}
	b, err := encoding.DecodeString(text)
	if err != nil || encoding.EncodeToString(b) != text { // bits behind the end
		return false
	}
	return string(checksum(b[:randomBytes])) == string(b[randomBytes:])
}

// find gives the token with a secret. It takes as long for every secret, found
// or not, and wherever it stands.
func find(tokens []Token, secret string) (t Token, ok bool) {
	h := sha256.Sum256([]byte(secret))
	at := -1
	for i := range tokens {
		same := subtle.ConstantTimeCompare(h[:], tokens[i].hash[:])
		at = subtle.ConstantTimeSelect(same, i, at)
	}
	if at < 0 {
		return Token{}, false
	}
	return tokens[at], true
}
