package main

import (
	"cmp"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages of all commands into a folder",
		Long: `Write nestgen.1 and a page for each command into DIR, which is made if it is
not there.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			withExitStatus(root)
			return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "nestgen", Manual: "nestgen"}, args[0])
		},
	}
}

// withExitStatus has the long texts of a command and of those below it say what its help
// ends with: a manual page has no other place for it.
func withExitStatus(c *cobra.Command) {
	c.Long = cmp.Or(c.Long, c.Short) + "\n\n" + exitHelp
	for _, below := range c.Commands() {
		withExitStatus(below)
	}
}
