package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/lockfile"
)

func newLock(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lock [ENVIRONMENT...]",
		Short: "Write down what the index answers now, as pylock.toml or constraints",
		Long: `Freeze what everything on the allowlist installs as from this index at this
moment: for each environment of the settings, or for those that are named, the
versions that pip would choose, with the hashes of their files. A pylock.toml
(PEP 751) is for pip, uv and others that install from it; constraints are for
"pip install -c".

All lines have to install together. Where only those of one list do, name it with
--list. Files are named by base_url if the settings have it, and else by paths
relative to the lock file.

Exit status: 3 if there is no such set of versions, else as below.`,
	}
	f := cmd.Flags()
	output := f.StringP("output", "o", "-", "`FILE` for the lock; - is the standard output")
	constraints := f.String("constraints", "", "`FILE` for constraints; with it alone no lock is written")
	lists := f.StringArray("list", nil, "lock the lines of this allowlist `FILE` only; may be repeated")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, args []string) error {
		dir := "."
		if *output != "-" {
			dir = filepath.Dir(*output)
		}
		dir, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		frozen, err := nestgen.Lock(cmd.Context(), c, nestgen.LockOptions{Environments: args, Lists: *lists, Dir: dir})
		if err != nil {
			return err
		}
		if *constraints != "" {
			if err := writeFrozen(cmd.OutOrStdout(), *constraints, frozen, lockfile.WriteConstraints); err != nil {
				return err
			}
			if !f.Changed("output") {
				return nil
			}
		}
		return writeFrozen(cmd.OutOrStdout(), *output, frozen, lockfile.WritePylock)
	})
	return cmd
}

// writeFrozen writes a frozen answer in some form. A file is there whole or not at
// all.
func writeFrozen(out io.Writer, file string, frozen lockfile.Frozen, form func(lockfile.Frozen) ([]byte, error)) error {
	data, err := form(frozen)
	if err != nil {
		return err
	}
	if file == "-" {
		_, err = out.Write(data)
		return err
	}
	if err := renameio.WriteFile(file, data, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
