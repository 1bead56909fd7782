package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"nestgen/serve"
)

func newServe(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the site on a local port, for trying it out",
		Long: `Serve the site over HTTP as the virtual hosts in contrib/ do, until it is
interrupted. It is meant for trying things out: for everybody else, let a web
server serve the site folder.
` + exitHelp,
		Args: cobra.NoArgs,
	}
	listen := cmd.Flags().String("listen", "127.0.0.1:8080", "the `address` to listen on")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := s.load()
		if err != nil {
			return err
		}
		if _, err := os.Stat(c.Site); err != nil {
			return &usageError{fmt.Errorf("%s: there is no site yet; run \"nestgen build\" first", c.Site)}
		}
		return serve.Run(cmd.Context(), *listen, c.Site, func(address string) {
			fmt.Fprintf(cmd.OutOrStdout(), "serving %s on http://%s/; stop with Ctrl-C\n\n  pip install --index-url http://%s/simple/ PROJECT\n", c.Site, address, address)
		})
	}
	return cmd
}
