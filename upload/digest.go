package upload

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"

	"golang.org/x/crypto/blake2b"
)

// An algorithm is one of the four digests that forms give.
type algorithm uint8

const (
	algMD5 algorithm = iota
	algSHA256
	algBLAKE2b256
	algBLAKE2b512
	algorithms
)

func (a algorithm) new() hash.Hash {
	var h hash.Hash
	switch a {
	case algMD5:
		h = md5.New()
	case algSHA256:
		h = sha256.New()
	case algBLAKE2b256:
		h, _ = blake2b.New256(nil) // fails for a key only
	default:
		h, _ = blake2b.New512(nil)
	}
	return h
}

// A claim is a digest that a form gives.
type claim struct {
	field string
	alg   algorithm
	hex   string
}

// digestFields are the fields that hold digests.
var digestFields = []string{"md5_digest", "sha256_digest", "blake2_256_digest"}

// readClaim reads the value of a field of digestFields.
func readClaim(field, value string) (claim, error) {
	value = strings.TrimSpace(value)
	digits := strings.ToLower(value)
	alg, size := algMD5, md5.Size
	switch field {
	case "md5_digest":
		// What was once documented is base64 with the alphabet of URLs.
		if b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(value, "=")); err == nil && len(b) == md5.Size {
			digits = hex.EncodeToString(b)
		}
	case "sha256_digest":
		alg, size = algSHA256, sha256.Size
	case "blake2_256_digest":
		alg, size = algBLAKE2b256, blake2b.Size256
		if len(value) == 2*blake2b.Size {
			// The distutils of Python 3.9 to 3.11 sends BLAKE2b with its full
			// length under this name.
			alg, size = algBLAKE2b512, blake2b.Size
		}
	}
	if b, err := hex.DecodeString(digits); err != nil || len(b) != size {
		return claim{}, bad("%s %s is not a digest of %d hexadecimal digits", field, quote(value), 2*size)
	}
	return claim{field, alg, digits}, nil
}

// expected gives the digests that the fields so far ask for, and SHA-256, which
// is by what files are known. Where none of them came yet, all digests may still
// be asked for.
func (f *formReader) expected() (algs [algorithms]bool) {
	any := false
	for _, field := range digestFields {
		for _, v := range f.values[field] {
			if c, err := readClaim(field, v); err == nil {
				algs[c.alg], any = true, true
			}
		}
	}
	algs[algSHA256] = true
	if !any {
		for a := range algs {
			algs[a] = true
		}
	}
	return algs
}

// content is the uploaded file on its way to the stage.
type content struct {
	filename string
	stage    stageWriter
	size     int64
	hashes   [algorithms]hash.Hash // nil for those that are not computed
}

// A stageWriter keeps the error that ended the writing, which is not the
// client's.
type stageWriter struct {
	Stage
	err error
}

func (w *stageWriter) Write(p []byte) (int, error) {
	n, err := w.Stage.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = err
	}
	return n, err
}

// hash begins to compute digests.
func (c *content) hash(algs [algorithms]bool) {
	for a, want := range algs {
		if want {
			c.hashes[a] = algorithm(a).new()
		}
	}
}

// Write writes to the stage and hashes.
func (c *content) Write(p []byte) (int, error) {
	for _, h := range c.hashes {
		if h != nil {
			h.Write(p)
		}
	}
	return c.stage.Write(p)
}

// digest gives a digest. One that was not computed on the way, because the form
// asked for others before the file and for this one after it, is computed from
// the stage.
func (c *content) digest(a algorithm) (string, error) {
	if c.hashes[a] == nil {
		h := a.new()
		if _, err := io.Copy(h, io.NewSectionReader(c.stage, 0, c.size)); err != nil {
			return "", fmt.Errorf("stage: %w", err)
		}
		c.hashes[a] = h
	}
	return hex.EncodeToString(c.hashes[a].Sum(nil)), nil
}

// checkDigests compares what the form claims with the bytes that came (contract UP-8).
// It gives how many digests there were.
func (f *formReader) checkDigests() (n int, err error) {
	for _, field := range digestFields {
		for _, v := range f.values[field] {
			c, err := readClaim(field, v)
			if err != nil {
				return n, err
			}
			got, err := f.content.digest(c.alg)
			if err != nil {
				return n, err
			}
			if got != c.hex {
				return n, bad("%s does not match: the form says %s, the %d bytes that came have %s", field, c.hex, f.content.size, got)
			}
			n++
		}
	}
	return n, nil
}

// digests gives those that were computed.
func (c *content) digests() Digests {
	var d Digests
	for a, to := range map[algorithm]*string{
		algMD5: &d.MD5, algSHA256: &d.SHA256, algBLAKE2b256: &d.BLAKE2b256, algBLAKE2b512: &d.BLAKE2b512,
	} {
		if h := c.hashes[a]; h != nil {
			*to = hex.EncodeToString(h.Sum(nil))
		}
	}
	return d
}
