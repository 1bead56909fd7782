package transit_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"nestgen/catalog"
	"nestgen/tilelog"
	"nestgen/transit"
)

func hash(b byte) (h tilelog.Hash) {
	for i := range h {
		h[i] = b
	}
	return h
}

func TestRecords(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("x"), tilelog.MaxRecord)
	var list []byte
	for _, leaf := range [][]byte{[]byte("one"), nil, long, []byte("four")} {
		if leaf == nil {
			list = transit.AppendHidden(list, hash(7))
			continue
		}
		var err error
		if list, err = transit.AppendRecord(list, leaf); err != nil {
			t.Fatal(err)
		}
	}
	r := transit.NewRecords(bytes.NewReader(list))
	for i, want := range [][]byte{[]byte("one"), nil, long, []byte("four")} {
		leaf, h, err := r.Next()
		if err != nil || !bytes.Equal(leaf, want) {
			t.Fatalf("record %d: %.20q, %v", i, leaf, err)
		}
		wantHash := hash(7)
		if want != nil {
			wantHash = tilelog.LeafHash(want)
		}
		if h != wantHash {
			t.Errorf("record %d: hash %s", i, h)
		}
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("after the last: %v", err)
	}
	for _, leaf := range [][]byte{nil, append(long, 'x')} {
		if _, err := transit.AppendRecord(nil, leaf); err == nil {
			t.Errorf("a record of %d bytes was taken", len(leaf))
		}
	}
}

// A list of records that was cut anywhere but between two is told from a whole one.
func TestRecordsThatAreCut(t *testing.T) {
	t.Parallel()
	list, err := transit.AppendRecord(nil, []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	between := len(list)
	list = transit.AppendHidden(list, hash(7))
	for n := range len(list) {
		r := transit.NewRecords(bytes.NewReader(list[:n]))
		var err error
		for err == nil {
			_, _, err = r.Next()
		}
		if whole := n == 0 || n == between; whole != (err == io.EOF) || !whole && !errors.Is(err, transit.ErrForm) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	want := []transit.Line{
		{Project: "a", Last: 12, Before: 3},
		{Project: "a", File: transit.File{Filename: "a-1.0.tar.gz", SHA256: catalog.Digest(hash(1)), Size: 17}},
		{Project: "b-c", Last: 9, Before: 0},
		{Project: "d", Last: 9, Before: 9},
		{Project: "d", File: transit.File{Filename: "D-1.0(x).egg", SHA256: catalog.Digest(hash(2))}},
	}
	var text []byte
	for _, l := range want {
		text = transit.AppendLine(text, l)
	}
	i := 0
	for got, err := range transit.ReadListing(bytes.NewReader(text)) {
		if err != nil || got != want[i] {
			t.Fatalf("line %d: %+v, %v", i+1, got, err)
		}
		i++
	}
	if i != len(want) {
		t.Errorf("%d lines, want %d", i, len(want))
	}
	sha := strings.Repeat("ab", 32)
	for name, bad := range map[string]string{
		"a file without a project": sha + " 1 a-1.0.tar.gz\n",
		"projects out of order":    "= b 1 0\n= a 1 0\n",
		"a project twice":          "= a 1 0\n= a 1 0\n",
		"a name that is not so":    "= A 1 0\n",
		"no name":                  "=  1 0\n",
		"more before than at last": "= a 1 2\n",
		"a size below 0":           "= a 1 0\n" + sha + " -1 a-1.0.tar.gz\n",
		"a path":                   "= a 1 0\n" + sha + " 1 ../a-1.0.tar.gz\n",
		"no end of line":           "= a 1 0",
		"a digit too many":         "= a 01 0\n",
		"a long line":              "= " + strings.Repeat("a", transit.MaxLine) + " 1 0\n",
		"capital digits":           "= a 1 0\n" + strings.ToUpper(sha) + " 1 a-1.0.tar.gz\n",
	} {
		var last error
		for _, err := range transit.ReadListing(strings.NewReader(bad)) {
			last = err
		}
		if !errors.Is(last, transit.ErrForm) {
			t.Errorf("%s: %v", name, last)
		}
	}
}

func TestEdgeAndProofs(t *testing.T) {
	t.Parallel()
	edge := []tilelog.Hash{hash(1), hash(2)}
	got, err := transit.ParseEdge(transit.AppendEdge(nil, edge))
	if err != nil || len(got) != 2 || got[0] != edge[0] || got[1] != edge[1] {
		t.Errorf("edge: %v, %v", got, err)
	}
	if got, err := transit.ParseEdge(nil); err != nil || len(got) != 0 {
		t.Errorf("empty edge: %v, %v", got, err)
	}
	text := transit.AppendProof(nil, transit.Proof{Size: 20, Hashes: edge})
	text = transit.AppendProof(text, transit.Proof{Size: 3})
	proofs, err := transit.ParseProofs(text)
	if err != nil || len(proofs) != 2 || proofs[0].Size != 20 || len(proofs[0].Hashes) != 2 || len(proofs[1].Hashes) != 0 {
		t.Errorf("proofs: %v, %v", proofs, err)
	}
	many := transit.AppendEdge(nil, make([]tilelog.Hash, transit.MaxEdge+1))
	for _, bad := range []string{string(many), "x\n", hash(1).String(), "\n", hash(1).String() + " \n"} {
		if _, err := transit.ParseEdge([]byte(bad)); !errors.Is(err, transit.ErrForm) {
			t.Errorf("edge %.50q: %v", bad, err)
		}
	}
	for _, bad := range []string{"0\n", "3\n3\n", "3\n4\n", "x\n", "3 x\n", "3 \n", "3", "03\n"} {
		if _, err := transit.ParseProofs([]byte(bad)); !errors.Is(err, transit.ErrForm) {
			t.Errorf("proofs %q: %v", bad, err)
		}
	}
}

func TestAck(t *testing.T) {
	t.Parallel()
	want := transit.Ack{Origin: "near.example/pypi", Tag: "site-b", Serial: 40, Root: hash(9)}
	text := want.Format()
	if got, err := transit.ParseAck(text); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", string(text) + "\n", string(text[:len(text)-1]), strings.Replace(string(text), "40", "-4", 1), strings.Replace(string(text), "ack 1", "ack 2", 1)} {
		if _, err := transit.ParseAck([]byte(bad)); !errors.Is(err, transit.ErrForm) {
			t.Errorf("ack %q: %v", bad, err)
		}
	}
}

// What is read is written again as it was.
func FuzzTransit(f *testing.F) {
	list, _ := transit.AppendRecord(nil, []byte("one"))
	f.Add(transit.AppendHidden(list, hash(7)))
	f.Add([]byte("= a 12 3\n" + strings.Repeat("ab", 32) + " 17 a-1.0.tar.gz\n"))
	f.Add(transit.AppendEdge(nil, []tilelog.Hash{hash(1)}))
	f.Add(transit.AppendProof(nil, transit.Proof{Size: 3, Hashes: []tilelog.Hash{hash(1)}}))
	f.Add(transit.Ack{Origin: "a", Tag: "b", Serial: 1}.Format())
	f.Fuzz(func(t *testing.T, data []byte) {
		var again []byte
		r := transit.NewRecords(bytes.NewReader(data))
		leaf, h, err := r.Next()
		for ; err == nil; leaf, h, err = r.Next() {
			if leaf == nil {
				again = transit.AppendHidden(again, h)
			} else if again, err = transit.AppendRecord(again, leaf); err != nil {
				t.Fatal(err)
			}
		}
		if err == io.EOF && !bytes.Equal(again, data) {
			t.Errorf("records: %q", again)
		}
		again = again[:0]
		var fault error
		for l, err := range transit.ReadListing(bytes.NewReader(data)) {
			if fault = err; err == nil {
				again = transit.AppendLine(again, l)
			}
		}
		if fault == nil && !bytes.Equal(again, data) {
			t.Errorf("listing: %q", again)
		}
		if edge, err := transit.ParseEdge(data); err == nil && !bytes.Equal(transit.AppendEdge(nil, edge), data) {
			t.Errorf("edge: %v", edge)
		}
		if _, err := transit.ParseProofs(data); err != nil && !errors.Is(err, transit.ErrForm) {
			t.Error(err)
		}
		if a, err := transit.ParseAck(data); err == nil && !bytes.Equal(a.Format(), data) {
			t.Errorf("ack: %+v", a)
		}
	})
}
