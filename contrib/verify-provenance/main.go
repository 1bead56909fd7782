// Command verify-provenance checks the attestations of a distribution (PEP 740) with
// Sigstore: that the certificates lead to a trusted root, that a transparency log has
// them, and that they were made for the publisher that the provenance names, over
// these very bytes. It asks nobody: the trusted root is a file.
//
// It is a module of its own, so that nestgen itself does not depend on what it needs.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"nestgen/provenance"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// The exit statuses.
const (
	exitVerified = 0
	exitRefused  = 1
	exitUsage    = 2
)

const usage = `Usage: verify-provenance --trusted-root FILE [policy] FILE FILE.provenance

Checks that each attestation of a provenance object (PEP 740) is signed for the
publisher that the object names, and speaks of FILE. Prints one line.

Exit status: 0 verified; 1 not verified; 2 wrong usage, or a file cannot be read.

`

// A policy is what the publisher must be, besides who the provenance says.
type policy struct {
	kind, repository, workflow string
	log                        bool // a log of certificates is asked for
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("verify-provenance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage); flags.PrintDefaults() }
	var p policy
	rootFile := flags.String("trusted-root", "", "the trusted root, `FILE` in JSON as Sigstore publishes it; required")
	flags.StringVar(&p.repository, "repository", "", "the repository must be `OWNER/NAME`")
	flags.StringVar(&p.workflow, "workflow", "", "the workflow must be in the file `NAME`")
	flags.StringVar(&p.kind, "kind", "", "the service must be `KIND`, as GitHub or GitLab")
	noLog := flags.Bool("no-certificate-log", false, "for an instance of your own that keeps no log of its certificates")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitVerified
		}
		return exitUsage
	}
	p.log = !*noLog
	if flags.NArg() != 2 || *rootFile == "" {
		flags.Usage()
		return exitUsage
	}
	unreadable := func(err error) int {
		fmt.Fprintf(stderr, "verify-provenance: %v\n", err)
		return exitUsage
	}
	trusted, err := root.NewTrustedRootFromPath(*rootFile)
	if err != nil {
		return unreadable(fmt.Errorf("%s: %w", *rootFile, err))
	}
	sum, err := digest(flags.Arg(0))
	if err != nil {
		return unreadable(err)
	}
	data, err := readLimited(flags.Arg(1))
	if err != nil {
		return unreadable(err)
	}
	who, err := check(trusted, p, data, sum)
	if err != nil {
		fmt.Fprintf(stdout, "%s: NOT verified: %v\n", flags.Arg(0), err)
		return exitRefused
	}
	fmt.Fprintf(stdout, "%s: verified: published by %s\n", flags.Arg(0), strings.Join(who, "; "))
	return exitVerified
}

func digest(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

func readLimited(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, provenance.MaxSize+1))
}

// check verifies every attestation of a provenance object, and says who has made them.
func check(trusted root.TrustedMaterial, p policy, data, sum []byte) (who []string, err error) {
	o, err := provenance.Read(data)
	if err != nil {
		return nil, err
	}
	if !o.Speaks(hex.EncodeToString(sum)) {
		return nil, errors.New("the provenance is that of another file")
	}
	options := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithIntegratedTimestamps(1)}
	if p.log {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	v, err := verify.NewVerifier(trusted, options...)
	if err != nil {
		return nil, err
	}
	for _, b := range o.Bundles {
		if err := p.admits(b.Publisher); err != nil {
			return nil, err
		}
		identity, err := identityOf(b.Publisher)
		if err != nil {
			return nil, err
		}
		for _, a := range b.Attestations {
			signed, err := bundleOf(a)
			if err != nil {
				return nil, err
			}
			if _, err := v.Verify(signed, verify.NewPolicy(verify.WithArtifactDigest("sha256", sum), verify.WithCertificateIdentity(identity))); err != nil {
				return nil, err
			}
		}
		who = append(who, b.Publisher.String())
	}
	return who, nil
}

// admits says what the policy has against a publisher.
func (p policy) admits(by provenance.Publisher) error {
	switch {
	case p.kind != "" && !strings.EqualFold(p.kind, by.Kind):
		return fmt.Errorf("published by way of %s, not %s", by.Kind, p.kind)
	case p.repository != "" && !strings.EqualFold(p.repository, by.Repository):
		return fmt.Errorf("published from %s, not %s", by.Repository, p.repository)
	case p.workflow != "" && p.workflow != by.Workflow:
		return fmt.Errorf("published by the workflow %s, not %s", by.Workflow, p.workflow)
	}
	return nil
}

// identityOf gives what the certificate of a publisher must say. That of a workflow
// names it and the branch or the tag that it ran for.
func identityOf(by provenance.Publisher) (verify.CertificateIdentity, error) {
	quote := regexp.QuoteMeta
	switch by.Kind {
	case "GitHub":
		if by.Workflow == "" {
			break
		}
		return verify.NewShortCertificateIdentity("https://token.actions.githubusercontent.com", "", "",
			"^(?i:https://github\\.com/"+quote(by.Repository)+")/\\.github/workflows/"+quote(by.Workflow)+"@.+$")
	case "GitLab":
		if by.Workflow == "" {
			break
		}
		return verify.NewShortCertificateIdentity("https://gitlab.com", "", "",
			"^(?i:https://gitlab\\.com/"+quote(by.Repository)+")//"+quote(by.Workflow)+"@.+$")
	case "Google":
		return verify.NewShortCertificateIdentity("https://accounts.google.com", "", by.Repository, "")
	}
	return verify.CertificateIdentity{}, fmt.Errorf("published by %s: this program does not know what its certificate must say", by)
}

// bundleOf gives an attestation in the form in which Sigstore has it (bundle v0.3).
func bundleOf(a provenance.Attestation) (*bundle.Bundle, error) {
	var parts struct {
		Material struct {
			Certificate json.RawMessage   `json:"certificate"`
			Entries     []json.RawMessage `json:"transparency_entries"`
		} `json:"verification_material"`
	}
	if err := json.Unmarshal(a.Raw, &parts); err != nil {
		return nil, err
	}
	type object = map[string]any
	text, err := json.Marshal(object{
		"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
		"verificationMaterial": object{
			"certificate": object{"rawBytes": parts.Material.Certificate},
			"tlogEntries": parts.Material.Entries,
		},
		"dsseEnvelope": object{
			"payload": a.Statement, "payloadType": "application/vnd.in-toto+json",
			"signatures": []object{{"sig": a.Signature}},
		},
	})
	if err != nil {
		return nil, err
	}
	b := new(bundle.Bundle)
	if err := b.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	return b, nil
}
