package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nestgen/serve"
	"nestgen/serve/servetest"
	"nestgen/templates"
)

// Every server gives the same answers. (Package serve's own tests put its
// handler through the same table.)
func TestHTTP(t *testing.T) {
	for _, k := range webServers {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			tree := newTree(t)
			s := k.start(t, k, tree.Dir)
			servetest.Run(t, servetest.Server{URL: s.URL, Capitals: s.capitals}, tree)
		})
	}
}

// Without the map of names nginx finds a project in capitals under its display
// name, and misses nothing else.
func TestNginxWithoutRedirects(t *testing.T) {
	t.Parallel()
	tree := newTree(t)
	s := nginx(t, kinds[0], tree.Dir, false)
	servetest.Run(t, servetest.Server{URL: s.URL, Capitals: false}, tree)
}

func newTree(t *testing.T) *servetest.Tree {
	t.Helper()
	dir := filepath.Join(sharedDir(t), "site")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return servetest.NewTree(t, dir)
}

// The policy in the servers' header is the one that the pages give themselves,
// and besides nobody may frame them.
func TestPolicyOfPages(t *testing.T) {
	var page strings.Builder
	if err := templates.Default().Execute(&page, "head", struct{ Up string }{""}); err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(page.String(), `http-equiv="Content-Security-Policy" content="`)
	policy, _, _ := strings.Cut(rest, `"`)
	if !ok || policy == "" {
		t.Fatalf("no policy in %s", page.String())
	}
	policy = strings.NewReplacer("&#39;", "'", "&#34;", `"`).Replace(policy) + "; frame-ancestors 'none'"
	for _, name := range []string{"nginx/nestgen.conf", "nginx/nestgen-prefix.conf", "apache/nestgen.conf"} {
		if !strings.Contains(string(contrib(t, name)), `"`+policy+`"`) {
			t.Errorf("contrib/%s does not send %q", name, policy)
		}
	}
	if serve.PeoplePolicy != policy {
		t.Errorf("package serve sends %q, want %q", serve.PeoplePolicy, policy)
	}
}
