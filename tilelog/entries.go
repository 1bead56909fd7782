package tilelog

import (
	"encoding/binary"
	"fmt"
)

// MaxRecord is how many bytes a record may have: a bundle of entries gives the length
// in 16 bits.
const MaxRecord = 1<<16 - 1

// AppendEntry appends a record to the bundle of entries b, and gives the longer bundle.
// It is an error if the record has more than MaxRecord bytes; b is then as it was.
func AppendEntry(b, record []byte) ([]byte, error) {
	if len(record) > MaxRecord {
		return b, fmt.Errorf("record of %d bytes: a log takes %d at most", len(record), MaxRecord)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(record)))
	return append(b, record...), nil
}

// Entries gives the records of a bundle of entries, which are parts of data. There have
// to be exactly width of them, and nothing after.
func Entries(data []byte, width int) ([][]byte, error) {
	if width < 1 || width > TileWidth {
		return nil, fmt.Errorf("bundle of %d records: not 1 to %d", width, TileWidth)
	}
	records := make([][]byte, 0, width)
	rest := data
	for i := range width {
		if len(rest) < 2 {
			return nil, fmt.Errorf("ends after %d of %d records", i, width)
		}
		n := int(binary.BigEndian.Uint16(rest))
		rest = rest[2:]
		if len(rest) < n {
			return nil, fmt.Errorf("ends within record %d of %d", i+1, width)
		}
		records = append(records, rest[:n:n])
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("has %d bytes after its %d records", len(rest), width)
	}
	return records, nil
}
