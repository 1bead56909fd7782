package nestgen

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"nestgen/internal/stricttoml"
	"nestgen/packaging"
	"nestgen/plan"
	"nestgen/target"
)

// Prereleases is what becomes of pre-releases: "auto", "always" or "never"; empty
// for "not said".
type Prereleases string

var prereleases = map[Prereleases]packaging.Prereleases{
	"auto": packaging.AutoPrereleases, "always": packaging.AllowPrereleases, "never": packaging.DenyPrereleases,
}

// UnmarshalText reads one of the words.
func (p *Prereleases) UnmarshalText(text []byte) error {
	if _, ok := prereleases[Prereleases(text)]; !ok {
		return fmt.Errorf("prereleases %q: want auto, always or never", text)
	}
	*p = Prereleases(text)
	return nil
}

// everyEnvironment is the word in usable_by for the machines that environments
// names.
const everyEnvironment = "all"

// resolveFilters checks what cannot be read by itself.
func (c *Config) resolveFilters() (faults []error) {
	check := func(table string, f *Filter) {
		for _, name := range f.UsableBy {
			var err error
			if name != everyEnvironment {
				_, err = c.Target(name)
			} else if len(c.Environments) == 0 {
				err = fmt.Errorf("%q stands for the machines that environments names, and there are none", name)
			}
			if err != nil {
				faults = append(faults, &stricttoml.Error{File: c.File, Text: fmt.Sprintf("%s usable_by: %v", table, err)})
			}
		}
	}
	check("[filter]", &c.Filter)
	for i := range c.Projects {
		check(fmt.Sprintf("[[project]] %q", c.Projects[i].Name), &c.Projects[i].Filter)
	}
	for i := range c.Indexes {
		check(fmt.Sprintf("[[index]] %q filter", c.Indexes[i].Name), &c.Indexes[i].Filter)
	}
	return faults
}

// filters are what is wanted of upstreams: of most projects, and of those of which
// the settings say something else.
type filters struct {
	site  *plan.Filter
	named map[packaging.Name]*plan.Filter
}

// of gives the filter of a project.
func (f *filters) of(n packaging.Name) *plan.Filter {
	if named, ok := f.named[n]; ok {
		return named
	}
	return f.site
}

// filters compiles the settings, which must have been checked, for a run at a
// time.
func (c *Config) filters(now time.Time) filters {
	site := plan.Filter{Now: now.UnixMicro(), MaxNew: int64(c.MaxFile), Rules: map[string]string{plan.RuleMaxNew: rule("", "max_file", c.MaxFile)}}
	c.refine(&site, &c.Filter, "[filter] ")
	all := filters{site: &site, named: map[packaging.Name]*plan.Filter{}}
	for i := range c.Projects {
		p := &c.Projects[i]
		of := site
		of.Rules = make(map[string]string, len(site.Rules))
		for key, text := range site.Rules {
			of.Rules[key] = text
		}
		c.refine(&of, &p.Filter, "[[project]] "+strconv.Quote(p.Name)+" ")
		all.named[packaging.NormalizeName(p.Name)] = &of
	}
	return all
}

// metaFilters is the key under which the catalog keeps the digest of the filters
// that were applied last.
const metaFilters = "filters"

// filterRules is a digest of what decides which files of upstreams are wanted;
// empty if the settings say nothing of it.
func (c *Config) filterRules() string {
	all := c.filters(time.Time{})
	said := len(all.site.Rules) > 1
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", all.site.Rules)
	for _, n := range slices.Sorted(maps.Keys(all.named)) {
		said = said || len(all.named[n].Rules) > 1
		fmt.Fprintf(h, "%s %q\n", n, all.named[n].Rules)
	}
	if !said {
		return ""
	}
	fmt.Fprintf(h, "%q %+v\n", c.Environments, c.Targets)
	return hex.EncodeToString(h.Sum(nil))
}

// indexFilter compiles the filter of an index, for a run at a time; nil if it wants all.
func (c *Config) indexFilter(x *Index, now time.Time) *plan.Filter {
	f := &plan.Filter{Now: now.UnixMicro(), Rules: map[string]string{}}
	c.refine(f, &x.Filter, fmt.Sprintf("[[index]] %q filter ", x.Name))
	if len(f.Rules) == 0 {
		return nil
	}
	return f
}

// refine puts what a table says into the place of what was said before.
func (c *Config) refine(to *plan.Filter, f *Filter, table string) {
	said := func(key string, value any) { to.Rules[key] = rule(table, key, value) }
	if f.Python != (plan.Pythons{}) {
		to.Python = f.Python
		said(plan.RulePython, f.Python)
	}
	if f.Implementations != nil {
		to.Implementations = f.Implementations
		said(plan.RuleImplementations, texts(f.Implementations))
	}
	if f.ABIs != nil {
		to.ABIs = f.ABIs
		said(plan.RuleABIs, texts(f.ABIs))
	}
	if f.Platforms != nil {
		to.Platforms = f.Platforms
		said(plan.RulePlatforms, texts(f.Platforms))
	}
	if f.UsableBy != nil {
		to.UsableBy = c.machines(f.UsableBy)
		said(plan.RuleUsableBy, f.UsableBy)
	}
	if f.Formats.Said() {
		to.Formats = f.Formats
		said(plan.RuleFormats, f.Formats)
	}
	if f.Prereleases != "" {
		to.Prereleases = prereleases[f.Prereleases]
		said(plan.RulePrereleases, string(f.Prereleases))
	}
	if f.NewerThan != nil {
		to.NewerThan = time.Duration(*f.NewerThan)
		said(plan.RuleNewerThan, *f.NewerThan)
	}
	if f.MaxFile != nil {
		to.MaxFile = int64(*f.MaxFile)
		said(plan.RuleMaxFile, *f.MaxFile)
	}
	if f.MaxRelease != nil {
		to.MaxRelease = int64(*f.MaxRelease)
		said(plan.RuleMaxRelease, *f.MaxRelease)
	}
}

// machines gives the targets that a list names, each once.
func (c *Config) machines(names []string) (all []*target.Target) {
	seen := map[string]bool{}
	for _, name := range names {
		of := []string{name}
		if name == everyEnvironment {
			of = c.Environments
		}
		for _, name := range of {
			if t, err := c.Target(name); err == nil && !seen[name] {
				seen[name] = true
				all = append(all, &t)
			}
		}
	}
	return all
}

func texts[T fmt.Stringer](list []T) []string {
	all := make([]string, len(list))
	for i, v := range list {
		all[i] = v.String()
	}
	return all
}

// rule writes a setting as it stands in its file.
func rule(table, key string, value any) string {
	text := ""
	switch v := value.(type) {
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = strconv.Quote(s)
		}
		text = "[" + strings.Join(quoted, ", ") + "]"
	default:
		text = strconv.Quote(fmt.Sprint(v))
	}
	return table + key + " = " + text
}
