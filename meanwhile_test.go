package nestgen

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/intake/intaketest"
)

// A keeper does at random to the sources of a site what people do, and lets
// them fail.
type keeper struct {
	*world
	*rand.Rand
	srv    *fetchtest.Server
	offers map[string]fetchtest.File
	lines  map[string]string // of the allowlist, by project
	policy map[string]string
	status int // of the next build; -1 for any
	log    []string
}

func (k *keeper) pick(s ...string) string { return s[k.IntN(len(s))] }

// file makes a distribution: the same bytes whenever it has the same name.
func (k *keeper) file(name string) (string, []byte) {
	version := k.pick("1.0", "1.1", "2.0rc1", "2.0")
	kind := k.IntN(3)
	h := fnv.New32()
	fmt.Fprint(h, name, version, kind)
	o := intaketest.Opts{Spelling: []string{name, strings.ToUpper(name), strings.ReplaceAll(name, "-", ".")}[h.Sum32()%3]}
	switch kind {
	case 0:
		return intaketest.Wheel(name, version, o)
	case 1:
		return intaketest.Sdist(name, version, o)
	}
	return intaketest.Egg(name, version, o)
}

// dropped gives the files of the drop folder, by their paths.
func (k *keeper) dropped() []string {
	var all []string
	for name := range photograph(k.TB, k.path("drop")) {
		if fi, err := os.Stat(name); err == nil && fi.Mode().IsRegular() && !strings.HasPrefix(fi.Name(), "anchor") {
			all = append(all, strings.TrimPrefix(name, k.path("")+"/"))
		}
	}
	slices.Sort(all)
	return all
}

// put puts a file somewhere into the drop folder. It must not lie there twice.
func (k *keeper) put(file string, data []byte) {
	for _, d := range k.dropped() {
		if strings.HasSuffix(d, "/"+file) {
			k.remove(d)
		}
	}
	k.write("drop/"+k.pick("", "sub/", "other/deep/")+file, string(data))
}

// act does one thing and says what.
func (k *keeper) act() string {
	switch k.IntN(16) {
	case 0, 1, 2, 3:
		file, data := k.file(k.pick("my-lib", "our-tool", "old-thing", "both-ways"))
		k.put(file, data)
		return "drop " + file
	case 4, 5:
		if all := k.dropped(); len(all) > 0 {
			file := all[k.IntN(len(all))]
			k.remove(file)
			return "remove " + file
		}
	case 6:
		n := k.pick("my-lib", "link-only")
		k.put(n+".git", []byte("https://git.example/"+n+".git\n"))
		return "link " + n
	case 7, 8:
		n := k.pick("up-lib", "theirs", "both-ways")
		file, data := k.file(n)
		k.offers[file] = fetchtest.File{Project: n, Filename: file, Data: data}
		var all []fetchtest.File
		for _, f := range k.offers {
			all = append(all, f)
		}
		slices.SortFunc(all, func(a, b fetchtest.File) int { return strings.Compare(a.Filename, b.Filename) })
		k.srv.SetFiles(all...)
		return "offer " + file
	case 9, 10:
		n := k.pick("up-lib", "theirs", "both-ways")
		k.lines[n] = k.pick("", n, n+"==1.0", n+">=1.1", "--pre\n"+n, n+"\n"+n+"==1.0")
		return "allow " + k.lines[n]
	case 11:
		n := k.pick("my-lib", "our-tool", "up-lib", "both-ways")
		k.policy[n] = k.pick("", "",
			"[[block]]\nproject = %q\nversions = \">=1.1\"\nreason = \"no\"\n",
			"[[block]]\nproject = %q\nreason = \"no\"\n",
			"[[status]]\nproject = %q\nstatus = \"archived\"\nreason = \"old\"\n[[note]]\nproject = %[1]q\ntext = \"ask Ann\"\n")
		if k.policy[n] != "" {
			k.policy[n] = fmt.Sprintf(k.policy[n], n)
		}
		return "policy " + k.policy[n]
	case 12:
		k.Versions.UnmarshalText([]byte(k.pick("newest", "all", "2")))
		return "versions " + k.Versions.String()
	case 13:
		k.remove("state/drop.cache")
		return "lose the cache of the scan"
	case 14:
		k.status = -1
		switch k.IntN(3) {
		case 0:
			for _, n := range []string{"up-lib", "theirs", "both-ways"} {
				k.srv.Always(k.srv.Page(fetchtest.Index, n), fetchtest.Status500)
			}
			return "the upstream is down"
		case 1:
			k.lines["broken"] = "not a requirement!"
			return "the allowlist is broken"
		case 2:
			if k.exists("away") {
				return ""
			}
			if err := os.Rename(k.path("drop"), k.path("away")); err != nil {
				k.Fatal(err)
			}
			return "the drop folder is away"
		}
	case 15:
		if _, err := os.Stat(k.path("state/catalog.db")); err == nil {
			if _, err := GC(k.Context(), k.Config, Options{}); err != nil && Status(err) != 6 && Status(err) != 2 {
				k.Fatal(err)
			}
			return "gc"
		}
	}
	return ""
}

func (k *keeper) writeLists() {
	var list, pol strings.Builder
	for _, n := range []string{"up-lib", "theirs", "both-ways", "broken"} {
		if k.lines[n] != "" {
			list.WriteString(k.lines[n] + "\n")
		}
	}
	for _, n := range []string{"my-lib", "our-tool", "up-lib", "both-ways"} {
		pol.WriteString(k.policy[n])
	}
	k.write("allowlist.txt", list.String())
	k.write("policy.toml", pol.String())
}

// Whatever comes and goes at the sources, and whatever fails meanwhile: once all
// is well the tree is that of a site which is built anew, and the next run has
// nothing to do.
func TestWhateverFailsMeanwhile(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	seeds, steps := 4, 40
	if testing.Short() {
		seeds = 1
	}
	if n, err := strconv.Atoi(os.Getenv(walkEnv)); err == nil { // as many walks as the other one has steps
		seeds = n
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			srv := fetchtest.New(t)
			k := &keeper{world: newWorld(t, srv), Rand: rand.New(rand.NewPCG(uint64(seed), 1)), srv: srv,
				offers: map[string]fetchtest.File{}, lines: map[string]string{}, policy: map[string]string{}}
			anchor, data := intaketest.Wheel("anchor", "1.0", plain)
			k.write("drop/"+anchor, string(data)) // an empty folder may be one that is not mounted
			k.Projects = []ProjectConfig{{Name: "both-ways", Sources: "both"}}
			run := func() *Report {
				k.writeLists()
				r, err := Build(t.Context(), k.Config, Options{AllowRemovals: true})
				if err != nil {
					t.Fatalf("Build: %v\n%s", err, strings.Join(k.log, "\n"))
				}
				k.checkTree()
				return r
			}
			for range steps {
				for range 1 + k.IntN(3) {
					k.log = append(k.log, k.act())
				}
				k.log = append(k.log, "build")
				run()
				if k.status == 0 {
					continue
				}
				k.log = append(k.log, "all is well")
				srv.Heal()
				delete(k.lines, "broken")
				if k.exists("away") {
					k.remove("drop")
					if err := os.Rename(k.path("away"), k.path("drop")); err != nil {
						t.Fatal(err)
					}
				}
				k.status = 0
				run()
				k.isAsFresh()
				before := photograph(t, k.path("site"), k.path("state"))
				if r := run(); !r.Idle() {
					t.Errorf("a run with nothing to do did %+v", r)
				}
				if d := before.differences(photograph(t, k.path("site"), k.path("state")), k.dir); len(d) > 0 {
					t.Errorf("a run with nothing to do wrote %q", d)
				}
				if t.Failed() {
					t.Fatal(strings.Join(k.log, "\n"))
				}
			}
			run()
			k.isAsFresh()
			if t.Failed() {
				t.Fatal(strings.Join(k.log, "\n"))
			}
		})
	}
}
