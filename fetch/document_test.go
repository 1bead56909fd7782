package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nestgen/fetch"
)

func TestDocument(t *testing.T) {
	body := bytes.Repeat([]byte("advisory "), 5000)
	var answers, fail atomic.Int64
	mode := atomic.Value{}
	mode.Store("whole")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers.Add(1)
		if fail.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("ETag", `"one"`)
		if r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("Accept-Encoding %q", r.Header.Get("Accept-Encoding"))
		}
		switch mode.Load() {
		case "whole":
			if r.Header.Get("If-None-Match") == `"one"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			w.Write(body)
		case "cut":
			w.Header().Set("Content-Length", "100000")
			w.Write(body)
			panic(http.ErrAbortHandler)
		case "endless":
			w.WriteHeader(http.StatusOK)
			for r.Context().Err() == nil {
				if _, err := w.Write(body); err != nil {
					return
				}
			}
		case "gone":
			w.WriteHeader(http.StatusNotFound)
		case "unasked":
			w.WriteHeader(http.StatusNotModified)
		}
	}))
	defer srv.Close()
	src, err := fetch.Open(fetch.Upstream{Name: "advisories", URL: srv.URL + "/", Form: fetch.Index, Timeout: time.Minute},
		fetch.Options{Retries: 2, RetryDelay: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dest := filepath.Join(t.TempDir(), "dump")
	get := func(limit int64, prev fetch.Validators) (fetch.Validators, error) {
		os.Remove(dest)
		return src.Document(context.Background(), srv.URL+"/all.zip?token=x", dest, limit, prev)
	}
	fail.Store(1) // what passes is tried again
	v, err := get(1<<20, fetch.Validators{})
	if got, _ := os.ReadFile(dest); err != nil || v.ETag != `"one"` || !bytes.Equal(got, body) || answers.Load() != 2 {
		t.Fatalf("%+v, %v, %d bytes, %d answers", v, err, len(got), answers.Load())
	}
	if _, err := src.Document(context.Background(), srv.URL+"/all.zip?token=x", dest, 1<<20, fetch.Validators{}); fetch.KindOf(err) != fetch.Storage {
		t.Errorf("over a file: %v", err)
	}
	if _, err := get(1<<20, v); !errors.Is(err, fetch.ErrNotModified) {
		t.Errorf("%v, want not modified", err)
	}
	for m, want := range map[string]fetch.Kind{"cut": fetch.Unreachable, "endless": fetch.Refused, "gone": fetch.NotFound, "unasked": fetch.Invalid} {
		mode.Store(m)
		_, err := get(1<<20, fetch.Validators{})
		if fetch.KindOf(err) != want || strings.Contains(err.Error(), "token") {
			t.Errorf("%s: %v, want %v", m, err, want)
		}
		if _, err := os.Lstat(dest); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: something is left", m)
		}
	}
	mode.Store("whole")
	if _, err := get(100, fetch.Validators{}); fetch.KindOf(err) != fetch.Refused {
		t.Errorf("larger than allowed: %v", err)
	}
}
