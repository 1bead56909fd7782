package nestgen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"nestgen/plan"
	"nestgen/target"
)

// A Proof says whether all that the allowlist asks for installs from the index
// alone, on one kind of machine.
type Proof struct {
	Environment string `json:"environment"`

	// Lines is how many lines of the allowlist ask for something there, and
	// Projects how many projects they come to with all that they need.
	Lines    int `json:"lines"`
	Projects int `json:"projects"`

	// Missing is the lines that do not install; none for a proof that holds.
	Missing []Missing `json:"missing,omitempty"`

	// Unknown names the files that would be installed and do not say what they
	// need, except to those who run their code: so far the proof does not reach.
	Unknown []string `json:"unknown,omitempty"`
}

// A Missing is a line of the allowlist that does not install, and why.
type Missing struct {
	Where string `json:"where"`
	Text  string `json:"text"`
}

// Prove finds out for kinds of machines, given by their names, whether every line of
// the allowlist installs from the published index alone. Without names it does so
// for those of the settings. It asks nobody and changes nothing. An error means that
// it could not be found out.
func Prove(ctx context.Context, c Config, names []string, log *slog.Logger) ([]Proof, error) {
	targets, err := c.targetsOf(names)
	if err != nil {
		return nil, err
	}
	s, err := open(c, Options{DryRun: true, Offline: true, Log: log})
	if err != nil {
		return nil, err
	}
	proofs, err := s.prove(ctx, targets)
	return proofs, errors.Join(err, s.close())
}

// targetsOf gives environments by their names, or those of the settings.
func (c *Config) targetsOf(names []string) ([]*target.Target, error) {
	if len(names) == 0 {
		names = c.Environments
	}
	if len(names) == 0 {
		return nil, &fault{ErrSettings, errors.New("no environment is named, here or in the settings"), `name one, for example "cp312-linux-x86_64"`}
	}
	var all []*target.Target
	for _, name := range names {
		t, err := c.Target(name)
		if err != nil {
			return nil, &fault{ErrSettings, err, ""}
		}
		if !slices.ContainsFunc(all, func(o *target.Target) bool { return o.Name == t.Name }) {
			all = append(all, &t)
		}
	}
	return all, nil
}

func (s *site) prove(ctx context.Context, targets []*target.Target) ([]Proof, error) {
	if err := s.readIntent(ctx); err != nil {
		return nil, err
	}
	if s.intent.faulty {
		return nil, s.faultyList()
	}
	reader := newNeedsReader(s)
	found, err := s.install(ctx, func(index string) stock { return &own{s, reader, index} }, targets)
	if err != nil {
		return nil, err
	}
	var proofs []Proof
	for _, i := range found {
		p := Proof{Environment: i.target.Name}
		projects := map[string]bool{}
		for _, set := range i.sets {
			p.Lines += len(set.roots)
			for _, pin := range set.pins {
				projects[string(pin.name)] = true
			}
			for _, d := range set.direct {
				p.Missing = append(p.Missing, Missing{set.place, d + "; what has an address is not had from an index"})
			}
			for _, u := range set.unknown {
				if !slices.Contains(p.Unknown, u) {
					p.Unknown = append(p.Unknown, u)
				}
			}
		}
		for _, f := range i.failures {
			if f.root != nil {
				p.Lines++
			}
			p.Missing = append(p.Missing, Missing{f.where, f.err.Error()})
		}
		slices.Sort(p.Unknown)
		p.Projects = len(projects)
		proofs = append(proofs, p)
	}
	return proofs, nil
}

// faultyList is the error for an allowlist that cannot be read whole.
func (s *site) faultyList() error {
	for _, p := range s.report.Problems {
		if p.Level == levels[plan.Incomplete] {
			return &fault{ErrSettings, fmt.Errorf("the allowlist has errors: %s", p), p.Hint}
		}
	}
	return &fault{ErrSettings, errors.New("the allowlist has errors"), ""}
}
