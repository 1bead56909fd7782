package catalog

import (
	"path/filepath"
	"testing"

	"nestgen/packaging"
)

// What is read of all projects goes together, whatever is written meanwhile.
func TestProjectsAreOfOneMoment(t *testing.T) {
	name := filepath.Join(t.TempDir(), "catalog.db")
	c, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	writer, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	put := func(n packaging.Name) { list(t, writer, aFile(n, string(n)+"-1.tar.gz", "1", 0)) }
	for _, n := range []packaging.Name{"a", "b", "c"} {
		put(n)
	}
	var seen []string
	for p, err := range c.Projects(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Files) != 1 {
			t.Errorf("%s has %d files", p.Name, len(p.Files))
		}
		if p.Name == "a" {
			put("d")
		}
		seen = append(seen, string(p.Name))
	}
	if len(seen) != 3 {
		t.Errorf("read %q", seen)
	}
	if n := c.db.Stats().OpenConnections; n > 1 {
		t.Errorf("%d connections for one pass", n)
	}
}

func TestSameListing(t *testing.T) {
	l := Listing{ETag: "1", Serial: 7, Offers: []Offer{{Filename: "a-1.tar.gz", Size: 3, Hashes: map[string]string{"md5": "x", "sha256": "y"}}}}
	for name, change := range map[string]func(*Listing){
		"tag":    func(l *Listing) { l.ETag = "2" },
		"date":   func(l *Listing) { l.LastModified = "today" },
		"serial": func(l *Listing) { l.Serial++ },
		"size":   func(l *Listing) { l.Offers = []Offer{{Filename: "a-1.tar.gz", Size: 4}} },
		"status": func(l *Listing) { l.Status.State = Archived },
	} {
		m := l
		if !m.Same(&l) {
			t.Error("a copy is not the same")
		}
		if change(&m); m.Same(&l) {
			t.Errorf("another %s, and the same", name)
		}
	}
	m := l
	if m.Warnings = []string{"odd"}; !m.Same(&l) {
		t.Error("a warning counts")
	}
}
