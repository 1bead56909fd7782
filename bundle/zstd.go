package bundle

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxWindow is the memory that a reader needs for the window: what every
	// decoder has to support (RFC 8878, section 3.1.1.1.2).
	maxWindow = 8 << 20

	// sealSize is the length of the frame after the compressed archive.
	sealSize = 8 + sha256.Size
)

var (
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

	// sealHead begins a skippable frame (RFC 8878, section 3.1.2) of 32 bytes.
	sealHead = binary.LittleEndian.AppendUint32([]byte{0x5e, 0x2a, 0x4d, 0x18}, sha256.Size)
)

// mostCompressed is what an archive of so many bytes takes, at most, compressed:
// three bytes more for each block of 64 KiB, the ends of the frame, and the seal.
func mostCompressed(plain int64) int64 {
	return plain + plain>>12 + 512
}

// mostPlain is the other way round: how large an archive may be whose compressed
// form must not exceed the limit.
func mostPlain(limit int64) int64 {
	limit -= 512
	return limit - limit>>12
}

// A compressor writes the frame of an archive, and the frame that seals it.
type compressor struct {
	*zstd.Encoder
	to *sealer
}

type sealer struct {
	w   io.Writer
	sum hash.Hash
}

func (s *sealer) Write(b []byte) (int, error) {
	s.sum.Write(b)
	return s.w.Write(b)
}

func compress(w io.Writer) (*compressor, error) {
	to := &sealer{w, sha256.New()}
	// All of this is fixed, so that the bytes do not depend on the machine.
	z, err := zstd.NewWriter(to, zstd.WithEncoderConcurrency(2), zstd.WithWindowSize(maxWindow),
		zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, err
	}
	return &compressor{z, to}, nil
}

// finish ends the frame and seals it.
func (c *compressor) finish() error {
	if err := c.Close(); err != nil {
		return err
	}
	_, err := c.to.w.Write(c.to.sum.Sum(sealHead[:len(sealHead):len(sealHead)]))
	return err
}

// abandon lets go of what an encoder holds that was not finished.
func (c *compressor) abandon() {
	c.Reset(nil)
}
