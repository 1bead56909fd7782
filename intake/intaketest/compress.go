package intaketest

// Compress packs data as compress(1) does: codes have bits bits at most, and the
// table is emptied after every so many bytes of data, or never for 0. Without
// block there is no code to empty it by.
func Compress(data []byte, bits int, block bool, every int) []byte {
	w := lzwWriter{out: []byte{0x1f, 0x9d, byte(bits)}, most: bits, free: 256}
	if block {
		w.out[2] |= 0x80
		w.free++
	}
	first := w.free
	w.begin(first)
	code := -1
	for i, c := range data {
		if next, ok := w.table[code<<8|int(c)]; ok && code >= 0 {
			code = next
			continue
		}
		if code >= 0 {
			w.code(code)
			if w.free < 1<<bits {
				w.table[code<<8|int(c)] = w.free
				w.free++
				// A reader makes the entry one code later.
				w.grow = w.free > 1<<w.width && w.width < bits
			}
			if block && every > 0 && i%every == 0 {
				w.code(256)
				w.pad()
				w.begin(first)
			}
		}
		code = int(c)
	}
	if code >= 0 {
		w.code(code)
	}
	w.flush()
	return w.out
}

type lzwWriter struct {
	out         []byte
	table       map[int]int // codes by the code before them and a byte
	width, most int
	free        int
	grow        bool // the next code is a wider one
	acc         uint64
	bits        int // in acc
	group       int // codes since the width changed
}

func (w *lzwWriter) begin(first int) {
	w.table, w.width, w.free, w.grow = map[int]int{}, 9, first, false
}

func (w *lzwWriter) code(c int) {
	if w.grow {
		w.pad()
		w.width++
		w.grow = false
	}
	w.acc |= uint64(c) << w.bits
	w.bits += w.width
	for ; w.bits >= 8; w.bits -= 8 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
	}
	w.group++
}

// pad fills the group of eight codes.
func (w *lzwWriter) pad() {
	for ; w.group%8 != 0; w.group++ {
		w.bits += w.width
		for ; w.bits >= 8; w.bits -= 8 {
			w.out = append(w.out, byte(w.acc))
			w.acc >>= 8
		}
	}
	w.group = 0
}

func (w *lzwWriter) flush() {
	if w.bits > 0 {
		w.out = append(w.out, byte(w.acc))
	}
}
