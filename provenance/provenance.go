// Package provenance reads the provenance objects of PEP 740: who published a
// distribution, as the index that took it in found out, and which bytes the
// attestations speak of. It checks no signature; contrib/verify-provenance does.
package provenance

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"nestgen/internal/strictjson"
	"nestgen/internal/tame"
)

// Limits on what one object may hold.
const (
	// MaxSize is how many bytes an object may have.
	MaxSize = 1 << 20

	maxBundles      = 64
	maxAttestations = 64 // of one bundle
	maxSubjects     = 1024
	maxText         = 512 // bytes of a field of a publisher
)

// A Publisher is who published a file: a workflow that the index trusts ("Trusted
// Publisher"). Publishers are plain values. The zero Publisher stands for "not known".
type Publisher struct {
	// Kind is the service, as "GitHub" or "GitLab".
	Kind string

	// Repository is "owner/name" there. Of a service without repositories it is
	// what stands for one: an address of mail, or an organization and a project.
	Repository string

	// Workflow is the file that describes the workflow, and Environment the
	// environment that it ran in. Both may be empty.
	Workflow    string
	Environment string
}

// IsZero reports whether nothing is known.
func (p Publisher) IsZero() bool { return p == Publisher{} }

// String gives the publisher for people, as "GitHub owner/name, release.yml".
func (p Publisher) String() string {
	s := p.Kind + " " + p.Repository
	if p.Workflow != "" {
		s += ", " + p.Workflow
	}
	if p.Environment != "" {
		s += ", environment " + p.Environment
	}
	return s
}

// An Object is a provenance object.
type Object struct {
	Bundles []Bundle
}

// A Bundle is the attestations of one publisher.
type Bundle struct {
	Publisher    Publisher
	Attestations []Attestation
}

// An Attestation is what its statement says (in-toto Statement v1).
type Attestation struct {
	Predicate string // the predicateType
	Subjects  []Subject

	// Statement and Signature are the bytes that were signed and the signature;
	// Raw is the attestation as it is written.
	Statement, Signature, Raw []byte
}

// A Subject is a file that an attestation speaks of.
type Subject struct {
	Name   string
	SHA256 string // lower-case hexadecimal; empty if another digest is given
}

var (
	objectKeys      = []string{"version", "attestation_bundles"}
	bundleKeys      = []string{"publisher", "attestations"}
	publisherKeys   = []string{"kind", "repository", "workflow", "workflow_filepath", "environment", "email", "organization", "project"}
	attestationKeys = []string{"version", "envelope"}
	envelopeKeys    = []string{"statement", "signature"}
	statementKeys   = []string{"_type", "subject", "predicateType"}
	subjectKeys     = []string{"name", "digest"}
	digestKeys      = []string{"sha256"}
)

const statementType = "https://in-toto.io/Statement/v1"

// Read reads a provenance object of version 1. One of another form is an error, as is
// one with a key twice, or without a publisher, an attestation or a subject.
func Read(data []byte) (*Object, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("provenance: %d bytes, more than the %d that it may have", len(data), MaxSize)
	}
	o, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	return o, nil
}

func read(data []byte) (*Object, error) {
	o := new(Object)
	s := strictjson.New(data)
	version := int64(0)
	err := s.Object(objectKeys, func(key int) (err error) {
		switch key {
		case 0:
			version, _, err = s.Integer()
		case 1:
			err = s.Array(func() error {
				if len(o.Bundles) == maxBundles {
					return fmt.Errorf("more than %d bundles", maxBundles)
				}
				b, err := readBundle(s)
				o.Bundles = append(o.Bundles, b)
				return err
			})
		default:
			err = s.Skip()
		}
		return err
	})
	if err == nil {
		err = s.End()
	}
	switch {
	case err != nil:
		return nil, err
	case version != 1:
		return nil, fmt.Errorf("version %d: want 1", version)
	case len(o.Bundles) == 0:
		return nil, errors.New("no bundle of attestations")
	}
	return o, nil
}

func readBundle(s *strictjson.Scanner) (b Bundle, err error) {
	err = s.Object(bundleKeys, func(key int) (err error) {
		switch key {
		case 0:
			b.Publisher, err = readPublisher(s)
		case 1:
			err = s.Array(func() error {
				if len(b.Attestations) == maxAttestations {
					return fmt.Errorf("more than %d attestations", maxAttestations)
				}
				a, err := readAttestation(s)
				b.Attestations = append(b.Attestations, a)
				return err
			})
		default:
			err = s.Skip()
		}
		return err
	})
	switch {
	case err != nil:
		return b, err
	case b.Publisher.Kind == "" || b.Publisher.Repository == "":
		return b, errors.New("a bundle without a publisher")
	case len(b.Attestations) == 0:
		return b, errors.New("a bundle without an attestation")
	}
	return b, nil
}

func readPublisher(s *strictjson.Scanner) (p Publisher, err error) {
	var field [publisherFields]string
	err = s.Object(publisherKeys, func(key int) error {
		if key < 0 || s.Peek() != '"' {
			return s.Skip()
		}
		t, err := s.Text()
		if len(t) > maxText {
			return fmt.Errorf("%s of a publisher: more than %d bytes", publisherKeys[key], maxText)
		}
		field[key] = strings.TrimSpace(tame.Text(string(t)))
		return err
	})
	p = Publisher{Kind: field[0], Repository: field[1], Workflow: field[2], Environment: field[4]}
	if p.Workflow == "" {
		p.Workflow = field[3]
	}
	if p.Repository == "" {
		p.Repository = field[5]
	}
	if p.Repository == "" && field[6] != "" {
		p.Repository = strings.TrimSuffix(field[6]+"/"+field[7], "/")
	}
	return p, err
}

// publisherFields is how many publisherKeys there are.
const publisherFields = 8

func readAttestation(s *strictjson.Scanner) (a Attestation, err error) {
	begin := s.Offset()
	version := int64(0)
	err = s.Object(attestationKeys, func(key int) (err error) {
		switch key {
		case 0:
			version, _, err = s.Integer()
		case 1:
			err = s.Object(envelopeKeys, func(key int) error {
				if key < 0 {
					return s.Skip()
				}
				t, err := s.Text()
				if err != nil {
					return err
				}
				data, err := base64.StdEncoding.DecodeString(string(t))
				if err != nil {
					return fmt.Errorf("%s: not base64", envelopeKeys[key])
				}
				if key == 0 {
					a.Statement = data
				} else {
					a.Signature = data
				}
				return nil
			})
		default:
			err = s.Skip()
		}
		return err
	})
	switch {
	case err != nil:
		return a, err
	case version != 1:
		return a, fmt.Errorf("attestation of version %d: want 1", version)
	case len(a.Statement) == 0 || len(a.Signature) == 0:
		return a, errors.New("an attestation without a statement or a signature")
	}
	a.Raw = s.Since(begin)
	return a, a.readStatement()
}

func (a *Attestation) readStatement() error {
	s := strictjson.New(a.Statement)
	kind := ""
	err := s.Object(statementKeys, func(key int) error {
		switch key {
		case 0:
			t, err := s.Text()
			kind = string(t)
			return err
		case 1:
			return s.Array(func() error {
				if len(a.Subjects) == maxSubjects {
					return fmt.Errorf("more than %d subjects", maxSubjects)
				}
				subject, err := readSubject(s)
				a.Subjects = append(a.Subjects, subject)
				return err
			})
		case 2:
			t, err := s.Text()
			a.Predicate = string(t)
			return err
		}
		return s.Skip()
	})
	if err == nil {
		err = s.End()
	}
	switch {
	case err != nil:
		return fmt.Errorf("statement: %w", err)
	case kind != statementType:
		return fmt.Errorf("statement of type %q: want %q", kind, statementType)
	case len(a.Subjects) == 0:
		return errors.New("a statement about nothing")
	}
	return nil
}

func readSubject(s *strictjson.Scanner) (subject Subject, err error) {
	err = s.Object(subjectKeys, func(key int) error {
		switch key {
		case 0:
			t, err := s.Text()
			subject.Name = string(t)
			return err
		case 1:
			return s.Object(digestKeys, func(key int) error {
				if key < 0 {
					return s.Skip()
				}
				t, err := s.Text()
				subject.SHA256 = strings.ToLower(string(t))
				return err
			})
		}
		return s.Skip()
	})
	return subject, err
}

// Publisher gives the first of the publishers.
func (o *Object) Publisher() Publisher { return o.Bundles[0].Publisher }

// Speaks reports whether every attestation is about the file with a SHA-256, given in
// lower-case hexadecimal. Provenance of another file, put beside this one, is not.
func (o *Object) Speaks(sha256 string) bool {
	for _, b := range o.Bundles {
		for _, a := range b.Attestations {
			about := false
			for _, s := range a.Subjects {
				about = about || s.SHA256 == sha256
			}
			if !about {
				return false
			}
		}
	}
	return true
}
