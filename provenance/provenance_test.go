package provenance_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"nestgen/provenance"
)

const sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func statement(sha string) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil,
		`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"foo-1.0.tar.gz","digest":{"sha256":%q}}],"predicateType":"https://docs.pypi.org/attestations/publish/v1","predicate":null}`, sha))
}

func object(publisher, statement string) string {
	return fmt.Sprintf(`{"version":1,"attestation_bundles":[{"publisher":%s,"attestations":[{"version":1,"verification_material":{"certificate":"AA==","transparency_entries":[{}]},"envelope":{"statement":%q,"signature":"c2ln"}}]}]}`, publisher, statement)
}

const github = `{"kind":"GitHub","claims":null,"repository":"pypa/sampleproject","workflow":"release.yml","environment":null}`

func TestRead(t *testing.T) {
	for publisher, want := range map[string]string{
		github: "GitHub pypa/sampleproject, release.yml",
		`{"kind":"GitHub","repository":"o/r","workflow":"w.yml","environment":"pypi"}`:      "GitHub o/r, w.yml, environment pypi",
		`{"kind":"GitLab","repository":"g/sub/p","workflow_filepath":".gitlab-ci.yml"}`:     "GitLab g/sub/p, .gitlab-ci.yml",
		`{"kind":"Google","email":"robot@example.iam.gserviceaccount.com","sub":"1"}`:       "Google robot@example.iam.gserviceaccount.com",
		`{"kind":"ActiveState","organization":"acme","project":"foo","claims":{"a":[1]}}`:   "ActiveState acme/foo",
		"{\"kind\":\"GitHub\",\"repository\":\"o/\\u001b[31mr\",\"workflow\":\"w\\u202e\"}": "GitHub o/\ufffd[31mr, w\ufffd",
	} {
		o, err := provenance.Read([]byte(object(publisher, statement(sum))))
		if err != nil || o.Publisher().String() != want {
			t.Errorf("%s: %v, %v; want %q", publisher, o, err, want)
			continue
		}
		a := o.Bundles[0].Attestations[0]
		if !o.Speaks(sum) || o.Speaks(strings.Repeat("0", 64)) || a.Subjects[0].Name != "foo-1.0.tar.gz" || a.Predicate == "" || string(a.Signature) != "sig" || !json.Valid(a.Raw) {
			t.Errorf("%+v", a)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	good := object(github, statement(sum))
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "not valid JSON"},
		{"a list", "[]", "not valid JSON"},
		{"another version", strings.Replace(good, `"version":1`, `"version":2`, 1), "version 2"},
		{"an attestation of another version", strings.Replace(good, `"attestations":[{"version":1`, `"attestations":[{"version":2`, 1), "attestation of version 2"},
		{"no bundle", `{"version":1,"attestation_bundles":[]}`, "no bundle"},
		{"a bundle without attestations", `{"version":1,"attestation_bundles":[{"publisher":` + github + `,"attestations":[]}]}`, "without an attestation"},
		{"no publisher", object("{}", statement(sum)), "without a publisher"},
		{"a publisher of nothing", object(`{"kind":"GitHub"}`, statement(sum)), "without a publisher"},
		{"two publishers in one", object(`{"kind":"GitHub","repository":"a/b","repository":"c/d"}`, statement(sum)), "twice"},
		{"a long name", object(`{"kind":"GitHub","repository":"`+strings.Repeat("x", 1000)+`"}`, statement(sum)), "more than 512 bytes"},
		{"no base64", object(github, "!"), "not base64"},
		{"no statement", object(github, ""), "without a statement"},
		{"a statement that is none", object(github, base64.StdEncoding.EncodeToString([]byte("{}"))), "statement of type"},
		{"about nothing", object(github, base64.StdEncoding.EncodeToString([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[]}`))), "about nothing"},
		{"two subjects in one key", object(github, base64.StdEncoding.EncodeToString([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[],"subject":[]}`))), "twice"},
		{"something behind", good + "x", "after the end"},
		{"many bundles", `{"version":1,"attestation_bundles":[` + strings.Repeat(strings.TrimSuffix(strings.TrimPrefix(good, `{"version":1,"attestation_bundles":[`), "]}")+",", 65) + "]}", "more than 64 bundles"},
		{"too large", good + strings.Repeat(" ", 1<<20), "more than the 1048576"},
		{"deep", strings.Replace(good, "null", strings.Repeat("[", 200)+strings.Repeat("]", 200), 1), "deep"},
	} {
		if o, err := provenance.Read([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v; want %q", tt.name, o, err, tt.want)
		}
	}
}

// Every attestation must be about the file: one of a stranger among right ones is not.
func TestSpeaksOfAllAttestations(t *testing.T) {
	one := func(sha string) string {
		return `{"version":1,"envelope":{"statement":"` + statement(sha) + `","signature":"c2ln"}}`
	}
	o, err := provenance.Read([]byte(`{"version":1,"attestation_bundles":[{"publisher":` + github + `,"attestations":[` + one(sum) + "," + one(strings.Repeat("0", 64)) + `]}]}`))
	if err != nil || o.Speaks(sum) {
		t.Errorf("%+v, %v", o, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(object(github, statement(sum))))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := provenance.Read(data)
		if err != nil {
			return
		}
		if o.Publisher().IsZero() || len(o.Publisher().String()) > 4096 {
			t.Fatalf("%+v", o)
		}
		for _, b := range o.Bundles {
			for _, a := range b.Attestations {
				if len(a.Subjects) == 0 || !json.Valid(a.Raw) || !json.Valid(a.Statement) {
					t.Fatalf("%+v", a)
				}
			}
		}
	})
}
