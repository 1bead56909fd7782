package acceptance

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"nestgen/serve/servetest"
)

// With the fallback behind it every web server gives the same answers as without.
func TestFallbackHTTP(t *testing.T) {
	behind(t, (*liveSite).webFallbacks, "uploads = \"uploads\"\n", func(t *testing.T, s *liveSite, start func() *server) {
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		tree := servetest.NewTree(t, s.dir)
		srv := start()
		servetest.Run(t, servetest.Server{URL: srv.URL, Capitals: srv.capitals}, tree)
	})
}

// Other settings count without anybody starting anything anew. A program that stays
// goes on with the last ones that could be read.
func TestFallbackChangedSettings(t *testing.T) {
	behind(t, (*liveSite).webFallbacks, "title = \"one\"\n", func(t *testing.T, s *liveSite, start func() *server) {
		s.nestgen(t, "build", "-q")
		srv := start()
		post := func() string {
			t.Helper()
			resp, body, err := ask(t, "POST", srv.URL+"/legacy/", strings.NewReader(""))
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%d %s", resp.StatusCode, body)
		}
		want := func(answer string) {
			t.Helper()
			got := post()
			for end := time.Now().Add(time.Minute); !strings.HasPrefix(got, answer); got = post() {
				if time.Now().After(end) {
					t.Fatalf("%s, want %s", got, answer)
				}
				time.Sleep(50 * time.Millisecond)
			}
		}
		want("403 This index takes no uploads")
		s.configure(t, "uploads = \"uploads\"\n")
		want("401 Credentials are needed")
		s.configure(t, "site = \"")
		if s.stays {
			want("401 Credentials are needed")
		} else {
			want("500 This index is not set up")
		}
		s.configure(t, "title = \"one\"\n")
		want("403 This index takes no uploads")
	})
}
