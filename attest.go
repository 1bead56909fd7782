package nestgen

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"nestgen/catalog"
	"nestgen/drop"
	"nestgen/fetch"
	"nestgen/plan"
	"nestgen/provenance"
)

// An attestation is what an upstream gives as the provenance of a file.
type attestation struct {
	data []byte

	// by is who published the file, and err why that is not known.
	by  provenance.Publisher
	err error
}

// errStranger is matched by the error for provenance that is another file's.
var errStranger = errors.New("it is the provenance of another file")

// An unattestedError is the error for a file that is not taken because of what its
// provenance is, or is not.
type unattestedError struct {
	filename string
	before   plan.Precedent
	err      error
}

func (e *unattestedError) Error() string {
	who := ""
	if !e.before.Publisher.IsZero() {
		who = ", published by " + e.before.Publisher.String()
	}
	return fmt.Sprintf("%s: not taken: version %s had provenance%s, but of this file: %v", e.filename, e.before.Version, who, e.err)
}

func (e *unattestedError) Unwrap() error { return e.err }

// passing reports whether the next run may have it.
func (e *unattestedError) passing() bool {
	switch fetch.KindOf(e.err) {
	case fetch.Unreachable, fetch.Stale, fetch.Denied, fetch.Stopped:
		return true
	}
	return false
}

// attestationOf asks for the provenance of a new file, before the file itself: one
// small request. It is nil where none is announced, or nobody wants to know. An error
// means that the file is not to be taken.
func (s *site) attestationOf(ctx context.Context, src *fetch.Source, c plan.Choice) (*attestation, error) {
	if s.Provenance == "off" || c.Offer.Provenance == "" {
		return nil, nil
	}
	data, err := s.companionOf(ctx, src, c.Offer, drop.Provenance)
	if err != nil && (ctx.Err() != nil || ownStorage(err)) {
		return nil, err
	}
	a := &attestation{data: data, err: err}
	sha, _ := catalog.ParseDigest(c.Offer.Hashes["sha256"])
	a.read(sha)
	if a.err != nil && c.Before.Version != "" && s.Provenance == "hold" {
		return nil, &unattestedError{c.Offer.Filename, c.Before, a.err}
	}
	return a, nil
}

// read finds out who published the file with a digest; the zero Digest is not known.
func (a *attestation) read(sha catalog.Digest) {
	if a.err != nil {
		return
	}
	o, err := provenance.Read(a.data)
	switch {
	case err != nil:
		a.err = err
	case !sha.IsZero() && !o.Speaks(sha.String()):
		a.err = errStranger
	default:
		a.by = o.Publisher()
	}
}

// attest notes who published a file that has come, and tells if that is somebody else
// than before.
func (s *site) attest(a *arrival, c plan.Choice, got *attestation) error {
	name := c.Offer.Filename
	if got == nil {
		if c.Before.Version != "" {
			s.warn(string(a.file.Project), "find out why", "%s comes without provenance, and version %s had it", name, c.Before.Version)
		}
		return nil
	}
	got.read(a.file.SHA256) // the upstream need not have said the digest
	if got.err != nil && c.Before.Version != "" && s.Provenance == "hold" {
		return &unattestedError{name, c.Before, got.err}
	}
	if got.err != nil {
		return nil
	}
	a.file.Publisher = got.by
	if by := c.Before.Publisher; !by.IsZero() && by != got.by {
		s.warn(string(a.file.Project), "find out whether the project has moved", "%s was published by %s, and version %s by %s", name, got.by, c.Before.Version, by)
	}
	return nil
}

// wantsPublisher reports whether the publisher of a file is asked for that is here:
// of one that came because somebody asked for it, and had to wait for nothing else.
func (s *site) wantsPublisher(f catalog.File) bool {
	m := s.onDemand(f.Project)
	return s.Provenance != "off" && f.Publisher.IsZero() && !f.Announced && f.Public() && (m == "list" || m == "fetch")
}

// carriesProvenance reports whether provenance is published beside the files.
// Attestations can be announced by a whole address only (PEP 740).
func (s *site) carriesProvenance() bool { return strings.HasPrefix(s.BaseURL, "https:") }

// besideAs gives the provenance that is to lie beside a file, nil if none is, and notes
// who published a file that has been here without.
func (s *site) besideAs(ctx context.Context, src *fetch.Source, c plan.Choice, a *arrival, proof *attestation) ([]byte, error) {
	if proof == nil {
		data, err := s.companionOf(ctx, src, c.Offer, drop.Provenance)
		if err != nil {
			return nil, err
		}
		proof = &attestation{data: data}
		if s.Provenance != "off" {
			proof.read(a.file.SHA256)
			a.file.Publisher = proof.by
		}
	}
	if !s.carriesProvenance() {
		return nil, proof.err
	}
	return proof.data, proof.err
}
