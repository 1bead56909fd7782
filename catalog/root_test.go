package catalog

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"reflect"
	"testing"

	"nestgen/packaging"
)

func TestRootIsKept(t *testing.T) {
	c, ctx := newCatalog(t), context.Background()
	if _, err := c.Root(ctx, "up"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before: %v", err)
	}
	want := Root{ETag: `"e"`, LastModified: "then", Serial: 7, Size: 100, Useless: "no serials", Tried: 5, Whole: 4,
		Serials: map[packaging.Name]int64{"a": 1, "b": 1 << 40}}
	for _, r := range []Root{{}, want} {
		update(t, c, func(tx *Tx) error { return tx.SetRoot("up", r) })
	}
	got, err := c.Root(ctx, "up")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Root = %+v, %v", got, err)
	}
	update(t, c, func(tx *Tx) error {
		return errors.Join(tx.SetListing("up", "a", Listing{Serial: 3}), tx.SetListing("up", "b", Listing{}), tx.SetListing("other", "c", Listing{Serial: 9}))
	})
	serials, err := c.ListingSerials(ctx, "up")
	if err != nil || !maps.Equal(serials, map[packaging.Name]int64{"a": 3, "b": 0}) {
		t.Errorf("ListingSerials = %v, %v", serials, err)
	}
}

// What is damaged is an error, and no panic.
func FuzzDecodeSerials(f *testing.F) {
	f.Add(encodeSerials(map[packaging.Name]int64{"a": 1, "b": 2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		serials, err := decodeSerials(b)
		if err != nil {
			return
		}
		again, err := decodeSerials(encodeSerials(serials))
		if err != nil || !maps.Equal(again, serials) {
			t.Errorf("%v became %v, %v", serials, again, err)
		}
	})
}
