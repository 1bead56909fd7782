package nestgen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"nestgen/catalog"
	"nestgen/policy"
)

// metaPolicy is the key under which the catalog keeps the digest of the policy
// that was applied last; empty for one that says nothing.
const metaPolicy = "policy"

// policyDigest names the policy, empty if it says nothing.
func (s *site) policyDigest() string {
	if s.intent.policy.SaysNothing() {
		return ""
	}
	return s.intent.policy.Digest()
}

// readPolicy reads the policy of a site whose catalog is given; nil for a site
// that has none yet. It refuses to go on without a policy file that the
// settings name or that was there before: what it forbids would be published.
// Only the default file may be absent, as long as it never said anything.
func (c *Config) readPolicy(ctx context.Context, cat *catalog.Catalog) (*policy.Policy, error) {
	if c.Policy == "" {
		return &policy.Policy{}, nil
	}
	p, err := policy.Read(c.Policy)
	if err != nil {
		return nil, &fault{ErrSettings, err, ""}
	}
	if p.Written() {
		return p, nil
	}
	if c.Policy != filepath.Join(homeOf(c.File), Default().Policy) {
		return nil, &fault{ErrSettings, fmt.Errorf("%s: the policy that the settings name is not there", c.Policy), "put it there; an empty file says that there is no policy"}
	}
	if _, err := os.Lstat(c.Policy); err == nil {
		return nil, &fault{ErrSettings, fmt.Errorf("%s: the policy is a link, and what it leads to is not there", c.Policy), "is a file system not mounted?"}
	}
	if cat == nil {
		return p, nil
	}
	applied, err := cat.Meta(ctx, metaPolicy)
	if err != nil {
		return nil, storage(err)
	}
	if applied != "" {
		return nil, &fault{ErrSettings, fmt.Errorf("%s: the policy was applied before and is not there any more", c.Policy),
			"put it back; if there is to be no policy any more, leave an empty file"}
	}
	return p, nil
}

// EditPolicy has edit change the policy file of a site. A file that is not
// there is begun only where a build would do without it: one that was lost must
// not come back with a single entry in it.
func EditPolicy(ctx context.Context, c Config, edit func(file string) error) error {
	if c.Policy == "" {
		return &fault{ErrSettings, fmt.Errorf("%s: there is no policy file", c.File), `name one in the setting "policy"`}
	}
	cat, err := catalog.OpenReadOnly(filepath.Join(c.State, "catalog.db"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storage(err)
	}
	if err == nil {
		defer cat.Close()
	}
	if _, err := c.readPolicy(ctx, cat); err != nil {
		return err
	}
	return edit(c.Policy)
}
