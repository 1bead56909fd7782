package nestgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/record"
	"nestgen/tilelog"
)

// A FileHistory is what the index has of one distribution file, and what happened to it.
type FileHistory struct {
	Project *catalog.Project

	// File is what the index says of it; nil if it lists it no more.
	File *catalog.File

	// Events are those of the file, oldest first.
	Events []catalog.Event

	// Inclusion proves the last event that says what the index has of the file now: by
	// which it lists it, or by which it left. It is nil if the log does not have it yet.
	Inclusion *Inclusion
}

// An Inclusion proves that the log of events has an event.
type Inclusion struct {
	// Serial is the event; as a leaf of the log it counts from 0.
	Serial int64

	// Record is the leaf, and Leaf the hash of it.
	Record []byte
	Leaf   tilelog.Hash

	// Size and Root are the log that the proof is about, and Proof the hashes beside the
	// way from the leaf to the root, from below (RFC 6962 section 2.1.1).
	Size  int64
	Root  tilelog.Hash
	Proof []tilelog.Hash

	// Checkpoint is the log as the site has signed it, and Keys how the key that signed
	// came to be the key of the site. Both are as they are published; without a
	// published log both are nil.
	Checkpoint, Keys []byte
}

// ShowFile gives one file by its name, with the events of its history. The error matches
// [fs.ErrNotExist] for a name that the index has never had.
func ShowFile(ctx context.Context, c Config, filename string) (*FileHistory, error) {
	cat, err := look(c)
	if err != nil {
		return nil, err
	}
	defer cat.Close()
	first, err := cat.FirstSeen(ctx, filename)
	if err != nil {
		return nil, err
	}
	h := &FileHistory{}
	if h.Project, err = cat.Project(ctx, first.Project); err != nil {
		return nil, err
	}
	if f, ok := listedAs(h.Project, filename); ok {
		h.File = &f
	}
	last, err := h.readEvents(ctx, cat, filename)
	if err != nil || last == 0 {
		return h, storage(err)
	}
	h.Inclusion, err = (&site{Config: c, catalog: cat}).include(ctx, last)
	return h, err
}

// readEvents reads the events of a file, and gives the serial of the last one that says
// what the index has of it.
func (h *FileHistory) readEvents(ctx context.Context, cat *catalog.Catalog, filename string) (last int64, err error) {
	serial, err := cat.Serial(ctx)
	if err != nil {
		return 0, err
	}
	for r, err := range cat.ProjectRecords(ctx, h.Project.Name, 0, serial) {
		if err != nil {
			return 0, err
		}
		if r.Filename != filename {
			continue
		}
		h.Events = append(h.Events, r.Event)
		if r.File != nil || r.Verb == catalog.Withdraw {
			last = r.Serial
		}
	}
	return last, nil
}

// include proves that the log has an event: that which is published, or else the one that
// the catalog keeps. It gives nil if the log does not have it yet.
func (s *site) include(ctx context.Context, serial int64) (*Inclusion, error) {
	p := &Inclusion{Serial: serial}
	var err error
	if p.Size, p.Root, err = s.logRoot(ctx, catalog.Events); err != nil {
		return nil, err
	}
	if s.PublishLog {
		signed, err := s.readCheckpoint()
		if err != nil {
			return nil, &fault{ErrAlarm, fmt.Errorf("%s: %w", layout.LogCheckpoint, err), `run "nestgen verify", which says what is wrong`}
		}
		root, err := tilelog.Root(signed.Size, s.catalog.Tiles(ctx, catalog.Events))
		if err == nil && root != signed.Root {
			err = errors.New("the catalog has another log")
		}
		if err != nil {
			return nil, &fault{ErrAlarm, fmt.Errorf("%s: %w", layout.LogCheckpoint, err), `run "nestgen verify", which says what is wrong`}
		}
		p.Size, p.Root = signed.Size, signed.Root
		if p.Checkpoint, err = os.ReadFile(s.file(layout.LogCheckpoint)); err != nil {
			return nil, storage(err)
		}
		if p.Keys, err = os.ReadFile(s.file(layout.LogKeys)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, storage(err)
		}
	}
	if serial > p.Size {
		return nil, nil
	}
	for r, err := range s.catalog.Records(ctx, serial-1, serial) {
		if err != nil {
			return nil, storage(err)
		}
		leaf, err := new(record.Encoder).Encode(&r)
		if err != nil {
			return nil, err
		}
		p.Record = bytes.Clone(leaf)
	}
	p.Leaf = tilelog.LeafHash(p.Record)
	if p.Proof, err = tilelog.ProveRecord(p.Size, serial-1, s.catalog.Tiles(ctx, catalog.Events)); err != nil {
		return nil, storage(err)
	}
	if err := tilelog.CheckRecord(p.Proof, p.Size, p.Root, serial-1, p.Leaf); err != nil {
		return nil, &fault{ErrAlarm, fmt.Errorf("event %d: %w", serial, err), `run "nestgen verify", which says what is wrong`}
	}
	return p, nil
}
