package catalog

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"testing"
)

func TestRequires(t *testing.T) {
	c := newCatalog(t)
	ctx := context.Background()
	for i, want := range []Requires{
		{},
		{Known: true},
		{Known: true, Dist: []string{"b>=1; extra == 'x'", "a"}, Python: ">=3.8", Extras: []string{"x"}},
		{Known: true, Claimed: true},
		{Known: true, Build: []string{"setuptools"}},
	} {
		sha := Digest{byte(i + 1)}
		if _, err := c.Requires(ctx, sha); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%d: before it was read: %v", i, err)
		}
		for range 2 { // what is kept already may come again
			update(t, c, func(tx *Tx) error { return tx.SetRequires(sha, want) })
		}
		if got, err := c.Requires(ctx, sha); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d: %+v, %v\nwant %+v", i, got, err, want)
		}
	}
}
