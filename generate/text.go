package generate

import (
	"strconv"
	"time"

	"nestgen/packaging"
)

// kindText says what a file is, to people.
func kindText(k packaging.Kind) string {
	switch k {
	case packaging.Wheel:
		return "wheel"
	case packaging.Sdist:
		return "source"
	case packaging.Egg:
		return "egg"
	case packaging.Wininst, packaging.MSI:
		return "Windows installer"
	case packaging.RPM:
		return "RPM package"
	case packaging.Deb:
		return "Debian package"
	case packaging.DMG:
		return "disk image"
	case packaging.Dumb:
		return "plain archive"
	}
	return "file"
}

// appendSize appends a size in decimal units with two or three digits:
// "12 bytes", "1.2 MB", "345 kB"; one below zero is not known.
func appendSize(b []byte, size int64) []byte {
	if size < 0 {
		return append(b, "size not known"...)
	}
	if size == 1 {
		return append(b, "1 byte"...)
	}
	n := uint64(size)
	if n < 1000 {
		b = strconv.AppendUint(b, n, 10)
		return append(b, " bytes"...)
	}
	const units = "kMGTPE"
	div, unit := uint64(1000), 0
	// Rounding must not give "1000 kB": go on to the next unit from 999.5.
	for unit < len(units)-1 && n >= div*1000-div/2 {
		div *= 1000
		unit++
	}
	if tenths := (n + div/20) / (div / 10); tenths < 100 {
		b = strconv.AppendUint(b, tenths/10, 10)
		b = append(b, '.', byte('0'+tenths%10))
	} else {
		b = strconv.AppendUint(b, (n+div/2)/div, 10)
	}
	return append(b, ' ', units[unit], 'B')
}

// sizeText gives what appendSize appends.
func sizeText(n int64) string { return string(appendSize(nil, n)) }

// countText gives a number with commas between thousands.
func countText(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// dateText gives the day of a time, or nothing for one that is not known.
func dateText(micro int64) string {
	if !known(micro) {
		return ""
	}
	return string(appendDate(nil, time.UnixMicro(micro).UTC()))
}
