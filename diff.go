package nestgen

import (
	"context"
	"iter"
	"strings"

	"nestgen/catalog"
	"nestgen/packaging"
)

// The kinds of [Difference].
const (
	AddedFile   = "added"   // the second index has it, the first has not
	RemovedFile = "removed" // the first has it, the second has not
	ChangedFile = "changed" // both have it, and say different things of it
)

// A Difference is a file, or a project as a whole, of which two indexes say
// different things.
type Difference struct {
	Change  string         `json:"change"`
	Project packaging.Name `json:"project"`

	// Version and Filename are empty for what is said of a whole project.
	Version  string `json:"version,omitempty"`
	Filename string `json:"filename,omitempty"`

	// Text says what has changed, as it is in the second index; empty for a file
	// that only one of them has.
	Text string `json:"text,omitempty"`
}

// Diff compares two indexes of a site by what they list, project by project in the
// order of names. The index of the site itself is "/".
func Diff(ctx context.Context, c Config, a, b string) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		nextA, stopA := iter.Pull2(List(ctx, c, a))
		defer stopA()
		nextB, stopB := iter.Pull2(List(ctx, c, b))
		defer stopB()
		p, errA, moreA := nextA()
		q, errB, moreB := nextB()
		for moreA || moreB {
			if errA != nil || errB != nil {
				if errA == nil {
					errA = errB
				}
				yield(Difference{}, errA)
				return
			}
			var of, with *catalog.Project
			if moreA && (!moreB || p.Name <= q.Name) {
				of = p
			}
			if moreB && (!moreA || q.Name <= p.Name) {
				with = q
			}
			for _, d := range compareProjects(of, with) {
				if !yield(d, nil) {
					return
				}
			}
			if of != nil {
				p, errA, moreA = nextA()
			}
			if with != nil {
				q, errB, moreB = nextB()
			}
		}
	}
}

// compareProjects compares a project in two indexes, in one of which it may be nil.
func compareProjects(a, b *catalog.Project) (all []Difference) {
	none := &catalog.Project{}
	name := packaging.Name("")
	if a == nil {
		a, name = none, b.Name
	} else {
		name = a.Name
	}
	if b == nil {
		b = none
	}
	add := func(change string, f catalog.File, text string) {
		all = append(all, Difference{change, name, f.Version, f.Filename, text})
	}
	if a != none && b != none && a.Status != b.Status {
		state := b.Status.State
		if state == catalog.Active {
			state = "active"
		}
		add(ChangedFile, catalog.File{}, strings.TrimSuffix(string(state)+": "+b.Status.Reason, ": "))
	}
	was := map[string]catalog.File{}
	for _, f := range a.Files {
		was[f.Filename] = f
	}
	for _, f := range b.Files {
		if old, both := was[f.Filename]; !both {
			add(AddedFile, f, "")
		} else if text := differs(old, f); text != "" {
			add(ChangedFile, f, text)
		}
		delete(was, f.Filename)
	}
	for _, f := range a.Files {
		if _, only := was[f.Filename]; only {
			add(RemovedFile, f, "")
		}
	}
	return all
}

// differs says in what two indexes differ that have the same file; nothing if they
// say the same of it.
func differs(a, b catalog.File) string {
	var texts []string
	tell := func(differ bool, text string) {
		if differ {
			texts = append(texts, text)
		}
	}
	tell(a.SHA256 != b.SHA256, "other bytes: sha256 "+b.SHA256.String())
	tell(b.Yanked.Yanked && a.Yanked != b.Yanked, strings.TrimSuffix("yanked: "+b.Yanked.Reason, ": "))
	tell(a.Yanked.Yanked && !b.Yanked.Yanked, "no longer yanked")
	tell(a.RequiresPython != b.RequiresPython, "requires Python "+b.RequiresPython)
	tell(a.Metadata != b.Metadata, "other metadata")
	tell(a.Signed != b.Signed, "signature")
	tell(a.Provenance != b.Provenance, "attestations")
	tell(a.Announced != b.Announced, "whether it is here")
	return strings.Join(texts, "; ")
}
