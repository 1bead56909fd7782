package main

import (
	"errors"
	"io/fs"

	"github.com/spf13/cobra"
	"github.com/spf13/viper"

	"nestgen"
)

// settings finds the settings of a site: a flag goes before NESTGEN_* of the
// environment, which goes before the file, which goes before the default.
//
// viper sees the scalar settings only. It folds the case of keys and splits
// them at dots, so that nothing that people name may become one.
type settings struct {
	file string
	site *cobra.Command
}

// scalars are the settings that the environment may override, each with the
// place that it has in a Config.
func scalars(c *nestgen.Config) map[string]any {
	return map[string]any{
		"title":       &c.Title,
		"site":        &c.Site,
		"state":       &c.State,
		"policy":      &c.Policy,
		"base_url":    &c.BaseURL,
		"contact":     &c.Contact,
		"netrc":       &c.Netrc,
		"connections": &c.Connections,
		"jobs":        &c.Jobs,
	}
}

func (s *settings) flags(root *cobra.Command) {
	s.site = root
	root.PersistentFlags().StringVarP(&s.file, "config", "c", "nestgen.toml", "the settings `file` of the site")
	root.PersistentFlags().Int("connections", 0, "requests in flight to one upstream at most (setting \"connections\")")
	root.PersistentFlags().Int("jobs", 0, "files worked on at once (setting \"jobs\")")
	if err := root.MarkPersistentFlagFilename("config", "toml"); err != nil {
		panic(err) // the flag has just been made
	}
}

// with is what a command runs that begins with the settings.
func (s *settings) with(do func(cmd *cobra.Command, c nestgen.Config, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := s.load()
		if err != nil {
			return err
		}
		return do(cmd, c, args)
	}
}

// load reads and checks the settings.
func (s *settings) load() (nestgen.Config, error) {
	c, err := nestgen.Load(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, &usageError{errors.New(s.file + " is not there: name the settings of a site with --config, or make a site with \"nestgen init\"")}
	}
	if err != nil {
		return c, err
	}
	v := viper.New()
	v.SetEnvPrefix("NESTGEN")
	for key, place := range scalars(&c) {
		switch p := place.(type) {
		case *string:
			v.SetDefault(key, *p)
		case *int:
			v.SetDefault(key, *p)
		}
		if err := v.BindEnv(key); err != nil {
			return c, err
		}
		if f := s.site.PersistentFlags().Lookup(key); f != nil {
			if err := v.BindPFlag(key, f); err != nil {
				return c, err
			}
		}
	}
	for key, place := range scalars(&c) {
		switch p := place.(type) {
		case *string:
			*p = v.GetString(key)
		case *int:
			if s := v.GetString(key); s != "" && v.GetInt(key) == 0 && s != "0" {
				return c, &usageError{errors.New(key + " " + s + ": want a number")}
			}
			*p = v.GetInt(key)
		}
	}
	return c, c.Resolve()
}
