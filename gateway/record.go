package gateway

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Names and numbers are those of the FastCGI specification 1.0, section 8.

type recordType uint8

const (
	beginRequest    recordType = 1
	abortRequest    recordType = 2
	endRequest      recordType = 3
	paramsStream    recordType = 4
	stdinStream     recordType = 5
	stdoutStream    recordType = 6
	getValues       recordType = 9
	getValuesResult recordType = 10
	unknownType     recordType = 11
)

const (
	version1   = 1
	responder  = 1 // the role
	keepConn   = 1 // the flag
	headerLen  = 8
	maxContent = 1<<16 - 1
)

// A protocolStatus says in the end of a request whether it was taken.
type protocolStatus uint8

const (
	requestComplete protocolStatus = 0
	cantMultiplex   protocolStatus = 1
	unknownRole     protocolStatus = 3
)

var errProtocol = errors.New("not FastCGI")

// A record is one record of a connection.
type record struct {
	kind    recordType
	id      uint16
	content []byte // until the next record is read

	buf [maxContent]byte
}

// read reads the next record. The error is io.EOF only between two records.
func (r *record) read(br *bufio.Reader) error {
	h, err := br.Peek(headerLen)
	if err != nil {
		if len(h) > 0 && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if h[0] != version1 {
		return fmt.Errorf("%w: version %d", errProtocol, h[0])
	}
	r.kind = recordType(h[1])
	r.id = binary.BigEndian.Uint16(h[2:])
	r.content = r.buf[:binary.BigEndian.Uint16(h[4:])]
	padding := int(h[6])
	if _, err := br.Discard(headerLen); err != nil {
		return err
	}
	if _, err := io.ReadFull(br, r.content); err != nil {
		return cutShort(err)
	}
	if _, err := br.Discard(padding); err != nil {
		return cutShort(err)
	}
	return nil
}

func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendHeader appends the header of a record with n bytes of content.
func appendHeader(b []byte, kind recordType, id uint16, n int) []byte {
	b = append(b, version1, byte(kind))
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	return append(b, 0, 0)
}

// appendEnd appends the record that ends a request.
func appendEnd(b []byte, id uint16, status protocolStatus) []byte {
	b = appendHeader(b, endRequest, id, 8)
	return append(b, 0, 0, 0, 0, byte(status), 0, 0, 0)
}

// pairs calls f with each name and value of a list (3.4), and reports whether
// the list is whole. All of them share the memory of one string.
func pairs(list []byte, f func(name, value string)) bool {
	s := string(list)
	for len(s) > 0 {
		n, rest, ok := pairLength(s)
		if !ok {
			return false
		}
		v, rest, ok := pairLength(rest)
		if !ok || uint64(n)+uint64(v) > uint64(len(rest)) {
			return false
		}
		f(rest[:n], rest[n:n+v])
		s = rest[n+v:]
	}
	return true
}

func pairLength(s string) (n uint32, rest string, ok bool) {
	switch {
	case s == "":
		return 0, "", false
	case s[0] < 0x80:
		return uint32(s[0]), s[1:], true
	case len(s) < 4:
		return 0, "", false
	}
	return uint32(s[0]&0x7f)<<24 | uint32(s[1])<<16 | uint32(s[2])<<8 | uint32(s[3]), s[4:], true
}

// appendPair appends a name and a value of less than 128 bytes each.
func appendPair(b []byte, name, value string) []byte {
	b = append(b, byte(len(name)), byte(len(value)))
	b = append(b, name...)
	return append(b, value...)
}
