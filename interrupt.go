package nestgen

import (
	"context"
	"io"
)

// An untilDone is a file that ends with the error of a context as soon as
// that is done. A file of gigabytes takes longer to read than anybody who has
// asked for the end wants to wait.
type untilDone struct {
	context.Context
	io.ReaderAt
}

func (r untilDone) ReadAt(p []byte, off int64) (int, error) {
	if err := r.Err(); err != nil {
		return 0, err
	}
	return r.ReaderAt.ReadAt(p, off)
}

// An untilDoneReader is an untilDone for what is read from its beginning to its end.
type untilDoneReader struct {
	ctx context.Context
	io.Reader
}

func (r untilDoneReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
