// Command gatewaytest answers with what it was asked, and misbehaves where it is
// asked to. It is the program that the tests of package gateway put behind real
// web servers; it looks at no argument.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"nestgen/gateway"
)

func main() {
	s := &gateway.Server{Handler: handler(), Prefixes: []string{"/-nest", "/python/-nest", "/python"}}
	os.Exit(s.Run(context.Background()))
}

// An echo is what the program got.
type echo struct {
	Method, Path, RawPath, Query, URI, Host, Proto, RemoteAddr string

	Header http.Header
	Length int64
	Body   int64
	SHA256 string
	Error  string // of reading the body
	Caller gateway.Caller
	Proxy  string // what the environment and net/http say of a proxy
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", answer)
	mux.HandleFunc("/legacy", answer)
	mux.HandleFunc("/plain", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "%s %s\n", r.Method, r.URL.Path)
	})
	mux.HandleFunc("/reason", func(w http.ResponseWriter, r *http.Request) {
		gateway.SetReason(w, "Déjà vu: file already exists\r\nX-Evil: 1")
		http.Error(w, "no", http.StatusBadRequest)
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "../foo/")
		w.WriteHeader(http.StatusMovedPermanently)
	})
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/plain") // an internal redirect, if it got through
		fmt.Fprintln(w, "here")
	})
	mux.HandleFunc("/injected", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Query", "a\r\nX-Evil: 1")
		fmt.Fprintln(w, "never")
	})
	mux.HandleFunc("/panic", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "never")
		panic("as asked\n\x1b[31m")
	})
	mux.HandleFunc("/late-panic", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(make([]byte, 50_000))
		_ = http.NewResponseController(w).Flush()
		panic("late")
	})
	mux.HandleFunc("/short", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(make([]byte, 500_000))
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "first")
		_ = http.NewResponseController(w).Flush()
		// The rest follows when there is the file that the query names.
		file, _ := url.QueryUnescape(r.URL.RawQuery)
		for range 30_000 {
			if _, err := os.Stat(file); err == nil {
				fmt.Fprintln(w, "second")
				return
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("/head", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/zip")
		w.Header().Set("Content-Length", "123456")
		if r.Method != http.MethodHead {
			_, _ = w.Write(make([]byte, 123456))
		}
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.ParseInt(r.URL.RawQuery, 10, 64)
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(n+20, 10))
		_, _ = io.CopyN(w, zeros{}, n)
		fmt.Fprintf(w, "%20d", peak())
	})
	return mux
}

func answer(w http.ResponseWriter, r *http.Request) {
	e := echo{
		Method: r.Method, Path: r.URL.Path, RawPath: r.URL.RawPath, Query: r.URL.RawQuery, URI: r.RequestURI,
		Host: r.Host, Proto: r.Proto, RemoteAddr: r.RemoteAddr, Header: r.Header, Length: r.ContentLength,
	}
	h := sha256.New()
	var err error
	if e.Body, err = io.Copy(h, r.Body); err != nil {
		e.Error = err.Error()
	}
	e.SHA256 = hex.EncodeToString(h.Sum(nil))
	e.Caller, _ = gateway.From(r.Context())
	elsewhere, _ := http.NewRequest(http.MethodGet, "http://upstream.example/", nil)
	proxy, err := http.ProxyFromEnvironment(elsewhere)
	e.Proxy = fmt.Sprint(os.Getenv("HTTP_PROXY"), " ", proxy, " ", err)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(e)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// peak gives the most memory that this process has used, in KiB.
func peak() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	f := strings.Fields(rest)
	if len(f) == 0 {
		return -1
	}
	n, _ := strconv.ParseInt(f[0], 10, 64)
	return n
}
