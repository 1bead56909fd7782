package fetch_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"nestgen/catalog"
	"nestgen/fetch"
	"nestgen/fetch/fetchtest"
)

// Two processes that download the same file at once do not write into each
// other's: one of them has the place for what breaks off, and the other does
// without.
func TestTheSameFileInTwoProcesses(t *testing.T) {
	data := fetchtest.Bytes(4<<20, 3)
	const half = 2 << 20
	var requests atomic.Int32
	begun := [2]chan bool{make(chan bool, 1), make(chan bool, 1)}
	ended := [2]chan bool{make(chan bool), make(chan bool)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1) - 1
		if n > 1 {
			t.Error("a third request")
			return
		}
		from := 0
		w.Header().Set("ETag", `"1"`)
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
			w.Header().Set("Content-Length", strconv.Itoa(len(data)-from))
			w.WriteHeader(http.StatusPartialContent)
		} else {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		}
		stop := max(half, from+half/2)
		w.Write(data[from:stop])
		w.(http.Flusher).Flush()
		begun[n] <- true
		<-ended[n]
		w.Write(data[stop:])
	}))
	defer srv.Close()
	dir := t.TempDir()
	o := catalog.Offer{Filename: "a-1.0.tar.gz", URL: srv.URL + "/a-1.0.tar.gz", Size: int64(len(data)), Hashes: map[string]string{"sha256": fetchtest.SHA256(data)}}
	stages := [2]stage{newStage(t), newStage(t)}
	results := [2]chan error{make(chan error, 1), make(chan error, 1)}
	for i := range 2 {
		src := open(t, srv.URL+fetchtest.Index, func(_ *fetch.Upstream, o *fetch.Options) { o.Partials, o.Retries = dir, -1 })
		written := make(chan bool, 1)
		go func() {
			_, err := src.Follow(t.Context(), o, stages[i].dest, func(part string, _ int64) {
				go func() {
					for {
						if fi, err := os.Stat(part); err == nil && fi.Size() >= half || t.Context().Err() != nil {
							break
						}
						time.Sleep(time.Millisecond)
					}
					written <- true
				}()
			})
			results[i] <- err
		}()
		<-begun[i]
		<-written
	}
	for i := range 2 {
		close(ended[i])
		if err := <-results[i]; err != nil {
			t.Error(err)
			continue
		}
		stages[i].holds(data)
	}
	stages[0].holds(data)
	if left := ls(t, dir); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}
