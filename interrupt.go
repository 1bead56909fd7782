package nestgen

import (
	"context"
	"io"
)

// An untilDone is a reader that ends with the error of a context as soon as
// that is done. A file of gigabytes takes longer to read than anybody who has
// asked for the end wants to wait.
type untilDone struct {
	context.Context
	io.Reader
}

func (r untilDone) Read(p []byte) (int, error) {
	if err := r.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
