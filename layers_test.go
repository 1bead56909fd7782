package nestgen_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A row is a package and the packages of this module that it may import.
type row struct {
	pkg     string
	imports []string
}

// layers is the picture of the architecture: each package with what it may
// import, all of which stands above it here. A new package gets a row.
var layers = []row{
	// Leaves.
	{"packaging", nil},
	{"templates", nil},
	{"internal/distance", nil},
	{"internal/stricttoml", []string{"internal/distance"}},
	{"internal/secret", nil},
	{"internal/tame", nil},
	{"internal/strictjson", nil},
	{"tilelog", nil},
	{"trust", nil},

	// What leaves the machine, or comes to it, as files.
	{"bundle", nil},

	// What a machine can install.
	{"target", []string{"packaging", "internal/distance"}},
	{"resolve", []string{"packaging", "target"}},

	// What comes in by HTTP, without knowledge of the index.
	{"upload", []string{"packaging"}},
	{"access", []string{"packaging"}},

	// Paths, readers, the model and what is said of it.
	{"layout", []string{"packaging"}},
	{"lockfile", []string{"packaging", "internal/stricttoml", "internal/strictjson", "internal/tame"}},
	{"allowlist", []string{"packaging", "lockfile", "internal/stricttoml", "internal/secret", "internal/tame"}},
	{"advisory", []string{"packaging", "internal/strictjson", "internal/tame"}},
	{"provenance", []string{"internal/strictjson", "internal/tame"}},
	{"catalog", []string{"packaging", "layout", "advisory", "provenance"}},
	{"record", []string{"packaging", "layout", "provenance", "catalog", "tilelog"}},
	{"transit", []string{"packaging", "catalog", "tilelog"}},
	{"policy", []string{"packaging", "catalog", "internal/stricttoml"}},
	{"accesslog", []string{"layout", "internal/strictjson"}},
	{"statistics", []string{"packaging", "accesslog"}},

	// The stages. None imports another.
	{"plan", []string{"packaging", "target", "layout", "lockfile", "allowlist", "advisory", "provenance", "catalog", "policy", "internal/secret"}},
	{"drop", []string{"packaging", "layout", "catalog", "internal/secret"}},
	{"fetch", []string{"packaging", "layout", "catalog", "internal/tame", "internal/strictjson"}},
	{"intake", []string{"packaging", "layout", "catalog"}},
	{"generate", []string{"packaging", "layout", "advisory", "catalog", "templates"}},
	{"publish", []string{"packaging", "layout", "catalog"}},
	{"demand", nil},

	// A reader of what the walk writes.
	{"serve", []string{"packaging", "layout"}},

	// The walk.
	{".", []string{
		"packaging", "templates", "layout", "allowlist", "lockfile", "advisory", "provenance", "catalog", "record", "transit", "policy", "tilelog", "trust", "bundle",
		"target", "resolve", "plan", "drop", "fetch", "intake", "generate", "publish", "demand", "statistics", "internal/distance", "internal/stricttoml", "internal/secret", "internal/tame",
	}},

	// Who looks at a site from outside, and knows nothing of how it is made.
	{"monitor", []string{"packaging", "layout", "internal/strictjson", "tilelog", "trust", "catalog", "record"}},

	{"gateway", nil},
	{"internal/confine", []string{"."}},
	{"fallback", []string{".", "packaging", "layout", "catalog", "upload", "access", "serve"}},

	// Programs.
	{"cmd/nestgen", []string{".", "monitor", "lockfile", "packaging", "upload", "access", "catalog", "policy", "plan", "serve", "fallback", "trust", "statistics", "internal/stricttoml", "internal/tame"}},
	{"cmd/nestgen-cgi", []string{".", "packaging", "access", "gateway", "fallback", "internal/confine"}},
	{"examples/quickstart", nil},
	{"internal/vectors", []string{"packaging", "lockfile", "allowlist", "catalog", "policy", "plan", "fetch", "intake", "generate"}},

	// Helpers of tests.
	{"intake/intaketest", []string{"packaging"}},
	{"fetch/fetchtest", []string{"packaging", "intake/intaketest"}},
	{"serve/servetest", []string{"packaging", "layout", "catalog", "intake", "intake/intaketest", "generate", "publish"}},
	{"gateway/gatewaytest", []string{"gateway"}},
	{"internal/confs", nil},
	{"internal/killsweep/sweep", []string{"layout", "tilelog", "serve"}},
	{"internal/killsweep", []string{"internal/killsweep/sweep"}},
	{"internal/acceptance/realtree", []string{"packaging", "target", "resolve", "intake/intaketest"}},
	{"internal/acceptance", []string{
		".", "monitor", "packaging", "templates", "layout", "trust", "catalog", "accesslog", "serve", "gateway",
		"intake/intaketest", "fetch/fetchtest", "serve/servetest", "internal/confs",
	}},
	{"internal/docstest", []string{".", "allowlist", "policy"}},
	{"bench/dataset", []string{"packaging", "layout", "catalog", "intake/intaketest"}},
	{"bench/floor", []string{"packaging", "layout", "bench/dataset"}},
	{"bench/floor/cgi", nil},
	{"bench/timed", nil},
	{"bench", []string{".", "packaging", "layout", "catalog", "internal/confs", "bench/dataset"}},
}

// stages are the steps of the walk, which know nothing of each other.
var stages = []string{"plan", "drop", "fetch", "intake", "generate", "publish"}

// helpers are for tests alone: no program may import them.
var helpers = []string{"intake/intaketest", "fetch/fetchtest", "serve/servetest", "gateway/gatewaytest", "internal/confs", "internal/killsweep/sweep", "internal/killsweep", "internal/acceptance", "internal/acceptance/realtree", "internal/docstest", "bench/dataset", "bench/floor", "bench/floor/cgi", "bench/timed", "bench"}

// only says which packages a library may be used in, tests apart. A library
// that is not here may be used anywhere but in the packages of plain.
var only = map[string][]string{
	"github.com/spf13/cobra":          {"cmd/nestgen"},
	"github.com/spf13/viper":          {"cmd/nestgen"},
	"github.com/vbauerster/mpb":       {"cmd/nestgen"},
	"github.com/lmittmann/tint":       {"cmd/nestgen"},
	"golang.org/x/term":               {"cmd/nestgen"},
	"github.com/cavaliergopher/grab":  {"fetch"},
	"github.com/PuerkitoBio/goquery":  {"fetch"},
	"github.com/cenkalti/backoff":     {"fetch"},
	"golang.org/x/time":               {"fetch"},
	"modernc.org/sqlite":              {"catalog"},
	"github.com/gofrs/flock":          {"publish"},
	"github.com/BurntSushi/toml":      {"internal/stricttoml"},
	"github.com/landlock-lsm":         {"internal/confine"},
	"github.com/rogpeppe/go-internal": nil,
	"github.com/google/go-cmp":        nil,
	"golang.org/x/mod/sumdb/tlog":     {"tilelog"},
}

// plain packages use the standard library alone, besides what layers allows.
var plain = []string{"packaging", "target", "resolve", "templates", "layout", "policy", "plan", "gateway", "examples/quickstart"}

// A source is one Go file, read as far as its imports.
type source struct {
	dir, file string // slash-separated, from the root of the module
	test      bool
	imports   []string
	comment   string
}

const module = "nestgen"

// docs/architecture.md says of each package, and of each file of the root, what it is
// for, and names no others.
func TestTheMap(t *testing.T) {
	text, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, files, _ := strings.Cut(string(text), "## The files of the root package")
	files, _, _ = strings.Cut(files, "## State")
	for _, name := range regexp.MustCompile("`([a-z]+\\.go)`").FindAllStringSubmatch(files, -1) {
		if _, err := os.Stat(name[1]); err != nil {
			t.Errorf("%s is on the map, and not here", name[1])
		}
	}
	here, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range here {
		if !strings.HasSuffix(name, "_test.go") && name != "doc.go" && strings.Count(files, "`"+name+"`") != 1 {
			t.Errorf("%s is not on the map, or twice", name)
		}
	}
	for _, l := range layers {
		programs := l.pkg == "." || strings.HasPrefix(l.pkg, "cmd/") || l.pkg == "examples/quickstart" || l.pkg == "internal/vectors"
		if !programs && !slices.Contains(helpers, l.pkg) && !strings.Contains(string(text), "| `"+l.pkg+"` |") {
			t.Errorf("package %s is not on the map", l.pkg)
		}
	}
}

// readSources reads every Go file of the module.
func readSources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := e.Name()
		if e.IsDir() {
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && name != "." {
				return fs.SkipDir // a module of its own
			}
			if name != "." && (base == "testdata" || base == "build" || base == "bin" || base[0] == '.' || base[0] == '_') {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		s := source{dir: path.Dir(filepath.ToSlash(name)), file: filepath.ToSlash(name), test: strings.HasSuffix(base, "_test.go")}
		s.imports = imports(f)
		if f.Doc != nil {
			s.comment = f.Doc.Text()
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func imports(f *ast.File) []string {
	var paths []string
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// inModule gives the folder of a package of this module.
func inModule(path string) (dir string, ok bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

func position(pkg string) int {
	return slices.IndexFunc(layers, func(r row) bool { return r.pkg == pkg })
}

// The picture itself points one way, and no stage may import another.
func TestLayersPointOneWay(t *testing.T) {
	for i, r := range layers {
		if position(r.pkg) != i {
			t.Errorf("%s has two rows", r.pkg)
		}
		for _, to := range r.imports {
			if at := position(to); at < 0 || at >= i && !slices.Contains(helpers, to) {
				t.Errorf("%s may not import %s, which does not stand above it", r.pkg, to)
			}
			if slices.Contains(stages, r.pkg) && slices.Contains(stages, to) {
				t.Errorf("stage %s may not import stage %s", r.pkg, to)
			}
			if slices.Contains(helpers, to) && !slices.Contains(helpers, r.pkg) {
				t.Errorf("%s may not import %s, a helper of tests", r.pkg, to)
			}
		}
	}
}

// outsider looks at a site from outside. It imports nothing of the walk, whose tests may
// have it look.
const outsider = "monitor"

// Every package imports only what its row allows. Tests may also use the
// helpers, the outsider, and whatever stands above their package.
func TestImportsPointDown(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range readSources(t) {
		at := position(s.dir)
		if at < 0 {
			t.Errorf("%s: package %s has no row in layers", s.file, s.dir)
			continue
		}
		seen[s.dir] = true
		for _, p := range s.imports {
			to, ours := inModule(p)
			if !ours {
				checkLibrary(t, s, p)
				continue
			}
			allowed := slices.Contains(layers[at].imports, to)
			if s.test {
				below := position(to) >= 0 && position(to) < at
				between := slices.Contains(stages, s.dir) && slices.Contains(stages, to)
				allowed = allowed || to == s.dir || slices.Contains(helpers, to) || to == outsider || below && !between
			}
			if !allowed {
				t.Errorf("%s imports %s: its row in layers does not allow that", s.file, to)
			}
		}
	}
	for _, r := range layers {
		if !seen[r.pkg] && !slices.Contains(helpers, r.pkg) {
			t.Errorf("layers has a row for %s, which is not there", r.pkg)
		}
	}
}

// checkLibrary reports a library in a package that may not use it.
func checkLibrary(t *testing.T, s source, path string) {
	t.Helper()
	first, _, _ := strings.Cut(path, "/")
	if !strings.Contains(first, ".") || s.test {
		return // of the standard library, or in a test
	}
	if slices.Contains(plain, s.dir) && !(s.dir == "policy" && strings.HasPrefix(path, "github.com/google/renameio")) {
		t.Errorf("%s imports %s: package %s uses the standard library alone", s.file, path, s.dir)
	}
	for lib, users := range only {
		if (path == lib || strings.HasPrefix(path, lib+"/")) && !slices.Contains(users, s.dir) && !slices.Contains(helpers, s.dir) {
			t.Errorf("%s imports %s, which is for %v alone", s.file, path, users)
		}
	}
}

// Every package says what it is for, in one comment.
func TestPackageComments(t *testing.T) {
	comments := map[string][]string{}
	code := map[string]bool{}
	for _, s := range readSources(t) {
		if s.test {
			continue
		}
		code[s.dir] = true
		if s.comment == "" {
			continue
		}
		comments[s.dir] = append(comments[s.dir], s.file)
		if !strings.HasPrefix(s.comment, "Package ") && !strings.HasPrefix(s.comment, "Command ") {
			t.Errorf("%s: the package comment begins with neither Package nor Command", s.file)
		}
	}
	for dir := range code {
		if len(comments[dir]) != 1 {
			t.Errorf("package %s has %d package comments: %q", dir, len(comments[dir]), comments[dir])
		}
	}
}
