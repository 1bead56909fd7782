package drop

// An arena keeps many short byte strings without an allocation for each and
// without ever moving one, so that 100,000 of them cost little more than their
// bytes. What was put never changes and may be read at any time.
type arena struct {
	chunks [][]byte
}

const chunkSize = 64 << 10

// put copies p, which is at most chunkSize long, and gives its place.
func (a *arena) put(p []byte) uint64 {
	last := len(a.chunks) - 1
	if last < 0 || cap(a.chunks[last])-len(a.chunks[last]) < len(p) {
		a.chunks = append(a.chunks, make([]byte, 0, chunkSize))
		last++
	}
	at := len(a.chunks[last])
	a.chunks[last] = append(a.chunks[last], p...)
	return uint64(last)*chunkSize + uint64(at)
}

// from gives everything from a place to the end of its chunk.
func (a *arena) from(at uint64) []byte {
	return a.chunks[at/chunkSize][at%chunkSize:]
}

// reset forgets the content and keeps the memory.
func (a *arena) reset() {
	for i := range a.chunks {
		a.chunks[i] = a.chunks[i][:0]
	}
	if len(a.chunks) > 1 {
		a.chunks = a.chunks[:1]
	}
}
