package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"nestgen"
	"nestgen/fallback"
	"nestgen/serve"
	"nestgen/upload"
)

func newServe(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the site on a local port, for trying it out",
		Long: `Serve the site over HTTP as the virtual hosts in contrib/ do, until it is
interrupted. It is meant for trying things out: for everybody else, let a web
server serve the site folder.

Where the settings have "uploads" or [[on_demand]], it does what the fallback
behind a web server does as well: takes uploads at /legacy/, with a token of
"nestgen token" and from this machine alone, and has projects come on demand.`,
		Args: cobra.NoArgs,
	}
	listen := cmd.Flags().String("listen", "127.0.0.1:8080", "the `address` to listen on")
	full := cmd.Flags().Bool("fallback", true, "take uploads and have projects come on demand, if the settings say so")
	cmd.RunE = s.with(func(cmd *cobra.Command, c nestgen.Config, _ []string) error {
		live := *full && (c.Uploads != "" || len(c.OnDemand) > 0)
		if _, err := os.Stat(c.Site); err != nil && !live {
			return &usageError{fmt.Errorf("%s: there is no site yet; run \"nestgen build\" first", c.Site)}
		}
		ready := func(address string) {
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "serving %s on http://%s/; stop with Ctrl-C\n\n  pip install --index-url http://%s/simple/ PROJECT\n", c.Site, address, address)
			if live && c.Uploads != "" {
				fmt.Fprintf(out, "  twine upload --repository-url http://%s/legacy/ FILE...\n", address)
			}
		}
		if !live {
			return serve.Run(cmd.Context(), *listen, c.Site, ready)
		}
		return serveLive(cmd, c, *listen, ready)
	})
	return cmd
}

// serveLive serves a site that requests change.
func serveLive(cmd *cobra.Command, c nestgen.Config, listen string, ready func(string)) (err error) {
	log := newTerminal(cmd.OutOrStdout(), cmd.ErrOrStderr()).events()
	site := nestgen.Join(c, log)
	defer func() { err = errors.Join(err, site.Close()) }()
	if err := site.Open(); err != nil {
		return err
	}
	o := fallback.Configure(c)
	o.Site, o.Log = site, log
	o.Sendfile = fallback.Stream // there is no web server that would understand another way
	h, err := fallback.New(o)
	if err != nil {
		return err
	}
	defer h.Close()
	return serve.RunServer(cmd.Context(), serve.NewUploadServer(upload.Reasons(h)), listen, ready)
}
