package catalog

import (
	"encoding/binary"
	"fmt"

	"nestgen/layout"
	"nestgen/packaging"
)

// factsForm is the first byte of what is kept of a file, publishedForm that of a
// file of which is known who published it, and summedForm that of one with digests of
// its companions, who published it or not.
const (
	factsForm     = 1
	publishedForm = 2
	summedForm    = 3
)

const (
	yankedFact = 1 << iota
	metadataFact
	signedFact
	provenanceFact
	overruledFact // the source says another thing of its being yanked
	spelledFact
	announcedFact
	placedFact // the path is not made of BLAKE2b
)

// encodeFacts gives everything of a File but its project and its name, and its
// path where that follows from the rest.
func encodeFacts(f File) []byte {
	var flags byte
	if f.Yanked.Yanked {
		flags |= yankedFact
	}
	if !f.Metadata.IsZero() {
		flags |= metadataFact
	}
	if f.Signed {
		flags |= signedFact
	}
	if f.Provenance {
		flags |= provenanceFact
	}
	if f.SourceYank != f.Yanked {
		flags |= overruledFact
	}
	if f.Spelling != "" {
		flags |= spelledFact
	}
	if f.Announced {
		flags |= announcedFact
	}
	placed, _, ok := layout.ParseFile(f.Path)
	if ok && placed != f.BLAKE2b {
		flags |= placedFact
	}
	b := make([]byte, 0, 192+len(f.Version)+len(f.RequiresPython)+len(f.Yanked.Reason)+len(f.Source)+len(f.URL))
	b = append(b, factsForm, flags, byte(f.Kind))
	b = append(b, f.SHA256[:]...)
	b = append(b, f.BLAKE2b[:]...)
	if flags&metadataFact != 0 {
		b = append(b, f.Metadata[:]...)
	}
	b = binary.AppendVarint(b, f.Size)
	b = binary.AppendVarint(b, f.Uploaded)
	b = appendText(b, f.Version)
	b = appendText(b, f.RequiresPython)
	b = appendText(b, f.Yanked.Reason)
	b = appendText(b, f.Source)
	b = appendText(b, f.URL)
	if flags&overruledFact != 0 {
		b = appendText(append(b, yankedByte(f.SourceYank)), f.SourceYank.Reason)
	}
	if flags&spelledFact != 0 {
		b = appendText(b, f.Spelling)
	}
	if flags&placedFact != 0 {
		b = append(b, placed[:]...)
	}
	summed := !f.SignatureSum.IsZero() || !f.ProvenanceSum.IsZero()
	if summed || !f.Publisher.IsZero() {
		b[0] = publishedForm
		for _, s := range []string{f.Publisher.Kind, f.Publisher.Repository, f.Publisher.Workflow, f.Publisher.Environment} {
			b = appendText(b, s)
		}
	}
	if summed {
		b[0] = summedForm
		b = append(b, f.SignatureSum[:]...)
		b = append(b, f.ProvenanceSum[:]...)
	}
	return b
}

func yankedByte(y Yank) byte {
	if y.Yanked {
		return 1
	}
	return 0
}

// decodeFacts takes text that is the same in last from there.
func decodeFacts(project packaging.Name, filename string, b []byte, last *File) (File, error) {
	f := File{Project: project, Filename: filename}
	d := decoder{rest: b}
	form := d.byte()
	if form < factsForm || form > summedForm {
		d.fail()
	}
	flags := d.byte()
	f.Kind = packaging.Kind(d.byte())
	f.SHA256 = d.digest()
	f.BLAKE2b = d.digest()
	if flags&metadataFact != 0 {
		f.Metadata = d.digest()
	}
	f.Size = d.number()
	f.Uploaded = d.number()
	f.Version = d.textLike(last.Version)
	f.RequiresPython = d.textLike(last.RequiresPython)
	f.Yanked = Yank{flags&yankedFact != 0, d.textLike(last.Yanked.Reason)}
	f.Source = d.textLike(last.Source)
	f.URL = d.text()
	f.SourceYank = f.Yanked
	if flags&overruledFact != 0 {
		f.SourceYank = Yank{d.byte() == 1, d.text()}
	}
	if flags&spelledFact != 0 {
		f.Spelling = d.textLike(last.Spelling)
	}
	place := f.BLAKE2b
	if flags&placedFact != 0 {
		place = d.digest()
	}
	if form >= publishedForm {
		p, like := &f.Publisher, &last.Publisher
		p.Kind, p.Repository = d.textLike(like.Kind), d.textLike(like.Repository)
		p.Workflow, p.Environment = d.textLike(like.Workflow), d.textLike(like.Environment)
	}
	if form >= summedForm {
		f.SignatureSum, f.ProvenanceSum = d.digest(), d.digest()
	}
	f.Announced = flags&announcedFact != 0
	f.Signed = flags&signedFact != 0
	f.Provenance = flags&provenanceFact != 0
	if d.bad || len(d.rest) > 0 {
		return File{}, fmt.Errorf("file %s: %w", filename, errDamaged)
	}
	f.Path = layout.File(place, filename)
	return f, nil
}
