package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	githubIssuer = "https://token.actions.githubusercontent.com"
	workflow     = "https://github.com/acme/foo/.github/workflows/release.yml@refs/tags/v1.0"
)

// An instance is a Sigstore of the test's own: its authorities are the library's.
type instance struct {
	*ca.VirtualSigstore
	dir, root string
}

func newInstance(t *testing.T) *instance {
	t.Helper()
	v, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	logs := v.RekorLogs()
	for id, log := range logs {
		if log.ID, err = hex.DecodeString(id); err != nil { // the library's test instance has the text of it
			t.Fatal(err)
		}
	}
	r, err := root.NewTrustedRoot(root.TrustedRootMediaType01, v.FulcioCertificateAuthorities(), nil, v.TimestampingAuthorities(), logs)
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{VirtualSigstore: v, dir: t.TempDir()}
	i.root = i.write(t, "trusted_root.json", text)
	return i
}

func (i *instance) write(t *testing.T, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(i.dir, name)
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// attest gives the provenance of a file, signed for an identity.
func (i *instance) attest(t *testing.T, data []byte, identity, issuer, publisher string) []byte {
	t.Helper()
	sum := sha256.Sum256(data)
	statement := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"foo-1.0.tar.gz","digest":{"sha256":%q}}],"predicateType":"https://docs.pypi.org/attestations/publish/v1","predicate":null}`, hex.EncodeToString(sum[:]))
	signed, err := i.AttestAtTime(identity, issuer, statement, time.Now().Add(5*time.Minute), true)
	if err != nil {
		t.Fatal(err)
	}
	content, err := signed.VerificationContent()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := signed.TlogEntries()
	if err != nil {
		t.Fatal(err)
	}
	// What the library keeps of an entry beside what it writes of it.
	e := entries[0].TransparencyLogEntry()
	e.KindVersion = &rekor.KindVersion{Kind: "dsse", Version: "0.0.1"}
	promise, err := i.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(e.CanonicalizedBody), IntegratedTime: e.IntegratedTime, LogIndex: e.LogIndex, LogID: hex.EncodeToString(e.LogId.KeyId),
	})
	if err != nil {
		t.Fatal(err)
	}
	e.InclusionPromise = &rekor.InclusionPromise{SignedEntryTimestamp: promise}
	entry, err := protojson.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := signed.SignatureContent()
	if err != nil {
		t.Fatal(err)
	}
	object, err := json.Marshal(map[string]any{
		"version": 1,
		"attestation_bundles": []any{map[string]any{
			"publisher": json.RawMessage(publisher),
			"attestations": []any{map[string]any{
				"version":               1,
				"verification_material": map[string]any{"certificate": content.Certificate().Raw, "transparency_entries": []any{json.RawMessage(entry)}},
				"envelope":              map[string]any{"statement": statement, "signature": signature.Signature()},
			}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return object
}

const publisher = `{"kind":"GitHub","repository":"acme/foo","workflow":"release.yml","environment":null}`

func TestVerify(t *testing.T) {
	i, other := newInstance(t), newInstance(t)
	data := []byte("the bytes of a distribution")
	file := i.write(t, "foo-1.0.tar.gz", data)
	good := i.attest(t, data, workflow, githubIssuer, publisher)
	replace := func(old, new string) []byte {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("no %s in the provenance", old)
		}
		return bytes.Replace(good, []byte(old), []byte(new), 1)
	}
	// flip alters one character in the middle of a text in base64.
	flip := func(key string) []byte {
		at := bytes.Index(good, []byte(`"`+key+`":"`))
		if at < 0 {
			t.Fatalf("no %s in the provenance", key)
		}
		at += len(key) + 40
		b := bytes.Clone(good)
		if b[at]++; !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", rune(b[at])) {
			b[at] = 'A'
		}
		return b
	}
	for _, tt := range []struct {
		name       string
		provenance []byte
		root       string
		flags      string
		status     int
		says       string
	}{
		{name: "as it is", provenance: good, status: 0, says: "verified: published by GitHub acme/foo, release.yml"},
		{name: "with a policy", provenance: good, flags: "--repository Acme/Foo --workflow release.yml --kind github", status: 0, says: "verified"},
		{name: "another repository is wanted", provenance: good, flags: "--repository acme/bar", status: 1, says: "published from acme/foo, not acme/bar"},
		{name: "another workflow is wanted", provenance: good, flags: "--workflow ci.yml", status: 1, says: "not ci.yml"},
		{name: "another service is wanted", provenance: good, flags: "--kind GitLab", status: 1, says: "not GitLab"},
		{name: "another root", provenance: good, root: other.root, status: 1, says: "NOT verified"},
		{name: "the publisher is made up", provenance: replace("acme/foo", "acme/bar"), status: 1, says: "NOT verified"},
		{name: "the workflow is made up", provenance: replace("release.yml", "publish.yml"), status: 1, says: "NOT verified"},
		{name: "a repository that begins alike", provenance: i.attest(t, data, "https://github.com/acme/foo-evil/.github/workflows/release.yml@x", githubIssuer, publisher), status: 1, says: "NOT verified"},
		{name: "another issuer", provenance: i.attest(t, data, workflow, "https://issuer.example", publisher), status: 1, says: "NOT verified"},
		{name: "of GitLab", provenance: i.attest(t, data, "https://gitlab.com/g/p//.gitlab-ci.yml@refs/heads/main", "https://gitlab.com", `{"kind":"GitLab","repository":"g/p","workflow_filepath":".gitlab-ci.yml"}`), status: 0, says: "GitLab g/p"},
		{name: "of a service that nobody knows", provenance: replace(`"GitHub"`, `"Nowhere"`), status: 1, says: "does not know"},
		{name: "of another file", provenance: i.attest(t, []byte("other bytes"), workflow, githubIssuer, publisher), status: 1, says: "another file"},
		{name: "the signature is altered", provenance: flip("signature"), status: 1, says: "NOT verified"},
		{name: "the certificate is altered", provenance: flip("certificate"), status: 1, says: "NOT verified"},
		{name: "the log entry is altered", provenance: flip("canonicalizedBody"), status: 1, says: "NOT verified"},
		{name: "no log entry", provenance: func() []byte {
			var o map[string]any
			if err := json.Unmarshal(good, &o); err != nil {
				t.Fatal(err)
			}
			a := o["attestation_bundles"].([]any)[0].(map[string]any)["attestations"].([]any)[0].(map[string]any)
			a["verification_material"].(map[string]any)["transparency_entries"] = []any{}
			b, _ := json.Marshal(o)
			return b
		}(), status: 1, says: "NOT verified"},
		{name: "no provenance at all", provenance: []byte("{}"), status: 1, says: "NOT verified"},
		{name: "a log of certificates is asked for", provenance: good, flags: "--no-certificate-log=false", status: 1, says: "NOT verified"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.root == "" {
				tt.root = i.root
			}
			args := append([]string{"--trusted-root", tt.root, "--no-certificate-log"}, strings.Fields(tt.flags)...)
			var out, errs bytes.Buffer
			status := run(append(args, file, i.write(t, "p.provenance", tt.provenance)), &out, &errs)
			if status != tt.status || !strings.Contains(out.String(), tt.says) || strings.Count(out.String(), "\n") != 1 || errs.Len() > 0 {
				t.Errorf("status %d, want %d: %s%s", status, tt.status, out.String(), errs.String())
			}
		})
	}
}

// The bytes of the file decide, not what is said of them.
func TestAlteredFile(t *testing.T) {
	i := newInstance(t)
	data := []byte("the bytes of a distribution")
	p := i.write(t, "p.provenance", i.attest(t, data, workflow, githubIssuer, publisher))
	for at := range data {
		altered := bytes.Clone(data)
		altered[at] ^= 1
		var out, errs bytes.Buffer
		if status := run([]string{"--trusted-root", i.root, "--no-certificate-log", i.write(t, "foo-1.0.tar.gz", altered), p}, &out, &errs); status != 1 {
			t.Errorf("byte %d: status %d: %s", at, status, out.String())
		}
	}
}

func TestUsage(t *testing.T) {
	i := newInstance(t)
	file := i.write(t, "f", []byte("x"))
	for _, args := range [][]string{
		{}, {file, file}, {"--trusted-root", i.root, file}, {"--nonsense"}, {"--trusted-root", file, file, file},
		{"--trusted-root", i.root, file + ".none", file}, {"--trusted-root", i.root, file, file + ".none"},
	} {
		var out, errs bytes.Buffer
		if status := run(args, &out, &errs); status != 2 || errs.Len() == 0 || out.Len() > 0 {
			t.Errorf("%q: status %d", args, status)
		}
	}
	var out, errs bytes.Buffer
	if run([]string{"--help"}, &out, &errs) != 0 || !strings.Contains(errs.String(), "Exit status") {
		t.Error("no help")
	}
}
