package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

//go:embed site
var newSite embed.FS

func newInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIR]",
		Short: "Make the commented settings of a new site in an empty folder",
		Long: `Write nestgen.toml, allowlist.txt and policy.toml, with comments, and an empty
drop folder into DIR (default: the current folder), which is made if it is not
there. A folder that holds anything already is refused.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			if err := initSite(dir); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "made a site in %s: edit nestgen.toml and allowlist.txt, then run \"nestgen build\" there\n", dir)
			return nil
		},
	}
}

func initSite(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return &usageError{fmt.Errorf("%s holds %s already: a new site needs an empty folder", dir, entries[0].Name())}
	}
	if err := os.MkdirAll(filepath.Join(dir, "drop"), 0o755); err != nil {
		return err
	}
	files, err := fs.Sub(newSite, "site")
	if err != nil {
		return err
	}
	return fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Close())
	})
}
