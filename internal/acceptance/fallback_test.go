package acceptance

import (
	"os"
	"testing"

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
