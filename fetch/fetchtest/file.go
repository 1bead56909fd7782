package fetchtest

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
)

// A File is one file that the server has. Only Project, Filename and Data must
// be set.
type File struct {
	// Project is the normalized name of the project.
	Project  string
	Filename string
	Data     []byte

	RequiresPython string

	// Yanked is the reason of a yanked file, "" for none; nil for a file that
	// is not.
	Yanked *string

	// Uploaded is an upload-time as it stands in JSON.
	Uploaded string

	// Metadata, Signature and Provenance are served beside the file.
	Metadata   []byte
	Signature  []byte
	Provenance []byte

	// MD5 names the MD5 instead of the SHA-256; NoHash names none.
	MD5    bool
	NoHash bool

	// NoSize leaves out the size.
	NoSize bool
}

// Bytes gives n bytes that do not compress and depend on seed only.
func Bytes(n int, seed uint64) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

// SHA256 gives a digest in hexadecimal.
func SHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// hash gives the name of the hash that pages carry, and its value; both are
// empty for none.
func (f *File) hash() (name, value string) {
	switch {
	case f.NoHash:
		return "", ""
	case f.MD5:
		sum := md5.Sum(f.Data)
		return "md5", hex.EncodeToString(sum[:])
	}
	return "sha256", SHA256(f.Data)
}

// path is the file's place on the server.
func (f *File) path() string { return "/files/" + f.Project + "/" + f.Filename }

// etag is a strong entity tag of some bytes.
func etag(data []byte) string { return `"` + SHA256(data)[:20] + `"` }
