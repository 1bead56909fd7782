package monitor

import (
	"errors"
	"fmt"

	"nestgen/catalog"
	"nestgen/internal/strictjson"
	"nestgen/record"
	"nestgen/tilelog"
	"nestgen/trust"
)

// MaxProof is how many bytes a proof may have, with what stands around it.
const MaxProof = 16 << 20

// A Proof is all that somebody needs who has the key of a site, to know that an event is
// in its log. It is the member "inclusion" of what "nestgen show FILE --json" prints.
type Proof struct {
	// Serial is the event, and Record its leaf in the log of events, as text.
	Serial int64  `json:"serial"`
	Record string `json:"record"`

	// LeafHash, TreeSize and RootHash are told for people: they follow from the record
	// and the checkpoint, and have to agree with them.
	LeafHash string `json:"leaf_hash"`
	TreeSize int64  `json:"tree_size"`
	RootHash string `json:"root_hash"`

	// Hashes are those beside the way from the leaf to the root, from below, in base64
	// (RFC 6962 section 2.1.1).
	Hashes []string `json:"hashes"`

	// Checkpoint is the log as the site has signed it, empty if it is not published, and
	// Keys the statements by which its key was replaced.
	Checkpoint string `json:"checkpoint,omitempty"`
	Keys       string `json:"keys,omitempty"`
}

var proofKeys = []string{"serial", "record", "leaf_hash", "tree_size", "root_hash", "hashes", "checkpoint", "keys"}

// maxHashes is how many hashes the proof of a leaf of the largest log has.
const maxHashes = 64

// ParseProof reads a proof: the object that has it as "inclusion", or the proof alone.
func ParseProof(data []byte) (*Proof, error) {
	if len(data) > MaxProof {
		return nil, fmt.Errorf("more than %d bytes", MaxProof)
	}
	var inner, outer Proof
	found := false
	read := func(s *strictjson.Scanner, p *Proof, key int) (err error) {
		switch key {
		case 0:
			p.Serial, err = whole(s)
		case 1:
			p.Record, err = text(s)
		case 2:
			p.LeafHash, err = text(s)
		case 3:
			p.TreeSize, err = whole(s)
		case 4:
			p.RootHash, err = text(s)
		case 5:
			err = s.Array(func() error {
				if len(p.Hashes) == maxHashes {
					return s.Fail("more hashes than a log has levels")
				}
				h, err := text(s)
				p.Hashes = append(p.Hashes, h)
				return err
			})
		case 6:
			p.Checkpoint, err = text(s)
		case 7:
			p.Keys, err = text(s)
		default:
			err = s.Skip()
		}
		return err
	}
	s := strictjson.New(data)
	err := s.Object(append(proofKeys[:len(proofKeys):len(proofKeys)], "inclusion"), func(key int) error {
		if key < len(proofKeys) {
			return read(s, &outer, key)
		}
		found = true
		if s.Peek() == 'n' {
			_, err := s.Word()
			return errors.Join(err, errors.New(`"inclusion" is null: the log of the site does not have the event yet`))
		}
		return s.Object(proofKeys, func(key int) error { return read(s, &inner, key) })
	})
	if err == nil {
		err = s.End()
	}
	if err != nil {
		return nil, err
	}
	if found {
		return &inner, nil
	}
	if outer.Record == "" {
		return nil, errors.New(`no proof: it has no "inclusion", as "nestgen show FILE --json" prints it`)
	}
	return &outer, nil
}

func whole(s *strictjson.Scanner) (int64, error) {
	n, ok, err := s.Integer()
	if err == nil && !ok {
		err = s.Fail("want a whole number")
	}
	return n, err
}

// A Proven is what a proof proves.
type Proven struct {
	// Record is an event of the log.
	Record catalog.Record

	// Checkpoint is the log, and Key the key that signed it: the one that was given, or
	// the last of those that replaced it.
	Checkpoint tilelog.Checkpoint
	Key        trust.Key
}

// Check checks a proof, offline, with the key of the site or one that the site has
// replaced since. It proves that the site has signed a log with this event, at this place
// for ever. It does not prove that no later event is about the same.
func (p *Proof) Check(key string) (*Proven, error) {
	given, err := trust.ParseKey(key)
	if err != nil {
		return nil, failed(ErrInput, "%w", err)
	}
	if p.Checkpoint == "" {
		return nil, errors.New("the proof has no checkpoint, which the site has signed: the site does not publish its log")
	}
	proven := &Proven{}
	if proven.Key, _, err = followKeys(given, []byte(p.Keys)); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if proven.Checkpoint, _, err = openCheckpoint([]byte(p.Checkpoint), proven.Key); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	c := proven.Checkpoint
	var hashes []tilelog.Hash
	for _, text := range p.Hashes {
		h, err := tilelog.ParseHash(text)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, h)
	}
	leaf := tilelog.LeafHash([]byte(p.Record))
	if p.LeafHash != leaf.String() || p.TreeSize != c.Size || p.RootHash != c.Root.String() {
		return nil, errors.New("what it says of the hash of the record, or of size and root of the log, is not what the record and the checkpoint say")
	}
	if err := tilelog.CheckRecord(hashes, c.Size, c.Root, p.Serial-1, leaf); err != nil {
		return nil, err
	}
	if proven.Record, err = record.Decode([]byte(p.Record)); err != nil {
		return nil, err
	}
	if proven.Record.Serial != p.Serial {
		return nil, fmt.Errorf("the record calls itself event %d, and stands at the place of %d", proven.Record.Serial, p.Serial)
	}
	return proven, nil
}
